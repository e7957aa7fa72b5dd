"""`report diagrams`: boxes and arrows of the two diagrams, with the sizes of the study.

Every box names the module that it stands for. Must not: draw.
"""

from typing import NamedTuple

from fispace.report.tables import DIAGRAM
from fispace.store.tables import write_csv
from fispace.study.chapters import CHAPTER_CONTENTS, CHAPTERS, STEP_FOLDERS
from fispace.study.config.parts import PART_FORMULAS
from fispace.study.config.report import DiagramsStep
from fispace.study.step import Writes, command


class Shape(NamedTuple):
    """A box, an arrow or a text, in inches from the lower left."""

    shape: str
    kind: str | None
    x: float
    y: float
    width: float
    height: float
    label: str | None = None
    detail: str | None = None
    module: str | None = None
    """What a box stands for: a module of the package, or a name in one after a colon."""


BOX_WIDTH, BOX_HEIGHT, ACROSS, DOWN, MARGIN = 1.12, 0.5, 1.44, 0.57, 0.05
"""Inches: size of a chapter's box, distances between boxes to the right and downwards, and the edge."""
ARROW, GAP = 0.3, 0.01
"""Inches: length of an arrow, and what separates it from a box."""


@command("report", "diagrams", sections=("train",))
def write_diagrams(params: DiagramsStep, *, pipeline: Writes, architecture: Writes) -> None:
    """Write two tables as CSV: `pipeline` (paper F1) and `architecture` (paper F2)."""
    for path, shapes in ((pipeline, pipeline_shapes()), (architecture, model_shapes(params))):
        write_csv(path, DIAGRAM.frame(shape._asdict() for shape in shapes), DIAGRAM)


def pipeline_shapes() -> list[Shape]:
    """The chapters from left to right, and the arrows between them.

    Those that read the trained arms, between train and report, stand in one column.
    """
    first = CHAPTERS.index("train") + 1
    column = CHAPTERS[first:-1]
    middle = round(MARGIN + DOWN * (len(column) - 1) / 2, 2)
    heights = [middle + DOWN * ((len(column) - 1) / 2 - place) for place in range(len(column))]
    places = [(place, middle) for place in range(first)]
    places += [*((first, y) for y in heights), (first + 1, middle)]
    boxes = [
        Shape(
            "box", "step", _across(place), y, BOX_WIDTH, BOX_HEIGHT, chapter, CHAPTER_CONTENTS[chapter],
            ".".join(("fispace", *STEP_FOLDERS[chapter].split("/"))),
        )
        for chapter, (place, y) in zip(CHAPTERS, places, strict=True)
    ]  # fmt: skip
    arrows = [_arrow(place, middle, 0.0) for place in range(first - 1)]
    for y in sorted(heights, key=lambda y: y != middle):  # the straight ones first
        arrows += [_arrow(first - 1, middle, y - middle), _arrow(first, y, middle - y)]
    return [*boxes, *arrows]


def _across(place: int) -> float:
    """Left edge of the boxes at a place, counted from the left."""
    return round(MARGIN + ACROSS * place, 2)


def _arrow(place: int, y: float, rise: float) -> Shape:
    """An arrow from the boxes at a place to the next ones; `y` is the height of the first box."""
    x = round(_across(place) + BOX_WIDTH + GAP, 2)
    return Shape("arrow", None, x, y + BOX_HEIGHT / 2, ARROW, rise)


def model_shapes(params: DiagramsStep) -> list[Shape]:
    """The integrated model from activations at the top to their reconstruction at the bottom."""
    latents, k, width = f"{params.n_latents:,}", params.k, params.d_embed
    sae, part = "fispace.models.sae:TopKSae", "fispace.models.interaction:Interaction"
    model = "fispace.models.integrated:IntegratedModel"
    wide, x_part = 2.1, 0.65

    def box(
        kind: str, x: float, y: float, w: float, h: float, label: str, detail: str, module: str
    ) -> Shape:
        return Shape("box", kind, x, y, w, h, label, detail, module)

    boxes = [
        box("data", x_part, 4.1, wide, 0.36, "activation z", "d_model, standardised",
            "fispace.store.standardiser"),
        box("sae", x_part, 3.46, wide, 0.4, "TopK encoder",
            f"top {k} of {latents}: ReLU(W_enc z + b_enc)", f"{sae}.encode"),
        box("data", x_part, 2.86, wide, 0.36, "codes f", f"{k} of {latents} latents active",
            "fispace.models.sparse:Codes"),
        box("sae", 0.05, 1.18, 0.66, 1.3, "sae", PART_FORMULAS["sae"], f"{sae}.decode"),
        box("linear", 0.79, 1.18, 0.66, 1.3, "linear", PART_FORMULAS["linear"], f"{model}.contribution"),
        box("bias", 1.53, 1.18, 0.44, 1.3, "bias", PART_FORMULAS["bias"], f"{model}.contribution"),
        box("interaction", 2.05, 2.06, 1.3, 0.42, "interaction: pool",
            f"½[(Σ f v)² − Σ(f v)²], {width} wide", f"{part}.pool"),
        box("interaction", 2.05, 1.5, 1.3, 0.36, "dropout, W_hidden", f"{width} × {width}",
            f"{part}.hidden"),
        box("interaction", 2.05, 1.0, 1.3, 0.36, "ReLU, W_out", f"{width} × d_model, mean to bias",
            f"{part}.output"),
        box("data", x_part, 0.3, wide, 0.36, "reconstruction", "sum of the arm's parts",
            f"{model}.reconstruct"),
    ]  # fmt: skip
    down = [
        (1.7, 4.1, 0, -0.22), (1.7, 3.46, 0, -0.22),
        (1.0, 2.86, -0.62, -0.36), (1.4, 2.86, -0.28, -0.36),
        (2.3, 2.86, 0.4, -0.36), (2.7, 2.06, 0, -0.18), (2.7, 1.5, 0, -0.12),
        (0.38, 1.18, 0.6, -0.5), (1.12, 1.18, 0.26, -0.5), (1.75, 1.18, 0, -0.5),
        (2.7, 1.0, -0.4, -0.32),
    ]  # fmt: skip
    note = "sae and linear, trained jointly, have equal gradients: one decoder"
    texts = [Shape("text", None, 1.7, 0.12, 0, 0, note)]
    return [*boxes, *(Shape("arrow", None, *of) for of in down), *texts]

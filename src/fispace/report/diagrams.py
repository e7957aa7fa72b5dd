"""`report diagrams`: boxes and arrows of the two diagrams, with the sizes of the study.

Every box names the module that it stands for. Must not: draw.
"""

from typing import NamedTuple

from fispace.report.tables import DIAGRAM
from fispace.store.tables import write_csv
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


STEP_Y, STEP_HEIGHT = 0.9, 0.5


@command("report", "diagrams", sections=("train",))
def write_diagrams(params: DiagramsStep, *, pipeline: Writes, architecture: Writes) -> None:
    """Write two tables as CSV: `pipeline` (paper F1) and `architecture` (paper F2)."""
    for path, shapes in ((pipeline, pipeline_shapes()), (architecture, model_shapes(params))):
        write_csv(path, DIAGRAM.frame(shape._asdict() for shape in shapes), DIAGRAM)


def pipeline_shapes() -> list[Shape]:
    """The chapters from left to right, and the arrows between them."""

    def box(x: float, y: float, label: str, detail: str, module: str, kind: str = "step") -> Shape:
        return Shape("box", kind, x, y, 1.12, STEP_HEIGHT, label, detail, module)

    middle = STEP_Y + STEP_HEIGHT / 2
    rows = [STEP_Y + rise for rise in (0.855, 0.285, -0.285, -0.855)]
    steps = [
        box(0.05, STEP_Y, "testbed", "text, and a language\nmodel that knows it", "fispace.chapters.testbed"),
        box(
            1.49, STEP_Y, "extract", "activations at one\nhook point, standardised",
            "fispace.chapters.extract",
        ),
        box(2.93, STEP_Y, "train", "every arm and seed,\none loop", "fispace.chapters.train"),
        box(4.37, rows[0], "fidelity", "FVU; KL, CE of\nthe spliced model", "fispace.chapters.fidelity"),
        box(4.37, rows[1], "geometry", "norms, spectra,\ncontributions, nulls", "fispace.chapters.geometry"),
        box(
            4.37, rows[2], "interactions", "pairs of latents\nthat combine",
            "fispace.chapters.interactions",
        ),
        box(4.37, rows[3], "factorial", "2x2 stimuli, clamping,\nsecondary SAE", "fispace.chapters.factorial"),
        box(5.81, STEP_Y, "report", "claims with verdicts,\nfigures", "fispace.report"),
    ]  # fmt: skip
    arrows = [Shape("arrow", None, x, middle, 0.3, 0) for x in (1.18, 2.62)]
    for y in rows:
        rise = y + STEP_HEIGHT / 2 - middle
        arrows.append(Shape("arrow", None, 4.06, middle, 0.3, rise))
        arrows.append(Shape("arrow", None, 5.5, middle + rise, 0.3, -rise))
    return [*steps, *arrows]


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

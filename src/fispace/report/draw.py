"""`report draw`: one figure from its table, as SVG and PDF; and all figures by name.

Must not: compute, or import torch.
"""

from collections.abc import Callable, Mapping

import pandas as pd
from matplotlib.figure import Figure

from fispace.chapters.factorial import figures as factorial
from fispace.chapters.factorial import inference_figures as inference
from fispace.chapters.fidelity import figures as fidelity
from fispace.chapters.fidelity import gain_figures as gains
from fispace.chapters.geometry import figures as geometry
from fispace.chapters.interactions import figures as interactions
from fispace.chapters.testbed import figures as testbed
from fispace.errors import ParamsError
from fispace.plotting.style import in_house_style, rendered
from fispace.report import figures as report
from fispace.report.tables import OF_FIGURES
from fispace.store.files import atomic_path
from fispace.store.tables import read_csv
from fispace.study.step import Reads, Writes, command

FIGURES: Mapping[str, Callable[[pd.DataFrame], Figure]] = {
    name: in_house_style(draw)
    for name, draw in {
        "claims": report.claims,
        "pipeline": report.pipeline,
        "architecture": report.architecture,
        "reconstruction": fidelity.reconstruction,
        "kl": fidelity.kl,
        "controls": fidelity.matched_errors,
        "shapley": gains.shapley,
        "positions": fidelity.positions,
        "norms": geometry.norms,
        "norm_ratios": geometry.norm_ratios,
        "ratio_scatter": geometry.ratio_scatter,
        "spectrum": geometry.spectrum,
        "volcano": interactions.volcano,
        "clamping": factorial.clamping,
        "secondary_activations": factorial.secondary_activations,
        "interaction": factorial.interaction,
        "family": inference.family,
        "generations": inference.generations,
        "calibration": inference.calibration,
        "planted": testbed.planted_pairs,
        "gain_curve": gains.gain_curve,
        "arm_controls": gains.arm_controls,
        "claims_full": report.claims,
        "audit": report.audit,
    }.items()
}
"""The function that draws each figure; the name is the file stem of its table, SVG and PDF."""


@command("report", "draw")
def draw_figure(*, figure: str, table: Reads, svg: Writes, pdf: Writes) -> None:
    """Draw the named figure from its CSV; equal tables give equal bytes.

    Raises:
        ParamsError: if there is no figure of this name.
        ArtifactError: if the table is missing or damaged.
    """
    if figure not in FIGURES:
        raise ParamsError(f"--figure {figure}: no such figure; there are {', '.join(FIGURES)}.")
    drawn = FIGURES[figure](read_csv(table, OF_FIGURES[figure]))
    for path in (svg, pdf):
        with atomic_path(path) as partial:
            partial.write_bytes(rendered(drawn, path.suffix))

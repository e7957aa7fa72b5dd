"""The figures by name: the file stem of its table, SVG and PDF, and the function that draws it.

Must not: draw.
"""

from collections.abc import Callable, Mapping

import pandas as pd
from matplotlib.figure import Figure

from fispace.chapters.factorial import figures as factorial
from fispace.chapters.factorial import inference_figures as inference
from fispace.chapters.fidelity import figures as fidelity
from fispace.chapters.fidelity import gain_figures as gains
from fispace.chapters.geometry import figures as geometry
from fispace.chapters.testbed import figures as testbed
from fispace.plotting.style import in_house_style
from fispace.report import audit_figure as audit
from fispace.report import claims_figure as claims
from fispace.report import diagram_figures as diagrams

FIGURES: Mapping[str, Callable[[pd.DataFrame], Figure]] = {
    name: in_house_style(draw)
    for name, draw in {
        "claims": claims.claims,
        "pipeline": diagrams.pipeline,
        "architecture": diagrams.architecture,
        "reconstruction": fidelity.reconstruction,
        "kl": fidelity.kl,
        "controls": fidelity.matched_errors,
        "shapley": gains.shapley,
        "positions": fidelity.positions,
        "norms": geometry.norms,
        "norm_ratios": geometry.norm_ratios,
        "ratio_scatter": geometry.ratio_scatter,
        "spectrum": geometry.spectrum,
        "clamping": factorial.clamping,
        "secondary_activations": factorial.secondary_activations,
        "interaction": factorial.interaction,
        "family": inference.family,
        "generations": inference.generations,
        "calibration": inference.calibration,
        "planted": testbed.planted_pairs,
        "gain_curve": gains.gain_curve,
        "arm_controls": gains.arm_controls,
        "claims_full": claims.claims,
        "audit": audit.audit,
    }.items()
}

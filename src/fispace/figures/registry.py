"""The figures by name: the file stem of its table, SVG and PDF, and the function that draws it.

Must not: draw.
"""

from collections.abc import Callable, Mapping

import pandas as pd
from matplotlib.figure import Figure

from fispace.figures import (
    audit,
    claims,
    controls,
    diagrams,
    factorial,
    fidelity,
    gains,
    geometry,
    inference,
    planted,
)
from fispace.figures.style import in_house_style

FIGURES: Mapping[str, Callable[[pd.DataFrame], Figure]] = {
    name: in_house_style(draw)
    for name, draw in {
        "claims": claims.claims,
        "pipeline": diagrams.pipeline,
        "architecture": diagrams.architecture,
        "reconstruction": fidelity.reconstruction,
        "kl": fidelity.kl,
        "controls": controls.controls,
        "shapley": controls.shapley,
        "positions": controls.positions,
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
        "planted": planted.planted,
        "gain_curve": gains.gain_curve,
        "arm_controls": gains.arm_controls,
        "claims_full": claims.claims,
        "audit": audit.audit,
    }.items()
}

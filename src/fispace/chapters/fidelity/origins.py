"""Which rows of its inputs each row of the chapter's tables was computed from, plotted tables included.

Must not: compute.
"""

from typing import Any

from fispace.chapters.fidelity.document_sums import (
    CONDITION_KEY,
    MASKED,
    MEAN_ABLATION,
    METRIC_SUMS,
    ORIGINAL,
    RECONSTRUCTION,
    ZERO_ABLATION,
)
from fispace.chapters.fidelity.quantities import SAE_BIAS, SPLIT
from fispace.store.origins import Inputs, Origin, Origins, Row, Rows, is_missing
from fispace.store.quantities import NO_SEED

HERE = "fispace.chapters.fidelity"
CE = "ce"
OF_REFERENCES = ("excess_ce", "saved_zero", "saved_mean", "range_zero", "range_mean")
"""Columns that are differences between a row's cross-entropy and the cross-entropies of the study's bounds."""
REFERENCES = (ORIGINAL, ZERO_ABLATION, MEAN_ABLATION)


def _picked(row: Row, *columns: str) -> dict[str, Any]:
    return {column: row[column] for column in columns}


def _seed_of(row: Row) -> dict[str, Any]:
    """The row's seed; empty for a mean over seeds."""
    seed = row["seed"]
    return {} if is_missing(seed) or seed == NO_SEED else {"seed": int(seed)}


def _sums(metric: str, place: Row, table: str = "documents") -> dict[str, Rows]:
    """The sums from which a metric of the chosen rows is computed."""
    above, below = METRIC_SUMS[metric]
    read = {name: Rows(table, place, name) for name in (above, below) if name not in OF_REFERENCES}
    if len(read) < 2:
        study = {name: place[name] for name in ("split", "special_tokens") if name in place}
        read[CE] = Rows(table, place, CE)
        read["ce_of_bounds"] = Rows("bounds", study | {"condition": REFERENCES}, CE)
    return read


def of_summary(row: Row, _: Inputs) -> Origin:
    """The sums of a ratio; for dead latents, the counts of their firings."""
    function = f"{HERE}.summary:fidelity_table"
    if row["metric"] not in METRIC_SUMS:
        fired = Rows("latents", _picked(row, "arm", "seed", "split"), "n_fired")
        return Origin(function, {"n_fired": fired})
    table = "bounds" if is_missing(row["arm"]) else "documents"
    return Origin(function, _sums(row["metric"], _picked(row, *CONDITION_KEY), table))


def of_difference(row: Row, _: Inputs) -> Origin:
    """The sums of the metric on both sides, over the same documents."""
    shared = _picked(row, "seed", "split", "special_tokens")
    sides = {
        "first": shared | _picked(row, "arm", "parts") | {"condition": RECONSTRUCTION},
        "second": shared | {name: row[f"than_{name}"] for name in ("arm", "parts", "condition")},
    }
    read = {
        f"{side}_{name}": rows
        for side, place in sides.items()
        for name, rows in _sums(row["metric"], place).items()
    }
    return Origin(f"{HERE}.differences:difference_table", read)


def of_control(row: Row, _: Inputs) -> Origin:
    """The sums of the arm's loss and of its control's, of one seed or of all seeds of both."""
    shared = _seed_of(row) | {
        "split": row["split"], "special_tokens": MASKED, "condition": RECONSTRUCTION,
    }  # fmt: skip
    read = {
        f"{side}_{name}": rows
        for side in ("arm", "control")
        for name, rows in _sums(row["metric"], shared | {"arm": row[side]}).items()
    }
    return Origin(f"{HERE}.controls:control_table", read)


def of_shapley(row: Row, _: Inputs) -> Origin:
    """The sums of the loss of every set of the arm's parts, and of the mean activation."""
    shared = {"split": row["split"], "special_tokens": MASKED}
    arm = shared | _picked(row, "arm", "seed") | {"condition": RECONSTRUCTION}
    read = _sums(row["metric"], arm) | {
        f"nothing_{name}": rows
        for name, rows in _sums(
            row["metric"], shared | {"condition": MEAN_ABLATION}, "bounds"
        ).items()
    }
    return Origin("fispace.stats.shapley:shapley_value", read)


def of_position(row: Row, _: Inputs) -> Origin:
    """Sums at one position of the window."""
    place = _picked(row, "arm", "seed", "split", "special_tokens", "condition", "position")
    above, below = METRIC_SUMS[row["metric"]]
    read = {name: Rows("positions", place, name) for name in (above, below)}
    return Origin(f"{HERE}.positions:position_table", read)


def of_gain_curve(row: Row, _: Inputs) -> Origin:
    """The FVU at one k; for a gain, also the FVU of the SAE whose codes are cut."""
    place = _picked(row, "split", "k", "model") | _seed_of(row)
    read = {"fvu": Rows("cut", place, "value")}
    if row["metric"] == "gain":
        read["fvu_cut"] = Rows("cut", place | {"model": "sae_cut"}, "value")
    return Origin(f"{HERE}.gain_curve:tabulate_gain_curve", read)


def _of_test_split(row: Row, **more: object) -> dict[str, Any]:
    shown = {"split": SPLIT, "special_tokens": MASKED} | _picked(row, "arm", "parts") | more
    return shown | _seed_of(row)


def of_reconstruction_plot(row: Row, _: Inputs) -> Origin:
    """The row of the summary (for a mean, the rows of all seeds), and the rows of the control."""
    own = _of_test_split(row, metric="fvu", condition=RECONSTRUCTION)
    read = {"fvu": Rows("fidelity", own, "value"), "control_fvu": _control("fvu")}
    return Origin(f"{HERE}.plots:write_fidelity_plots", read)


def of_kl_plot(row: Row, _: Inputs) -> Origin:
    """The row of the summary, and the rows of the control."""
    own = _of_test_split(row, metric="kl", condition=row["condition"])
    read = {"kl": Rows("fidelity", own, "value"), "control_kl": _control("kl")}
    return Origin(f"{HERE}.plots:write_fidelity_plots", read)


def _control(metric: str) -> Rows:
    place = {"arm": SAE_BIAS, "parts": "sae+bias", "split": SPLIT, "special_tokens": MASKED}
    return Rows("fidelity", place | {"condition": RECONSTRUCTION, "metric": metric}, "value")


def of_controls_plot(row: Row, _: Inputs) -> Origin:
    """The row of the summary."""
    own = _of_test_split(row, metric="kl", condition=row["condition"])
    return Origin(f"{HERE}.plots:write_control_plots", {"kl": Rows("fidelity", own, "value")})


def of_shapley_plot(row: Row, _: Inputs) -> Origin:
    """The row of the contributions; for a mean, the rows of all seeds."""
    place = _picked(row, "arm", "form", "part", "metric", "measure") | {"split": SPLIT}
    read = {"share": Rows("contributions", place | _seed_of(row), "value")}
    return Origin(f"{HERE}.plots:write_control_plots", read)


def of_positions_plot(row: Row, _: Inputs) -> Origin:
    """The rows of the curves, of all seeds."""
    place = _picked(row, "arm", "special_tokens", "condition", "position")
    read = {"kl": Rows("curves", place | {"split": SPLIT, "metric": "kl"}, "value")}
    return Origin(f"{HERE}.plots:write_control_plots", read)


def of_gain_plot(row: Row, _: Inputs) -> Origin:
    """The row of the gain curve."""
    seed = _seed_of(row) or {"seed": NO_SEED}
    place = _picked(row, "k", "model") | {"split": SPLIT, "metric": "gain"} | seed
    read = {"gain": Rows("curve", place, "value")}
    return Origin(f"{HERE}.plots:write_gain_plots", read)


def of_control_gain_plot(row: Row, _: Inputs) -> Origin:
    """The row of the controls."""
    seed = _seed_of(row) or {"seed": NO_SEED}
    place = _picked(row, "arm", "control", "metric") | {"split": SPLIT, "contrast": "gain"} | seed
    read = {"gain": Rows("controls", place, "value")}
    return Origin(f"{HERE}.plots:write_gain_plots", read)


ORIGINS: Origins = {
    "summarise_fidelity": {"summary": of_summary, "table": of_summary},
    "compare_losses": {"differences": of_difference, "table": of_difference},
    "compare_controls": {"controls": of_control, "table": of_control},
    "shapley_decomposition": {"shapley": of_shapley, "table": of_shapley},
    "position_curves": {"curves": of_position},
    "tabulate_gain_curve": {"curve": of_gain_curve, "table": of_gain_curve},
    "write_fidelity_plots": {"reconstruction": of_reconstruction_plot, "kl": of_kl_plot},
    "write_control_plots": {
        "controls": of_controls_plot, "shapley": of_shapley_plot, "positions": of_positions_plot,
    },
    "write_gain_plots": {"gain_curve": of_gain_plot, "arm_controls": of_control_gain_plot},
}  # fmt: skip
"""By the function of the command and the option that names the table."""

EQUATIONS = {
    "measure_ablation_baselines": ("fispace.stats.metrics:kl_and_ce",),
    "evaluate_arm": (
        "fispace.stats.metrics:kl_and_ce",
        "fispace.models.integrated:IntegratedModel",
    ),
}
"""Functions and classes with the equations of a measurement, by the function of the command."""

"""`report health`: is the study healthy enough for its verdicts to be read?

A gate bounds one number of every arm, of the arm `sae`, or of the language model. The bounds are
parameters. A failed gate is a row of the table and a banner on the summary page, not an error.
Must not: measure; every number comes from a table of another chapter.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from fispace.chapters.fidelity.document_sums import MASKED, RECONSTRUCTION
from fispace.chapters.fidelity.quantities import SPLIT
from fispace.chapters.fidelity.tables import SUMMARY
from fispace.chapters.geometry.tables import HEADS, LIVE_UNITS
from fispace.chapters.geometry.weight_table import TRAINED
from fispace.chapters.train.tables import VALIDATION
from fispace.report.tables import HEALTH, NO, NOT_TESTABLE, YES
from fispace.stats.gains import gain
from fispace.store.files import read_json
from fispace.store.metric_registry import unit_of
from fispace.store.quantities import Frame
from fispace.store.tables import read_csv, write_csv
from fispace.study.chapters import CHAPTERS
from fispace.study.config.arms import BASELINE_ARM
from fispace.study.config.report import Gate, Gates, HealthStep
from fispace.study.step import Reads, Writes, command

LAST_PART = 0.1
"""Share of a training over which its late gain is taken."""
NO_FLOOR, NO_TABLE = "no floor", "no table"
FLOOR_KEY = "gap_nats"

Training = tuple[str, int]
"""Arm and seed."""


@command("report", "health")
def write_health(
    params: HealthStep, *, fidelity: Reads, heads: Reads, curves: Reads | None, floor: Reads | None,
    health: Writes,
) -> None:  # fmt: skip
    """Write one row per gate and arm: the value of the worst seed, the bounds, and whether it passed.

    Args:
        params: the gates.
        fidelity: names the trainings; has dead latents, FVU and KL.
        heads: live hidden units of the interactions.
        curves: validation FVU along the trainings; None if the run did not keep it.
        floor: loss of the testbed's language model beside its floor; None for any other model, whose
            floor is not known.
        health: the table; the rows of a gate are ordered by their distance to the bound, the worst first.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    tables = HealthTables(
        fidelity=read_csv(fidelity, SUMMARY),
        heads=read_csv(heads, HEADS),
        curves=None if curves is None else read_csv(curves, VALIDATION),
        lm_gap=None if floor is None else float(read_json(floor)[FLOOR_KEY]),
    )
    given = {"fidelity": fidelity, "heads": heads, "curves": curves, "floor": floor}
    files = {option: _in_run(path) for option, path in given.items() if path is not None}
    write_csv(health, health_table(params.health, tables, files), HEALTH)


class HealthTables(NamedTuple):
    """What the gates are judged on."""

    fidelity: Frame
    """Columns of `fidelity summary`."""
    heads: Frame
    """Columns of `geometry heads`."""
    curves: Frame | None
    """Columns of `train validation`."""
    lm_gap: float | None
    """Cross-entropy of the language model minus the Bayes floor, nats per token."""


def health_table(gates: Gates, tables: HealthTables, files: Mapping[str, str]) -> Frame:
    """The rows of every gate, in the order of `Gates`; columns as in `HEALTH`.

    `files` names the table behind each option of `report health`.
    """
    summary = tables.fidelity
    own = summary[
        (summary["split"] == SPLIT)
        & (summary["special_tokens"] == MASKED)
        & (summary["condition"] == RECONSTRUCTION)
    ]
    every = sorted(set(zip(own["arm"], own["seed"], strict=True)))
    has_head = own["parts"].str.split("+").map(lambda parts: "interaction" in parts)
    with_head = sorted(set(zip(own["arm"][has_head], own["seed"][has_head], strict=True)))
    of_sae = own[(own["arm"] == BASELINE_ARM) & (own["parts"] == BASELINE_ARM)]
    saes = [training for training in every if training[0] == BASELINE_ARM]
    trained = tables.heads[tables.heads["state"] == TRAINED]
    late = {} if tables.curves is None else late_gains(tables.curves)
    measured = (
        ("dead_latents", "dead_fraction", every, _values(own, "dead_fraction"), "fidelity"),
        ("sae_fvu", "fvu", saes, _values(of_sae, "fvu"), "fidelity"),
        ("sae_kl", "kl", saes, _values(of_sae, "kl"), "fidelity"),
        ("live_units", LIVE_UNITS, with_head, _values(trained, LIVE_UNITS), "heads"),
        ("late_gain", "late_gain", every, late, "curves"),
    )
    rows: list[dict[str, Any]] = []
    for gate, metric, trainings, values, option in measured:
        found = arm_rows(getattr(gates, gate), trainings, values, files.get(option))
        rows += [{"gate": gate, "metric": metric, **row} for row in found]
    gap = {} if tables.lm_gap is None else {0: tables.lm_gap}
    of_lm = judged(gates.lm_gap, gap, (0,), files.get("floor"), NO_FLOOR)
    rows.append({"gate": "lm_gap", "metric": "lm_gap", **of_lm, "seed": None, "n_seeds": None})
    return HEALTH.frame({"arm": None, **row, "unit": unit_of(row["metric"])} for row in rows)


def arm_rows(
    gate: Gate, trainings: list[Training], values: Mapping[Training, float], source: str | None
) -> list[dict[str, Any]]:
    """A row for each arm of the trainings, that of the smallest margin first, untested ones last."""
    rows: list[tuple[float, dict[str, Any]]] = []
    for arm in dict.fromkeys(arm for arm, _ in trainings):
        seeds = tuple(seed for of, seed in trainings if of == arm)
        own = {seed: values[arm, seed] for seed in seeds if (arm, seed) in values}
        row = judged(gate, own, seeds, source, NO_TABLE)
        distance = np.inf if row["value"] is None else margin(gate, row["value"])
        rows.append((distance, {"arm": arm, **row}))
    return [row for _, row in sorted(rows, key=lambda ranked: ranked[0])]


def judged(
    gate: Gate,
    values: Mapping[int, float],
    seeds: tuple[int, ...],
    source: str | None,
    without: str,
) -> dict[str, Any]:
    """The worst seed of an arm, and whether the arm passes.

    An arm fails if one seed does, and passes if all seeds do; if a seed without a number is left, it is
    not testable. `without` says why, if there is no table at all.
    """
    defined = {seed: value for seed, value in values.items() if not np.isnan(value)}
    row: dict[str, Any] = {"seed": None, "value": None, "n_seeds": len(defined)}
    row |= {"at_least": gate.at_least, "at_most": gate.at_most, "source": source}
    missing = [seed for seed in seeds if seed not in defined]
    of_seeds = ("seed " if len(missing) == 1 else "seeds ") + ", ".join(map(str, missing))
    reason = without if source is None else f"no value for {of_seeds}"
    passed = f"{NOT_TESTABLE}: {reason}" if missing else YES
    if defined:
        worst = min(defined, key=lambda seed: (margin(gate, defined[seed]), seed))
        row |= {"seed": worst, "value": defined[worst]}
        passed = NO if margin(gate, defined[worst]) < 0 else passed
    return row | {"passed": passed}


def margin(gate: Gate, value: float) -> float:
    """Distance of the value to the nearer bound, in its unit; negative outside the bounds."""
    above = np.inf if gate.at_least is None else value - gate.at_least
    below = np.inf if gate.at_most is None else gate.at_most - value
    return float(min(above, below))


def late_gains(curves: Frame) -> dict[Training, float]:
    """The late gain of every training."""
    found: dict[Training, float] = {}
    for (arm, seed), curve in curves.groupby(["arm", "seed"]):
        ordered = curve.sort_values("step")
        steps, fvu = (ordered[name].to_numpy(np.float64) for name in ("step", "val_fvu"))
        found[str(arm), int(seed)] = late_gain(steps, fvu)
    return found


def late_gain(
    steps: Float[np.ndarray, " validations"], val_fvu: Float[np.ndarray, " validations"]
) -> float:
    """Share of the validation FVU that the last tenth of a training removes: 1 - FVU(n) / FVU(0.9 n).

    n is the last step. FVU(0.9 n) is interpolated linearly between the validations on both sides; where the
    curve is convex, this overstates the gain. NaN if the first validation comes later, or if FVU(0.9 n) is 0.
    It is negative if the FVU rises.
    """
    start = (1 - LAST_PART) * steps[-1]
    before = float(np.interp(start, steps, val_fvu, left=np.nan))
    return float("nan") if not before > 0 else float(gain(before, float(val_fvu[-1])))


def _values(rows: Frame, metric: str) -> dict[Training, float]:
    chosen = rows[rows["metric"] == metric]
    return {
        (str(arm), int(seed)): float(value)
        for arm, seed, value in zip(chosen["arm"], chosen["seed"], chosen["value"], strict=True)
    }


def _in_run(path: Path) -> str:
    """The path from the folder of the run: it begins with the name of a chapter."""
    parts = path.parts[:-1]
    starts = [place for place, part in enumerate(parts) if part in CHAPTERS]
    return "/".join(path.parts[starts[-1] if starts else len(parts) :])

"""`factorial calibrate`: false positives and power of the complete select -> confirm procedure.

Must not: define a test, or a distribution.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# statsmodels ships no types

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from statsmodels.stats.proportion import proportion_confint

from fispace.chapters.factorial.design import CONFIRM, SELECT, by_cell, require_same
from fispace.chapters.factorial.select_confirm import (
    paper_procedure,
    select_then_confirm,
    word_procedures,
)
from fispace.chapters.factorial.simulate import flipped_cells, synthetic_halves, word_tables
from fispace.chapters.factorial.tables import CALIBRATION, POWER
from fispace.seeds import numpy_stream
from fispace.store.responses import read_responses
from fispace.store.tables import write_csv, write_table
from fispace.study.config.factorial import CalibrateStep
from fispace.study.step import Reads, Writes, command

Halves = tuple[np.ndarray, np.ndarray]

BANDS = {"contrast": (0.03, 0.07), "max-F": (0.03, 0.07), "FDR": (0.0, 0.07)}
"""Range in which the false-positive rate of a sound procedure must lie, at alpha = 0.05."""

PROCEDURES = {
    "search_max": ("max-F", "max-F over all latents, select half"),
    "contrast_t": ("contrast", "first candidate, t, confirm half"),
    "contrast_flip": ("contrast", "first candidate, sign flips, confirm half"),
    "family_max": ("max-F", "max-F over candidates, confirm half"),
    "family_fdr": ("FDR", "FDR over candidates, confirm half"),
    "leak_contrast_t": ("leak", "first candidate, t, half that selected"),
    "leak_family_max": ("leak", "max-F over candidates, half that selected"),
    "published_cells": ("published", "largest F over four cells, same texts"),
    "published_interaction": ("published", "row-paired F of that latent"),
    "published_search": ("published", "largest row-paired F, same texts"),
    "words_contrast": ("words fixed", "contrast of these words"),
    "words_mixed": ("words random", "mixed model, words crossed"),
    "words_published": ("published", "row-paired F, as published"),
    "words_two_way": ("words pooled", "two-way ANOVA, rows pooled"),
}
"""Kind of test behind each p-value of a run, and what is tested."""


@command("factorial", "calibrate", target="full")
def calibrate(
    params: CalibrateStep, *, select: list[Reads], confirm: list[Reads], calibration: Writes,
    power: Writes, table: Writes,
) -> None:  # fmt: skip
    """Write false-positive rates on null data sets, and power against the planted size, as CSV.

    Null data sets are synthetic, or measured (from any seed) with the sign of every item's interaction
    drawn at random. `table` holds both as Parquet, with the parameters.

    Raises:
        ArtifactMismatchError: if a file belongs to the other half.
    """
    measured = [
        (_cells(params, one, SELECT), _cells(params, other, CONFIRM))
        for one, other in zip(select, confirm, strict=True)
    ]
    n_items = (len(measured[0][0]), len(measured[0][1]))
    tables = [*_null_rates(params, measured, n_items), *_word_rates(params, n_items[1])]
    rates = pd.concat(tables, ignore_index=True)
    curve = power_curve(params, n_items)
    write_csv(calibration, rates, CALIBRATION)
    write_csv(power, curve, POWER)
    both = pd.concat([rates.assign(table="calibration"), curve.assign(table="power")])
    write_table(table, both, params.plain() | {"step": "factorial calibrate"})


def _cells(params: CalibrateStep, path: Path, half: str) -> Float[np.ndarray, "items 2 2 latents"]:
    found = read_responses(path)
    require_same(path, "half", found.recipe["half"], half)
    return by_cell(found.texts, found.activations["secondary"], params.factors)


def _null_rates(
    params: CalibrateStep, measured: list[Halves], n_items: tuple[int, int]
) -> Iterator[pd.DataFrame]:
    own = params.calibration

    def synthetic(stream: np.random.Generator) -> Halves:
        return synthetic_halves(stream, n_items, own.n_latents, own.noise_skew)

    def resigned(stream: np.random.Generator) -> Halves:
        select, confirm = measured[int(stream.integers(len(measured)))]
        live = select.any((0, 1, 2))
        signs = (stream.choice([-1.0, 1.0], size=len(half)) for half in (select, confirm))
        halves = (half[..., live] for half in (select, confirm))
        one, other = (flipped_cells(h, s) for h, s in zip(halves, signs, strict=True))
        return one, other

    for name, draw in (("synthetic", synthetic), ("measured, signs at random", resigned)):
        runs = pd.DataFrame(list(null_runs(params, name, draw)))
        yield _rates(runs, params.alpha).assign(null=name)


def null_runs(
    params: CalibrateStep, name: str, draw: Callable[[np.random.Generator], Halves]
) -> Iterator[dict[str, float]]:
    """p-values of every procedure on each null data set.

    The leak is our own procedure with the select half used again to confirm. Its inflated rate shows
    that the calibration detects such a mistake.
    """
    own = params.calibration
    for number in range(own.n_datasets):
        stream = numpy_stream(params.root_seed, "factorial", "calibrate", name, number)
        select, confirm = draw(stream)
        sizes = (params.n_candidates, own.n_permutations)
        sound = select_then_confirm(select, confirm, *sizes, stream)
        leak = select_then_confirm(select, select, *sizes, stream)
        leaked = {f"leak_{key}": leak[key] for key in ("contrast_t", "family_max")}
        yield sound | leaked | paper_procedure(select)


def _word_rates(params: CalibrateStep, n_items: int) -> Iterator[pd.DataFrame]:
    """Rates on word effects without an interaction: with words that differ, and with equal words."""
    own = params.calibration
    for name, word_sd in (("words alike", 0.0), ("words differ", own.word_sd)):
        runs = []
        for number in range(own.n_datasets):
            stream = numpy_stream(params.root_seed, "factorial", "calibrate", name, number)
            table = word_tables(stream, n_items, own.n_words, own.noise_skew, word_sd)
            runs.append(word_procedures(table, number < own.n_mixed))
        yield _rates(pd.DataFrame(runs), params.alpha).assign(null=name)


def _rates(runs: Any, alpha: float) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for name, (test, what) in PROCEDURES.items():
        if name not in runs:
            continue
        p = runs[name].dropna()
        count, n = int((p <= alpha).sum()), len(p)
        low, high = proportion_confint(count, n, 1 - 0.95, "beta") if n else (np.nan, np.nan)
        band = BANDS.get(test, (np.nan, np.nan))
        rate = count / n if n else np.nan
        within = "" if test not in BANDS else "yes" if band[0] <= rate <= band[1] else "no"
        rows.append(
            {
                "procedure": name, "test": test, "what": what, "rate": rate, "low": low,
                "high": high, "n": n, "alpha": alpha, "band_low": band[0], "band_high": band[1],
                "in_band": within,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def power_curve(params: CalibrateStep, n_items: tuple[int, int]) -> pd.DataFrame:
    """Share of data sets in which a planted interaction is found, by its size.

    found      latent 0 is a candidate, and its max-F p on the confirm half is at most alpha
    selected   latent 0 is a candidate
    known      the t test of latent 0 on the confirm half has p of at most alpha (no search needed)
    """
    own = params.calibration
    rows: list[dict[str, Any]] = []
    for size in own.sizes:
        hits = {"found": 0, "selected": 0, "known": 0}
        for number in range(own.n_power):
            stream = numpy_stream(params.root_seed, "factorial", "power", str(size), number)
            halves = synthetic_halves(stream, n_items, own.n_latents, own.noise_skew, size)
            run = select_then_confirm(*halves, params.n_candidates, own.n_permutations, stream)
            hits["selected"] += not np.isnan(run["rank_0"])
            hits["found"] += run["p_max_0"] <= params.alpha
            hits["known"] += run["p_t_0"] <= params.alpha
        for name, count in hits.items():
            low, high = proportion_confint(int(count), own.n_power, 1 - 0.95, "beta")
            share = {"size": size, "criterion": name, "rate": count / own.n_power}
            rows.append(share | {"low": low, "high": high, "n": own.n_power})
    return pd.DataFrame(rows)

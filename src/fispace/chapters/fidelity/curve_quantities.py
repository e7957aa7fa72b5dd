"""Named quantities from the gain curve, at the values of k that correspond to the published cuts.

Must not: know a claim.
"""

from collections.abc import Iterable, Iterator

from fispace.chapters.fidelity.quantities import SPLIT
from fispace.stats.gains import Number, gain
from fispace.stats.paper_formulas import PAPER_CUT_KS, PAPER_K
from fispace.store.metric_registry import unit_of
from fispace.store.origins import Cell, Derived, Rows, derive, unchanged
from fispace.store.quantities import NO_SEED, Frame, Quantity, quantity

FVU, GAIN = "fvu", "gain"
TRAINED = ("arm_trained", "sae_trained")
"""The arm and the SAE that were trained at the k of the cut."""
CurveCells = dict[tuple[str, int], dict[str, Cell]]
"""Cells of one seed, by (metric, k) and by model."""


def curve_quantities(curve: Frame) -> Iterator[Quantity]:
    """Quantities of the curve's test split, per seed; K is 250 or 500, of the published 1,024.

    cut_share.at_K                              the k that stands for K, as a share of the trained one
    cut_fvu.model.at_K                          FVU at that k
    cut_gain.model.at_K                         1 - FVU / FVU of the SAE whose codes are cut
    cut_gain.arm_trained.over.sae_trained.at_K  1 - FVU / FVU of an SAE trained at that k
    cut_gain_drop.model                         cut_gain at 250 - cut_gain at 500
    """
    rows = curve[(curve["split"] == SPLIT) & (curve["seed"] != NO_SEED)]
    chosen = nearest_ks(rows["k"])
    for seed, of_seed in rows.groupby("seed"):
        n_tokens = int(of_seed["n_tokens"].max())
        for name, derived in _named(_cells(of_seed), chosen, int(rows["k"].max())):
            unit = unit_of(name.split(".")[0])
            yield quantity(name, int(str(seed)), derived, unit, n_tokens)


def nearest_ks(ks: Iterable[int]) -> dict[int, int]:
    """The measured k that corresponds to each published cut: its share of the trained k is nearest.

    The largest of `ks` is the k that the SAE was trained with, and is never chosen. Two cuts may
    share one k. The result is empty if k was never cut.
    """
    *below, trained = sorted(set(ks))
    return {
        cut: min(below, key=lambda k: abs(k / trained - cut / PAPER_K))
        for cut in PAPER_CUT_KS
        if below
    }


def share_of_k(k: int, trained: int) -> float:
    """A k at test time as a share of the k that the SAE was trained with: k / trained."""
    return k / trained


def drop(first: Number, last: Number) -> Number:
    """Gain at the lower published k minus gain at the higher one: first - last."""
    return first - last


def _cells(of_seed: Frame) -> CurveCells:
    cells: CurveCells = {}
    for row in of_seed.to_dict("records"):
        place = {name: row[name] for name in ("split", "k", "model", "metric", "seed")}
        models = cells.setdefault((str(row["metric"]), int(row["k"])), {})
        models[str(row["model"])] = Cell(row["value"], Rows("curve", place, "value"))
    return cells


def _named(
    cells: CurveCells, chosen: dict[int, int], trained: int
) -> Iterator[tuple[str, Derived]]:
    gains = {cut: cells[GAIN, k] for cut, k in chosen.items()}
    for cut, k in chosen.items():
        fvus = cells[FVU, k]
        lower, whole = (Cell(at, Rows("curve", {"k": at}, "k")) for at in (k, trained))
        yield f"cut_share.at_{cut}", derive(share_of_k, k=lower, trained=whole)
        for stem, levels in (("cut_fvu", fvus), ("cut_gain", gains[cut])):
            for model, level in levels.items():
                yield f"{stem}.{model}.at_{cut}", derive(unchanged, value=level)
        arm, sae = TRAINED
        over_sae = derive(gain, baseline=fvus[sae], value=fvus[arm])
        yield f"cut_gain.{arm}.over.{sae}.at_{cut}", over_sae
    if len(set(chosen.values())) == len(PAPER_CUT_KS):
        first, last = (gains[cut] for cut in PAPER_CUT_KS)
        for model, at_first in first.items():
            yield f"cut_gain_drop.{model}", derive(drop, first=at_first, last=last[model])

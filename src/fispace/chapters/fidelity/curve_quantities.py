"""Named quantities from the gain curve, at the k that stand for those of the published cuts.

Must not: know a claim.
"""

from collections.abc import Iterable, Iterator

import pandas as pd

from fispace.chapters.fidelity.document_sums import NO_SEED
from fispace.chapters.fidelity.quantities import SPLIT
from fispace.stats.published import PAPER_CUT_KS, PAPER_K, Number, improvement
from fispace.store.metric_registry import unit_of
from fispace.store.quantities import Frame, Quantity

FVU, GAIN = "fvu", "gain"
TRAINED = ("arm_trained", "sae_trained")
"""The arm and the SAE that were trained at the k of the cut."""


def curve_quantities(curve: Frame) -> Iterator[Quantity]:
    """What the test split of the curve gives, per seed; K is 250 or 500, of the published 1,024.

    cut_share.at_K                              the k that stands for K, as a share of the trained one
    cut_fvu.model.at_K                          FVU at that k
    cut_gain.model.at_K                         1 - FVU / FVU of the SAE whose codes are cut
    cut_gain.arm_trained.over.sae_trained.at_K  1 - FVU / FVU of an SAE trained at that k
    cut_gain_drop.model                         cut_gain at 250 less cut_gain at 500
    """
    rows = curve[(curve["split"] == SPLIT) & (curve["seed"] != NO_SEED)]
    chosen = published_ks(rows["k"])
    for seed, of_seed in rows.groupby("seed"):
        values = of_seed.set_index(["metric", "k", "model"])["value"]
        n_tokens = int(of_seed["n_tokens"].max())
        for name, value in _named(values, chosen, int(rows["k"].max())):
            unit = unit_of(name.split(".")[0])
            yield Quantity(name, int(str(seed)), float(value), unit, n_tokens)


def published_ks(ks: Iterable[int]) -> dict[int, int]:
    """The k, below the largest, whose share of it is nearest to that of each published cut.

    The largest is the k that the SAE was trained with. Two cuts may share one k; where k was never
    cut there is none.
    """
    *below, trained = sorted(set(ks))
    return {
        cut: min(below, key=lambda k: abs(k / trained - cut / PAPER_K))
        for cut in PAPER_CUT_KS
        if below
    }


def _named(values: pd.Series, chosen: dict[int, int], trained: int) -> Iterator[tuple[str, Number]]:
    gains = {cut: values[GAIN][k] for cut, k in chosen.items()}
    for cut, k in chosen.items():
        fvus = values[FVU][k]
        yield f"cut_share.at_{cut}", k / trained
        yield from ((f"cut_fvu.{model}.at_{cut}", fvu) for model, fvu in fvus.items())
        yield from ((f"cut_gain.{model}.at_{cut}", gain) for model, gain in gains[cut].items())
        arm, sae = TRAINED
        yield f"cut_gain.{arm}.over.{sae}.at_{cut}", improvement(fvus[sae], fvus[arm])
    if len(set(chosen.values())) == len(PAPER_CUT_KS):
        first, last = (gains[cut] for cut in PAPER_CUT_KS)
        yield from ((f"cut_gain_drop.{model}", first[model] - last[model]) for model in first.index)

"""`interactions power`: how small an interaction the test would have found in these activations.

Products of two latents' codes are added to the real activations, at known sizes, and the whole test is
repeated. Must not: define a statistic or a verdict.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy and statsmodels ship no types

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from statsmodels.stats.proportion import proportion_confint

from fispace.chapters.interactions.codes import (
    Batch,
    encode,
    magnitudes,
    split_batches,
)
from fispace.chapters.interactions.judged import judged_pairs
from fispace.chapters.interactions.partners import NO_PARTNER, partners
from fispace.chapters.interactions.tables import POWER
from fispace.chapters.interactions.verdicts import GRADED, INTERACTION
from fispace.devices import prepare
from fispace.errors import ArtifactError
from fispace.models.integrated import IntegratedModel
from fispace.models.trained import load_trained
from fispace.seeds import numpy_stream
from fispace.stats.block_scores import block_sums, magnitude_powers, mean_magnitudes
from fispace.stats.cofiring import Pairs, SparseCodes, cofiring_pairs
from fispace.stats.dose_response import REGRESSORS, left_by_own_terms
from fispace.store.checkpoint import data_record
from fispace.store.quantities import Frame
from fispace.store.standardiser import load_standardiser
from fispace.store.tables import write_csv, write_table
from fispace.study.config.interactions import InteractionsPowerStep
from fispace.study.step import Reads, Writes, command


class Spikes(NamedTuple):
    """The products that are added; at share 1 each has the sum of squares of the residual."""

    products: Float[np.ndarray, "tokens pairs"]
    directions: Float[np.ndarray, "pairs d_model"]
    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    """Latents of the tested SAE that stand for the two latents of each product, first < second."""


@command("interactions", "power", target="full")
def measure_power(
    params: InteractionsPowerStep, *, weights: Reads, donor: Reads, manifest: Reads,
    standardiser: Reads, pairs: Writes, table: Writes,
) -> None:  # fmt: skip
    """Write what the test says of every pair that a product was added to, and the power by size.

    A product is s f_i f_j e, with the codes of the donor SAE, of another seed, and a random unit vector e
    orthogonal to the rows of i and j. At share a, its sum of squares beyond the own terms of i and j is
    a times that of the tested SAE's residual. Pairs are drawn among those that fire together often
    enough in the donor and whose latents stand for a tested pair of the tested SAE (`partners`). `pairs`
    has a row for each pair and share; `table` is long (share, metric, value, low, high, n):

    power            share of the pairs that are interactions, with the Wilson interval over pairs
    stands_out       share of the pairs that stand out
    graded           share of the pairs that are graded effects
    other_claims     interactions that got no product, and are none without products
    detectable       the share at which the power is reached, interpolated in its logarithm; missing if
                     it is not reached, or reached at the smallest share already

    Raises:
        ArtifactError: if fewer pairs than `n_pairs` can get a product.
        ArtifactMismatchError: if a checkpoint is of another arm, seed or store.
    """
    device = prepare(params.threads, params.device)
    data = data_record(manifest, standardiser) | {"arm": params.arm}
    spike = params.spike
    model = load_trained(weights, data | {"seed": spike.seed}, device).model
    other = load_trained(donor, data | {"seed": spike.donor_seed}, device).model
    plain = list(split_batches(params, manifest, load_standardiser(standardiser, device)))
    tested = encode(params, model, plain)
    before = judged_pairs(params, tested).table
    left = float(np.square(tested.residual, dtype=np.float64).sum())
    spikes = _chosen(params, model, other, plain, before, left)
    rows: list[Frame] = []
    for share in spike.shares:
        tested = encode(params, model, _spiked(plain, spikes, share))
        after = judged_pairs(params, tested).table
        rows.append(_of_share(after, before, spikes, share))
    everything = pd.concat(rows, ignore_index=True)
    recipe = {"step": "interactions power", "seed": spike.seed, "donor_seed": spike.donor_seed}
    write_table(pairs, everything[everything["is_spiked"]], recipe)
    write_csv(table, POWER.frame(_curve(everything, params)), POWER)


def _chosen(
    params: InteractionsPowerStep, model: IntegratedModel, donor: IntegratedModel,
    batches: Sequence[Batch], before: Frame, left: float,
) -> Spikes:  # fmt: skip
    """Pairs that get a product, and their products."""
    given = encode(params, donor, batches)
    codes, rows = given.codes, given.decoder
    candidates = cofiring_pairs(codes, params.min_cofirings)
    of = partners(rows, model.added_rows().cpu().numpy(), params.match_cosine)
    ends = np.stack([of[candidates.first], of[candidates.second]])
    low, high = ends.min(0), ends.max(0)
    tested = set(_pairs(before[before["q"].notna()]))
    is_tested = [pair in tested for pair in zip(low.tolist(), high.tolist(), strict=True)]
    usable = np.flatnonzero((low != NO_PARTNER) & np.array(is_tested, dtype=np.bool_))
    stream = numpy_stream(params.root_seed, "interactions", "spikes")
    chosen = _disjoint(candidates, stream.permutation(usable), params.spike.n_pairs)
    if len(chosen) < params.spike.n_pairs:
        raise ArtifactError(
            f"Only {len(chosen)} pairs of latents of seed {params.spike.donor_seed} fire together on "
            f"{params.min_cofirings} tokens and stand for a tested pair of seed {params.spike.seed}, "
            "no latent in two of them. Set interactions.spike.n_pairs or interactions.min_cofirings to less."
        )
    pairs = candidates[chosen]
    return Spikes(
        _products(codes, pairs, left), _directions(rows, pairs, stream), low[chosen], high[chosen]
    )


def _disjoint(pairs: Pairs, order: Int[np.ndarray, " _"], n: int) -> Int[np.ndarray, " chosen"]:
    """The first `n` pairs in this order of which no two share a latent."""
    used: set[int] = set()
    chosen: list[int] = []
    for place in order.tolist():
        ends = {int(pairs.first[place]), int(pairs.second[place])}
        if len(chosen) < n and not ends & used:
            used |= ends
            chosen.append(place)
    return np.array(sorted(chosen), dtype=np.int64)


def _products(codes: SparseCodes, pairs: Pairs, left: float) -> Float[np.ndarray, "tokens pairs"]:
    """A multiple of f_i f_j for every pair, whose sum of squares beyond own terms is `left`."""
    n_tokens = codes.shape[0]
    nothing, one_block = np.zeros((n_tokens, 1), np.float32), np.zeros(n_tokens, np.int64)
    beyond = np.zeros(len(pairs.first))
    powers = magnitude_powers(codes)
    for sums in block_sums(codes, nothing, one_block, 1, pairs, REGRESSORS):
        share = left_by_own_terms(sums, pairs, powers, n_tokens)
        beyond[sums.pairs] = share * sums.gram[:, :, -1, -1].sum(1)
    columns, means = codes.tocsc(), mean_magnitudes(codes)
    products = [
        magnitudes(columns, i) * magnitudes(columns, j) / (means[i] * means[j])
        for i, j in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    ]
    return (np.stack(products, axis=1) * np.sqrt(left / beyond)).astype(np.float32)


def _directions(
    rows: Float[np.ndarray, "n_latents d_model"], pairs: Pairs, stream: np.random.Generator
) -> Float[np.ndarray, "pairs d_model"]:
    """Random unit vectors, each orthogonal to the two rows of its pair."""
    found = []
    for i, j in zip(pairs.first, pairs.second, strict=True):
        basis, _ = np.linalg.qr(rows[[i, j]].T.astype(np.float64))
        vector = stream.standard_normal(rows.shape[1])
        vector -= basis @ (basis.T @ vector)
        found.append(vector / np.linalg.norm(vector))
    return np.stack(found).astype(np.float32)


def _spiked(batches: Sequence[Batch], spikes: Spikes, share: float) -> Iterator[Batch]:
    begin = 0
    for batch in batches:
        products = np.float32(share**0.5) * spikes.products[begin : begin + len(batch.z)]
        yield batch._replace(z=batch.z + torch.from_numpy(products @ spikes.directions).to(batch.z))
        begin += len(batch.z)


def _of_share(after: Frame, before: Frame, spikes: Spikes, share: float) -> Frame:
    """The pairs that got a product, and new claims among all others."""
    spiked = set(zip(spikes.first.tolist(), spikes.second.tolist(), strict=True))
    was = set(_pairs(before[before["verdict"] == INTERACTION]))
    keys = _pairs(after)
    is_spiked = np.array([key in spiked for key in keys])
    is_new = np.array([key not in was for key in keys]) & (after["verdict"] == INTERACTION)
    return after.assign(is_spiked=is_spiked, share=share)[is_spiked | is_new]


def _pairs(table: Frame) -> list[tuple[int, int]]:
    return list(zip(table["first"].tolist(), table["second"].tolist(), strict=True))


def _curve(everything: Frame, params: InteractionsPowerStep) -> Iterator[dict[str, Any]]:
    """Rows of the power table; a pair that fires together too rarely after all counts as not found."""
    n, powers = params.spike.n_pairs, []
    nothing = {"share": None, "low": None, "high": None, "n": n}
    for share in params.spike.shares:
        of_share = everything[everything["share"] == share]
        own = of_share[of_share["is_spiked"]]
        counts = {
            "power": int((own["verdict"] == INTERACTION).sum()),
            "stands_out": int(own["stands_out"].sum()),
            "graded": int((own["verdict"] == GRADED).sum()),
        }
        for metric, count in counts.items():
            ends = np.array(proportion_confint(count, n, 1 - params.confidence, method="wilson"))
            ends = {"low": float(ends[0]), "high": float(ends[1]), "n": n}
            yield {"share": share, "metric": metric, "value": count / n} | ends
        others = float((~of_share["is_spiked"]).sum())
        yield nothing | {"share": share, "metric": "other_claims", "value": others}
        powers.append(counts["power"] / n)
    reached = detectable_share(params.spike.shares, powers, params.spike.power)
    yield nothing | {"metric": "detectable", "value": reached}


def detectable_share(
    shares: Sequence[float], powers: Sequence[float], power: float
) -> float | None:
    """Share from which on the power is reached, linear in log(share); None if that is at none of them."""
    is_below = [value < power for value in powers]
    if is_below[-1] or not any(is_below):
        return None
    last = max(place for place, below in enumerate(is_below) if below)
    low, high = powers[last], powers[last + 1]
    part = (power - low) / (high - low)
    return float(shares[last] * (shares[last + 1] / shares[last]) ** part)

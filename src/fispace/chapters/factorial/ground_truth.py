"""What the chapter answers about the planted contrast: which latents carry it, what clamps move.

Must not: run a model, or test again what `factorial infer` has tested.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fispace.chapters.factorial.conditions import DIRECTIONS
from fispace.chapters.factorial.design_array import Frame
from fispace.chapters.factorial.hypothesis_tests import KEPT, PLANTED_SLOPE, UNDECLARED
from fispace.chapters.factorial.test_inputs import MULTIPLY
from fispace.seeds import numpy_stream
from fispace.stats.two_by_two import one_sample_t, sign_flip_test, sign_flips
from fispace.store.metric_registry import unit_of
from fispace.study.config.factorial import TruthStep

NONE = float("nan")
LARGEST = np.log(np.finfo(np.float64).max)

LATENT = ["kind", "seed", "rank"]


class Answer(NamedTuple):
    """One question about the planted contrast, and what was found."""

    question: str
    """`planted`, `carried`, `share_of_bayes`, `share_of_movement`, `over_direction` or
    `share_over_direction`; or a declared family's response."""
    subject: str
    """Who: grammar, ideal observer, LM; or a kind of latents or controls."""
    value: float
    low: float
    high: float
    p: float
    unit: str
    n: int
    answer: str


def about_latents(params: TruthStep, family: Frame, moves: Frame) -> Iterator[Answer]:
    """Which kinds of latents carry it, and how purely and how far their clamps move it.

    `moves` is the change of the planted contrast by item, latent and clamp, all seeds.
    """
    yield from _declared(family)
    own = family[(family["family"] == PLANTED_SLOPE) & (family["excluded"] == KEPT)]
    slopes = own.set_index(LATENT)["value"].abs()
    shares = movement_shares(moves)
    shares = shares[shares.index.isin(slopes.index)]
    for kind, found in shares.groupby("kind", sort=True):
        answer = f"{100 * found.mean():.2g} % of what the clamps do to these words is planted"
        numbers = (found.mean(), found.min(), found.max(), NONE)
        yield Answer(
            "share_of_movement", kind, *numbers, unit_of("share_of_movement"), len(found), answer
        )
    yield from beside_directions(params, "over_direction", slopes)
    yield from beside_directions(params, "share_over_direction", shares)


def _declared(family: Frame) -> Iterator[Answer]:
    """What the declared families say of each kind: how many are confirmed, how far they move it.

    `value` is the mean |estimate|, `low` and `high` the smallest and the largest; `p` the smallest
    max-F p.
    """
    declared = family[family["hypothesis"] != UNDECLARED]
    for (response, kind), tests in declared.groupby(["family", "kind"], sort=True):
        kept = tests[tests["excluded"] == KEPT]
        n_found, n_none = (int(kept[c].sum()) for c in ("is_significant_max", "is_equivalent"))
        answer = f"{n_found} of {len(kept)} differ from none (max-F); {n_none} equivalent to none"
        size, unit = kept["value"].abs(), tests["unit"].iloc[0]
        numbers = (size.mean(), size.min(), size.max(), kept["p_max"].min())
        yield Answer(response, kind, *numbers, unit, len(kept), answer)


def movement_shares(moves: Frame) -> Frame:
    """Share of each latent's movement of the response words that is the planted pattern, in [0, 1].

    Squared movement along the pattern over the whole, summed over items and multipliers; 1: the
    clamps move the planted contrast and nothing else. Latents that move nothing are left out.
    """
    own = moves[moves["mode"] == MULTIPLY]
    squares = own[["value", "reach"]].pow(2).groupby([own[name] for name in LATENT]).sum()
    moving = squares[squares["reach"] > 0]
    return moving["value"] / moving["reach"]


def beside_directions(params: TruthStep, question: str, sizes: Frame) -> Iterator[Answer]:
    """Sizes of a kind of latent over those of the random directions of the same length.

    `sizes` are indexed by kind, seed and rank. Each latent is paired with its own direction: the
    geometric mean of the quotients, its interval by t over pairs, and p by sign flips of their
    logarithms: under the null the latent's direction is one more random direction.
    """
    for kind, control in DIRECTIONS.items():
        quotients = _log_quotients(sizes, kind, control)
        if len(quotients) < 2:
            continue
        test = one_sample_t(quotients, 1 - params.alpha)
        stream = numpy_stream(params.root_seed, "factorial", "truth", question, kind)
        flips = sign_flips(len(quotients), params.n_permutations, stream)
        p = float(sign_flip_test(quotients, flips).p[0])
        value, low, high = (_quotient(x[0]) for x in (test.estimate, test.low, test.high))
        verb = "more than" if p <= params.alpha and value > 1 else "not shown to be more than"
        answer = f"{verb} random directions of the same length"
        yield Answer(question, kind, value, low, high, p, unit_of(question), len(quotients), answer)


def _quotient(logarithm: float) -> float:
    """The number with this logarithm; NaN for an end of an interval that float64 cannot hold."""
    return float(np.exp(logarithm)) if logarithm < LARGEST else NONE


def _log_quotients(sizes: Frame, kind: str, control: str) -> np.ndarray:
    """[pairs 1] logarithm of each latent's size over its direction's; pairs with a zero left out."""
    positive = sizes[sizes > 0]
    found, beside = (
        positive[positive.index.get_level_values("kind") == name].droplevel("kind")
        for name in (kind, control)
    )
    both = found.index.intersection(beside.index).sort_values()
    return np.log(found[both].to_numpy() / beside[both].to_numpy())[:, None]

"""Is a latent the conjunction of two others? Where an interaction is strong, a spare latent learns it.

A latent m that stands for a pair i, j takes over the pair's product, and often the two latents as well:
they fall silent where it fires (absorption). So m is taken out of its tokens, and what it explained is written
in the rows of i and j and in the direction that m adds to them. Must not: correct for many triples, or decide.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy ships no types

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import stdtr

from fispace.stats.parents import NONE, TINY, Latents, Search, parent_candidates

PerTriple = Float[np.ndarray, " triples"]

LEAST_BESIDE = 0.2
"""Smallest 1 - cos^2 of two parents' rows; closer ones cannot be told apart."""
SLICE_TOKENS = 2**14
"""Tokens whose residuals are held twice at once."""
MOST_ROUNDS = 3
"""Pairs that one latent may stand for."""


class Triples(NamedTuple):
    """Tested triples: latent m with parents first < second."""

    latent: Int[np.ndarray, " triples"]
    first: Int[np.ndarray, " triples"]
    second: Int[np.ndarray, " triples"]
    tokens: Int[np.ndarray, " triples"]
    """Tokens of m on which both parents are present."""
    share: PerTriple
    """Share of the sum of squares of m's code on these tokens."""
    lift: PerTriple
    """P(m | i, j) / max(P(m | i), P(m | j)), parents counted as present after m is taken out."""
    ratio: PerTriple
    """Slope of the new direction in a b over the slope of a proportional fit: 1 for a product, 0 for what is
    there whenever both parents are."""
    product_p: PerTriple
    """The new direction grows with the product of the parents' coordinates."""
    plane_p: PerTriple
    """The parents' coordinates do not lie on a line: where the new direction is the same, they trade off."""
    firing_p: PerTriple
    """The lift exceeds `min_lift`."""
    p: PerTriple
    """Largest of the three: all must hold (intersection-union test, Berger 1982); 1 if the ratio is below
    `min_ratio`."""
    is_best: Bool[np.ndarray, " triples"]
    """Whether it has the smallest p of the pairs of its latent, on tokens that no better pair explains."""


def conjunction_tests(latents: Latents, search: Search) -> Triples:
    """Tests of all candidate triples.

    For a latent m and two candidates i, j, y = r + f_m w_m is what is left of a token of m when m is taken
    out. It is written as a w_i + b w_j + c e, least squares, with e the unit vector of what w_m has beside w_i
    and w_j; to a and b are added the codes that i and j still have there. Three cases can be told apart on
    the tokens where both parents are present. If m is a feature of its own whose row happens to lie
    near i and j, then a, b and c are proportional to f_m. If m only stands for i and j at once, c is noise. If
    it is their conjunction, a and b vary freely and c = s a b. So two statistics must be positive, each
    summed over the tokens of a block, with Student's t over the blocks:

    product   (c - mean c)(a b - mean a b)
    plane     - a' b' - noise g / (1 - g^2), where a' and b' are what a regression on c leaves of a and b, and
              the last term is the covariance of the noise of a and b, g = <w_i, w_j>

    The slope of c in a b must also be at least `min_ratio` of that of a proportional fit: a latent for two
    features at once is encoded where both are large, so that its c grows a little with a b as well.
    And the firing must single out the pair: 1[m] - min_lift max(P(m | i), P(m | j)), summed over tokens on
    which both parents are present, whether m fires or not. A latent may stand for several: its best pair's
    tokens are set aside, and the other pairs are tested on the rest. Work is proportional to the active codes
    times the square of `n_candidates`; memory is that of one latent's tokens.
    """
    candidates = parent_candidates(latents, search)
    columns = latents.codes.tocsc()
    columns.sort_indices()
    tested = [
        row
        for latent, own in enumerate(candidates)
        for row in _of_latent(
            _taken_out(latents, columns, latent, np.sort(own[own != NONE])), search
        )
    ]
    if not tested:
        return Triples(*(np.zeros(0, dtype) for dtype in _TYPES))
    found = zip(*tested, strict=True)
    return Triples(*(np.array(c, dtype) for c, dtype in zip(found, _TYPES, strict=True)))


_TYPES = (*(np.int64,) * 4, *(np.float64,) * 7, np.bool_)


class _TakenOut(NamedTuple):
    """The tokens of a latent that is taken out of them, and its candidates."""

    latents: Latents
    latent: int
    candidates: Int[np.ndarray, " c"]
    tokens: Int[np.ndarray, " n"]
    code: Float[np.ndarray, " n"]
    along: Float[np.ndarray, "n c"]
    """<y, w_i> of every candidate i."""
    along_own: Float[np.ndarray, " n"]
    """<y, w_m>."""
    left: Float[np.ndarray, "n c"]
    """Codes that the candidates still have."""
    cosine: Float[np.ndarray, " c"]
    """<w_m, w_i>."""
    means: Float[np.ndarray, " c"]
    """Mean code of every candidate over all tokens on which it fires."""
    elsewhere: tuple[Int[np.ndarray, " _"], ...]
    """Tokens on which each candidate fires and the latent does not."""


class _Coordinates(NamedTuple):
    """a, b and c on the tokens of a latent; a and b in units of the parents' mean codes."""

    a: Float[np.ndarray, " n"]
    b: Float[np.ndarray, " n"]
    c: Float[np.ndarray, " n"]
    noise: float
    """Covariance of the noise of a and b."""


def _taken_out(
    latents: Latents, columns: Any, latent: int, candidates: Int[np.ndarray, " c"]
) -> _TakenOut:
    begin, end = columns.indptr[latent : latent + 2]
    tokens, code = columns.indices[begin:end], columns.data[begin:end].astype(np.float64)
    own, rows = latents.rows[latent], latents.rows[candidates]
    along, cosine = _along(latents, tokens, np.concatenate([rows, own[None]])), rows @ own
    left = latents.codes[tokens][:, candidates].toarray()
    starts, ends = columns.indptr[candidates], columns.indptr[candidates + 1]
    fires = [slice(low, high) for low, high in zip(starts, ends, strict=True)]
    means = np.array([columns.data[own_fires].mean() for own_fires in fires])
    elsewhere = (
        np.setdiff1d(columns.indices[own_fires], tokens, assume_unique=True) for own_fires in fires
    )
    return _TakenOut(
        latents, latent, candidates, tokens, code,
        along[:, :-1] + code[:, None] * cosine, along[:, -1] + code,
        left, cosine, means, tuple(elsewhere),
    )  # fmt: skip


def _along(
    latents: Latents, tokens: Int[np.ndarray, " n"], rows: Float[np.ndarray, "c width"]
) -> Float[np.ndarray, "n c"]:
    """Inner products of the residuals of some tokens with some rows."""
    found = np.empty((len(tokens), len(rows)))
    for begin in range(0, len(tokens), SLICE_TOKENS):
        some = slice(begin, begin + SLICE_TOKENS)
        found[some] = latents.residual[tokens[some]] @ rows.T
    return found


def _of_latent(out: _TakenOut, search: Search) -> Iterator[tuple[Any, ...]]:
    """The triples of one latent."""
    places = list(combinations(range(len(out.candidates)), 2))
    is_left = np.ones(len(out.tokens), dtype=np.bool_)
    for _ in range(MOST_ROUNDS):
        if is_left.sum() < search.min_tokens:
            return
        found: list[tuple[Any, ...]] = []
        kept: list[tuple[tuple[int, int], Bool[np.ndarray, " n"]]] = []
        for x, y in places:
            at = _coordinates(out, x, y)
            if at is None or search.groups[out.candidates[x]] == search.groups[out.candidates[y]]:
                continue
            both = (at.a > search.presence) & (at.b > search.presence) & is_left
            if both.sum() >= search.min_tokens:
                found.append(_tested(out, search, (x, y), at, both, is_left))
                kept.append(((x, y), both))
        if not found:
            return
        best = min(range(len(found)), key=lambda place: found[place][-1])
        for place, row in enumerate(found):
            yield (*row, place == best)
        if found[best][-1] > search.continue_at:
            return
        (x, y), both = kept[best]
        is_left &= ~both
        places = [pair for pair in places if not {x, y} & set(pair)]


def _coordinates(out: _TakenOut, x: int, y: int) -> _Coordinates | None:
    """Least-squares coordinates of y for two candidates; None if their rows are nearly the same."""
    rows, means = out.latents.rows, out.means
    g = float(rows[out.candidates[x]] @ rows[out.candidates[y]])
    beside = 1 - g * g
    if beside < LEAST_BESIDE:
        return None
    in_first = (out.cosine[x] - g * out.cosine[y]) / beside
    in_second = (out.cosine[y] - g * out.cosine[x]) / beside
    new = np.sqrt(max(1 - in_first * out.cosine[x] - in_second * out.cosine[y], TINY))
    first, second = out.along[:, x], out.along[:, y]
    c = (out.along_own - in_first * first - in_second * second) / new
    a = ((first - g * second) / beside + out.left[:, x]) / means[x]
    b = ((second - g * first) / beside + out.left[:, y]) / means[y]
    return _Coordinates(a, b, c, -g / beside * out.latents.noise / (means[x] * means[y]))


def _tested(
    out: _TakenOut, search: Search, places: tuple[int, int], at: _Coordinates,
    both: Bool[np.ndarray, " n"], is_left: Bool[np.ndarray, " n"],
) -> tuple[Any, ...]:  # fmt: skip
    """Everything of a triple but whether it is the best."""
    blocks = out.latents.blocks[out.tokens[both]]
    a, b, c = at.a[both], at.b[both], at.c[both]
    product = _block_test(_product_scores(a, b, c), blocks)
    plane = _block_test(_plane_scores(a, b, c) + at.noise, blocks)
    first, second = (int(out.candidates[place]) for place in places)
    others = np.intersect1d(*(out.elsewhere[place] for place in places), assume_unique=True)
    present = [int(((each > search.presence) & is_left).sum()) for each in (at.a, at.b)]
    most = max(n / (n + len(out.elsewhere[x])) for n, x in zip(present, places, strict=True))
    fires = np.concatenate([np.ones(len(blocks)), np.zeros(len(others))])
    firing = _block_test(
        fires - search.min_lift * most,
        np.concatenate([blocks, out.latents.blocks[others]]),
    )
    squares, ratio = np.square(out.code), _ratio(a, b, c)
    p = max(product, plane, firing) if ratio >= search.min_ratio else 1.0
    return (
        out.latent, first, second, len(blocks), squares[both].sum() / squares.sum(),
        fires.mean() / most, ratio, product, plane, firing, p,
    )  # fmt: skip


def _ratio(a: Any, b: Any, c: Any) -> float:
    """Slope of c in g = a b with an intercept, over that without one."""
    g = a * b
    within = float(_product_scores(a, b, c).sum()) / max(float(g.var()) * len(g), TINY)
    whole = float(c @ g) / max(float(g @ g), TINY)
    return within / whole if whole > 0 else 0.0


def _product_scores(a: Any, b: Any, c: Any) -> Float[np.ndarray, " both"]:
    """(c - mean c)(a b - mean a b)."""
    return (c - c.mean()) * (a * b - (a * b).mean())


def _plane_scores(a: Any, b: Any, c: Any) -> Float[np.ndarray, " both"]:
    """- a' b', what a regression on c leaves of a and b."""
    c = c - c.mean()
    scale = max(float(c @ c), TINY)
    a, b = (each - each.mean() - c * (float(each @ c) / scale) for each in (a, b))
    return -a * b


def _block_test(scores: Float[np.ndarray, " _"], blocks: Int[np.ndarray, " _"]) -> float:
    """One-sided p-value of Student's t of the blocks' sums; 1 if fewer than two blocks have a token."""
    counts = np.bincount(blocks)
    sums = np.bincount(blocks, scores)[counts > 0]
    n = len(sums)
    if n < 2:
        return 1.0
    error = sums.std(ddof=1) / np.sqrt(n)
    return float(stdtr(n - 1, -sums.mean() / error)) if error > 0 else 1.0

"""Synthetic activations with planted pairs: sparse features in superposition, plus products of pairs.

Must not: know a model, or measure anything.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int

from fispace.seeds import numpy_stream
from fispace.study.config.planted import WorldConfig


@dataclass(frozen=True)
class World:
    """x = sum_i a_i d_i + strength * sum_(i,j) in P a_i a_j e_ij + noise, |d_i| = |e_ij| = 1.

    With probability `firing`, a_i is uniform between the bounds of the amplitude; otherwise it is 0.
    Features are independent. The noise is N(0, noise^2) in every dimension.
    """

    config: WorldConfig
    directions: Float[np.ndarray, "n_features d_model"]
    pairs: Int[np.ndarray, "n_pairs 2"]
    """Planted pairs (i, j), i < j; empty if none is planted."""
    pair_directions: Float[np.ndarray, "n_pairs d_model"]
    strength: float


class WorldTokens(NamedTuple):
    """Tokens of a world and their components."""

    x: Float32[np.ndarray, "tokens d_model"]
    features: Float32[np.ndarray, "tokens n_features"]
    """The true codes a."""
    interaction: Float32[np.ndarray, "tokens d_model"]
    """The planted term, without noise."""


def feature_variance(config: WorldConfig) -> float:
    """Variance v = p E[A^2] - (p E[A])^2 of a feature with firing probability p and amplitude A."""
    low, high = config.amplitude.low, config.amplitude.high
    mean, square = (low + high) / 2, (low * low + low * high + high * high) / 3
    return config.firing * square - (config.firing * mean) ** 2


def strength_of(config: WorldConfig, share: float) -> float:
    """Strength at which pairs make up `share` of the variance left by a regression of x on the a_i.

    The residual of a_i a_j is (a_i - E a)(a_j - E a). These residuals have variance v^2 and are uncorrelated
    between pairs. Together the pairs leave strength^2 n_pairs v^2, and the noise leaves d_model noise^2.
    """
    if share == 0:
        return 0.0
    left = config.d_model * config.noise**2 * share / (1 - share)
    return float((left / (config.n_pairs * feature_variance(config) ** 2)) ** 0.5)


def plant(config: WorldConfig, share: float, root_seed: int, number: int) -> World:
    """The world with this number. Its directions and pairs are the same at every share above 0.

    At share 0 there are no pairs.
    """
    stream = numpy_stream(root_seed, "testbed", "planted", number, "world")
    directions = _unit_rows(stream, config.n_features, config.d_model)
    first, second = np.triu_indices(config.n_features, 1)
    chosen = np.sort(stream.choice(len(first), config.n_pairs, replace=False))
    pair_directions = _unit_rows(stream, config.n_pairs, config.d_model)
    pairs = np.stack([first[chosen], second[chosen]], axis=1)
    if share == 0:
        pairs, pair_directions = pairs[:0], pair_directions[:0]
    return World(config, directions, pairs, pair_directions, strength_of(config, share))


def draw(world: World, n_tokens: int, stream: np.random.Generator) -> WorldTokens:
    """Independent tokens; equal streams give equal features and noise at every share."""
    config, single = world.config, np.float32
    shape = (n_tokens, config.n_features)
    fires = stream.random(shape, dtype=single) < config.firing
    spread = single(config.amplitude.high - config.amplitude.low)
    features = fires * (single(config.amplitude.low) + spread * stream.random(shape, dtype=single))
    noise = stream.standard_normal((n_tokens, config.d_model), dtype=single)
    first, second = world.pairs.T
    products = features[:, first] * features[:, second]
    interaction = single(world.strength) * (products @ world.pair_directions.astype(single))
    x = features @ world.directions.astype(single) + interaction + single(config.noise) * noise
    return WorldTokens(x, features, interaction)


def _unit_rows(stream: np.random.Generator, n: int, width: int) -> Float[np.ndarray, "n width"]:
    rows = stream.standard_normal((n, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)

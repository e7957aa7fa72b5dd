"""Simulated data sets for calibration, without an interaction or with a planted one.

Must not: test anything.
"""

import numpy as np
from jaxtyping import Float

from fispace.stats.two_by_two import CellArray, interaction_contrasts

ITEM_SD, MAIN_SD, SHARED = 3.0, 1.0, 0.5
"""Standard deviations of items and of main effects, in units of the noise's; and the share of the noise
variance that all latents have in common. Items vary much more than cells, and latents are dependent."""

CONTRAST_SD = 2.0
"""Standard deviation of y11 - y10 - y01 + y00 over four cells with independent noise of variance 1."""

PATTERN = np.array([[1.0, -1.0], [-1.0, 1.0]])
"""CellArray of a pure interaction; its contrast is 4."""


def synthetic_halves(
    generator: np.random.Generator, n_items: tuple[int, int], n_latents: int, skew: float,
    size: float = 0.0,
) -> tuple[CellArray, CellArray]:  # fmt: skip
    """Select and confirm halves from one population: y = item + two main effects + noise.

    `size` is a contrast planted in latent 0, in units of the contrast's standard deviation.
    """
    main = MAIN_SD * generator.normal(size=(2, n_latents))
    halves = (
        _additive(generator, n, n_latents, skew, main) + size * CONTRAST_SD * _first(n_latents)
        for n in n_items
    )
    select, confirm = halves
    return select, confirm


def _first(n_latents: int) -> Float[np.ndarray, "2 2 latents"]:
    planted = np.zeros((2, 2, n_latents))
    planted[..., 0] = PATTERN / 4
    return planted


def _additive(
    generator: np.random.Generator, n_items: int, n_latents: int, skew: float, main: np.ndarray
) -> CellArray:
    level = np.array([0.0, 1.0])
    effects = level[:, None, None] * main[0] + level[None, :, None] * main[1]
    items = ITEM_SD * generator.normal(size=(n_items, 1, 1, n_latents))
    own = skewed(generator, (n_items, 2, 2, n_latents), skew)
    shared = skewed(generator, (n_items, 2, 2, 1), skew)
    return items + effects + np.sqrt(1 - SHARED) * own + np.sqrt(SHARED) * shared


def skewed(
    generator: np.random.Generator, shape: tuple[int, ...], skew: float
) -> Float[np.ndarray, "..."]:
    """Noise of mean 0 and variance 1: log-normal with sigma `skew`, or normal if `skew` is 0."""
    if skew == 0:
        return generator.normal(size=shape)
    drawn = np.exp(skew * generator.normal(size=shape))
    mean, variance = np.exp(skew**2 / 2), (np.exp(skew**2) - 1) * np.exp(skew**2)
    return (drawn - mean) / np.sqrt(variance)


def flipped_cells(cells: CellArray, signs: Float[np.ndarray, " items"]) -> CellArray:
    """Measured cells, with each item's interaction contrast multiplied by its sign.

    Item effects, main effects, and the dependence between latents stay as measured. With random signs
    there is no interaction on average.
    """
    change = (signs - 1)[:, None] * interaction_contrasts(cells) / 4
    return cells + change[:, None, None, :] * PATTERN[..., None]


def word_tables(
    generator: np.random.Generator, n_items: int, n_words: int, skew: float, word_sd: float
) -> Float[np.ndarray, "items 2 2 words"]:
    """Simulated effects of a clamp on words, without an interaction: item + item x cell + word + noise.

    Word effects have standard deviation `word_sd`: the four lists come from one population of words.
    """
    item = generator.normal(size=(n_items, 1, 1, 1))
    cell = 0.5 * generator.normal(size=(n_items, 2, 2, 1))
    word = word_sd * generator.normal(size=(1, 2, 2, n_words))
    return item + cell + word + skewed(generator, (n_items, 2, 2, n_words), skew)

"""Parameters of the pages on which latents are looked at."""

from typing import Annotated

from pydantic import Field

from fispace.study.config.base import Config, Distinct, Seed, Seeded, Share, Threaded
from fispace.study.config.factorial import Factors
from fispace.study.config.lm import ReadsLm

Few = Annotated[int, Field(ge=0, le=1000)]
Some = Annotated[int, Field(ge=1, le=10_000)]
Files = Annotated[int, Field(ge=1, le=10_000)]


class Contexts(Config):
    """Texts that are shown for a latent or a pair."""

    top_contexts: Some
    """Windows that are shown for a latent: those in which it is most active."""
    quantiles: Distinct[Share]
    """Quantiles of a latent's non-zero activations; one token is shown at each."""
    sampled_tokens: Some
    """Active tokens of a latent, drawn at random, among which those at the quantiles are found; all if there
    are fewer."""
    tokens_before: Few
    """Tokens of the window that are shown before the one in question."""
    tokens_after: Few
    """Tokens of the window that are shown after it."""
    histogram_bins: Annotated[int, Field(ge=2, le=1000)]
    """Bins of the histogram of a latent's non-zero activations, from 0 to its largest."""


class Neighbours(Config):
    """What is shown beside a latent's texts."""

    top_tokens: Few
    """Tokens that are listed as promoted, and as suppressed; 0: none, and the head is not run."""
    nearest: Few
    """Latents that are listed by the cosine of their decoder rows; 0: none."""


class ShownPairs(Config):
    """Pairs of latents of the interaction part."""

    pairs: Few
    """Pairs that are shown: those with the largest weight; 0: none."""
    pair_latents: Annotated[int, Field(ge=2, le=20_000)]
    """Latents among which pairs are searched: those with the largest norm of the factor vector times mean
    activation; all if there are fewer."""
    pair_tokens: Annotated[int, Field(ge=1, le=1_000_000)]
    """Tokens of the test split, from its beginning, from which the weights of pairs are computed."""
    pair_contexts: Some
    """Windows that are shown for a pair: those in which the product of its activations is largest."""


class Shards(Config):
    """Files of the pages' data, which a browser loads when they are needed."""

    latent_files: Files
    """Files among which the latents are divided."""
    text_files: Files
    """Files among which the windows of the text are divided."""


class BrowserStep(Contexts, Neighbours, ShownPairs, Shards, Factors, ReadsLm, Seeded, Threaded):
    """What `browser data` depends on."""


class BrowserSection(Contexts, Neighbours, ShownPairs, Shards, Threaded):
    """Pages on which the latents of one model are looked at: target `browser`, and `full`."""

    arm: str
    """Arm of train.arms whose latents are shown."""
    seed: Seed
    """Seed of the training whose latents are shown."""

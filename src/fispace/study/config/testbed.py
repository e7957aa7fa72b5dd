"""Configuration of the testbed chapter. Meanings and ranges: workflow/schemas/testbed.schema.yaml."""

from dataclasses import dataclass

from fispace.errors import ParamsError


@dataclass(frozen=True)
class LexiconConfig:
    """Numbers of content words; nouns and verbs have a singular and a plural form each."""

    nouns_per_topic: int
    verbs_per_topic: int
    objects_per_topic: int
    places_per_topic: int
    adjectives_per_cell: int
    adverbs_per_cell: int


@dataclass(frozen=True)
class GrammarConfig:
    """Lexicon sizes and planted strengths of the grammar."""

    n_topics: int
    lexicon: LexiconConfig
    additive_strength: float
    topic_strength: float
    conjunction_strength: float
    polarity_conjunction_strength: float
    zipf_exponent: float


@dataclass(frozen=True)
class CorpusConfig:
    """Size of the study corpus."""

    n_documents: int
    document_words: int


@dataclass(frozen=True)
class BatteryConfig:
    """Size of the testbed's factorial battery."""

    n_items: int
    n_sentences: int


@dataclass(frozen=True)
class TestbedLmConfig:
    """Shape and training of the testbed's LM."""

    n_blocks: int
    d_model: int
    n_heads: int
    d_mlp: int
    n_positions: int
    init_std: float
    n_documents: int
    batch_documents: int
    lr: float
    warmup_fraction: float
    adam_betas: tuple[float, ...]
    weight_decay: float
    grad_clip: float
    heldout_documents: int
    log_every: int
    threads: int

    def __post_init__(self) -> None:
        if self.d_model % (2 * self.n_heads):
            raise ParamsError(
                f"testbed.lm.d_model={self.d_model} must be an even multiple of "
                f"n_heads={self.n_heads}: rotary positions turn pairs of dimensions."
            )
        if self.n_steps < 1:
            raise ParamsError(
                f"testbed.lm.n_documents={self.n_documents} is less than one batch of "
                f"batch_documents={self.batch_documents}."
            )

    @property
    def n_steps(self) -> int:
        """Optimiser steps of the training."""
        return self.n_documents // self.batch_documents


@dataclass(frozen=True)
class TestbedCorpusStep:
    """What `testbed corpus` depends on."""

    grammar: GrammarConfig
    corpus: CorpusConfig
    battery: BatteryConfig
    root_seed: int


@dataclass(frozen=True)
class TestbedLmStep:
    """What `testbed lm` depends on."""

    grammar: GrammarConfig
    corpus: CorpusConfig
    lm: TestbedLmConfig
    root_seed: int

    def __post_init__(self) -> None:
        if self.lm.heldout_documents > self.corpus.n_documents:
            raise ParamsError(
                f"testbed.lm.heldout_documents={self.lm.heldout_documents} must be <= "
                f"testbed.corpus.n_documents={self.corpus.n_documents}."
            )

"""Parameters of the testbed chapter's language, corpus and LM."""

from typing import Annotated

from pydantic import Field, model_validator

from fispace.study.config.base import (
    Config,
    Decay,
    ListOf,
    Positive,
    PositiveShare,
    Refusal,
    Seeded,
    Share,
    Size,
    Threads,
)

Words = Annotated[int, Field(ge=1, le=1000)]
Strength = Annotated[float, Field(ge=0, le=20)]


class LexiconConfig(Config):
    """Numbers of generated content words; function and response words are fixed."""

    nouns_per_topic: Words
    """Nouns of a topic; each has a singular and a plural form."""
    verbs_per_topic: Words
    """Verbs of a topic; each has a singular and a plural form."""
    objects_per_topic: Words
    """Mass nouns of a topic, used as objects."""
    places_per_topic: Words
    """Place names of a topic."""
    adjectives_per_cell: Words
    """Adjectives of each register x affect cell."""
    adverbs_per_cell: Words
    """Adverbs of each affect x polarity cell."""


class GrammarConfig(Config):
    """Sizes of the lexicon and planted strengths; nothing else determines the grammar."""

    n_topics: Annotated[int, Field(ge=1, le=32)]
    """Topics; with the four binary variables there are 16 x n_topics states."""
    lexicon: LexiconConfig
    """Numbers of generated content words; function and response words are fixed."""
    additive_strength: Strength
    """Log-odds (nats) of a word in its own level of a binary variable minus the other level."""
    topic_strength: Strength
    """Log-odds (nats) of a word in its own topic minus any other topic."""
    conjunction_strength: Strength
    """Planted |y11 - y10 - y01 + y00| over register x affect of response words and adjectives, nats."""
    polarity_conjunction_strength: Strength
    """Planted |y11 - y10 - y01 + y00| over affect x polarity of adverbs, nats."""
    zipf_exponent: Annotated[float, Field(ge=0, le=3)]
    """Exponent s of the base weights: the word of rank r in its list has weight r^-s."""


class CorpusConfig(Config):
    """The study corpus."""

    n_documents: Size
    """Documents of the study."""
    document_words: Annotated[int, Field(ge=1, le=100_000)]
    """A document ends with the first sentence end at or after this many words; at most 10 words
    follow."""


class BatteryConfig(Config):
    """The factorial battery of register x affect."""

    n_items: Annotated[int, Field(ge=2, le=100_000)]
    """Items; each is realised in all four cells."""
    n_sentences: Annotated[int, Field(ge=1, le=1000)]
    """Sentences of an item."""


class TestbedLmConfig(Config):
    """Shape and training of the testbed's LM."""

    n_blocks: Annotated[int, Field(ge=1, le=100)]
    """Transformer blocks."""
    d_model: Annotated[int, Field(ge=2, le=16_384)]
    """Width of the residual stream; an even multiple of n_heads."""
    n_heads: Annotated[int, Field(ge=1, le=256)]
    """Attention heads of a block."""
    d_mlp: Annotated[int, Field(ge=1, le=65_536)]
    """Hidden width of a block's MLP."""
    n_positions: Annotated[int, Field(ge=2, le=1_048_576)]
    """Longest sequence in tokens, BOS included."""
    init_std: PositiveShare
    """Standard deviation of the initial weights, the token embeddings' apart."""
    embedding_std: Annotated[float, Field(gt=0, le=1000)]
    """Standard deviation of the initial token embeddings. If it is as small as `init_std`, what the blocks
    write outweighs the embedding, and activations hold little more than the next word's class; if it is
    large, they keep which token it is, as those of large language models do."""
    n_documents: Size
    """Documents drawn for the training, each seen once. None of them is in the study corpus."""
    batch_documents: Annotated[int, Field(ge=1, le=100_000)]
    """Documents of one optimiser step."""
    lr: PositiveShare
    """Peak learning rate of AdamW."""
    warmup_fraction: Annotated[float, Field(ge=0, le=0.9)]
    """Share of the steps over which the learning rate rises; over the others it falls to zero."""
    adam_betas: Annotated[ListOf[Decay], Field(min_length=2, max_length=2)]
    """Decay rates of AdamW's two moments."""
    weight_decay: Share
    """AdamW's decay of the matrices."""
    grad_clip: Positive
    """Norm at which the gradients, taken together, are clipped."""
    heldout_documents: Size
    """Documents at the start of the study corpus on which the LM's loss is compared with the Bayes floor."""
    log_every: Annotated[int, Field(ge=1)]
    """Steps between rows of the training curve."""
    threads: Threads
    """Torch threads of its training, which nothing runs in parallel with."""

    @model_validator(mode="after")
    def _require_rotations_and_a_step(self) -> "TestbedLmConfig":
        if self.d_model % (2 * self.n_heads):
            raise Refusal(
                "d_model",
                f"must be an even multiple of n_heads={self.n_heads}: rotary positions turn pairs of "
                "dimensions",
                self.d_model,
            )
        if self.n_steps < 1:
            raise Refusal(
                "n_documents",
                f"is less than one batch of batch_documents={self.batch_documents}",
                self.n_documents,
            )
        return self

    @property
    def n_steps(self) -> int:
        """Optimiser steps of the training."""
        return self.n_documents // self.batch_documents


class Language(Config):
    """The language and its corpus."""

    grammar: GrammarConfig
    """Sizes of the lexicon and planted strengths; nothing else determines the grammar."""
    corpus: CorpusConfig
    """The study corpus."""


class LanguageModel(Language):
    """The LM that learns the language."""

    lm: TestbedLmConfig
    """Shape and training of the LM."""

    @model_validator(mode="after")
    def _require_heldout_documents(self) -> "LanguageModel":
        if self.lm.heldout_documents > self.corpus.n_documents:
            raise Refusal(
                ("lm", "heldout_documents"),
                f"must be <= corpus.n_documents={self.corpus.n_documents}",
                self.lm.heldout_documents,
            )
        return self


class LanguageBattery(Language):
    """The stimuli written in the language."""

    battery: BatteryConfig
    """The factorial battery of register x affect."""


class TestbedCorpusStep(LanguageBattery, Seeded):
    """What `testbed corpus` depends on."""


class TestbedLmStep(LanguageModel, Seeded):
    """What `testbed lm` depends on."""

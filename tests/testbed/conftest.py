"""Tiny grammars for the testbed's tests."""

import pytest

from fispace.study.config.testbed import GrammarConfig, LexiconConfig
from fispace.testbed.grammar import Grammar, build_grammar

TINY = GrammarConfig(
    n_topics=3,
    lexicon=LexiconConfig(
        nouns_per_topic=3,
        verbs_per_topic=2,
        objects_per_topic=2,
        places_per_topic=2,
        adjectives_per_cell=3,
        adverbs_per_cell=2,
    ),
    additive_strength=1.5,
    topic_strength=3.0,
    conjunction_strength=2.0,
    polarity_conjunction_strength=1.25,
    zipf_exponent=0.8,
)


@pytest.fixture(scope="session")
def grammar() -> Grammar:
    return build_grammar(TINY)


@pytest.fixture(scope="session")
def additive_grammar() -> Grammar:
    return build_grammar(TINY.changed(conjunction_strength=0.0))

"""Ground truth: what is planted, what an observer carries, and what continuations hold."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from factorial.small_chapter import FACTORS, run_chapter

from fispace.config.testbed import GrammarConfig, LexiconConfig
from fispace.lm.generate import greedy, sampler
from fispace.steps.factorial.generate import word_counts
from fispace.steps.factorial.planted import among_words, has_planted, planted_contrast
from fispace.steps.factorial.truth import bayes_scores, beside_directions
from fispace.store.tables import read_csv, read_table
from fispace.testbed.grammar import END_CLASS, START_NODE, build_grammar
from fispace.testbed.syntax import CLASSES

STRENGTH = 2.0
GRAMMAR = build_grammar(
    GrammarConfig(2, LexiconConfig(3, 2, 3, 2, 4, 3), 1.5, 4.0, STRENGTH, 1.5, 0.8)
)
WORDS = pd.DataFrame([vars(word) for word in GRAMMAR.planted_words()])
CELLS = list(product(*(factor.levels for factor in FACTORS)))


def contexts(n_items: int) -> pd.DataFrame:
    rows = [(f"i{item}", *cell, "") for item in range(n_items) for cell in CELLS]
    return pd.DataFrame(rows, columns=["item", "register", "affect", "prompt"])


def scores(conjunction: float) -> np.ndarray:
    """Log-probabilities of an observer who knows the state, up to a constant a context."""
    sign = {level: i for factor in FACTORS for i, level in enumerate(factor.levels)}
    rows = []
    for _, register, affect, _ in contexts(5).itertuples(index=False):
        first = WORDS["register"].eq(register).to_numpy() * 1.5
        second = WORDS["affect"].eq(affect).to_numpy() * 1.5
        both = WORDS["contrast"].to_numpy() / STRENGTH * conjunction
        rows.append(first + second + both * sign[register] * sign[affect])
    return np.array(rows)


def test_planted_contrast_is_what_was_planted_and_zero_for_an_additive_observer() -> None:
    for strength in (0.0, STRENGTH, 0.5):
        found = planted_contrast(scores(strength), contexts(5), WORDS, FACTORS)
        assert found == pytest.approx([strength] * 5)


def test_planted_contrast_does_not_depend_on_how_probable_response_words_are() -> None:
    shifted = scores(1.0) + np.linspace(-9, 9, 20)[:, None]
    found = planted_contrast(shifted, contexts(5), WORDS, FACTORS)
    assert found == pytest.approx(planted_contrast(scores(1.0), contexts(5), WORDS, FACTORS))
    assert np.exp(among_words(shifted)).sum(1) == pytest.approx(1.0)


def test_a_battery_without_planted_words_or_without_cells_has_no_truth() -> None:
    assert has_planted(contexts(2), WORDS, FACTORS)
    assert not has_planted(contexts(2), WORDS.drop(columns="contrast"), FACTORS)
    assert not has_planted(contexts(2)[["item", "prompt"]], WORDS, FACTORS)


def test_the_ideal_observer_carries_less_than_was_planted_but_some_of_it() -> None:
    rng = np.random.default_rng(0)
    prompts = contexts(12)
    space = GRAMMAR.space
    texts = []
    for _, register, affect, _ in prompts.itertuples(index=False):
        levels = [
            factor.levels.index(x) for factor, x in zip(FACTORS, (register, affect), strict=True)
        ]
        state = space.index(register=levels[0], affect=levels[1], topic=0, number=0, polarity=0)
        texts.append(_sentence(rng, state))
    prompts["prompt"] = texts
    found = planted_contrast(bayes_scores(GRAMMAR, prompts, WORDS), prompts, WORDS, FACTORS)
    assert 0.05 < found.mean() < STRENGTH


def _sentence(rng: np.random.Generator, state: int) -> str:
    """One sentence of the grammar in a state."""
    node, words = START_NODE, []
    while node != END_CLASS:
        node = int(rng.choice(len(CLASSES), p=GRAMMAR.transition[node, :, state]))
        own = np.flatnonzero(GRAMMAR.word_classes == node)
        words.append(GRAMMAR.texts[int(rng.choice(own, p=GRAMMAR.emission[own, state]))])
    return " ".join(words)


def test_a_latent_that_moves_the_contrast_no_further_than_a_random_direction_is_said_to() -> None:
    rows = [("candidate", 0.1), ("candidate", -0.3), ("direction", 0.4), ("primary", 0.6)]
    rows += [("primary_direction", -0.2)]
    family = pd.DataFrame(rows, columns=["kind", "value"]).assign(
        family="planted_slope", excluded="no"
    )
    found = {row.subject: row for row in beside_directions(family)}
    assert found["candidate"].value == pytest.approx(0.5)
    assert found["primary"].value == pytest.approx(3.0)
    assert found["candidate"].answer.startswith("no more than")
    assert found["primary"].answer.startswith("more than")


def test_greedy_takes_the_most_probable_token_and_sampling_follows_the_probabilities() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]]).repeat(4000, 1))
    assert set(greedy(logits, 0).tolist()) == {1}
    uniforms = np.random.default_rng(0).random((4000, 1))
    drawn = sampler(uniforms, 1.0)(logits, 0)
    shares = np.bincount(drawn.numpy(), minlength=3) / 4000
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=0.03)
    assert torch.equal(drawn, sampler(uniforms, 1.0)(logits, 0))


def test_words_count_whole_in_any_case_and_changed_texts_by_context() -> None:
    key = {"arm": "joint", "seed": 0, "latent": 1, "decoding": "greedy"}
    texts = pd.DataFrame(
        [
            key | {"kind": "unmoved", "clamp": 1.0, "context": 0, "text": "Yeah it is"},
            key | {"kind": "unmoved", "clamp": 1.0, "context": 1, "text": "so yeahs"},
            key | {"kind": "candidate", "clamp": 4.0, "context": 1, "text": "so yeahs"},
            key | {"kind": "candidate", "clamp": 4.0, "context": 0, "text": "totally yeah, yeah"},
        ]
    )
    words = pd.DataFrame(
        [("yeah", "casual", "neutral"), ("totally", "casual", "emotional")],
        columns=["word", "register", "affect"],
    )
    found = word_counts(texts, words).set_index(["kind", "affect"])
    assert found["count"].to_dict() == {
        ("unmoved", "neutral"): 1, ("unmoved", "emotional"): 0,
        ("candidate", "neutral"): 2, ("candidate", "emotional"): 1,
    }  # fmt: skip
    assert found.loc["candidate", "n_changed"].tolist() == [1, 1]


def test_texts_of_the_chapter_are_the_same_under_the_identity(tmp_path_factory, lm_folders) -> None:
    folder: Path = tmp_path_factory.mktemp("texts")
    chapter = run_chapter(folder, lm_folders["llama"])
    counts = read_csv(chapter.counts)
    assert (counts.loc[counts["clamp"] == 1.0, "n_changed"] == 0).all()
    texts = read_table(chapter.texts)
    latents = {"candidate", "insensitive", "random", "primary"}
    assert set(texts["kind"]) == latents | {"unmoved", "direction", "primary_direction"}
    assert set(texts["decoding"]) == {"greedy", "sampled"}

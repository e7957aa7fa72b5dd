"""Ground truth: what is planted, what an observer carries, and what continuations hold."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from factorial.small_chapter import FACTORS, run_chapter
from scipy import stats

from fispace.chapters.factorial.generate import word_counts
from fispace.chapters.factorial.ground_truth import bayes_scores, beside_directions, movement_shares
from fispace.chapters.factorial.planted_contrast import (
    among_words,
    has_planted_contrast,
    planted_contrast,
    planted_reach,
)
from fispace.chapters.factorial.tables import GENERATION_COUNTS
from fispace.lm.generate import greedy, sampler
from fispace.store.tables import read_csv, read_table
from fispace.study.config.factorial import GroundTruthStep
from fispace.study.config.lm import LmConfig
from fispace.study.config.testbed import GrammarConfig, LexiconConfig
from fispace.testbed.grammar import END_CLASS, START_NODE, build_grammar
from fispace.testbed.syntax import CLASSES

STRENGTH = 2.0
GRAMMAR = build_grammar(
    GrammarConfig(
        n_topics=2,
        lexicon=LexiconConfig(
            nouns_per_topic=3,
            verbs_per_topic=2,
            objects_per_topic=3,
            places_per_topic=2,
            adjectives_per_cell=4,
            adverbs_per_cell=3,
        ),
        additive_strength=1.5,
        topic_strength=4.0,
        conjunction_strength=STRENGTH,
        polarity_conjunction_strength=1.5,
        zipf_exponent=0.8,
    )
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
    assert has_planted_contrast(contexts(2), WORDS, FACTORS)
    assert not has_planted_contrast(contexts(2), WORDS.drop(columns="contrast"), FACTORS)
    assert not has_planted_contrast(contexts(2)[["item", "prompt"]], WORDS, FACTORS)
    some_without = contexts(2).assign(register=lambda rows: rows["register"].where(rows.index > 0))
    assert not has_planted_contrast(some_without, WORDS, FACTORS)


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


def sizes(**by_kind: list[float]) -> pd.Series:
    """Sizes of latents of three seeds, by kind."""
    rows = [(kind, i, 1, v) for kind, values in by_kind.items() for i, v in enumerate(values)]
    frame = pd.DataFrame(rows, columns=["kind", "seed", "rank", "value"])
    return frame.set_index(["kind", "seed", "rank"])["value"]


TRUTH = GroundTruthStep(
    lm=LmConfig(name="x", revision=None, dtype="float32", hook_point=0),
    factors=FACTORS,
    add_bos=True,
    alpha=0.05,
    n_permutations=2000,
    batch_contexts=8,
    root_seed=0,
    threads=1,
    device="cpu",
)


def test_a_latent_is_compared_with_its_own_direction_pair_by_pair() -> None:
    own = sizes(candidate=[1.0, 2.0, 4.0], direction=[2.0, 4.0, 8.0], primary=[9.0])
    (found,) = beside_directions(TRUTH, "over_direction", own)
    assert found.subject == "candidate" and found.n == 3
    assert [found.value, found.low, found.high] == pytest.approx([0.5, 0.5, 0.5])
    assert found.answer.startswith("not shown to be more")


def test_the_comparison_with_directions_is_the_exact_test_of_log_quotients() -> None:
    logs = np.array([0.5, 0.9, 1.4, 0.7, 1.0, 1.2, 0.3, 0.8])
    own = sizes(primary=np.exp(logs).tolist(), primary_direction=[1.0] * 8)
    (found,) = beside_directions(TRUTH, "over_direction", own)
    expected = stats.permutation_test(
        (logs,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert found.p == pytest.approx(expected.pvalue) == pytest.approx(2 / 256)
    interval = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    assert [found.low, found.high] == pytest.approx(np.exp([interval.low, interval.high]).tolist())
    assert found.answer.startswith("more than random directions")


def test_a_latent_that_moves_nothing_is_left_out_of_the_comparison() -> None:
    own = sizes(candidate=[0.0, 2.0, 4.0], direction=[1.0, 1.0, 1.0])
    (found,) = beside_directions(TRUTH, "over_direction", own)
    assert found.n == 2 and found.value == pytest.approx(8**0.5)


def pattern(strength: float) -> np.ndarray:
    """Change of the scores that is the planted contrast and nothing else."""
    pure = scores(4 * strength) - scores(0.0)  # in the cell 11 alone
    by_item = pure.reshape(5, 4, -1)
    return (by_item[:, 3:] * np.array([1, -1, -1, 1])[:, None] / 4).reshape(pure.shape)


def test_reach_is_what_the_planted_pattern_alone_moves_and_no_other_change_exceeds_it() -> None:
    pure = pattern(1.0)
    moved = planted_contrast(pure, contexts(5), WORDS, FACTORS)
    np.testing.assert_allclose(planted_reach(pure, contexts(5), WORDS, FACTORS), moved)
    other = np.random.default_rng(0).normal(size=pure.shape)
    found = planted_contrast(other, contexts(5), WORDS, FACTORS)
    reach = planted_reach(other, contexts(5), WORDS, FACTORS)
    assert (np.abs(found) < reach).all()
    shifted = other + np.linspace(-9, 9, 20)[:, None]  # added to all words of a context
    np.testing.assert_allclose(planted_reach(shifted, contexts(5), WORDS, FACTORS), reach)


def test_share_of_movement_is_one_for_the_planted_pattern_and_small_for_a_random_change() -> None:
    pure = pattern(0.5)
    noise = np.random.default_rng(1).normal(size=pure.shape)
    rows = [
        (kind, 0, 1, "multiply", clamp, *numbers)
        for kind, change in (("candidate", pure), ("direction", noise))
        for clamp in (0.0, 4.0)
        for numbers in zip(
            (clamp - 1) * planted_contrast(change, contexts(5), WORDS, FACTORS),
            abs(clamp - 1) * planted_reach(change, contexts(5), WORDS, FACTORS),
            strict=True,
        )
    ]
    moves = pd.DataFrame(rows, columns=["kind", "seed", "rank", "mode", "clamp", "value", "reach"])
    shares = movement_shares(moves).droplevel(["seed", "rank"])
    assert shares["candidate"] == pytest.approx(1.0)
    assert shares["direction"] < 0.1  # 1 / (4 (words - 1)) on average


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
    counts = read_csv(chapter.counts, GENERATION_COUNTS)
    assert (counts.loc[counts["clamp"] == 1.0, "n_changed"] == 0).all()
    texts = read_table(chapter.texts)
    latents = {"candidate", "insensitive", "random", "primary"}
    others = {"unmoved", "direction", "primary_direction", "linear"}
    assert set(texts["kind"]) == latents | others
    assert set(texts["decoding"]) == {"greedy", "sampled"}

"""`factorial truth`: does the LM carry what the grammar planted, do the latents, do the clamps?

For batteries of the testbed, where the answer is known. Must not: train, choose a latent, or test
again what `factorial infer` has tested.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from fispace.chapters.factorial.design_array import Frame
from fispace.chapters.factorial.ground_truth import NONE, Answer, about_latents
from fispace.chapters.factorial.planted_contrast import (
    among_words,
    has_planted_contrast,
    planted_contrast,
    word_contrasts,
)
from fispace.chapters.factorial.stimuli import PLANTED_CONTRAST
from fispace.chapters.factorial.tables import CONTEXTS, TRUTH, WORDS
from fispace.errors import StimuliError
from fispace.lm.load import load_lm
from fispace.lm.score import plan_words, require_scorable, score_words
from fispace.stats.two_by_two import one_sample_t
from fispace.store.files import read_json
from fispace.store.metric_registry import unit_of
from fispace.store.tables import read_csv, read_table, write_csv, write_table
from fispace.study.config.factorial import TruthStep
from fispace.study.step import Reads, ReadsFolder, Writes, command
from fispace.testbed.bayes import predictive, word_ids_of
from fispace.testbed.grammar import Grammar, grammar_from_json

OBSERVERS = ("bayes", "lm")


@command("factorial", "truth", sections=("extract",))
def compare_truth(
    params: TruthStep, *, lm_folder: ReadsFolder | None, grammar: Reads, words: Reads,
    contexts: Reads, family: Reads, planted: list[Reads], by_word: Writes, answers: Writes,
) -> None:  # fmt: skip
    """Write each word's planted contrast beside the LM's and the ideal observer's, and the answers.

    Raises:
        StimuliError: if the battery has no planted contrast.
    """
    torch.set_num_threads(params.threads)
    listed, prompts = read_csv(words, WORDS), read_csv(contexts, CONTEXTS)
    if not has_planted_contrast(prompts, listed, params.factors):
        raise StimuliError(
            f"{words}: no column {PLANTED_CONTRAST!r}, or contexts without cells: no truth."
        )
    scores = {
        "bayes": bayes_scores(grammar_from_json(read_json(grammar)), prompts, listed),
        "lm": lm_scores(params, lm_folder, prompts, listed),
    }
    table = word_table(params, scores, prompts, listed)
    write_table(by_word, table, params.plain() | {"step": "factorial truth"})
    moves = pd.concat([read_table(path) for path in planted], ignore_index=True)
    latents = about_latents(params, read_table(family), moves)
    rows = [*_carried(params, scores, prompts, listed), *latents]
    write_csv(answers, TRUTH.frame(row._asdict() for row in rows), TRUTH)


def lm_scores(
    params: TruthStep, lm_folder: Path | None, prompts: Frame, words: Frame
) -> Float[np.ndarray, "prompts words"]:
    """Log-probabilities of the words by the LM as it is."""
    model, tokenizer = load_lm(params.lm, lm_folder)
    texts, listed = prompts["prompt"].tolist(), words["word"].tolist()
    plan = plan_words(tokenizer, texts, listed, params.add_bos)
    require_scorable(model, tokenizer, plan, texts, listed)
    return score_words(model, plan, params.batch_contexts)


def bayes_scores(
    grammar: Grammar, prompts: Frame, words: Frame
) -> Float[np.ndarray, "prompts words"]:
    """Log-probabilities by the ideal observer, who knows the grammar and infers the state.

    No model of the text can carry more of the planted contrast than it does: the state is never
    certain.
    """
    ids = [grammar.word_ids[word] for word in words["word"]]
    rows = [predictive(grammar, word_ids_of(grammar, text))[-1, ids] for text in prompts["prompt"]]
    return np.log(np.stack(rows))


def word_table(
    params: TruthStep, scores: dict[str, np.ndarray], prompts: Frame, words: Frame
) -> pd.DataFrame:
    """One row per word and observer: its contrast over items, with its interval, beside the planted."""
    tables = []
    for observer, found in scores.items():
        contrasts = word_contrasts(among_words(found), prompts, params.factors)
        test = one_sample_t(contrasts, 1 - params.alpha)
        numbers = {"value": test.estimate, "low": test.low, "high": test.high}
        tables.append(
            words.rename(columns={PLANTED_CONTRAST: "planted"}).assign(
                observer=observer, unit="nats", n=len(contrasts), **numbers
            )
        )
    return pd.concat(tables, ignore_index=True)


def _carried(
    params: TruthStep, scores: dict[str, np.ndarray], prompts: Frame, words: Frame
) -> Iterator[Answer]:
    """Does an observer's own prediction hold the planted contrast, and how much of it?"""
    planted = float(words[PLANTED_CONTRAST].abs().mean())
    yield Answer("planted", "grammar", planted, NONE, NONE, NONE, "nats", len(words), "")
    means: dict[str, float] = {}
    for observer in OBSERVERS:
        values = planted_contrast(scores[observer], prompts, words, params.factors)
        test = one_sample_t(values[:, None], 1 - params.alpha)
        value, low, high, p = (float(x[0]) for x in (test.estimate, test.low, test.high, test.p))
        means[observer] = value
        answer = "carries it" if low > 0 else "does not carry it"
        yield Answer("carried", observer, value, low, high, p, "nats", len(values), answer)
    share = means["lm"] / means["bayes"] if means["bayes"] else NONE
    yield Answer(
        "share_of_bayes", "lm", share, NONE, NONE, NONE, unit_of("share_of_bayes"), len(prompts), ""
    )

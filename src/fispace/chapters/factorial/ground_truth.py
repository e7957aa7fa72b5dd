"""`factorial ground-truth`: what became of the planted contrast in the LM, in its latents and under clamps.

For batteries of the testbed, where the answer is known. Must not: train, choose a latent, or repeat a
test of `factorial infer`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from fispace.chapters.factorial.conditions import DIRECTIONS
from fispace.chapters.factorial.design import Frame
from fispace.chapters.factorial.hypothesis_inputs import MULTIPLY
from fispace.chapters.factorial.hypothesis_tests import KEPT, PLANTED_SLOPE
from fispace.chapters.factorial.planted_contrast import (
    among_words,
    has_planted_contrast,
    planted_contrast,
    word_contrasts,
)
from fispace.chapters.factorial.stimuli import PLANTED_CONTRAST
from fispace.chapters.factorial.tables import CONTEXTS, TRUTH, UNDECLARED, WORDS
from fispace.devices import CPU, prepare
from fispace.errors import StimuliError
from fispace.lm.load import load_lm
from fispace.lm.score import plan_words, require_scorable, score_words
from fispace.seeds import numpy_stream
from fispace.stats.two_by_two import one_sample_t, sign_flip_test, sign_flips
from fispace.store.files import read_json
from fispace.store.metric_registry import unit_of
from fispace.store.tables import read_csv, read_table, write_csv, write_table
from fispace.study.config.factorial import GroundTruthStep
from fispace.study.step import Reads, ReadsFolder, Writes, command
from fispace.testbed.bayes import predictive, word_ids_of
from fispace.testbed.grammar import Grammar, grammar_from_json

OBSERVERS = ("bayes", "lm")

NONE = float("nan")
LARGEST = np.log(np.finfo(np.float64).max)

LATENT = ["kind", "seed", "rank"]


class TruthFinding(NamedTuple):
    """One row of `truth.csv`: a question about the planted contrast, and the answer."""

    question: str
    """`planted`, `carried`, `share_of_bayes`, `share_of_movement`, `over_direction` or
    `share_over_direction`; or a declared family's response."""
    subject: str
    """`grammar`, `bayes` (the ideal observer), `lm`, or a kind of latents or controls."""
    value: float
    low: float
    high: float
    p: float
    unit: str
    n: int
    answer: str


@command("factorial", "ground-truth", sections=("extract",))
def compare_truth(
    params: GroundTruthStep, *, lm_folder: ReadsFolder | None, grammar: Reads, words: Reads,
    contexts: Reads, family: Reads, planted: list[Reads], by_word: Writes, answers: Writes,
) -> None:  # fmt: skip
    """Write each word's planted contrast with the LM's and the ideal observer's, and the answers.

    Raises:
        StimuliError: if the battery has no planted contrast.
    """
    device = prepare(params.threads, params.device)
    listed, prompts = read_csv(words, WORDS), read_csv(contexts, CONTEXTS)
    if not has_planted_contrast(prompts, listed, params.factors):
        raise StimuliError(
            f"{words}: no column {PLANTED_CONTRAST!r}, or a context without cells: no planted contrast."
        )
    scores = {
        "bayes": bayes_scores(grammar_from_json(read_json(grammar)), prompts, listed),
        "lm": lm_scores(params, lm_folder, prompts, listed, device),
    }
    table = word_table(params, scores, prompts, listed)
    write_table(by_word, table, params.plain() | {"step": "factorial ground-truth"})
    moves = pd.concat([read_table(path) for path in planted], ignore_index=True)
    latents = about_latents(params, read_table(family), moves)
    rows = [*_carried(params, scores, prompts, listed), *latents]
    write_csv(answers, TRUTH.frame(row._asdict() for row in rows), TRUTH)


def lm_scores(
    params: GroundTruthStep,
    lm_folder: Path | None,
    prompts: Frame,
    words: Frame,
    device: torch.device = CPU,
) -> Float[np.ndarray, "prompts words"]:
    """Log-probabilities of the words in nats, by the LM without an intervention."""
    model, tokenizer = load_lm(params.lm, lm_folder, device)
    texts, listed = prompts["prompt"].tolist(), words["word"].tolist()
    plan = plan_words(tokenizer, texts, listed, params.add_bos)
    require_scorable(model, tokenizer, plan, texts, listed)
    return score_words(model, plan, params.batch_contexts)


def bayes_scores(
    grammar: Grammar, prompts: Frame, words: Frame
) -> Float[np.ndarray, "prompts words"]:
    """Log-probabilities in nats by the ideal observer, which knows the grammar and infers the state.

    The state is never certain, so even these scores carry less than the planted contrast. No model that
    reads only the text can carry more than they do.
    """
    ids = [grammar.word_ids[word] for word in words["word"]]
    rows = [predictive(grammar, word_ids_of(grammar, text))[-1, ids] for text in prompts["prompt"]]
    return np.log(np.stack(rows))


def word_table(
    params: GroundTruthStep, scores: dict[str, np.ndarray], prompts: Frame, words: Frame
) -> pd.DataFrame:
    """One row per word and observer: mean contrast over items, its interval, and the planted contrast."""
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
    params: GroundTruthStep, scores: dict[str, np.ndarray], prompts: Frame, words: Frame
) -> Iterator[TruthFinding]:
    """Whether the predictions of each observer carry the planted contrast, and how much of it."""
    planted = float(words[PLANTED_CONTRAST].abs().mean())
    yield TruthFinding("planted", "grammar", planted, NONE, NONE, NONE, "nats", len(words), "")
    means: dict[str, float] = {}
    for observer in OBSERVERS:
        values = planted_contrast(scores[observer], prompts, words, params.factors)
        test = one_sample_t(values[:, None], 1 - params.alpha)
        value, low, high, p = (float(x[0]) for x in (test.estimate, test.low, test.high, test.p))
        means[observer] = value
        answer = "carries it" if low > 0 else "does not carry it"
        yield TruthFinding("carried", observer, value, low, high, p, "nats", len(values), answer)
    share = means["lm"] / means["bayes"] if means["bayes"] else NONE
    yield TruthFinding(
        "share_of_bayes", "lm", share, NONE, NONE, NONE, unit_of("share_of_bayes"), len(prompts), ""
    )


def about_latents(params: GroundTruthStep, family: Frame, moves: Frame) -> Iterator[TruthFinding]:
    """Answers about latents: which kinds carry the planted contrast, and how their clamps move it.

    `moves` is the change of the planted contrast by item, latent and clamp, all seeds.
    """
    yield from _declared(family)
    own = family[(family["family"] == PLANTED_SLOPE) & (family["excluded"] == KEPT)]
    slopes = own.set_index(LATENT)["value"].abs()
    shares = movement_shares(moves)
    shares = shares[shares.index.isin(slopes.index)]
    for kind, found in shares.groupby("kind", sort=True):
        answer = f"{100 * found.mean():.2g} % of what the clamps do to these words is planted"
        numbers = (found.mean(), found.min(), found.max(), NONE)
        yield TruthFinding(
            "share_of_movement", kind, *numbers, unit_of("share_of_movement"), len(found), answer
        )
    yield from beside_directions(params, "over_direction", slopes)
    yield from beside_directions(params, "share_over_direction", shares)


def _declared(family: Frame) -> Iterator[TruthFinding]:
    """Results of the declared families by kind: how many tests are significant, and the effect sizes.

    `value` is the mean |estimate|, `low` and `high` the smallest and the largest; `p` the smallest
    max-F p.
    """
    declared = family[family["hypothesis"] != UNDECLARED]
    for (response, kind), tests in declared.groupby(["family", "kind"], sort=True):
        kept = tests[tests["excluded"] == KEPT]
        n_found, n_none = (int(kept[c].sum()) for c in ("is_significant_max", "is_equivalent"))
        answer = f"{n_found} of {len(kept)} differ from none (max-F); {n_none} equivalent to none"
        size, unit = kept["value"].abs(), tests["unit"].iloc[0]
        numbers = (size.mean(), size.min(), size.max(), kept["p_max"].min())
        yield TruthFinding(response, kind, *numbers, unit, len(kept), answer)


def movement_shares(moves: Frame) -> Frame:
    """Share of each latent's effect on the response words that lies along the planted pattern, in [0, 1].

    It is the squared movement along the pattern over the whole squared movement, both summed over items
    and multipliers. At 1, the clamps move the planted contrast and nothing else. Latents that move
    nothing are left out.
    """
    own = moves[moves["mode"] == MULTIPLY]
    squares = own[["value", "reach"]].pow(2).groupby([own[name] for name in LATENT]).sum()
    moving = squares[squares["reach"] > 0]
    return moving["value"] / moving["reach"]


def beside_directions(
    params: GroundTruthStep, question: str, sizes: Frame
) -> Iterator[TruthFinding]:
    """Effect sizes of a kind of latent relative to random directions of the same length.

    `sizes` are indexed by kind, seed and rank. Each latent is paired with its own random direction. The
    value is the geometric mean of the quotients, with a t interval over pairs. p comes from sign flips of
    the log quotients: under the null, the latent's direction is one more random direction.
    """
    for kind, control in DIRECTIONS.items():
        quotients = _log_quotients(sizes, kind, control)
        if len(quotients) < 2:
            continue
        test = one_sample_t(quotients, 1 - params.alpha)
        stream = numpy_stream(params.root_seed, "factorial", "ground-truth", question, kind)
        flips = sign_flips(len(quotients), params.n_permutations, stream)
        p = float(sign_flip_test(quotients, flips).p[0])
        value, low, high = (_quotient(x[0]) for x in (test.estimate, test.low, test.high))
        verb = "more than" if p <= params.alpha and value > 1 else "not shown to be more than"
        answer = f"{verb} random directions of the same length"
        yield TruthFinding(
            question, kind, value, low, high, p, unit_of(question), len(quotients), answer
        )


def _quotient(logarithm: float) -> float:
    """Exponential of the logarithm; NaN if it overflows float64, as the end of an interval can."""
    return float(np.exp(logarithm)) if logarithm < LARGEST else NONE


def _log_quotients(sizes: Frame, kind: str, control: str) -> np.ndarray:
    """[pairs 1] log of each latent's size over its direction's size; pairs with a zero are left out."""
    positive = sizes[sizes > 0]
    found, beside = (
        positive[positive.index.get_level_values("kind") == name].droplevel("kind")
        for name in (kind, control)
    )
    both = found.index.intersection(beside.index).sort_values()
    return np.log(found[both].to_numpy() / beside[both].to_numpy())[:, None]

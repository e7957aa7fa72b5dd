"""`factorial generate`: greedy and sampled continuations under clamps, and the response words in them.

Must not: choose a latent, or judge a text by anything but its response words.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.factorial.conditions import (
    DIRECTIONS,
    LINEAR,
    NO_LATENT,
    Condition,
    random_direction,
    replacement,
)
from fispace.chapters.factorial.design import Frame
from fispace.chapters.factorial.encoder_stack import Pipeline, load_pipeline
from fispace.chapters.factorial.tables import (
    CANDIDATES,
    CONTEXTS,
    FIRST_RANK,
    GENERATION_COUNTS,
    WORDS,
)
from fispace.devices import prepare
from fispace.lm.cached import Replacements
from fispace.lm.generate import Choose, continue_texts, greedy, sampler
from fispace.lm.load import load_lm
from fispace.lm.score import plan_words, require_scorable
from fispace.models.interventions import Intervention
from fispace.seeds import numpy_stream
from fispace.store.tables import read_csv, write_csv, write_table
from fispace.study.config.factorial import GenerateStep
from fispace.study.step import Reads, ReadsFolder, Writes, command

log = logging.getLogger(__name__)

UNMOVED = "unmoved"
KINDS = ("candidate", "insensitive", "random", "primary")


@command("factorial", "generate", sections=("extract",))
def generate_texts(
    params: GenerateStep, *, lm_folder: ReadsFolder | None, weights: Reads, standardiser: Reads,
    secondary: Reads, candidates: Reads, words: Reads, contexts: Reads, texts: Writes,
    counts: Writes,
) -> None:  # fmt: skip
    """Write continuations of the first contexts, and how often they contain words of each cell.

    Raises:
        ModelError: if the LM cannot be loaded, has too few positions for a context with its
            continuation, or has no embedding for a token of a context.
        StimuliError: if a response word cannot be scored with the LM's tokenizer.
    """
    device = prepare(params.threads, params.device)
    pipe = load_pipeline(weights, standardiser, secondary, device=device)
    lm = load_lm(params.lm, lm_folder, device)
    listed, prompts = read_csv(words, WORDS), read_csv(contexts, CONTEXTS)
    if params.generation.n_contexts > len(prompts):
        log.warning(
            "factorial.generation.n_contexts=%d, but the battery has %d contexts: all are continued",
            params.generation.n_contexts, len(prompts),
        )  # fmt: skip
    prompts = prompts.head(params.generation.n_contexts)
    found = list(generation_conditions(params, pipe, read_csv(candidates, CANDIDATES)))
    rows = [row for c in found for row in continuations(params, pipe, lm, c, prompts)]
    key = {"arm": pipe.arm, "seed": pipe.seed}
    table = pd.DataFrame(rows).assign(**key)
    recipe = params.plain() | key | {"step": "factorial generate", "lm": params.lm.recorded}
    write_table(texts, table, recipe)
    write_csv(counts, word_counts(table, listed), GENERATION_COUNTS)


def generation_conditions(
    params: GenerateStep, pipe: Pipeline, chosen: Frame
) -> Iterator[tuple[str, float, Condition | None]]:
    """The unmoved pipeline, then every clamp of the first latent of each kind and of the linear part."""
    yield UNMOVED, 1.0, None
    first = chosen[(chosen["rank"] == FIRST_RANK) & chosen["kind"].isin(KINDS)]
    latents = [(row["kind"], row["space"], row["latent"]) for row in first.to_dict("records")]
    latents += [
        (DIRECTIONS[k], DIRECTIONS[k], latent) for k, _, latent in latents if k in DIRECTIONS
    ]
    latents += [(LINEAR, LINEAR, NO_LATENT)]
    for kind, target, latent in latents:
        unit = random_direction(pipe, params.root_seed, kind, FIRST_RANK)
        for clamp in params.generation.clamps:
            change = Intervention(target, latent, "multiply", clamp)
            yield kind, clamp, Condition(kind, FIRST_RANK, latent, "multiply", clamp, change, unit)


def continuations(
    params: GenerateStep, pipe: Pipeline, lm: tuple[Any, Any],
    named: tuple[str, float, Condition | None], prompts: Frame,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """One greedy and one sampled continuation of each context, under one condition."""
    (kind, clamp, condition), (model, tokenizer) = named, lm
    latent = -1 if condition is None else condition.latent
    texts = prompts["prompt"].tolist()
    plan = plan_words(tokenizer, texts, [], params.add_bos)
    require_scorable(model, tokenizer, plan, texts, [])
    replace = Replacements(
        *(
            replacement(pipe, condition, params.add_back_errors, n_prefix)
            for n_prefix in (int(params.add_bos), 0)
        )
    )
    for decoding, choose in _decodings(params, len(plan.prompts)):
        tokens = continue_texts(
            model, params.lm.hook_point, replace, plan.prompts, params.generation.n_tokens, choose
        )
        for place, row in enumerate(tokens):
            yield {
                "kind": kind, "latent": latent, "clamp": clamp, "decoding": decoding,
                "context": place, "item": prompts["item"].iloc[place],
                "text": tokenizer.decode(row),
            }  # fmt: skip


def _decodings(params: GenerateStep, n_prompts: int) -> Iterator[tuple[str, Choose]]:
    """Greedy decoding, and sampling with the same uniform random numbers under every condition."""
    yield "greedy", greedy
    stream = numpy_stream(params.root_seed, "factorial", "generate")
    uniforms = stream.random((n_prompts, params.generation.n_tokens))
    yield "sampled", sampler(uniforms, params.generation.temperature)


def word_counts(texts: Frame, words: Frame) -> pd.DataFrame:
    """Number of response words by condition and cell, and of texts that differ from the unmoved ones.

    Only whole words count; case is ignored.
    """
    factors = WORDS.factors(words)
    keys = ["arm", "seed", "kind", "latent", "clamp", "decoding"]
    place = ["decoding", "context"]
    unmoved = texts[texts["kind"] == UNMOVED].set_index(place)["text"]
    rows: list[dict[str, Any]] = []
    for key, own in texts.groupby(keys, sort=False):
        same = unmoved.loc[list(own[place].itertuples(index=False, name=None))].to_numpy()
        head = dict(zip(keys, key, strict=True)) | {
            "n_texts": len(own), "n_changed": int(np.sum(own["text"].to_numpy() != same)),
        }  # fmt: skip
        for cell, listed in words.groupby(factors, sort=False):
            count = sum(_occurrences(text, listed["word"].tolist()) for text in own["text"])
            rows.append(head | dict(zip(factors, cell, strict=True)) | {"count": count})
    return GENERATION_COUNTS.frame(rows, factors)


def _occurrences(text: str, words: Sequence[str]) -> int:
    pattern = "|".join(re.escape(word) for word in words)
    return len(re.findall(rf"\b(?:{pattern})\b", text, flags=re.IGNORECASE))

"""`factorial battery`: validated stimuli, their select/confirm split, response words and contexts.

Must not: import torch, or look at an activation.
"""

import logging
from typing import Any

import pandas as pd

from fispace.chapters.factorial.design import CONFIRM, split_items
from fispace.chapters.factorial.stimuli import (
    read_battery,
    read_prompts,
    read_words,
    validated_words,
)
from fispace.chapters.factorial.tables import CONTEXTS, ITEMS, WORDS
from fispace.errors import StimuliError
from fispace.store.files import read_json
from fispace.store.tables import write_csv
from fispace.study.config.factorial import BatteryStep
from fispace.study.step import Reads, Writes, command

log = logging.getLogger(__name__)

GRAMMAR_SUFFIX = ".json"


@command("factorial", "battery")
def write_battery(
    params: BatteryStep, *, stimuli: Reads, responses: Reads, prompts: Reads | None, item_table: Writes,
    words: Writes, contexts: Writes,
) -> None:  # fmt: skip
    """Write the validated battery: items with their half, response words, and contexts to clamp in.

    `responses` is a CSV, or the testbed's grammar.json with its list `planted`. The contexts are the
    neutral prompts, if there are any, followed by the texts of the confirm items. Each neutral prompt
    is an item of its own and belongs to no cell.

    Raises:
        StimuliError: if a file breaks a rule of its schema; names file, row and rule.
    """
    battery = read_battery(stimuli, params.factors, params.variant)
    table: Any = split_items(battery, params.select_fraction, params.root_seed)
    write_csv(item_table, table, ITEMS)
    if responses.suffix == GRAMMAR_SUFFIX:
        planted = pd.DataFrame(read_json(responses)["planted"])
        write_csv(words, validated_words(responses, planted, params.factors), WORDS)
    else:
        write_csv(words, read_words(responses, params.factors), WORDS)
    confirm = clamped_texts(table, params.clamp_items)
    neutral = [read_prompts(prompts)] if prompts else []
    names = [factor.name for factor in params.factors]
    write_csv(contexts, contexts_of(confirm, neutral, names), CONTEXTS)


def clamped_texts(table: Any, n_items: int | None) -> Any:
    """Rows of the first `n_items` confirm items in alphabetical order; of all confirm items if None."""
    confirm = table[table["half"] == CONFIRM]
    names = sorted(set(confirm["item"]))
    if n_items is not None and n_items > len(names):
        log.warning(
            "factorial.clamp_items=%d, but the confirm half has %d items: all of them are used",
            n_items,
            len(names),
        )
    return confirm[confirm["item"].isin(names[:n_items])]


def contexts_of(texts: Any, neutral: list[pd.DataFrame], names: list[str]) -> pd.DataFrame:
    """Contexts in which latents are clamped: columns item, one per factor, prompt.

    Raises:
        StimuliError: if an item of the battery has the same name as a neutral prompt.
    """
    for prompts in neutral:
        both = sorted(set(prompts["item"]) & set(texts["item"]))
        if both:
            raise StimuliError(
                f"The battery's item {both[0]!r} has the same name as a neutral prompt; rename the item."
            )
    found = pd.concat([*neutral, texts.rename(columns={"text": "prompt"})], ignore_index=True)
    return found[["item", *names, "prompt"]]

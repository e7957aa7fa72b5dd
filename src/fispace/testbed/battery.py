"""The testbed's factorial battery: every frame is realised in all four cells of register x affect.

The cells of an item differ only in words whose class depends on a factor. Must not: write files.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from fispace.errors import StimuliError
from fispace.seeds import numpy_stream
from fispace.study.config.testbed import BatteryConfig
from fispace.testbed.grammar import END_CLASS, FACTORS, START_NODE, Grammar
from fispace.testbed.states import NAMED_LEVELS
from fispace.testbed.syntax import CLASSES

MAX_REDRAWS = 100
"""Number of attempts at one item before the lexicon is declared too small."""

COLUMNS = ("item", "frame", *FACTORS, "text")


@dataclass(frozen=True)
class _Slot:
    """One word position of a frame: its class, and the sentence's number and polarity."""

    word_class: int
    number: int
    polarity: int


def draw_battery(grammar: Grammar, config: BatteryConfig, root_seed: int) -> pd.DataFrame:
    """One row per item and cell: item, frame, register, affect, text; sorted by item and cell.

    A frame is a topic and a sequence of classes drawn from the grammar. Where a class depends on a
    factor, the frame's text shows the class in braces, and one word is drawn for each combination of
    the factors that matter. All other words are the same in all four cells.

    Raises:
        StimuliError: if the lexicon is too small for distinct texts.
    """
    seen: set[str] = set()
    rows: list[dict[str, object]] = []
    for item in range(config.n_items):
        rng = numpy_stream(root_seed, "testbed", "battery", item)
        frame, texts = _draw_item(grammar, config.n_sentences, rng, seen)
        seen.update(texts.values())
        for (register, affect), text in texts.items():
            rows.append(
                {
                    "item": f"item-{item:03d}",
                    "frame": frame,
                    "register": NAMED_LEVELS["register"][register],
                    "affect": NAMED_LEVELS["affect"][affect],
                    "text": text,
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _draw_item(
    grammar: Grammar, n_sentences: int, rng: np.random.Generator, seen: set[str]
) -> tuple[str, dict[tuple[int, int], str]]:
    for _ in range(MAX_REDRAWS):
        topic = int(rng.integers(grammar.config.n_topics))
        slots = [slot for _ in range(n_sentences) for slot in _draw_skeleton(grammar, rng)]
        places = [_draw_place(grammar, slot, topic, rng) for slot in slots]
        cells = list(product(range(2), range(2)))
        texts = {cell: " ".join(place[cell] for place in places) for cell in cells}
        if len(set(texts.values()) - seen) == len(cells):
            return _frame_text(grammar, slots, places), texts
    raise StimuliError(
        f"testbed.battery: no new item in {MAX_REDRAWS} draws; lower n_items or enlarge the lexicon."
    )


def _draw_skeleton(grammar: Grammar, rng: np.random.Generator) -> list[_Slot]:
    number, polarity = (int(level) for level in rng.integers(2, size=2))
    state = grammar.space.index(register=0, affect=0, topic=0, number=number, polarity=polarity)
    slots, node = [], START_NODE
    while node != END_CLASS:
        node = int(rng.choice(len(CLASSES), p=grammar.transition[node, :, state]))
        slots.append(_Slot(node, number, polarity))
    return slots


def _draw_place(
    grammar: Grammar, slot: _Slot, topic: int, rng: np.random.Generator
) -> dict[tuple[int, int], str]:
    governed = [factor in grammar.governors(slot.word_class) for factor in FACTORS]
    own = np.flatnonzero(grammar.word_classes == slot.word_class)
    drawn: dict[tuple[int, ...], str] = {}
    place: dict[tuple[int, int], str] = {}
    for cell in product(range(2), range(2)):
        key = tuple(level for level, governs in zip(cell, governed, strict=True) if governs)
        if key not in drawn:
            state = grammar.space.index(
                register=cell[0],
                affect=cell[1],
                topic=topic,
                number=slot.number,
                polarity=slot.polarity,
            )
            drawn[key] = grammar.texts[int(rng.choice(own, p=grammar.emission[own, state]))]
        place[cell] = drawn[key]
    return place


def _frame_text(
    grammar: Grammar, slots: list[_Slot], places: list[dict[tuple[int, int], str]]
) -> str:
    words = []
    for slot, place in zip(slots, places, strict=True):
        governed = set(FACTORS) & set(grammar.governors(slot.word_class))
        words.append(f"{{{CLASSES[slot.word_class]}}}" if governed else place[0, 0])
    return " ".join(words)

"""Words of explanations: cells, numbers, lines and files as a reader sees them.

Must not: look anything up.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fispace.report.explained_derivations import REPETITIONS
from fispace.report.explained_rows import FoundRow
from fispace.store.origins import is_missing

MOST_SHOWN = 8
"""Values of a list; beyond, their number is said."""


def lines_text(rows: Sequence[FoundRow]) -> str:
    """Seeds and lines of rows: `seeds 0-4, lines 12-16`."""
    said = [seeds_text(rows), _ranges("line", [row.line for row in rows])]
    return ", ".join(filter(None, said))


def seeds_text(rows: Sequence[FoundRow]) -> str:
    """Seeds or worlds of rows: `seeds 0-4`; empty where they have none."""
    said: list[str] = []
    for name in REPETITIONS:
        numbers = [row.cells[name] for row in rows if _is_number(row.cells.get(name))]
        if numbers:
            said.append(_ranges(name, [int(number) for number in numbers]))
    return ", ".join(said)


def _ranges(word: str, numbers: Iterable[int]) -> str:
    """Numbers with runs as `first-last`."""
    ordered = sorted(set(numbers))
    starts = [number for number in ordered if number - 1 not in ordered]
    ends = [number for number in ordered if number + 1 not in ordered]
    shown = [
        str(one) if one == other else f"{one}-{other}"
        for one, other in zip(starts, ends, strict=True)
    ]
    return f"{word}{'s' if len(ordered) > 1 else ''} {listed(shown)}"


def braced(names: Iterable[str]) -> str:
    """Names, with those that differ in one number as one: `seed{0-4}.parquet`."""
    groups: dict[str, list[int | None]] = {}
    for name in dict.fromkeys(names):
        stem, number = _numbered(name)
        groups.setdefault(stem, []).append(number)
    shown: list[str] = []
    for stem, numbers in groups.items():
        known = [number for number in numbers if number is not None]
        ranged = _ranges("", known).split(" ", 1)[1] if known else ""
        shown.append(stem.replace("#", f"{{{ranged}}}" if len(known) > 1 else ranged))
    return ", ".join(shown)


def _numbered(name: str) -> tuple[str, int | None]:
    """The name with `#` for the first number of its last part, and the number."""
    folder, slash, last = name.rpartition("/")
    start = next((i for i, character in enumerate(last) if character.isdecimal()), None)
    if start is None or "#" in name:
        return name, None
    end = next((i for i in range(start, len(last)) if not last[i].isdecimal()), len(last))
    return f"{folder}{slash}{last[:start]}#{last[end:]}", int(last[start:end])


def cell_text(value: Any) -> str:
    """A cell for reading: six digits of a number, alternatives with a bar between."""
    if isinstance(value, tuple):
        return "|".join(cell_text(one) for one in value)
    if isinstance(value, np.ndarray):
        return f"{len(value)} numbers"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not is_missing(value) and value >= 0


def listed(values: Iterable[str]) -> str:
    """The first values, and how many more there are."""
    shown = list(values)
    more = f" and {len(shown) - MOST_SHOWN} more" if len(shown) > MOST_SHOWN else ""
    return ", ".join(shown[:MOST_SHOWN]) + more

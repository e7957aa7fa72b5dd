"""Files of the pages' data: scripts that a page loads when it needs them, also from disk.

A page that was opened from disk may not read files, but may load scripts; each file is therefore a call of
a function of the page with a JSON value. Must not: know what a value means.
"""

import math
from pathlib import Path
from typing import Any

from fispace.html.render import script_json
from fispace.store.files import write_text

FOLDER = "data"
RECEIVER = "fispaceData"
"""Function of the page that takes the name and the value of a file."""
DIGITS = 3
"""Significant digits of the numbers that pages show."""


def write_shard_file(folder: Path, name: str, value: Any) -> None:
    """Write one value; equal values give equal bytes."""
    text = f"{RECEIVER}({script_json(name)},{script_json(value)});\n"
    write_text(folder / FOLDER / f"{name}.js", text)


def divided(n_values: int, n_files: int) -> int:
    """Number of values in each file but the last.

    All files are written, also those that no value falls into, so their number depends on parameters alone.
    """
    return max(1, math.ceil(n_values / n_files))


def short(value: float) -> float | int | None:
    """The number with few digits; None if it is not finite, whole numbers without a point."""
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded

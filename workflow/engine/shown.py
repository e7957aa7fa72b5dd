"""Models and texts as pages name them: without the folders of this machine.

Must not: look whether a file exists, since the same study would then give other pages elsewhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEXT_FILES = (".txt", ".jsonl", ".parquet")


def shown_place(name: str) -> str:
    """The last part of a path; any other name, such as one on a hub, as it is."""
    is_path = name.startswith(("/", ".", "~")) or Path(name).suffix in TEXT_FILES
    return Path(name).name if is_path else name


def shown_text(text: Mapping[str, Any] | None) -> str:
    """A text source; empty for none."""
    if text is None:
        return ""
    return "the corpus of the testbed" if text["path"] is None else shown_place(text["path"])

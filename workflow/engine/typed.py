"""Names and paths given as `--config KEY=VALUE`, as they were typed.

Snakemake reads every such value as a number or as YAML: 2024_11 arrives as 202411, and `a #1.txt` as a.
Must not: change another value.
"""

from collections.abc import Mapping, Sequence
from typing import Any

TEXTS = ("run", "overlay", "model", "text", "transfer")
"""Values that are names or paths; overlays may be a list in brackets."""


def as_typed(config: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
    """The values of the command line, names and paths as texts; `arguments` are its KEY=VALUE."""
    typed = dict(argument.split("=", 1) for argument in arguments)
    texts = {key: typed[key] for key in TEXTS if typed.get(key)}
    if isinstance(config.get("overlay"), list) and texts.get("overlay", "").startswith("["):
        del texts["overlay"]
    return {key: texts.get(key, value) for key, value in config.items()}

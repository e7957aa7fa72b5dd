"""One file of every kind that every rule writes, and what can befall it.

Must not: judge.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from damage import flip, truncate
from workflow.conftest import Folder

Kinds = dict[tuple[str, str], list[Path]]
"""Files by command and suffix; those of one kind lie in order."""
Touched = list[tuple[str, Path]]


ALTERATIONS: dict[str, Callable[[Path], None]] = {
    "flipped": flip, "truncated": truncate, "deleted": Path.unlink,
}  # fmt: skip


def one_of_each_kind(folder: Folder) -> Kinds:
    """Every result file, by the command that wrote it and its suffix."""
    kinds: Kinds = {}
    for record in sorted((folder.path / "results").rglob(".provenance/*.json")):
        content = json.loads(record.read_text())
        for name in sorted(content["outputs"]):
            path = record.parent.parent / name
            kinds.setdefault((content["command"], path.suffix), []).append(path)
    return kinds


def altered(kinds: Kinds, way: str) -> Touched:
    """The first file of every kind, altered."""
    touched = [(rule, paths[0]) for (rule, _), paths in kinds.items()]
    for _, path in touched:
        ALTERATIONS[way](path)
    return touched


def swapped(kinds: Kinds) -> Touched:
    """Two files of every kind that has two of different content, each under the other's name."""
    touched: Touched = []
    for (rule, _), paths in kinds.items():
        one, two = paths[0], paths[-1]
        content = one.read_bytes(), two.read_bytes()
        if content[0] != content[1]:
            two.write_bytes(content[0])
            one.write_bytes(content[1])
            touched += [(rule, one), (rule, two)]
    return touched


def named_in(said: str, finding: str, command: str, path: Path) -> bool:
    """Whether `verify` names the file, and at its end the rule that makes it."""
    line = re.search(rf"^{finding} +{re.escape(str(path))}: .*`{command}`", said, re.MULTILINE)
    rule = re.sub(r"\W", "_", command)
    return line is not None and rule in said.strip().splitlines()[-1]

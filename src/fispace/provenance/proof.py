"""Which files of a run today's commands would write in the same way, as records and hashes prove.

A run that was copied from another machine has no other proof. Must not: change a file, or know how the
commands of a study are found.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fispace.errors import ArtifactError
from fispace.provenance.code_digest import code_digest
from fispace.provenance.recording import (
    bare_name,
    inputs_by_option,
    inputs_of,
    names_of,
    options_of,
)
from fispace.provenance.records import (
    Record,
    is_result,
    name_in,
    places_named_in,
    records_above,
    same_params,
)
from fispace.store.files import sha256_of
from fispace.study.commands import Command

Why = str | None
"""Why a file is not proven; None if it is."""


@dataclass(frozen=True)
class Call:
    """One call of a command, as the study makes it today, and the files that it writes."""

    command: Command
    values: Mapping[str, Any]
    outputs: tuple[Path, ...]


class Proof:
    """Compares result files with the calls of today's study. Each file is hashed once."""

    def __init__(self, calls: Iterable[Call]) -> None:
        """Compare with these calls."""
        self._call_of = {path: call for call in calls for path in call.outputs}
        self._judged: dict[Path, Why] = {}
        self._hashes: dict[Path, str] = {}
        self.not_compared: set[str] = set()
        """Files of the user, such as a model or a text, that records name and that are missing here."""

    def why_not(self, path: Path) -> Why:
        """Why it is not proven that today's call would write this file; None if it is."""
        if path not in self._judged:
            self._judged[path] = self._judge(path)
        return self._judged[path]

    def _judge(self, path: Path) -> Why:
        if path not in self._call_of:
            return "no rule of this study makes it"
        call = self._call_of[path]
        try:
            records = [each for each in records_above(path) if name_in(each, path) in each.outputs]
        except ArtifactError as error:
            return str(error)
        if not records:
            return "no command recorded it"
        for record in records:
            if record.outputs[name_in(record, path)] == self._hash(path):
                return self._other_call(record, call) or self._other_inputs(record, call)
        return f"its bytes are not those that `{records[0].command}` wrote"

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:
            self._hashes[path] = sha256_of(path)
        return self._hashes[path]

    def _other_call(self, record: Record, call: Call) -> Why:
        name, params = call.command.name, call.values.get("params")
        if record.command != name:
            return f"`{record.command}` wrote it, today `{name}` does"
        if record.code != code_digest(call.command.module):
            return f"the code of `{name}` has changed"
        if not same_params(record.params, None if params is None else params.plain()):
            return f"`{name}` had other parameters"
        options = json.loads(json.dumps(options_of(call.command, call.values)))
        if record.options != options:
            return f"`{name}` was called with other options"
        return None

    def _other_inputs(self, record: Record, call: Call) -> Why:
        hashes = {path: self._hash(path) for path in inputs_of(call.command, call.values)}
        names = names_of(hashes, record.base)
        for option, files in inputs_by_option(call.command, call.values).items():
            own = {path: names.pop(path) for path in files if path in names and not is_result(path)}
            names |= _names_by_content(record, option, own, hashes)
        for path in sorted(hashes):
            name = names.get(path)
            if name not in record.inputs:
                return f"it was not made from {path}"
            if is_result(path) and (why := self.why_not(path)):
                return f"it was made from {path}, and {why}"
            if record.inputs[name] != hashes[path]:
                return f"it was made from a different {path}"
        further = set(record.inputs) - set(names.values())
        params = call.values.get("params")
        given = places_named_in(params.plain()) if params is not None else []
        if further and all(path.exists() for path in given):
            return f"it was made from {min(further)} as well"
        self.not_compared |= further
        return None


def _names_by_content(
    record: Record, option: str, own: Mapping[Path, str], hashes: Mapping[Path, str]
) -> dict[Path, str]:
    """The names in the record of the user's files that an option names, which may lie elsewhere today.

    A file is the recorded one if its bytes are, and it has the same role: the same option, and of several
    files, such as those of a model folder, the same file name. Nothing else is known of where a file lies.
    """
    recorded = record.files.get(option, []) if record.files else list(own.values())
    is_alone = len(own) == len(recorded) == 1
    found: dict[Path, str] = {}
    for path, name in own.items():
        same = [
            other
            for other in recorded
            if record.inputs.get(other) == hashes[path]
            and (bare_name(other) == path.name or (is_alone and Path(other).suffix == path.suffix))
        ]
        if same:
            found[path] = name if name in same else same[0]
        elif name in recorded:
            found[path] = name
    return found

"""The shell line of a rule, from the arguments that its step declares.

    params:
        **call_of("fidelity", "arm", seed=SEEDS),
    shell:
        CALL

Every word is quoted here, and no text of the user is formatted. Must not: know a rule.
"""

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from snakemake.io import apply_wildcards

from engine.given import digests_of
from fispace.provenance.code_digest import code_digest
from fispace.provenance.records import files_named_in
from fispace.study.commands import Command, find_command
from fispace.study.declarations import Option, OptionKind
from fispace.study.params import Study, slice_of

CALL = "exec 2> {log:q}; set -x; {params.call} {params.files}"
"""The log begins with the command."""

Params = dict[str, Callable[..., str] | list[str] | str]


def call_of(study: Study, chapter: str, verb: str, **given: Any) -> Params:
    """Params of a command's rule, from which `CALL` makes the shell line.

    `call` holds the parameters and all values, `given` the digests of the files that the parameters
    name, and `code` the digest of the code; a change of any of them makes the job run again. `files`
    holds the files, which Snakemake compares itself, and options that no result depends on.

    A file is the rule's input or output with the option's name. A value is given here, directly or as a
    function of the wildcards, or is the wildcard with its name. A scratch folder is given as a path with
    wildcards; a rule of several calls gives one for each.

    Raises:
        TypeError: if the command has no option of a given name.
    """
    command = find_command(chapter, verb)
    named = command.names_of(OptionKind.VALUE, OptionKind.UNRECORDED, OptionKind.SCRATCH)
    if unknown := set(given) - set(named):
        raise TypeError(f"{command.name} has no value {', '.join(sorted(unknown))}.")
    head, sliced = ["python", "-m", "fispace", chapter, verb], slice_of(study, command)
    if command.config_path is not None:
        head += ["--params", json.dumps(sliced)]  # the study is sorted

    def call(wildcards: Any) -> str:
        words = (
            _words(each, _value(each, given, wildcards)) for each in _of(command, OptionKind.VALUE)
        )
        return shlex.join([*head, *(word for some in words for word in some)])

    def files(wildcards: Any, input: Any, output: Any) -> str:
        words = [_words(each, _paths(each, input)) for each in _of(command, OptionKind.READS)]
        for each in _of(command, OptionKind.SCRATCH):
            words.append(
                _words(each, [apply_wildcards(p, wildcards) for p in _list(given[each.name])])
            )
        words += [_words(each, given[each.name]) for each in _of(command, OptionKind.UNRECORDED)]
        words += [_words(each, _paths(each, output)) for each in _of(command, OptionKind.WRITES)]
        return shlex.join(word for some in words for word in some)

    named = digests_of(files_named_in(sliced), study["run"])
    return {"call": call, "files": files, "given": named, "code": code_digest(command.module)}


def _of(command: Command, kind: OptionKind) -> list[Option]:
    return [option for option in command.options if option.kind is kind]


def _value(option: Option, given: Mapping[str, Any], wildcards: Any) -> Any:
    value = given[option.name] if option.name in given else wildcards[option.name]
    return value(wildcards) if callable(value) else value


def _paths(option: Option, files: Any) -> list[str]:
    """The rule's files with the option's name; for a folder, the folder that holds them."""
    found = _list(files.get(option.name))
    if option.is_folder and found:
        folders = [set(map(str, Path(path).parents)) for path in found]
        return [max(set.intersection(*folders), key=len)]
    return found


def _words(option: Option, value: Any) -> list[str]:
    """The option as typed on a command line; empty if it is optional and has no value."""
    values = [_text(item) for item in _list(value)]
    return [option.flag, *values] if values or not option.is_optional else []


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, Mapping) else str(value)

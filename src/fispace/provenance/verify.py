"""`fispace verify RUN`: are the files of a run whole, and made from today's inputs, code and parameters?

Must not: change or compute anything, or import torch.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fispace.errors import ArtifactError, ParamsError
from fispace.provenance.code_digest import code_digest
from fispace.provenance.records import (
    DEVICE,
    FOLDER,
    RESULTS,
    Record,
    read_record,
    versions,
    without_places,
)
from fispace.store.files import parse_json, read_json, sha256_of
from fispace.study.commands import Command, all_commands, find_command
from fispace.study.config.arms import arms_of, imports_of
from fispace.study.config.lm import TESTBED
from fispace.study.params import OVERLAY, Study, load_study, slice_of, uses_testbed
from fispace.study.step import tool

log = logging.getLogger(__name__)

LOGS = Path("logs")
RUN_FILE = "run.json"
"""Below logs/<run>/: when and by which commit the run was made, and what it promises."""
MISSING, CHANGED, STALE, UNKNOWN = "missing", "changed", "stale", "unknown"
SHOWN_FILES = 8


class Finding(NamedTuple):
    """One file that is missing, changed, stale or unknown."""

    kind: str
    path: Path
    why: str
    rule: str | None


@tool("verify")
def verify_run(run: str, /, *, overlay: Path | None) -> None:
    """Check that the files of a run are whole, and made from today's inputs, code and parameters.

    Every hash is computed again. changed: the bytes differ from those that its command wrote. stale: it
    was made from other inputs, code or parameters than today's. missing: promised or recorded, but not
    there. unknown: no command recorded it.
    `--overlay` is the parameter file that the run was made with, if it is not the one noted for the run.

    Raises:
        ArtifactError: if anything is found, or the run holds no results; every finding is logged.
    """
    folder = run_folder(run)
    noted = noted_by_workflow(run)
    study = study_of(run, noted.get("config", {}), overlay)
    records, damaged = read_records(folder)
    findings = [*damaged, *findings_of_files(folder, records, study)]
    planned = [Path(name) for name in noted.get("promised", [])]
    findings += missing_by_plan(folder, records, study, planned)
    for finding in sorted(findings):
        log.info("%-8s %s: %s", finding.kind, finding.path, finding.why)
    _note_versions(records)
    n_files = sum(len(record.outputs) for record in records)
    if findings:
        raise ArtifactError(_advice(findings, n_files, folder, overlay))
    log.info("%s: %d files of %d commands are as they were made.", folder, n_files, len(records))


def run_folder(run: str) -> Path:
    """Folder of a run's results.

    Raises:
        ParamsError: if the name is not a plain folder name, or there is no such run.
    """
    folder = RESULTS / run
    if not run or Path(run).name != run or run.startswith(".") or not folder.is_dir():
        known = sorted(path.name for path in RESULTS.glob("*/") if path.name != "reference")
        raise ParamsError(
            f"verify {run!r}: there is no such run below {RESULTS}/; there are: "
            f"{', '.join(known) or 'none, run the workflow first'}."
        )
    return folder


def noted_by_workflow(run: str) -> dict[str, Any]:
    """What the workflow noted when it last ran here; empty if there is no note, or a damaged one."""
    path = LOGS / run / RUN_FILE
    if not path.is_file():
        return {}
    try:
        content: Any = read_json(path)
    except ArtifactError:
        content = None
    if not _is_note(content):
        log.info("%s is damaged: the files that the workflow promised are not compared.", path)
        return {}
    return content


def _is_note(content: Any) -> bool:
    """Whether the parts of a note that are read here have the right form."""
    if not isinstance(content, dict) or not isinstance(content.get("config", {}), dict):
        return False
    promised = content.get("promised", [])
    return isinstance(promised, list) and all(isinstance(name, str) for name in promised)


def study_of(run: str, given: dict[str, Any], overlay: Path | None) -> Study | None:
    """The study as the run would be made today; None if no parameter file has this run.

    `given` are the values of the command line that the run was made with.

    Raises:
        ParamsError: if `overlay` is given and is not a parameter file.
    """
    if overlay is not None:
        tries = [given | {OVERLAY: str(overlay)}]
    else:
        others = {key: value for key, value in given.items() if key != OVERLAY}
        files = sorted(Path("params").glob("*.yaml"))
        tries = [given, others, *(others | {OVERLAY: str(path)} for path in files)]
    for tried in tries:
        try:
            study = load_study(Path(), overrides=tried)
        except ParamsError:
            if overlay is not None:
                raise
            continue
        if study["run"] == run:
            return study
    log.info("no parameter file has the run %s: parameters are not compared.", run)
    return None


def read_records(folder: Path) -> tuple[list[Record], list[Finding]]:
    """All records of a run, and a finding for each unreadable one."""
    records: list[Record] = []
    damaged: list[Finding] = []
    for path in sorted(folder.rglob(f"{FOLDER}/*.json")):
        try:
            records.append(read_record(path))
        except ArtifactError as error:
            damaged.append(Finding(CHANGED, path, str(error), None))
    return records, damaged


def findings_of_files(
    folder: Path, records: list[Record], study: Study | None
) -> Iterator[Finding]:
    """Findings about the recorded files, and about files that no record names."""
    made = {record.base / name: sha for record in records for name, sha in record.outputs.items()}
    for record in records:
        why = stale_because(record, made, study)
        for name, expected in sorted(record.outputs.items()):
            path = record.base / name
            if not path.is_file():
                yield Finding(MISSING, path, f"`{record.command}` wrote it", record.rule)
            elif sha256_of(path) != expected:
                said = f"its bytes are not those that `{record.command}` wrote"
                yield Finding(CHANGED, path, said, record.rule)
            elif why:
                yield Finding(STALE, path, why, record.rule)
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path not in made:
            yield Finding(UNKNOWN, path, "no command recorded it", None)


def stale_because(record: Record, made: dict[Path, str], study: Study | None) -> str | None:
    """Why a record does not describe what its command would do today; None if it does."""
    try:
        command = find_command(*record.command.split(" "))
    except (KeyError, TypeError):
        return f"there is no longer a command `{record.command}`"
    if record.code != code_digest(command.module):
        return f"the code of `{record.command}` has changed"
    for name, sha in sorted(record.inputs.items()):
        now = _hash_now(record.base / name, made)
        if now is not None and now != sha:
            return f"made from a different {name}"
    return _other_params(record, study) if study is not None else None


def _hash_now(path: Path, made: dict[Path, str]) -> str | None:
    """Hash of an input: as its own command recorded it, else of the file as it is, if it is there."""
    plain = Path(*_resolved_parts(path))
    if plain in made:
        return made[plain]
    return sha256_of(plain) if plain.is_file() else None


def _resolved_parts(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return parts


def _other_params(record: Record, study: Study) -> str | None:
    command = find_command(*record.command.split(" "))
    today = without_places(slice_of(study, command)) if command.config is not None else None
    for key in sorted(set(today or {}) | set(record.params or {})):
        old, new = (record.params or {}).get(key), (today or {}).get(key)
        if old != new:
            return f"{key} was {_brief(old)}, is {_brief(new)} today"
    return _other_row(record.options, arms_of(study["train"], "full"))


def _other_row(options: Mapping[str, Any], arms: Mapping[str, Any]) -> str | None:
    arm = str(options.get("arm"))
    today = arms.get(arm)
    matched = arms.get(today["matched_to"]) if today and today.get("matched_to") else None
    for option, row in (("row", today), ("matched_row", matched)):
        if option in options and not _says(options[option], row):
            return f"train.arms.{arm} has changed"
    return None


def _says(text: Any, value: Any) -> bool:
    """Whether a recorded option is this value as JSON; False for a damaged option."""
    try:
        return parse_json(text) == value
    except (TypeError, ValueError):
        return False


def _brief(value: Any) -> str:
    return f"{json.dumps(value):.60}"


def missing_by_plan(
    folder: Path, records: list[Record], study: Study | None, planned: Iterable[Path]
) -> Iterator[Finding]:
    """Promised files that are missing and not recorded, and commands without any record."""
    known = {record.base / name for record in records for name in record.outputs}
    absent = [path for path in planned if path not in known and not path.is_file()]
    for path in absent:
        yield Finding(MISSING, path, "the workflow promises it", None)
    done = {record.command for record in records}
    for command in all_commands():
        if command.name not in done and not absent and _is_due(command, study):
            place = folder / command.chapter
            yield Finding(MISSING, place, f"no result of `{command.name}` is here", command.rule)


TUNING_COMMANDS = ("train try", "train tune", "train tabulate-tuning")
OF_SOME_STUDIES: dict[str, Callable[[Study], bool]] = {
    "factorial ground-truth": lambda study: study["factorial"]["battery"] == TESTBED,
    "train candidate": lambda study: len(study["train"]["lr_candidates"]) > 1,
    "train import": lambda study: bool(imports_of(study["train"])),
    **dict.fromkeys(TUNING_COMMANDS, lambda study: study["train"]["tuned"]),
}
"""Commands that only some studies need, and whether a study is one of them."""


def _is_due(command: Command, study: Study | None) -> bool:
    """Whether a run of the study must have the command; some belong only to some studies or `full`."""
    if command.target == "full":
        return False
    if command.chapter == "testbed":
        return study is not None and uses_testbed(study)
    if command.name not in OF_SOME_STUDIES:
        return True
    return study is not None and OF_SOME_STUDIES[command.name](study)


def _note_versions(records: list[Record]) -> None:
    now = versions()
    seen = {(name, old) for record in records for name, old in record.versions.items()}
    for name, old in sorted(seen):
        if name != DEVICE and now.get(name) != old:
            log.info("note: made with %s %s, here is %s.", name, old, now.get(name, "none"))
    devices = Counter(record.versions[DEVICE] for record in records if DEVICE in record.versions)
    if len(devices) > 1:
        each = ", ".join(f"{number} on {name}" for name, number in sorted(devices.items()))
        log.info(
            "note: the commands did not run on one device: %s. Their numbers agree within rounding, not "
            "to the byte; set device, delete the results of one of them and run again to have one.",
            each,
        )


def _advice(findings: list[Finding], n_files: int, folder: Path, overlay: Path | None) -> str:
    counts = {kind: 0 for kind in (CHANGED, STALE, MISSING, UNKNOWN)}
    for finding in findings:
        counts[finding.kind] += 1
    found = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    files = [str(finding.path) for finding in findings]
    named = " ".join(files) if len(files) <= SHOWN_FILES else "FILES"
    rules = sorted({finding.rule for finding in findings if finding.rule})
    rerun = f"snakemake --cores all{f' --config overlay={overlay}' if overlay else ''}"
    return (
        f"{folder}: of {n_files} files {found}, as listed above"
        f"{f'; rules concerned: {chr(44).join(rules)}' if rules else ''}. Delete the files that are "
        f"changed, stale or unknown, then run `{rerun} {named}`; all others are kept."
    )

"""Keeps Snakemake's records and DVC's results in step, so that nothing stale is ever published.

Snakemake sees a change of parameters or code only through its records in `.snakemake/metadata`.
A result that DVC put there (pull, checkout) has none, or that of another version: it is *foreign*.

    python workflow/sync.py                  after dvc pull or checkout: adopt what is current
    python workflow/sync.py STAGE TARGET...  what dvc.yaml runs: sync, then build a stage's targets

Must not: judge by itself whether a result is current; DVC (deps, params) and Snakemake do. Only
where DVC sees nothing but another `src/fispace`, the digests in the results' own records decide, as
they do for Snakemake: a comment makes nothing stale.
"""

import base64
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the package as it stands here
from fispace.errors import ArtifactError
from fispace.provenance.code_digest import code_digest
from fispace.provenance.records import FOLDER, Record, read_record
from fispace.study.commands import all_commands

IN_SYNC = "FISPACE_IN_SYNC"
"""Set for the Snakemake calls below: they are the cure, the guard would stop them."""

SOURCE = "src/fispace"
RECORDS = Path(".snakemake")
EVERYTHING = "full"  # the target that makes all that any rule makes
CLOCK_SLACK_SECONDS = 1.0  # a record keeps its output's own mtime; file systems round it
RECORD_NAME_CHARS = 254  # Snakemake splits longer names into folders

Stages = dict[str, Any]


def files_below(folders: Iterable[Path]) -> Iterator[Path]:
    """Result files of the folders, sorted; hidden ones (unfinished writes) left out."""
    for folder in folders:
        paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
        yield from (p for p in paths if not any(part.startswith(".") for part in p.parts))


def foreign_files(folders: Iterable[Path]) -> list[Path]:
    """Files that no finished or running job of this working folder wrote as they are now."""
    return [path for path in files_below(folders) if is_foreign(path)]


def foreign_message(run: str) -> str | None:
    """Why Snakemake must not start on the run's results, or None if it may."""
    found = [] if IN_SYNC in os.environ else foreign_files([Path("results", run)])
    if not found:
        return None
    return (
        f"{len(found)} result files, e.g. {found[0]}, were not written by this workflow in this "
        "folder (dvc pull, dvc checkout, a copy?), so it cannot tell whether they are current. "
        f"Run `python workflow/sync.py`, or delete results/{run} to compute everything again."
    )


def is_foreign(path: Path) -> bool:
    """Whether no finished or running job of this working folder wrote the file as it is now."""
    if record_of("incomplete", path).exists():
        return False  # a job is writing it, or was killed: Snakemake makes it again
    try:
        ended = json.loads(record_of("metadata", path).read_text(encoding="utf-8"))["endtime"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return True
    return abs(path.stat().st_mtime - ended) > CLOCK_SLACK_SECONDS


def record_of(kind: str, path: Path) -> Path:
    """Where Snakemake keeps what it knows about an output."""
    name = base64.urlsafe_b64encode(path.as_posix().encode()).decode()
    pieces = [name[i : i + RECORD_NAME_CHARS] for i in range(0, len(name), RECORD_NAME_CHARS)]
    return RECORDS.joinpath(kind, *(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


def read_stages() -> Stages:
    """The stages of dvc.yaml."""
    return yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]


def out_folders(stage: dict[str, Any]) -> list[Path]:
    """Folders that a stage promises."""
    outs = [*stage.get("outs", []), *stage.get("metrics", [])]
    return [Path(next(iter(out)) if isinstance(out, dict) else out) for out in outs]


def upstream(name: str, stages: Stages) -> set[str]:
    """Stages that a stage reads from, directly or not."""
    found: set[str] = set()
    for other, stage in stages.items():
        if set(map(str, out_folders(stage))) & set(stages[name].get("deps", [])):
            found |= {other} | upstream(other, stages)
    return found


def stale_stages(names: Iterable[str], stages: Stages) -> set[str]:
    """Those of the stages that DVC finds changed, with everything downstream of them.

    Only the named ones are looked at: while DVC runs a stage, that one is locked.
    """
    asked = sorted(names)
    if not asked:
        return set()
    command = [sys.executable, "-m", "dvc", "status", "--json", *asked]
    status = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    reasons = json.loads(status or "{}")
    changed = {name for name in reasons if not _only_comments(reasons[name], stages[name])}
    return {name for name in stages if ({name} | upstream(name, stages)) & changed}


def _only_comments(reasons: list[Any], stage: dict[str, Any]) -> bool:
    """Whether DVC holds only the source folder for changed, and no code behind the stage is."""
    if reasons != [{"changed deps": {SOURCE: "modified"}}]:
        return False
    records = list(records_below(out_folders(stage)))
    today = {command.name: command.module for command in all_commands()}
    known = [record for record in records if record.command in today]
    same = all(record.code == code_digest(today[record.command]) for record in known)
    return same and len(known) == len(records) > 0


def records_below(folders: Iterable[Path]) -> Iterator[Record]:
    """Records of the commands that wrote the folders; damaged ones are left out."""
    for folder in folders:
        for path in sorted(folder.rglob(f"{FOLDER}/*.json")):
            with contextlib.suppress(ArtifactError):
                yield read_record(path)


def settle(
    names: Collection[str], stale: set[str], stages: Stages, targets: Sequence[str] = ()
) -> dict[Path, bool]:
    """Record what DVC holds current as made now; delete the foreign files of stale stages.

    What is deleted is still in DVC's cache. Returns the promised files of the targets, after.
    """
    current = [name for name in names if name not in stale]
    for path in foreign_files(folders_of(set(names) & stale, stages)):
        path.unlink()
    adopt(foreign_files(folders_of(current, stages)))
    promised = promised_files(*targets)
    folders = folders_of(current, stages)
    # same bytes as in another version, with that version's record: DVC vouches for them as well
    outdated = [p for p, done in promised.items() if not done and _lies_in(p, folders)]
    if not outdated:
        return promised
    adopt(path for path in outdated if path.exists())
    return promised_files(*targets)


def folders_of(names: Iterable[str], stages: Stages) -> list[Path]:
    """Result folders of the stages."""
    return [folder for name in sorted(names) for folder in out_folders(stages[name])]


def _lies_in(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def adopt(paths: Iterable[Path]) -> None:
    """Have Snakemake record the files as made now, with today's parameters and code."""
    targets = [str(path) for path in paths]
    if targets:
        snakemake(
            "--touch", "--force", "--cores", "1", "--nolock", "--quiet", "all", "--", *targets
        )


def promised_files(*targets: str) -> dict[Path, bool]:
    """Every file that the targets need or are, and whether it is there and current."""
    listed = snakemake(*targets, "--detailed-summary", "--nolock", capture=True)
    head, *rows = [line.split("\t") for line in listed.splitlines()]
    found = [dict(zip(head, row, strict=True)) for row in rows]
    return {Path(row["output_file"]): row["plan"] == "no update" for row in found}


def delete_orphans(names: Iterable[str], promised: Iterable[Path], stages: Stages) -> None:
    """Delete the stages' result files that no rule makes any more, as of a removed seed.

    What only the target `full` makes is no orphan.
    """
    wanted = set(promised)
    orphans = [path for path in files_below(folders_of(names, stages)) if path not in wanted]
    if orphans:
        wanted |= set(promised_files(EVERYTHING))
    for path in orphans:
        if path not in wanted:
            sys.stderr.write(f"deleted {path}: no rule makes it\n")
            path.unlink()
    for record in records_below(folders_of(names, stages)):
        if not any((record.base / name).exists() for name in record.outputs):
            record.path.unlink()


def snakemake(*arguments: str, capture: bool = False) -> str:
    """Run Snakemake past the guard; returns its standard output if captured."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        check=True, text=True, env={**os.environ, IN_SYNC: "1"},
        stdout=subprocess.PIPE if capture else None,
    )  # fmt: skip
    return done.stdout or ""


def sync_all() -> None:
    """After a pull or checkout: what DVC vouches for is recorded, the rest deleted."""
    stages = read_stages()
    stale = stale_stages(stages, stages)
    if stale:
        sys.stderr.write(f"out of date, to be computed again: {', '.join(sorted(stale))}\n")
    promised = settle(stages, stale, stages)
    delete_orphans(set(stages) - stale, promised, stages)


def sync_stage(name: str, targets: list[str]) -> None:
    """Build one stage's targets; its inputs are adopted as far as DVC finds them current."""
    stages = read_stages()
    inputs = upstream(name, stages)
    stale = stale_stages(inputs, stages) | {name}
    promised = settle(inputs | {name}, stale, stages, targets)
    delete_orphans([name], promised, stages)
    if not all(promised.values()):
        snakemake(*targets)


def main(arguments: list[str]) -> int:
    """Run one of the two forms; returns the exit code."""
    try:
        if arguments:
            sync_stage(arguments[0], arguments[1:])
        else:
            sync_all()
    except subprocess.CalledProcessError as error:
        return error.returncode  # the tool that failed has said why
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

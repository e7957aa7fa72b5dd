"""Accepts results that were pulled, checked out or copied here, if their records prove them.

    python workflow/sync.py                            the default run
    python workflow/sync.py --config overlay=FILE ...  another study: the values it was made with
    python workflow/sync.py STAGE TARGET...            what dvc.yaml runs: sync, then build the targets

A result is accepted if its record says that today's command wrote it, with today's code, parameters
and inputs, and if every hash is right. Snakemake then takes it as current and does not make it again.
Without STAGE, a result that is not proven stays where it is, and the reason is printed; --discard deletes
it, and the next `snakemake` makes it again. With STAGE it is deleted, since DVC's cache has a copy.
Must not: accept a result that another clone would compute differently.
"""

import argparse
import contextlib
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the package as it stands here
from engine.foreign import files_below, foreign_files, is_foreign
from engine.plan import EVERYTHING, Job, planned_jobs, promised_files, snakemake
from fispace.errors import ArtifactError
from fispace.provenance.proof import Proof
from fispace.provenance.records import FOLDER, Record, read_record

SHOWN_FILES = 20
UNPROVEN = "not accepted"


def accept_proven(
    paths: Collection[Path], targets: Sequence[str], options: Sequence[str]
) -> dict[Path, str]:
    """Have Snakemake take the proven files as current; returns the others, with the reason.

    Snakemake records whole jobs, so a file is accepted with all files of its job or not at all.
    """
    jobs = list(planned_jobs(*targets, options=options))
    proof = Proof(call for job in jobs for call in job.calls)
    reasons = {path: proof.why_not(path) for path in paths}
    for job in (job for job in jobs if not reasons.keys().isdisjoint(job.outputs)):
        beside = {path: _why_not(path, proof) for path in job.outputs}
        spoilt = [f"{path} of the same job: {why}" for path, why in beside.items() if why]
        for path in reasons.keys() & set(job.outputs):
            reasons[path] = reasons[path] or (spoilt[0] if spoilt else None)
    _refuse_what_waits_for_refused(reasons, jobs)
    adopt([path for path, why in reasons.items() if why is None], options)
    if proof.not_compared:
        names = ", ".join(sorted(proof.not_compared))
        sys.stderr.write(f"not compared, because they are not here: {names}\n")
    return {path: why for path, why in reasons.items() if why is not None}


def _refuse_what_waits_for_refused(reasons: dict[Path, str | None], jobs: Sequence[Job]) -> None:
    """A file whose rule waits for a refused file is refused too.

    Snakemake would otherwise take the refused file as current together with the accepted one.
    """
    is_changed = True
    while is_changed:
        is_changed = False
        for job in jobs:
            late = [path for path in job.inputs if reasons.get(path)]
            open_ = [path for path in job.outputs if late and reasons.get(path, "") is None]
            for path in open_:
                reasons[path] = f"its rule waits for {late[0]}: {reasons[late[0]]}"
            is_changed = is_changed or bool(open_)


def _causes_first(refused: Mapping[Path, str]) -> list[tuple[Path, str]]:
    """Files with their reasons; last those whose reason is another of these files."""

    def follows(path: Path) -> bool:
        return any(str(other) in refused[path] for other in refused if other != path)

    return sorted(refused.items(), key=lambda item: follows(item[0]))


def _why_not(path: Path, proof: Proof) -> str | None:
    return proof.why_not(path) if path.exists() else "it is missing"


def adopt(paths: Sequence[Path], options: Sequence[str]) -> None:
    """Have Snakemake record the files as made with today's parameters and code."""
    if paths:
        touch = ("--touch", "--force", "--cores", "1", "--nolock", "--quiet", "all")
        snakemake(*touch, *options, "--", *map(str, paths))


def outdated(promised: dict[Path, bool]) -> list[Path]:
    """Files that exist but are not current by Snakemake's own records."""
    return [path for path, is_current in promised.items() if not is_current and path.exists()]


def sync_all(options: Sequence[str], *, discard: bool) -> int:
    """Accept the proven files of a run; returns the exit code."""
    promised = promised_files(EVERYTHING, options=options)
    folder = Path(*next(iter(promised)).parts[:2])  # results/<run>
    foreign = foreign_files([folder])
    asked = sorted({*foreign, *outdated(promised)})
    refused = accept_proven(asked, [EVERYTHING], options) if asked else {}
    left = {path: why for path, why in refused.items() if path in foreign}
    sys.stderr.write(f"{folder}: accepted {len(asked) - len(refused)} files.\n")
    for path, why in _causes_first(left)[:SHOWN_FILES]:
        sys.stderr.write(f"{UNPROVEN} {path}: {why}\n")
    if len(left) > SHOWN_FILES:
        sys.stderr.write(f"{UNPROVEN}: {len(left) - SHOWN_FILES} more files.\n")
    if not left:
        return 0
    if discard:
        delete(left)
        delete_records_of_nothing(folder)
        sys.stderr.write(
            f"deleted {len(left)} files that nothing proves; `snakemake` makes them.\n"
        )
        return 0
    sys.stderr.write(
        f"error: {len(left)} files of {folder} are not proven and stay where they are. Run the same "
        "with --discard to delete them, then `snakemake` makes them again.\n"
    )
    return 1


def sync_stage(name: str, targets: Sequence[str], options: Sequence[str]) -> None:
    """Build one stage's targets; proven files of this stage and of earlier ones are kept."""
    promised = promised_files(*targets, options=options)
    folder = Path(*next(iter(promised)).parts[:2], name)  # results/<run>/<stage>
    foreign = {path for path in promised if path.exists() and is_foreign(path)}
    asked = sorted(foreign | set(outdated(promised)))
    if asked:
        refused = accept_proven(asked, targets, options)
        delete(path for path in refused if path in foreign)
        promised = promised_files(*targets, options=options)
    delete_orphans(folder, promised, options)
    if not all(promised.values()):
        snakemake(*targets, *options)


def delete(paths: Iterable[Path]) -> None:
    """Delete the files."""
    for path in paths:
        path.unlink()


def delete_orphans(folder: Path, promised: Iterable[Path], options: Sequence[str]) -> None:
    """Delete a stage's result files that no rule makes, such as those of a removed seed.

    Files that only the target `full` makes are kept.
    """
    wanted = set(promised)
    orphans = [path for path in files_below([folder]) if path not in wanted]
    if orphans:
        wanted |= set(promised_files(EVERYTHING, options=options))
    for path in orphans:
        if path not in wanted:
            sys.stderr.write(f"deleted {path}: no rule makes it\n")
            path.unlink()
    delete_records_of_nothing(folder)


def delete_records_of_nothing(folder: Path) -> None:
    """Delete the records whose files are all gone."""
    for record in records_below(folder):
        if not any((record.base / name).exists() for name in record.outputs):
            record.path.unlink()


def records_below(folder: Path) -> Iterator[Record]:
    """Records of the commands that wrote below the folder, without damaged ones."""
    for path in sorted(folder.rglob(f"{FOLDER}/*.json")):
        with contextlib.suppress(ArtifactError):
            yield read_record(path)


def main(arguments: list[str] | None = None) -> int:
    """Run one of the forms; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", nargs="?", metavar="STAGE", help="a stage of dvc.yaml")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="its targets of Snakemake")
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="as for snakemake"
    )
    parser.add_argument("--discard", action="store_true", help="delete what is not proven")
    given = parser.parse_args(arguments)
    options = ["--config", *given.config] if given.config else []
    try:
        if given.stage is None:
            return sync_all(options, discard=given.discard)
        sync_stage(given.stage, given.targets, options)
    except subprocess.CalledProcessError as error:
        return error.returncode  # the tool that failed has said why
    return 0


if __name__ == "__main__":
    sys.exit(main())

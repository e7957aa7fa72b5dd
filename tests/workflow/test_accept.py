"""Whole jobs are accepted or none of their files; a stage deletes what is not proven, and only that."""

from pathlib import Path
from typing import ClassVar

import pytest

import sync
from engine.plan import Job
from fispace.provenance.proof import Call
from fispace.study.commands import find_command

OUT = [Path(f"results/testbed/train/{name}") for name in "abc"]
COMMAND = find_command("train", "arm")


class Proof:
    """Stands in for the proof: what `refused` names is not proven."""

    refused: ClassVar[dict[Path, str]] = {}
    not_compared: ClassVar[set[str]] = set()

    def __init__(self, calls) -> None:
        assert list(calls)

    def why_not(self, path: Path) -> str | None:
        return self.refused.get(path)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder with three results, two of one job; Snakemake's calls are noted and not made."""
    monkeypatch.chdir(tmp_path)
    for path in OUT:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    called: list[tuple[str, ...]] = []
    jobs = [Job((), (OUT[0], OUT[1]), (Call(COMMAND, {}, (OUT[0], OUT[1])),)),
            Job((), (OUT[2],), (Call(COMMAND, {}, (OUT[2],)),))]  # fmt: skip
    monkeypatch.setattr(sync, "planned_jobs", lambda *_, **__: jobs)
    monkeypatch.setattr(sync, "promised_files", lambda *_, **__: dict.fromkeys(OUT, True))
    monkeypatch.setattr(sync, "snakemake", lambda *words, **_: called.append(words))
    monkeypatch.setattr(sync, "Proof", Proof)
    monkeypatch.setattr(Proof, "refused", {})
    return called


def touched(called: list[tuple[str, ...]]) -> list[str]:
    """The files that Snakemake was told to hold for current."""
    return [
        name for words in called if "--touch" in words for name in words[words.index("--") + 1 :]
    ]


def test_a_proven_run_is_accepted_whole(world, capsys):
    assert sync.main([]) == 0
    assert touched(world) == list(map(str, OUT))
    assert "accepted 3 files" in capsys.readouterr().err


def test_a_file_whose_job_wrote_another_that_is_not_proven_is_not_accepted(world, capsys):
    Proof.refused = {OUT[1]: "it is damaged"}
    assert sync.main([]) == 1
    assert touched(world) == [str(OUT[2])]
    said = capsys.readouterr().err
    assert f"{OUT[1]}: it is damaged" in said
    assert f"{OUT[0]}: {OUT[1]} of the same job: it is damaged" in said
    assert all(path.exists() for path in OUT)


def test_a_proven_file_whose_rule_waits_for_a_file_that_is_not_proven_is_not_accepted(
    world, capsys, monkeypatch
):
    """A page waits for figures that it only links to; with it, Snakemake would take these as current."""
    page = Job((OUT[1],), (OUT[2],), (Call(COMMAND, {}, (OUT[2],)),))
    figure = Job((), (OUT[0], OUT[1]), (Call(COMMAND, {}, (OUT[0], OUT[1])),))
    monkeypatch.setattr(sync, "planned_jobs", lambda *_, **__: [page, figure])
    Proof.refused = {OUT[1]: "it had other parameters"}
    assert sync.main([]) == 1
    assert touched(world) == []
    waits = f"{OUT[2]}: its rule waits for {OUT[1]}: it had other parameters"
    assert waits in capsys.readouterr().err


@pytest.mark.usefixtures("world")
def test_the_causes_are_named_first_and_what_follows_from_them_is_counted(capsys, monkeypatch):
    monkeypatch.setattr(sync, "SHOWN_FILES", 1)
    made_from = f"it was made from {OUT[2]}, and its bytes are not those that were written"
    Proof.refused = {OUT[0]: made_from, OUT[1]: made_from, OUT[2]: "its bytes are not those"}
    assert sync.main([]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith(sync.UNPROVEN)]
    assert said == [f"{sync.UNPROVEN} {OUT[2]}: its bytes are not those",
                    f"{sync.UNPROVEN}: 2 more files."]  # fmt: skip


def test_a_file_whose_job_misses_another_is_not_accepted(world):
    OUT[1].unlink()
    assert sync.main([]) == 1
    assert touched(world) == [str(OUT[2])]


@pytest.mark.usefixtures("world")
def test_what_is_not_proven_is_deleted_on_demand_alone():
    Proof.refused = {OUT[2]: "it is damaged"}
    assert sync.main(["--discard"]) == 0
    assert [path.exists() for path in OUT] == [True, True, False]


def test_a_stage_deletes_what_is_not_proven_and_builds_its_targets(world, monkeypatch):
    Proof.refused = {OUT[2]: "it is damaged"}
    monkeypatch.setattr(
        sync, "promised_files", lambda *_, **__: {path: path.exists() for path in OUT}
    )
    assert sync.main(["train", "train", "--config", "overlay=a b.yaml"]) == 0
    assert [path.exists() for path in OUT] == [True, True, False]
    assert touched(world) == list(map(str, OUT[:2]))
    assert world[-1] == ("train", "--config", "overlay=a b.yaml")


@pytest.mark.usefixtures("world")
def test_a_stage_deletes_files_that_no_rule_makes(capsys):
    orphan = OUT[0].with_name("of_a_removed_seed")
    orphan.write_text("")
    assert sync.main(["train", "train"]) == 0
    assert not orphan.exists() and all(path.exists() for path in OUT)
    assert f"deleted {orphan}" in capsys.readouterr().err

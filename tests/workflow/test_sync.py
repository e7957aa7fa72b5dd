import importlib
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def loaded(name: str):
    """A module of workflow/, as the Snakefile imports it."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"workflow/{name}.py")
    assert spec is not None and spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sync = loaded("sync")
bring_to_now = loaded("file_times").bring_to_now

FILE = Path("results/testbed/train/a.json")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A result with Snakemake's record of it, in an otherwise empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(sync.IN_SYNC, raising=False)
    FILE.parent.mkdir(parents=True)
    FILE.write_text("{}")
    record = sync.record_of("metadata", FILE)
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"endtime": FILE.stat().st_mtime}))
    return FILE


def test_a_result_with_its_record_is_not_foreign(made):
    assert sync.foreign_files([made.parent]) == []
    assert sync.foreign_message("testbed") is None


@pytest.mark.parametrize("shift", [-10, 10])
def test_a_result_replaced_after_its_record_is_foreign(made, shift):
    ended = made.stat().st_mtime
    os.utime(made, (ended + shift, ended + shift))
    assert sync.foreign_files([made.parent]) == [made]
    assert "workflow/sync.py" in sync.foreign_message("testbed")
    assert sync.foreign_message("tiny") is None


def test_a_result_without_or_with_a_damaged_record_is_foreign(made):
    sync.record_of("metadata", made).write_text('{"endt')
    assert sync.foreign_files([made.parent]) == [made]
    sync.record_of("metadata", made).unlink()
    assert sync.foreign_files([made.parent]) == [made]


def test_the_output_of_a_running_or_killed_job_is_snakemakes_business(made):
    sync.record_of("metadata", made).unlink()
    marker = sync.record_of("incomplete", made)
    marker.parent.mkdir(parents=True)
    marker.write_text("{}")
    assert sync.foreign_files([made.parent]) == []


def at(path: Path, when: float) -> None:
    os.utime(path, (when, when))


def test_a_result_from_the_future_gets_the_present_time_with_its_record(made, capsys):
    later = time.time() + 3600
    at(made, later)
    record = sync.record_of("metadata", made)
    record.write_text(json.dumps({"starttime": later - 5, "endtime": later, "rule": "x"}))
    bring_to_now("testbed")
    content = json.loads(record.read_text())
    assert abs(made.stat().st_mtime - time.time()) < 60
    assert content["starttime"] <= content["endtime"] and content["rule"] == "x"
    assert sync.foreign_files([made.parent]) == []
    assert "from the future" in capsys.readouterr().err


def test_a_foreign_result_from_the_future_stays_foreign(made):
    later = time.time() + 3600
    at(made, later)
    bring_to_now("testbed")
    assert made.stat().st_mtime == pytest.approx(later)
    assert sync.foreign_files([made.parent]) == [made]


def test_what_rules_read_beside_results_gets_the_present_time_and_the_past_stays(made):
    claims, old = Path("workflow/claims.yaml"), made.stat().st_mtime
    claims.parent.mkdir()
    claims.write_text("")
    at(claims, time.time() + 3600)
    bring_to_now("testbed")
    assert claims.stat().st_mtime < time.time() + 60
    assert made.stat().st_mtime == old


def test_unfinished_writes_are_no_results(made):
    (made.parent / ".partial-x.json").write_text("")
    assert list(sync.files_below([made.parent])) == [made]


def test_long_names_have_their_record_where_snakemake_keeps_it(tmp_path, monkeypatch):
    from snakemake.persistence.file import FilePersistence

    monkeypatch.chdir(tmp_path)
    store = object.__new__(FilePersistence)
    store._max_len = os.pathconf(tmp_path, "PC_NAME_MAX")
    for path in (FILE, FILE.parent / ("x" * 200), Path("results") / ("y" * 180) / ("x" * 200)):
        expected = store._record_path(".snakemake/metadata", path.as_posix())
        assert sync.record_of("metadata", path) == Path(expected)


@pytest.fixture
def stage(tmp_path, monkeypatch) -> dict:
    """A stage whose result was made by today's code."""
    monkeypatch.chdir(tmp_path)
    record = {"command": "train choose-lr", "params": {}, "options": {}, "inputs": {}, "versions": {},
              "outputs": {"lr.json": "0"}, "streams": [],
              "code": sync.code_digest("fispace.chapters.train.lr")}  # fmt: skip
    path = Path("results/testbed/train/.provenance/lr.json.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    return {"outs": [{"results/testbed/train": {"persist": True}}]}


SOURCE_ONLY = [{"changed deps": {"src/fispace": "modified"}}]


def test_another_comment_makes_no_stage_stale(stage):
    assert sync._only_comments(SOURCE_ONLY, stage)


@pytest.mark.parametrize(
    "reasons",
    [
        [{"changed deps": {"src/fispace": "modified", "workflow": "modified"}}],
        [*SOURCE_ONLY, {"changed deps": {"params.yaml": {"train.k": "modified"}}}],
        [*SOURCE_ONLY, {"changed outs": {"results/testbed/train": "modified"}}],
        [{"changed deps": {"src/fispace": "deleted"}}],
        ["changed command"],
    ],
)
def test_any_other_reason_that_dvc_has_counts(stage, reasons):
    assert not sync._only_comments(reasons, stage)


@pytest.mark.parametrize("key", ["code", "command"])
def test_other_code_or_an_unknown_command_makes_a_stage_stale(stage, key):
    path = Path("results/testbed/train/.provenance/lr.json.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: "other"}))
    assert not sync._only_comments(SOURCE_ONLY, stage)
    path.unlink()
    assert not sync._only_comments(SOURCE_ONLY, stage)


def test_stages_are_ordered_by_what_they_read():
    stages = {
        "a": {"outs": [{"out/a": {"persist": True}}]},
        "b": {"deps": ["src", "out/a"], "outs": ["out/b"]},
        "c": {"deps": ["out/b"], "metrics": ["out/c"]},
        "d": {"outs": ["out/d"]},
    }
    assert sync.upstream("c", stages) == {"a", "b"}
    assert sync.upstream("a", stages) == set()
    assert sync.out_folders(stages["c"]) == [Path("out/c")]


def test_another_studys_reference_lies_in_its_own_folder_and_leaves_the_readme(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(ROOT / "workflow")
    monkeypatch.setitem(sys.modules, "sync", sync)
    reference = importlib.import_module("reference")
    monkeypatch.chdir(tmp_path)
    table = Path("results/mine/report/claims.csv")
    table.parent.mkdir(parents=True)
    table.write_text("id\n")
    Path("README.md").write_text("untouched")
    asked = []

    def promised(*options: str) -> dict[Path, bool]:
        asked.append(options)
        return {table: True}

    monkeypatch.setattr(sync, "promised_files", promised)
    options = ("--config", "overlay=mine.yaml")
    assert reference.main([*options]) == 0
    assert asked == [options, ("full", *options)]
    assert Path("results/reference/mine/report/claims.csv").read_text() == "id\n"
    assert Path("README.md").read_text() == "untouched"
    assert "copied 1 files" in capsys.readouterr().err

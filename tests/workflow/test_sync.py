import json
import os
import time
from pathlib import Path

import pytest

import reference
from engine import foreign
from engine.foreign import bring_to_now

FILE = Path("results/testbed/train/a.json")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A result with Snakemake's record of it, in an otherwise empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(foreign.IN_SYNC, raising=False)
    FILE.parent.mkdir(parents=True)
    FILE.write_text("{}")
    record = foreign.record_of("metadata", FILE)
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"endtime": FILE.stat().st_mtime}))
    return FILE


def test_a_result_with_its_record_is_not_foreign(made):
    assert foreign.foreign_files([made.parent]) == []
    assert foreign.foreign_message("testbed", {}) is None


@pytest.mark.parametrize("shift", [-10, 10])
def test_a_result_replaced_after_its_record_is_foreign(made, shift):
    ended = made.stat().st_mtime
    os.utime(made, (ended + shift, ended + shift))
    assert foreign.foreign_files([made.parent]) == [made]
    assert "workflow/sync.py" in foreign.foreign_message("testbed", {})
    assert foreign.foreign_message("tiny", {}) is None


def test_a_result_without_or_with_a_damaged_record_is_foreign(made):
    foreign.record_of("metadata", made).write_text('{"endt')
    assert foreign.foreign_files([made.parent]) == [made]
    foreign.record_of("metadata", made).unlink()
    assert foreign.foreign_files([made.parent]) == [made]


def test_the_output_of_a_running_or_killed_job_is_snakemakes_business(made):
    foreign.record_of("metadata", made).unlink()
    marker = foreign.record_of("incomplete", made)
    marker.parent.mkdir(parents=True)
    marker.write_text("{}")
    assert foreign.foreign_files([made.parent]) == []


def at(path: Path, when: float) -> None:
    os.utime(path, (when, when))


def test_a_result_from_the_future_gets_the_present_time_with_its_record(made, capsys):
    later = time.time() + 3600
    at(made, later)
    record = foreign.record_of("metadata", made)
    record.write_text(json.dumps({"starttime": later - 5, "endtime": later, "rule": "x"}))
    bring_to_now("testbed")
    content = json.loads(record.read_text())
    assert abs(made.stat().st_mtime - time.time()) < 60
    assert content["starttime"] <= content["endtime"] and content["rule"] == "x"
    assert foreign.foreign_files([made.parent]) == []
    assert "from the future" in capsys.readouterr().err


def test_a_foreign_result_from_the_future_stays_foreign(made):
    later = time.time() + 3600
    at(made, later)
    bring_to_now("testbed")
    assert made.stat().st_mtime == pytest.approx(later)
    assert foreign.foreign_files([made.parent]) == [made]


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
    assert list(foreign.files_below([made.parent])) == [made]


def test_long_names_have_their_record_where_snakemake_keeps_it(tmp_path, monkeypatch):
    from snakemake.persistence.file import FilePersistence

    monkeypatch.chdir(tmp_path)
    store = object.__new__(FilePersistence)
    store._max_len = os.pathconf(tmp_path, "PC_NAME_MAX")
    for path in (FILE, FILE.parent / ("x" * 200), Path("results") / ("y" * 180) / ("x" * 200)):
        expected = store._record_path(".snakemake/metadata", path.as_posix())
        assert foreign.record_of("metadata", path) == Path(expected)


def test_another_studys_reference_lies_in_its_own_folder_and_leaves_the_readme(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    table = Path("results/mine/report/claims.csv")
    table.parent.mkdir(parents=True)
    table.write_text("id\n")
    Path("README.md").write_text("untouched")
    asked = []

    def promised(*targets: str, options: list[str]) -> dict[Path, bool]:
        asked.append((*targets, *options))
        return {table: True}

    monkeypatch.setattr(reference.plan, "promised_files", promised)
    options = ("--config", "overlay=mine.yaml")
    assert reference.main([*options]) == 0
    assert asked == [options, ("full", *options)]
    assert Path("results/reference/mine/report/claims.csv").read_text() == "id\n"
    assert Path("README.md").read_text() == "untouched"
    assert "copied 1 files" in capsys.readouterr().err

"""The reference follows from its own tables: what the commands give for them now is what is committed."""

import importlib
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
STUDIES = [("testbed", "all"), ("testbed", "full"), ("stories260k", "all"), ("stories260k", "full")]


@pytest.fixture
def rejudge(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "workflow")
    monkeypatch.chdir(ROOT)
    return importlib.import_module("rejudge")


@pytest.mark.parametrize(("study", "target"), STUDIES)
def test_the_committed_ledger_is_what_its_tables_give(
    rejudge: ModuleType, study: str, target: str, tmp_path: Path
) -> None:
    rejudge.rejudge(rejudge.REFERENCE / study, target, tmp_path)
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(made) == 5  # quantities, ledger, its figure's numbers, gates, page
    for path in made:
        committed = ROOT / path.relative_to(tmp_path)
        assert path.read_bytes() == committed.read_bytes(), f"{committed}: run `make rejudge`"


def test_a_check_names_what_would_change_and_changes_nothing(
    rejudge: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def two_pages(out: Path) -> None:
        for name, text in (("same.md", "kept"), ("other.md", "new")):
            (out / name).write_text(text)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rejudge, "rejudge_all", two_pages)
    Path("same.md").write_text("kept")
    Path("other.md").write_text("old")
    assert rejudge.main(["--check"]) == 1
    assert (
        "1 of 2 files have the committed bytes; would change:\n  other.md"
        in capsys.readouterr().err
    )
    assert Path("other.md").read_text() == "old"
    assert rejudge.main([]) == 0
    assert Path("other.md").read_text() == "new"
    assert rejudge.main(["--check"]) == 0


def test_a_missing_table_is_one_paragraph_and_nothing_is_changed(
    rejudge: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    study = tmp_path / rejudge.REFERENCE / "mine"
    (study / "report").mkdir(parents=True)
    shutil.copyfile(
        ROOT / rejudge.REFERENCE / "testbed/report/claims.csv", study / "report/claims.csv"
    )
    monkeypatch.chdir(tmp_path)
    assert rejudge.main([]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["claims.csv"]

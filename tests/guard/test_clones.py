"""`make test-clones` tells equal runs of two clones from those that let their surroundings in."""

import subprocess
import sys

import pytest
from faults import clones

MAKEFILE = """\
reproduce repro:
\tmkdir -p results/testbed/.provenance
\techo same > results/testbed/table.csv
\techo {leak} > results/testbed/.provenance/table.json
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the comparison on a repository whose study writes two files; returns the exit code."""

    def compare(leak: str) -> int:
        folder = tmp_path / "repository"
        folder.mkdir()
        (folder / "Makefile").write_text(MAKEFILE.format(leak=leak))
        name = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "study"]):
            subprocess.run(["git", *name, *words], cwd=folder, check=True)
        monkeypatch.setattr(clones, "ROOT", folder)
        monkeypatch.setattr(sys, "argv", ["clones", "--keep", str(tmp_path / "kept")])
        return clones.main()

    return compare


def test_equal_runs_are_equal_and_both_are_kept(run, tmp_path):
    assert run("same") == 0
    assert clones.digests(tmp_path / "kept/one/results/testbed").keys() == {
        "table.csv", ".provenance/table.json",
    }  # fmt: skip


@pytest.mark.parametrize("leak", ["$$TZ", "$$PYTHONHASHSEED", "$$PWD", "$@"])
def test_a_record_that_lets_its_surroundings_in_is_a_difference(run, leak):
    assert run(leak) == 1


def test_a_run_that_fails_is_no_equal_run(run):
    with pytest.raises(subprocess.CalledProcessError):
        run("same; exit 3")


def test_a_study_without_results_is_no_equal_run(run):
    assert run("same > /dev/null; rm -r results; exit 0;") == 1

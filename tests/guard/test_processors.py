"""`make test-processors` sees a figure that another processor draws otherwise, and a missing file."""

import shutil
from pathlib import Path

import pytest
from faults.processors import differing_drawings, differing_names
from workflow.conftest import ROOT, Folder

OURS = ROOT / "results/reference/testbed/report/figures"
FIGURES = Path("results/testbed/report/figures")
DRAWN = ("pipeline", "spectrum")


@pytest.fixture
def study(tmp_path: Path) -> Folder:
    """A working copy with two figures of the reference and their tables."""
    folder = tmp_path / "study"
    (folder / FIGURES).mkdir(parents=True)
    (folder / "src").symlink_to(ROOT / "src")
    for name in DRAWN:
        for end in (".csv", ".svg", ".pdf"):
            shutil.copy(OURS / f"{name}{end}", folder / FIGURES)
    return Folder(folder)


def test_a_figure_with_other_bytes_is_named(study: Folder, tmp_path: Path) -> None:
    path = study.path / FIGURES / "spectrum.svg"
    path.write_bytes(path.read_bytes().replace(b'x="', b'x="0', 1))
    assert differing_drawings(study, tmp_path) == ["spectrum.svg"]


def test_a_file_that_only_one_study_has_is_named(study: Folder, tmp_path: Path) -> None:
    other = study.copied_to(tmp_path / "other")
    assert differing_names(study, other) == []
    (other.path / FIGURES / "spectrum.svg").unlink()
    assert differing_names(study, other) == ["report/figures/spectrum.svg"]

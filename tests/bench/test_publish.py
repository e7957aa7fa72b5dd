"""The README's block is made of the reference results, and of nothing else."""

from pathlib import Path

import pytest

from benchmarks.publish import BEGIN, END, README, REFERENCE, block, publish, with_block
from fispace.errors import ArtifactError

ROOT = Path(__file__).parents[2]


def test_only_what_is_between_the_markers_changes():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_block(text, "new\n", README) == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_readme_without_its_markers_is_refused(text):
    with pytest.raises(ArtifactError, match="once"):
        with_block(text, "new", README)


def test_an_unfinished_benchmark_is_not_published(tmp_path):
    with pytest.raises(ArtifactError, match="make bench"):
        publish(tmp_path, tmp_path / "reference", ROOT / README)
    assert not (tmp_path / "reference").exists()


def test_the_readme_shows_the_reference_results():
    text = (ROOT / README).read_text()
    if (ROOT / REFERENCE).exists():
        assert with_block(text, block(ROOT / REFERENCE), README) == text
    else:
        assert "Not measured yet." in text

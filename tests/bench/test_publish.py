"""The block of docs/benchmark.md is made of the reference results, and of nothing else."""

from pathlib import Path

import pytest

from benchmarks.publish import BENCHMARK, PAGE, REFERENCE, block, publish
from fispace.errors import ArtifactError

ROOT = Path(__file__).parents[2]


def test_an_unfinished_benchmark_is_not_published(tmp_path):
    with pytest.raises(ArtifactError, match="make bench"):
        publish(tmp_path, tmp_path / "reference", ROOT / PAGE)
    assert not (tmp_path / "reference").exists()


def test_a_page_without_markers_leaves_the_reference_as_it_was(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no markers\n")
    with pytest.raises(ArtifactError, match="once"):
        publish(ROOT / REFERENCE, tmp_path / "reference", page)
    assert not (tmp_path / "reference").exists()


def test_the_page_shows_the_reference_results():
    text = (ROOT / PAGE).read_text()
    assert BENCHMARK.filled(text, block(ROOT / REFERENCE), PAGE) == text

"""Generated blocks of a page: nothing outside the markers changes, and a page must have both."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fispace.errors import ArtifactError
from fispace.report.markdown import Block

BLOCK, PAGE = Block("results", "make reference"), Path("page.md")
TEXT = st.text(st.characters(exclude_characters="<", exclude_categories=("Cs",)))


@given(before=TEXT, old=TEXT, new=TEXT, after=TEXT)
def test_only_what_is_between_the_markers_changes(before, old, new, after):
    page = f"{before}{BLOCK.begin}{old}{BLOCK.end}{after}"
    filled = BLOCK.filled(page, new, PAGE)
    assert filled == f"{before}{BLOCK.begin}\n{new.rstrip()}\n{BLOCK.end}{after}"
    assert BLOCK.filled(filled, new, PAGE) == filled


@pytest.mark.parametrize(
    "text",
    ["", BLOCK.begin, BLOCK.end + BLOCK.begin, 2 * BLOCK.begin + BLOCK.end,
     BLOCK.begin + 2 * BLOCK.end, BLOCK.end + BLOCK.begin + BLOCK.end],
)  # fmt: skip
def test_a_page_without_each_marker_once_in_order_is_refused(text):
    with pytest.raises(ArtifactError, match=r"page\.md .* once"):
        BLOCK.filled(text, "new", PAGE)


def test_a_missing_page_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ArtifactError, match=r"gone\.md does not exist"):
        BLOCK.write(tmp_path / "gone.md", "new")


def test_a_block_of_another_name_is_left_alone(tmp_path):
    other = Block("faults", "make faults-reference")
    page = tmp_path / "page.md"
    page.write_text(f"{other.begin}\nkept\n{other.end}\n{BLOCK.begin}\n{BLOCK.end}\n")
    BLOCK.write(page, "new\n")
    assert page.read_text() == (
        f"{other.begin}\nkept\n{other.end}\n{BLOCK.begin}\nnew\n{BLOCK.end}\n"
    )

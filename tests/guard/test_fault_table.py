"""The fault harness's own table: complete, continued, and on its page as it was measured."""

import pytest
from faults.publish import PLACES
from faults.table import SKIPPED, Outcome, Table


def never() -> Outcome:
    raise AssertionError("tried again")


def test_a_table_counts_what_survived_and_what_was_tried(tmp_path):
    table = Table(tmp_path, go_on=False)
    table.try_out("a", 0, lambda: Outcome("x", "y", survived=True))
    table.try_out("a", 1, lambda: Outcome("x", "y", survived=False, remark="two\nlines"))
    table.try_out("b", 0, lambda: Outcome("x", "y", survived=True, remark=SKIPPED))
    assert table.summary().splitlines()[2:] == ["| a | 2 | 1 |", "| b | 0 | 0 |"]
    assert not table.all_survived


def test_a_table_names_no_folder_of_the_machine(tmp_path):
    table = Table(tmp_path, go_on=False)
    said = f"error: {tmp_path}/results/x.json and results/y.json: full"
    table.try_out("a", 0, lambda: Outcome("x", "y", survived=True, remark=said))
    text = (tmp_path / "faults.csv").read_text()
    assert "error: .../x.json and results/y.json: full" in text and str(tmp_path) not in text


def test_a_table_that_is_continued_tries_nothing_twice(tmp_path):
    Table(tmp_path, go_on=False).try_out("a", 0, lambda: Outcome("x", 'y, "z"', survived=True))
    again = Table(tmp_path, go_on=True)
    again.try_out("a", 0, never)
    assert [trial.detail for trial in again.trials] == ['y, "z"']
    with pytest.raises(AssertionError, match="tried again"):
        Table(tmp_path, go_on=False).try_out("a", 0, never)


@pytest.mark.parametrize("harness", PLACES)
def test_the_page_shows_the_table_that_git_keeps(harness):
    page, reference, block = PLACES[harness]
    text, table = page.read_text(encoding="utf-8"), Table(reference, go_on=True)
    assert table.trials and table.all_survived
    assert block.filled(text, table.summary(), page) == text

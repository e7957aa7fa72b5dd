"""`fispace compare`: a number outside the other ledger's interval is named, and nothing else is."""

import logging
from pathlib import Path

import pandas as pd
import pytest

from fispace.cli import main
from fispace.errors import ArtifactError
from fispace.report.compare import compare_ledgers
from fispace.report.predicates import ANSWERS
from fispace.report.tables import ENDS

REFERENCE = Path(__file__).parents[2] / "results/reference"
LEDGER = REFERENCE / "testbed/report/claims.csv"


def ledger(path, verdict="reproduced", published=(0.4, 0.3, 0.5), items=("gain", "share")):
    """A ledger in which each claim has a published number, and nothing else an interval."""
    blank: dict = {f"{answer}_{end}": None for answer in ANSWERS for end in ENDS}
    blank |= {f"{answer}_quantity": f"gain.{answer}" for answer in ANSWERS}
    found = dict(zip((f"published_{end}" for end in ENDS), published, strict=True))
    rows = [{"id": "N5", "item": item, "verdict": verdict} | blank | found for item in items]
    rows[0]["null_mean"] = 0.7  # of one seed: no interval
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture
def theirs(tmp_path):
    return ledger(tmp_path / "theirs.csv")


@pytest.mark.parametrize("mean", [0.3, 0.4, 0.5, 0.5 + 1e-8])
def test_numbers_in_the_interval_pass_ends_and_last_digits_included(mean, theirs, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    compare_ledgers(ledger(tmp_path / "ours.csv", published=(mean, 0, 1)), theirs)
    assert "2 of 2 numbers" in caplog.text
    assert "none for 1 more" in caplog.text
    assert "outside" not in caplog.text


@pytest.mark.parametrize("mean", [0.2999, 0.5001, -0.4, float("nan")])
def test_a_number_outside_is_named_with_the_interval_it_left(mean, theirs, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    ours = ledger(tmp_path / "ours.csv", published=(mean, 0, 1))
    with pytest.raises(ArtifactError, match="only 0 of 2 numbers"):
        compare_ledgers(ours, theirs)
    assert f"outside  N5 gain, published: {mean:.6g}, not in [0.3, 0.5]" in caplog.text


def test_the_intervals_are_theirs_not_ours(theirs, tmp_path):
    narrow = ledger(tmp_path / "narrow.csv", published=(0.45, 0.449, 0.451))
    compare_ledgers(narrow, theirs)
    with pytest.raises(ArtifactError, match="outside"):
        compare_ledgers(theirs, narrow)


def test_another_verdict_is_named_and_no_failure(theirs, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    compare_ledgers(ledger(tmp_path / "ours.csv", verdict="not reproduced"), theirs)
    assert "verdict  N5 share: not reproduced, was reproduced" in caplog.text


def test_a_difference_is_not_held_against_the_band_of_a_ratio(theirs, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    ours = ledger(tmp_path / "ours.csv", published=(9.0, 8.0, 10.0))
    table = pd.read_csv(ours)
    table.loc[0, "published_quantity"] = "reduction.published"
    table.loc[1, "published_mean"] = 0.4
    table.to_csv(ours, index=False)
    compare_ledgers(ours, theirs)
    assert "1 of 1 numbers" in caplog.text and "none for 2 more" in caplog.text


def test_ledgers_of_different_claims_are_refused(theirs, tmp_path):
    other = ledger(tmp_path / "ours.csv", items=("gain", "loss"))
    with pytest.raises(ArtifactError, match="only one of them has N5 loss, N5 share"):
        compare_ledgers(other, theirs)


def test_a_file_that_is_no_ledger_is_refused(theirs, tmp_path, caplog):
    (tmp_path / "no.csv").write_text("id,item\n1,2\n")
    assert main(["compare", str(tmp_path / "no.csv"), str(theirs)]) == 1
    assert "no column 'verdict'" in caplog.text
    assert main(["compare", str(tmp_path / "none.csv"), str(theirs)]) == 1
    assert "does not exist" in caplog.text


def test_a_ledger_is_within_its_own_intervals_and_another_models_is_not():
    compare_ledgers(LEDGER, LEDGER)
    with pytest.raises(ArtifactError, match="numbers lie within"):
        compare_ledgers(REFERENCE / "stories260k/report/claims.csv", LEDGER)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda table: pd.concat([table, table.iloc[:1]]), "N5 gain is there twice"),
        (lambda table: table.assign(verdict=None), "no id, item or verdict"),
        (lambda table: table.assign(published_mean="much"), "should be a number"),
        (lambda table: table.iloc[:0], "no id, item or verdict, or there is none"),
    ],
)
def test_a_damaged_ledger_is_refused_in_words(damage, said, theirs, tmp_path, caplog):
    bad = tmp_path / "bad.csv"
    damage(pd.read_csv(theirs)).to_csv(bad, index=False)
    for pair in ((bad, theirs), (theirs, bad)):
        assert main(["compare", *map(str, pair)]) == 1
        assert said in caplog.text
        caplog.clear()


def test_one_number_in_twenty_may_lie_outside(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    items = [f"item{i}" for i in range(40)]
    theirs = ledger(tmp_path / "theirs.csv", items=items)
    for n_outside in (2, 3):
        table = pd.read_csv(theirs)
        table.loc[: n_outside - 1, "published_mean"] = 0.9
        ours = tmp_path / f"{n_outside}.csv"
        table.to_csv(ours, index=False)
    compare_ledgers(tmp_path / "2.csv", theirs)
    assert caplog.text.count("outside  ") == 2
    with pytest.raises(ArtifactError, match="only 37 of 40 numbers"):
        compare_ledgers(tmp_path / "3.csv", theirs)

"""`fispace bands`: the spread of whole runs, and nothing narrower, decides where another one may lie."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report.test_compare import ledger

from fispace.cli import main
from fispace.errors import ArtifactError
from fispace.report.compare import EITHER, LEVEL, compare_ledgers, write_bands
from fispace.report.verdicts import VERDICTS
from fispace.stats.intervals import prediction_interval

REFERENCE = Path(__file__).parents[2] / "results/reference"


@pytest.fixture
def three(tmp_path):
    """Ledgers of three runs: the mean of each is in its name, its own interval is narrow."""
    return [
        ledger(tmp_path / f"{mean}.csv", published=(mean, mean - 1e-3, mean + 1e-3))
        for mean in (0.3, 0.4, 0.5)
    ]


def test_bands_are_of_the_runs_means_whatever_intervals_the_runs_state(three, tmp_path):
    write_bands(ledgers=three, bands=tmp_path / "bands.csv")
    found = pd.read_csv(tmp_path / "bands.csv")
    expected = prediction_interval(np.array([0.3, 0.4, 0.5]), LEVEL)
    assert found["item"].tolist() == ["gain", "share"]
    assert (found["n_runs"] == 3).all()
    for end in ("mean", "low", "high"):
        assert found[f"published_{end}"].tolist() == pytest.approx([getattr(expected, end)] * 2)
    assert found["controlled_mean"].isna().all()
    # no run has an interval for it, but three runs have a spread
    assert found["null_low"].tolist()[0] == pytest.approx(0.7)


def test_a_further_run_is_compared_with_the_bands(three, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    bands = tmp_path / "bands.csv"
    write_bands(ledgers=three, bands=bands)
    near, far = (ledger(tmp_path / f"{m}.csv", published=(m, m, m)) for m in (1.5, 1.6))
    assert pd.read_csv(bands)["published_high"][0] == pytest.approx(1.546, abs=1e-3)
    compare_ledgers(near, bands)
    assert "3 of 3 numbers" in caplog.text
    with pytest.raises(ArtifactError, match="only 1 of 3 numbers"):
        compare_ledgers(far, bands)


def test_verdicts_on_which_runs_do_not_agree_are_named_and_all_of_them_expected(
    three, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    ledger(three[0], verdict="not reproduced", published=(0.3, 0.2, 0.4))
    write_bands(ledgers=three, bands=tmp_path / "bands.csv")
    assert "verdict  N5 gain: not reproduced or reproduced" in caplog.text
    caplog.clear()
    for name, is_named in (("not reproduced", False), ("reproduced", False), ("else", True)):
        compare_ledgers(ledger(tmp_path / "one.csv", verdict=name), tmp_path / "bands.csv")
        assert ("verdict " in caplog.text) == is_named


def test_two_runs_or_other_claims_give_no_bands(three, tmp_path, caplog):
    bands = str(tmp_path / "bands.csv")
    assert main(["bands", "--ledgers", *map(str, three[:2]), "--bands", bands]) == 1
    assert "at least 3" in caplog.text
    other = ledger(tmp_path / "other.csv", items=("gain", "loss"))
    assert main(["bands", "--ledgers", *map(str, [*three, other]), "--bands", bands]) == 1
    assert "only one of them has N5 loss, N5 share" in caplog.text
    assert not Path(bands).exists()


def test_verdicts_can_be_told_apart_from_two_of_them():
    assert not [verdict for verdict in VERDICTS if EITHER in verdict]


def test_rows_may_stand_in_any_order(three, tmp_path):
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    write_bands(ledgers=three, bands=first)
    table = pd.read_csv(three[1])
    table.iloc[::-1].to_csv(three[1], index=False)
    write_bands(ledgers=three, bands=second)
    assert first.read_bytes() == second.read_bytes()


def test_a_number_that_one_run_does_not_have_gets_no_band(three, tmp_path):
    ledger(three[2], published=(None, None, None))
    write_bands(ledgers=three, bands=tmp_path / "bands.csv")
    assert pd.read_csv(tmp_path / "bands.csv")["published_low"].isna().all()


def test_a_number_that_one_run_gives_as_a_difference_gets_no_band(three, tmp_path):
    table = pd.read_csv(three[1])
    table.loc[0, "published_quantity"] = "reduction.published"
    table.to_csv(three[1], index=False)
    write_bands(ledgers=three, bands=tmp_path / "bands.csv")
    found = pd.read_csv(tmp_path / "bands.csv")
    assert found["published_low"].isna().tolist() == [True, False]
    assert found["published_quantity"].isna().tolist() == [True, False]


@pytest.mark.parametrize("way", ["the same file", "another file of the same numbers"])
def test_one_run_twice_is_refused(way, three, tmp_path):
    again = three[0] if way == "the same file" else tmp_path / "copy.csv"
    again.write_bytes(three[0].read_bytes())
    with pytest.raises(ArtifactError, match=r"twice|same numbers"):
        write_bands(ledgers=[*three, again], bands=tmp_path / "bands.csv")


def test_bands_are_no_run(three, tmp_path):
    bands = tmp_path / "bands.csv"
    write_bands(ledgers=three, bands=bands)
    with pytest.raises(ArtifactError, match="bands of several runs"):
        write_bands(ledgers=[*three, bands], bands=tmp_path / "more.csv")
    with pytest.raises(ArtifactError, match="bands of several runs"):
        compare_ledgers(bands, three[0])


def test_the_committed_bands_are_of_the_committed_ledgers(tmp_path):
    runs = sorted((REFERENCE / "bands/runs").glob("*.csv"))
    assert len(runs) == 4
    write_bands(ledgers=runs, bands=tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == (REFERENCE / "bands/testbed.csv").read_bytes()

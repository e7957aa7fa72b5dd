"""The ledger: its numbers, its errors, and the claims file of the repository."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from fispace.config.report import ClaimsStep
from fispace.errors import ClaimsError
from fispace.steps.report.claims import read_claims, write_claims
from fispace.steps.report.long_table import NO_SEED, Quantity, quantity_frame
from fispace.store.tables import read_csv, write_table

ROOT = Path(__file__).parents[2]
CLAIMS, SCHEMA = ROOT / "workflow/claims.yaml", ROOT / "workflow/schemas/claims.schema.yaml"
CLAIM: dict[str, Any] = {
    "id": "N5", "item": "gain", "statement": "better", "printed": 0.413, "unit": "fraction",
    "where": "abstract", "definition": "1 - a / b", "published": "gain.published",
    "controlled": "gain.controlled", "null": None, "remark": None,
}  # fmt: skip


class Ledger:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = [
            *(
                Quantity("gain.published", seed, 0.4 + 0.1 * seed, "fraction", 9)
                for seed in (0, 1, 2)
            ),
            *(Quantity("gain.controlled", seed, 0.0, "fraction", 9) for seed in (0, 1, 2)),
            Quantity("gain.undefined", NO_SEED, float("nan"), "fraction", 0),
        ]
        write_table(folder / "q.parquet", quantity_frame(found), {})

    def write(self, *claims: dict[str, Any], text: str | None = None) -> pd.DataFrame:
        source = self.folder / "claims.yaml"
        source.write_text(text if text is not None else yaml.safe_dump({"claims": list(claims)}))
        ledger = self.folder / "claims.csv"
        write_claims(
            ClaimsStep(confidence=0.95), claims=source, schema=SCHEMA,
            quantities=self.folder / "q.parquet", ledger=ledger, metrics=self.folder / "claims.json",
        )  # fmt: skip
        return read_csv(ledger)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def test_a_claim_gets_mean_and_interval_over_seeds(ledger: Ledger) -> None:
    row = ledger.write(CLAIM).iloc[0]
    assert row["printed"] == 0.413
    assert row["published_mean"] == pytest.approx(0.5)
    assert row["published_low"] == pytest.approx(0.5 - 4.302653 * 0.1 / 3**0.5, abs=1e-6)
    assert row["published_n"] == 3
    assert row["controlled_mean"] == 0


def test_an_answer_that_is_not_asked_for_is_empty(ledger: Ledger) -> None:
    row = ledger.write(CLAIM | {"controlled": None}).iloc[0]
    assert pd.isna(row["controlled_mean"])
    assert pd.isna(row["controlled_quantity"])


def test_the_json_has_the_same_numbers_and_no_nan(ledger: Ledger) -> None:
    ledger.write(CLAIM | {"null": "gain.undefined"})
    found = json.loads((ledger.folder / "claims.json").read_text())["N5.gain"]
    assert found["printed"] == 0.413
    assert found["published"]["mean"] == pytest.approx(0.5)
    assert found["null"]["mean"] is None


def test_a_quantity_that_does_not_exist_is_named_with_its_claim(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"N5\.gain: published: the quantity 'gain\.missing'"):
        ledger.write(CLAIM | {"published": "gain.missing"})


def test_the_error_lists_quantities_of_the_same_metric(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"Near it: gain\.controlled, gain\.published"):
        ledger.write(CLAIM | {"null": "gain.missing"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "N21"}, r"N21\.gain: id"),
        ({"printed": "41 %"}, r"N5\.gain: printed"),
        ({"colour": "red"}, "colour"),
        ({"unit": "furlong"}, "unit"),
    ],
)
def test_a_malformed_claim_is_named(ledger: Ledger, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ClaimsError, match=said):
        ledger.write(CLAIM | change)


def test_a_claim_without_a_key_is_an_error(ledger: Ledger) -> None:
    rest = {key: value for key, value in CLAIM.items() if key != "published"}
    with pytest.raises(ClaimsError, match="published"):
        ledger.write(rest)


@pytest.mark.parametrize("text", ["", "claims: [", "claims: []", "claims: {a: 1}", "other: 1"])
def test_a_file_without_claims_is_an_error(ledger: Ledger, text: str) -> None:
    with pytest.raises(ClaimsError, match=r"claims\.yaml"):
        ledger.write(text=text)


def test_two_claims_of_one_name_are_an_error(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"N5\.gain stands there twice"):
        ledger.write(CLAIM, dict(CLAIM))


def test_nothing_is_written_when_a_claim_is_wrong(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError):
        ledger.write(CLAIM | {"published": "gain.missing"})
    assert not (ledger.folder / "claims.csv").exists()
    assert not (ledger.folder / "claims.json").exists()


def test_the_ledger_of_the_repository_is_well_formed_and_has_every_claim() -> None:
    rows = read_claims(CLAIMS, SCHEMA)
    assert {row["id"] for row in rows} == {f"N{number}" for number in range(1, 21)}


def test_the_headline_is_answered_by_its_definition_and_by_the_control() -> None:
    rows = {f"{row['id']}.{row['item']}": row for row in read_claims(CLAIMS, SCHEMA)}
    assert rows["N5.gain"]["published"] == "mse_gain.joint.full.over.joint.sae"
    assert rows["N5.gain"]["controlled"] == "mse_gain.joint.full.over.sae_bias.full"
    assert rows["N17.total"]["printed"] == 496_106_700

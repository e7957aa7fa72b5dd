"""The ledger: its numbers, its errors, and the claims file of the repository."""

import copy
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from fispace.errors import ClaimsError
from fispace.report.claims import read_claims, write_claims
from fispace.report.tables import DOCUMENTS, LEDGER
from fispace.report.verdicts import TESTS
from fispace.store.quantities import NO_SEED, Quantity, quantity_frame
from fispace.store.tables import read_csv, write_csv, write_table
from fispace.study.config.report import ClaimsStep

ROOT = Path(__file__).parents[2]
CLAIMS, SCHEMA = ROOT / "workflow/claims.yaml", ROOT / "workflow/schemas/claims.schema.yaml"
CLAIM: dict[str, Any] = {
    "id": "N5", "item": "gain", "target": "all", "statement": "better", "printed": 0.413, "unit": "fraction",
    "where": "abstract", "definition": "1 - a / b", "published": "gain.published",
    "controlled": "gain.controlled", "null": None, "remark": None,
    "predicate": {"test": "above", "reference": 0, "against": []},
}  # fmt: skip


def predicate(test: str = "above", reference: object = 0, **more: object) -> dict[str, Any]:
    """The claim with another predicate."""
    return CLAIM | {"predicate": {"test": test, "reference": reference, "against": [], **more}}


class Ledger:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = [
            *(
                Quantity("gain.published", seed, 0.4 + 0.1 * seed, "fraction", 9)
                for seed in (0, 1, 2)
            ),
            *(Quantity("gain.controlled", seed, 0.0, "fraction", 9) for seed in (0, 1, 2)),
            *(Quantity("gain.null", seed, 0.39 + 0.1 * seed, "fraction", 9) for seed in (0, 1, 2)),
            *(Quantity("p.ours", seed, 0.01 + 0.01 * seed, "1", 9) for seed in (0, 1, 2)),
            Quantity("gain.undefined", NO_SEED, float("nan"), "fraction", 0),
            Quantity("gain.alone", 0, 0.5, "fraction", 9),
            Quantity("paper.exact", NO_SEED, 0.413, "fraction", 1),
        ]
        write_csv(
            folder / "documents.csv",
            pd.DataFrame(
                {
                    "quantity": ["gain.published"],
                    "low": [0.45],
                    "high": [0.55],
                    "few_low": [-0.1],
                    "few_high": [0.9],
                    "n_documents": [40],
                }
            ),
            DOCUMENTS,
        )
        write_table(folder / "q.parquet", quantity_frame(found), {})

    def write(
        self, *claims: dict[str, Any], text: str | None = None, target: str = "all"
    ) -> pd.DataFrame:
        source = self.folder / "claims.yaml"
        source.write_text(text if text is not None else yaml.safe_dump({"claims": list(claims)}))
        ledger = self.folder / "claims.csv"
        write_claims(
            ClaimsStep(confidence=0.95, explained_share=0.9), target=target, claims=source,
            schema=SCHEMA, quantities=self.folder / "q.parquet", documents=self.folder / "documents.csv",
            ledger=ledger, metrics=self.folder / "claims.json",
        )  # fmt: skip
        return read_csv(ledger, LEDGER)


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
    with pytest.raises(ClaimsError, match=r"Near it: gain\.alone, gain\.controlled"):
        ledger.write(CLAIM | {"null": "gain.missing"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "N21"}, r"N21\.gain: id"),
        ({"id": "P4"}, r"P4\.gain: id"),
        ({"target": "some"}, r"N5\.gain: target: 'some' is not one of \['all', 'full'\]"),
        ({"target": None}, r"N5\.gain: target"),
        ({"printed": "41 %"}, r"N5\.gain: printed"),
        ({"colour": "red"}, "colour"),
        ({"unit": "furlong"}, "unit"),
        ({"predicate": {"test": "close"}}, r"N5\.gain: predicate: test"),
        ({"predicate": {"test": "above"}}, r"N5\.gain: predicate"),
        ({"predicate": {"test": "absolute", "reference": 0}}, r"N5\.gain: predicate"),
        ({"predicate": {"test": "at_paper_sizes"}}, r"N5\.gain: predicate"),
        (
            {"predicate": {"test": "at_most", "reference": 0, "against": ["null"]}},
            r"N5\.gain: predicate",
        ),
        (
            {"predicate": {"test": "at_paper_sizes", "tolerance": 0.1}, "printed": None},
            r"N5\.gain: printed",
        ),
    ],
)
def test_a_malformed_claim_is_named(ledger: Ledger, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ClaimsError, match=said):
        ledger.write(CLAIM | change)


@pytest.mark.parametrize("missing", ["published", "target"])
def test_a_claim_without_a_key_is_an_error(ledger: Ledger, missing: str) -> None:
    rest = {key: value for key, value in CLAIM.items() if key != missing}
    with pytest.raises(ClaimsError, match=rf"N5\.gain: '{missing}' is a required property"):
        ledger.write(rest)


def test_the_ledger_of_all_leaves_out_what_only_full_answers(ledger: Ledger) -> None:
    of_full = copy.deepcopy(CLAIM) | {"item": "gain_over_matched", "target": "full"}
    assert ledger.write(CLAIM, of_full)["item"].tolist() == ["gain"]
    both = ledger.write(CLAIM, of_full, target="full")
    assert both["item"].tolist() == ["gain", "gain_over_matched"]
    assert both["target"].tolist() == ["all", "full"]


def test_only_a_target_that_answers_a_claim_needs_its_quantities(ledger: Ledger) -> None:
    of_full = copy.deepcopy(CLAIM) | {
        "item": "cut_gain",
        "target": "full",
        "published": "cut_gain.arm.at_250",
    }
    assert len(ledger.write(CLAIM, of_full)) == 1
    with pytest.raises(ClaimsError, match=r"N5\.cut_gain: published: the quantity 'cut_gain\.arm"):
        ledger.write(CLAIM, of_full, target="full")


def test_an_unknown_target_is_named(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match="--target some: no such target"):
        ledger.write(CLAIM, target="some")


def test_a_claim_without_a_printed_number_is_judged_like_any_other(ledger: Ledger) -> None:
    row = ledger.write(CLAIM | {"printed": None}).iloc[0]
    assert pd.isna(row["printed"])
    assert (row["published_mean"], row["verdict"]) == (pytest.approx(0.5), "reproduced")
    found = json.loads((ledger.folder / "claims.json").read_text())["N5.gain"]
    assert found["printed"] is None


@pytest.mark.parametrize("text", ["", "claims: [", "claims: []", "claims: {a: 1}", "other: 1"])
def test_a_file_without_claims_is_an_error(ledger: Ledger, text: str) -> None:
    with pytest.raises(ClaimsError, match=r"claims\.yaml"):
        ledger.write(text=text)


def test_a_claim_without_a_rule_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"N5\.gain: 'predicate' is a required property"):
        ledger.write({key: value for key, value in CLAIM.items() if key != "predicate"})


def test_a_missing_file_of_claims_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match=r"absent\.yaml"):
        read_claims(tmp_path / "absent.yaml", SCHEMA)


@pytest.mark.parametrize("key", ["reference", "published", "controlled", "null"])
def test_a_predicate_that_points_to_no_quantity_is_named(ledger: Ledger, key: str) -> None:
    with pytest.raises(
        ClaimsError, match=rf"N5\.gain: predicate: {key}: the quantity 'gain\.lost'"
    ):
        ledger.write(predicate(**{key: "gain.lost"}))


def test_a_predicate_that_tests_an_answer_the_claim_has_not_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match="tests the answer 'null', but the claim has none"):
        ledger.write(predicate(against=["null"]))


def test_one_seed_is_too_few_for_a_verdict(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"N5\.gain: .*fewer than two seeds.*train\.seeds"):
        ledger.write(CLAIM | {"published": "gain.alone"})
    assert not (ledger.folder / "claims.csv").exists()


def test_one_planted_world_is_too_few_for_a_verdict(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"fewer than two seeds.*testbed\.planted\.worlds"):
        ledger.write(CLAIM | {"published": "gain.alone"})


def test_a_seed_that_one_arm_lacks_is_told(ledger: Ledger) -> None:
    with pytest.raises(
        ClaimsError, match=r"they have: 0, 1, 2; 0\).*no training of these arms failed"
    ):
        ledger.write(predicate(reference="gain.alone"))


def test_a_test_at_the_papers_sizes_needs_a_number_without_seeds(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"begins with 'paper\.'"):
        ledger.write(CLAIM | {"predicate": {"test": "at_paper_sizes", "tolerance": 0.1}})


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (predicate(), "reproduced"),
        (predicate("below"), "not reproduced"),
        (predicate(reference="gain.controlled"), "reproduced"),
        (predicate(reference="gain.null", against=["controlled"]), "reproduced, explained by the null"),
        (predicate(against=["controlled"]), "reproduced, explained by the null"),
        (predicate(against=["controlled"], controlled_reference=-1), "reproduced"),
        (predicate(against=["null"], null="gain.null"), "reproduced, explained by the null"),
        (predicate(against=["null"], null="gain.controlled"), "reproduced"),
        (predicate(against=["null"], null="gain.undefined"), "not testable at this scale"),
        (predicate(published="gain.undefined"), "not testable at this scale"),
        (predicate("covers"), "not reproduced"),
        (predicate("covers", sample="few_documents"), "reproduced"),
        (predicate("above", 0.48), "not reproduced"),  # neither over seeds nor over documents
        (predicate("at_most", 0.48), "reproduced"),  # its interval covers the reference
        (predicate("at_most", 0.2), "not reproduced"),  # above it over documents
        (predicate("at_most", "gain.null"), "not reproduced"),  # above it with every seed
        (predicate("at_most", 0, published="gain.controlled", controlled="gain.null",
                   against=["controlled"]), "reproduced, explained by the null"),
        (predicate("every_below", 0.05, published="p.ours"), "reproduced"),
        (predicate("every_above", 0.015, published="p.ours"), "not reproduced"),
        (CLAIM | {"predicate": {"test": "absolute"}}, "not testable at this scale"),
        (CLAIM | {"predicate": {"test": "at_paper_sizes", "tolerance": 0.0, "published": "paper.exact"}},
         "reproduced"),
        (CLAIM | {"predicate": {"test": "null_at_paper_sizes", "tolerance": 0.0, "null": "paper.exact"}},
         "reproduced, explained by the null"),
    ],
)  # fmt: skip
def test_the_ledger_computes_the_verdict(
    ledger: Ledger, claim: dict[str, Any], verdict: str
) -> None:
    assert ledger.write(claim).iloc[0]["verdict"] == verdict
    found = json.loads((ledger.folder / "claims.json").read_text())
    assert found["N5.gain"]["verdict"] == verdict
    assert found["verdicts"][verdict] == 1
    assert sum(found["verdicts"].values()) == 1


def test_the_excess_over_the_null_is_paired_by_seed(ledger: Ledger) -> None:
    row = ledger.write(CLAIM | {"null": "gain.null"}).iloc[0]
    assert row["excess_mean"] == pytest.approx(0.01)
    assert row["excess_high"] - row["excess_low"] == pytest.approx(0, abs=1e-9)
    assert row["null_high"] - row["null_low"] > 0.4


def test_the_interval_over_documents_stands_beside_the_one_over_seeds(ledger: Ledger) -> None:
    row = ledger.write(CLAIM).iloc[0]
    assert (row["published_documents_low"], row["published_documents_high"]) == (0.45, 0.55)
    assert pd.isna(row["controlled_documents_low"])


def test_two_claims_of_one_name_are_an_error(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"N5\.gain stands there twice"):
        ledger.write(CLAIM, copy.deepcopy(CLAIM))  # YAML would write the same object as an alias


def test_nothing_is_written_when_a_claim_is_wrong(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError):
        ledger.write(CLAIM | {"published": "gain.missing"})
    assert not (ledger.folder / "claims.csv").exists()
    assert not (ledger.folder / "claims.json").exists()


def test_the_ledger_of_the_repository_is_well_formed_and_has_every_claim() -> None:
    rows = read_claims(CLAIMS, SCHEMA)
    of_default = {row["id"] for row in rows if row["target"] == "all"}
    assert of_default == {f"N{number}" for number in range(1, 21)}
    assert {row["id"] for row in rows} - of_default == {"P1", "P2", "P3"}


def test_the_schema_knows_the_tests_that_there_are() -> None:
    row = yaml.safe_load(SCHEMA.read_text())["properties"]["claims"]["items"]
    assert tuple(row["properties"]["predicate"]["properties"]["test"]["enum"]) == TESTS


def test_the_headline_is_answered_by_its_definition_and_by_the_control() -> None:
    rows = {f"{row['id']}.{row['item']}": row for row in read_claims(CLAIMS, SCHEMA)}
    assert rows["N5.gain"]["published"] == "mse_gain.joint.full.over.joint.sae"
    assert rows["N5.gain"]["controlled"] == "mse_gain.joint.full.over.sae_bias.full"
    assert rows["N17.total"]["printed"] == 496_106_700


def test_every_claim_has_a_quantity_to_answer_it_and_a_test() -> None:
    for row in read_claims(CLAIMS, SCHEMA):
        assert row["published"] is not None, row["id"]
        assert row["predicate"]["test"]


def test_the_headline_is_judged_against_a_null_and_a_control() -> None:
    for row in read_claims(CLAIMS, SCHEMA):
        if f"{row['id']}.{row['item']}" in (
            "N2.cut_gain",
            "N5.gain",
            "N5.gain_over_matched",
            "N8.kl_full",
            "N9.kl_full",
            "N20.interaction_share",
        ):
            assert set(row["predicate"]["against"]) == {"null", "controlled"}

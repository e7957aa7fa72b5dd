"""The ledger: its numbers, its errors, and the claims file of the repository."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from fispace.errors import ClaimsError
from fispace.report import verdicts
from fispace.report.claims import read_claims
from fispace.report.ledger import write_claims
from fispace.report.predicates import PREDICATES
from fispace.report.tables import DOCUMENTS, LEDGER
from fispace.store.quantities import NO_SEED, Quantity, quantity_frame
from fispace.store.tables import read_csv, write_csv, write_table
from fispace.study.config.report import ClaimsStep

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "workflow/claims.yaml"
LEDGERS = [*ROOT.glob("results/reference/*/report/claims.csv")]
LEDGERS += ROOT.glob("results/reference/*/report/full/claims.csv")
COMPARISONS = {"baseline": {"says": "the baseline", "quantities": ["gain.*"]}}
CLAIM: dict[str, Any] = {
    "id": "N5", "item": "gain", "target": "all", "statement": "better", "printed": 0.413, "unit": "fraction",
    "where": "abstract", "definition": "1 - a / b", "published": "gain.published",
    "controlled": "gain.controlled", "controlled_against": "baseline", "null": None, "remark": None,
    "predicate": {"test": "above", "reference": 0, "against": []},
}  # fmt: skip


def predicate(test: str = "above", reference: object = 0, **more: object) -> dict[str, Any]:
    """The claim with another predicate; where it has no printed effect, .001 is the smallest that matters."""
    claim = CLAIM | {"predicate": {"test": test, "reference": reference, "against": [], **more}}
    is_other = test in ("covers", "at_most") or isinstance(reference, str) or "published" in more
    has_bound = is_other and not test.startswith("every") and "sample" not in more
    return claim | ({"smallest_effect": 0.001} if has_bound else {})


SAME = {"published": "N5.gain", "controlled": "N5.gain"}


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
            Quantity("mse.ours", 0, 0.413, "z2", 1),
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
        content = {"comparisons": COMPARISONS, "claims": [copy.deepcopy(claim) for claim in claims]}
        source.write_text(text if text is not None else yaml.safe_dump(content))
        ledger = self.folder / "claims.csv"
        write_claims(
            ClaimsStep(confidence=0.95, smallest_share=0.1, explained_share=0.9), target=target, claims=source,
            quantities=self.folder / "q.parquet", documents=self.folder / "documents.csv",
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
    row = ledger.write(CLAIM | {"controlled": None, "controlled_against": None}).iloc[0]
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
        ({"target": "some"}, r"N5\.gain: target: expected one of 'all', 'full', got 'some'"),
        ({"target": None}, r"N5\.gain: target"),
        ({"printed": "41 %"}, r"N5\.gain: printed"),
        ({"colour": "red"}, "colour"),
        ({"unit": "furlong"}, "unit"),
        ({"predicate": {"test": "close"}}, r"N5\.gain: predicate: test"),
        ({"predicate": {"test": "above"}}, r"N5\.gain: predicate"),
        ({"predicate": {"test": "absolute", "reference": 0}}, r"N5\.gain: predicate"),
        ({"predicate": {"test": "at_paper_sizes"}}, r"N5\.gain: predicate: tolerance: missing key"),
        (
            {"predicate": {}},
            r"N5\.gain: predicate: test: expected one of above, below, .*, got None",
        ),
        ({"predicate": "above"}, r"N5\.gain: predicate"),
        (
            {"predicate": {"test": "at_most", "reference": 0, "against": ["null"]}},
            r"N5\.gain: predicate",
        ),
        (
            {
                "predicate": {"test": "at_paper_sizes", "tolerance": 0.1},
                "printed": None,
                "published": None,
            },
            r"N5\.gain: printed: at_paper_sizes compares with a printed number",
        ),
    ],
)
def test_a_malformed_claim_is_named(ledger: Ledger, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ClaimsError, match=said):
        ledger.write(CLAIM | change)


@pytest.mark.parametrize("missing", ["published", "target"])
def test_a_claim_without_a_key_is_an_error(ledger: Ledger, missing: str) -> None:
    rest = {key: value for key, value in CLAIM.items() if key != missing}
    with pytest.raises(ClaimsError, match=rf"N5\.gain: {missing}: missing key \(\w"):
        ledger.write(rest)


def test_the_ledger_of_all_leaves_out_what_only_full_answers(ledger: Ledger) -> None:
    of_full = CLAIM | {"item": "gain_over_matched", "target": "full", "same_as": SAME}
    assert ledger.write(CLAIM, of_full)["item"].tolist() == ["gain"]
    both = ledger.write(CLAIM, of_full, target="full")
    assert both["item"].tolist() == ["gain", "gain_over_matched"]
    assert both["target"].tolist() == ["all", "full"]


def test_only_a_target_that_answers_a_claim_needs_its_quantities(ledger: Ledger) -> None:
    of_full = CLAIM | {
        "item": "cut_gain",
        "target": "full",
        "published": "cut_gain.arm.at_250",
        "same_as": {"controlled": "N5.gain"},
    }
    assert len(ledger.write(CLAIM, of_full)) == 1
    with pytest.raises(ClaimsError, match=r"N5\.cut_gain: published: the quantity 'cut_gain\.arm"):
        ledger.write(CLAIM, of_full, target="full")


def test_an_unknown_target_is_named(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match="--target some: no such target"):
        ledger.write(CLAIM, target="some")


def test_a_claim_without_a_printed_number_is_judged_like_any_other(ledger: Ledger) -> None:
    asked = {
        "printed": None,
        "published": None,
        "controlled": "gain.published",
        "smallest_effect": 0.04,
    }
    row = ledger.write(CLAIM | asked).iloc[0]
    assert pd.isna(row["printed"]) and pd.isna(row["published_quantity"])
    assert (row["controlled_mean"], row["verdict"]) == (pytest.approx(0.5), "reproduced")
    assert row["controlled_against"] == "the baseline"
    found = json.loads((ledger.folder / "claims.json").read_text())["N5.gain"]
    assert found["printed"] is None


@pytest.mark.parametrize("text", ["", "claims: [", "claims: []", "claims: {a: 1}", "other: 1"])
def test_a_file_without_claims_is_an_error(ledger: Ledger, text: str) -> None:
    with pytest.raises(ClaimsError, match=r"claims\.yaml"):
        ledger.write(text=text)


def test_a_claim_without_a_rule_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"N5\.gain: predicate: missing key"):
        ledger.write({key: value for key, value in CLAIM.items() if key != "predicate"})


def test_a_missing_file_of_claims_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match=r"absent\.yaml"):
        read_claims(tmp_path / "absent.yaml")


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


@pytest.mark.parametrize("test", ["at_paper_sizes", "null_at_paper_sizes"])
def test_the_excess_over_the_null_is_that_of_our_models_and_not_of_the_papers_sizes(
    ledger: Ledger, test: str
) -> None:
    at_sizes = {"predicate": {"test": test, "tolerance": 0.1}, "paper_sizes": "paper.exact"}
    row = ledger.write(CLAIM | at_sizes | {"null": "gain.null"}).iloc[0]
    assert row["excess_mean"] == pytest.approx(row["published_mean"] - row["null_mean"])


def test_a_test_at_the_papers_sizes_needs_a_number_without_seeds(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"begins with 'paper\.'"):
        at_sizes = {"test": "at_paper_sizes", "tolerance": 0.1}
        ledger.write(CLAIM | {"predicate": at_sizes, "paper_sizes": "gain.null"})


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
        (predicate("above", 0.48), "underpowered"),  # the printed effect is .067, the interval .5 wide
        (predicate("above", -2) | {"printed": 1.0, "smallest_effect": 2.6}, "undecided"),
        (predicate("at_most", 0.48), "undecided"),  # its interval contains the reference
        (predicate("at_most", 0.8), "reproduced"),
        (predicate("at_most", 0.2), "not reproduced"),  # above it over documents
        (predicate("at_most", "gain.null"), "not reproduced"),  # above it with every seed
        (predicate("at_most", 0, published="gain.controlled", controlled="gain.null",
                   against=["controlled"]), "reproduced, explained by the null"),
        (predicate("every_below", 0.05, published="p.ours"), "reproduced"),
        (predicate("every_above", 0.015, published="p.ours"), "undecided"),
        (predicate("every_above", 0.05, published="p.ours"), "not reproduced"),
        (CLAIM | {"predicate": {"test": "absolute"}}, "not testable at this scale"),
        (CLAIM | {"predicate": {"test": "at_paper_sizes", "tolerance": 0.0}, "paper_sizes": "paper.exact"},
         "reproduced"),
        (CLAIM | {"predicate": {"test": "null_at_paper_sizes", "tolerance": 0.0},
                  "paper_sizes": "paper.exact"}, "reproduced, explained by the null"),
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
    with pytest.raises(ClaimsError, match=r"N5\.gain is there twice"):
        ledger.write(CLAIM, CLAIM)


def test_nothing_is_written_when_a_claim_is_wrong(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError):
        ledger.write(CLAIM | {"published": "gain.missing"})
    assert not (ledger.folder / "claims.csv").exists()
    assert not (ledger.folder / "claims.json").exists()


def test_the_ledger_of_the_repository_is_well_formed_and_has_every_claim() -> None:
    rows = read_claims(CLAIMS).claims
    of_default = {row.id for row in rows if row.target == "all"}
    assert of_default == {f"N{number}" for number in range(1, 21)}
    assert {row.id for row in rows} - of_default == {"P1", "P2", "P3"}


def test_the_predicates_know_the_tests_that_there_are() -> None:
    others = (verdicts.COVERS, verdicts.AT_MOST, verdicts.AT_PAPER_SIZES)
    others += ("null_at_paper_sizes", "absolute")
    assert set(PREDICATES) == {*verdicts.DIRECTIONS, *verdicts.EVERY, *others}


def test_the_headline_is_answered_by_its_definition_and_by_the_control() -> None:
    rows = {row.name: row for row in read_claims(CLAIMS).claims}
    assert rows["N5.gain"].published == "mse_gain.joint.full.over.joint.sae"
    assert rows["N5.gain"].controlled == "mse_gain.joint.full.over.sae_bias.full"
    assert rows["N17.total"].printed == 496_106_700


def test_every_claim_has_a_quantity_to_answer_it_and_a_test() -> None:
    for row in read_claims(CLAIMS).claims:
        assert row.quantity(row.answered_by) is not None, row.name
        assert row.predicate.test


def test_an_ablation_is_no_control_where_an_arm_was_trained_without_the_part() -> None:
    claims = {claim.name: claim for claim in read_claims(CLAIMS).claims}
    ablated = {name for name, of in claims.items() if "_last_step." in str(of.controlled)}
    assert ablated == {
        "N3.linear",
        "N3.interaction",
        "N6.interaction_gain",
    }  # no such arm in target all
    assert all(claims[name].controlled_against == "ablation" for name in ablated)
    assert {"N3.interaction_trained", "N6.interaction_trained"} <= claims.keys()


def test_the_headline_is_judged_against_a_null_and_a_control() -> None:
    rows = {row.name: row for row in read_claims(CLAIMS).claims}
    for name in ("N2.cut_gain", "N5.gain", "N8.kl_full", "N9.kl_full", "N20.interaction_share"):
        assert set(rows[name].needed) == {"published", "null", "controlled"}
    # the paper has no such number: the control is the answer itself
    assert set(rows["N5.gain_over_matched"].needed) == {"controlled", "null"}


def test_the_gain_over_an_sae_of_as_many_parameters_is_over_that_sae() -> None:
    rows = {row.name: row for row in read_claims(CLAIMS).claims}
    row = rows["N5.gain_over_matched"]
    assert row.published is None
    assert row.controlled == "mse_gain.joint.full.over.sae_matched.full"
    assert row.controlled_against == "over_sae_matched"


def test_a_controlled_answer_names_what_it_is_compared_with(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"N5\.gain: controlled_against: .*give both, or neither"):
        ledger.write(CLAIM | {"controlled_against": None})
    with pytest.raises(ClaimsError, match=r"N5\.gain: controlled_against: .*give both, or neither"):
        ledger.write(CLAIM | {"controlled": None})
    with pytest.raises(ClaimsError, match=r"'elsewhere' is not a comparison; there are baseline"):
        ledger.write(CLAIM | {"controlled_against": "elsewhere"})


def test_a_controlled_answer_is_compared_with_what_it_names(ledger: Ledger) -> None:
    # the fault that was on the page: another row's number under this row's question
    claims = CLAIMS.read_text()
    right = "controlled: mse_gain.joint.full.over.sae_matched.full"
    wrong = "controlled: mse_gain.joint.full.over.sae_bias.full"
    assert claims.count(right) == 1
    with pytest.raises(
        ClaimsError,
        match=r"N5\.gain_over_matched: controlled: .* does not compare with 'over_sae_matched'",
    ):
        ledger.write(text=claims.replace(right, wrong))


def test_a_number_that_the_paper_does_not_have_is_not_as_published(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match=r"N5\.gain: published: .*belongs under `controlled`"):
        ledger.write(CLAIM | {"printed": None})


def test_two_claims_with_one_number_say_so(ledger: Ledger) -> None:
    other = CLAIM | {"item": "other"}
    with pytest.raises(ClaimsError, match=r"N5\.other: published: .* answers N5\.gain already"):
        ledger.write(CLAIM, other)
    rows = ledger.write(CLAIM, other | {"same_as": SAME})
    assert rows["published_same_as"].tolist()[1] == "N5.gain"
    assert pd.isna(rows["published_same_as"][0])
    # one number in two columns answers two questions and needs no word
    assert len(ledger.write(CLAIM, CLAIM | {"item": "other", "published": "gain.controlled",
                                            "controlled": "gain.published"})) == 2  # fmt: skip


def test_two_claims_that_say_they_have_one_number_have_it(ledger: Ledger) -> None:
    other = CLAIM | {"item": "other", "published": "gain.null", "same_as": SAME}
    with pytest.raises(
        ClaimsError, match=r"N5\.other: same_as: published is not the number of N5\.gain"
    ):
        ledger.write(CLAIM, other)
    with pytest.raises(ClaimsError, match=r"N5\.gain: same_as: there is no answer 'null'"):
        ledger.write(CLAIM | {"same_as": {"null": "N5.gain"}})


@pytest.mark.parametrize("answer", ["published", "controlled", "null"])
def test_an_answer_in_another_unit_answers_another_question(ledger: Ledger, answer: str) -> None:
    change = {answer: "mse.ours"}
    if answer == "controlled":
        change["controlled_against"] = "other"
    comparisons = COMPARISONS | {"other": {"says": "other", "quantities": ["*"]}}
    text = yaml.safe_dump({"comparisons": comparisons, "claims": [CLAIM | change]})
    with pytest.raises(
        ClaimsError, match=rf"N5\.gain: {answer}: mse\.ours is in 'z2', but .*'fraction'"
    ):
        ledger.write(text=text)


def test_a_number_is_no_control_of_itself(ledger: Ledger) -> None:
    asked = {"printed": None, "published": None}
    with pytest.raises(ClaimsError, match=r"predicate: against: .*cannot be its own control"):
        ledger.write(predicate(against=["controlled"]) | asked)


def test_the_ledger_shows_what_the_verdict_rests_on(ledger: Ledger) -> None:
    row = ledger.write(predicate("every_below", 0.05, published="p.ours")).iloc[0]
    assert (row["judged_quantity"], str(row["judged_unit"])) == ("p.ours", "1")
    assert row["judged_mean"] == pytest.approx(0.02)
    few = ledger.write(predicate("covers", sample="few_documents")).iloc[0]
    assert (few["judged_documents_low"], few["judged_documents_high"]) == (-0.1, 0.9)
    none = ledger.write(CLAIM | {"predicate": {"test": "absolute"}}).iloc[0]
    assert pd.isna(none["judged_quantity"])


def test_the_reference_answers_every_question_once() -> None:
    for ledger in LEDGERS:
        rows = read_csv(ledger, LEDGER)
        for answer in ("published", "controlled", "null"):
            asked = rows[rows[f"{answer}_quantity"].notna() & rows[f"{answer}_same_as"].isna()]
            assert not asked[f"{answer}_quantity"].duplicated().any(), ledger
        is_controlled = rows["controlled_quantity"].notna()
        assert (is_controlled == rows["controlled_against"].notna()).all(), ledger
        assert rows[rows["printed"].isna()]["published_quantity"].isna().all(), ledger


@pytest.mark.parametrize(
    "claim",
    [
        predicate("covers"), predicate("at_most", 0.2), predicate(reference="gain.null"),
        predicate(published="gain.null"), CLAIM | {"printed": 0.0},
    ],
)  # fmt: skip
def test_a_claim_without_a_printed_effect_needs_its_smallest_effect(
    ledger: Ledger, claim: dict[str, Any]
) -> None:
    without = {key: value for key, value in claim.items() if key != "smallest_effect"}
    with pytest.raises(ClaimsError, match=r"claims\.yaml: N5\.gain: smallest_effect: is missing"):
        ledger.write(without)
    with pytest.raises(ClaimsError, match="smallest_effect"):
        ledger.write(claim | {"smallest_effect": 0})


def test_a_smallest_effect_that_no_test_uses_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ClaimsError, match="smallest_effect: the test 'every_above' has no use"):
        ledger.write(predicate("every_above", 0.05, published="p.ours") | {"smallest_effect": 1.0})


def test_the_ledger_says_what_is_excluded_and_what_would_be_seen(ledger: Ledger) -> None:
    row = ledger.write(predicate("below")).iloc[0]  # published .4, .5, .6; documents .45 to .55
    half = np.hypot(4.302653 * 0.1 / 3**0.5, 0.05)
    assert row["verdict"] == "not reproduced"
    assert row["smallest_effect"] == pytest.approx(0.0413)
    assert row["excluded_above"] == pytest.approx(-(0.5 - half), abs=1e-6)
    assert row["detectable"] == pytest.approx(half * (1 + 1.060660 / 4.302653), abs=1e-5)
    assert pd.isna(row["seeds_to_decide"])

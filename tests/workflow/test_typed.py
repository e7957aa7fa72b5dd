"""Names and paths of the command line are taken as they were typed, whatever Snakemake makes of them."""

import pytest
from snakemake.cli import parse_config

from engine.given import as_typed

NAMES = [
    "models/pythia", "./2024_11", "a{b}/t.jsonl", "a b", "-rf", "$(x)", "é\u202e", "a'b", 'a"b"',
    "a\\nb", "x=y", "~", "None", "a;b", "{", "50%", "@a", "2024_11", "0x10", "1e5", "nan", "007", "3.0",
    "True", "false", "a #1.txt", "a: b", "{a}", "a\nb", " a", "a ", "!!int a", "&a b", "- a", "a:",
    "| a", "'2024_11'", "*a",
]  # fmt: skip


@pytest.mark.parametrize("key", ["run", "overlay", "model", "text", "transfer"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_taken_as_it_was_typed(key, name):
    arguments = ["threads=2", f"{key}={name}"]
    assert as_typed(parse_config(arguments), arguments) == {"threads": 2, key: name}


def test_the_last_of_several_values_counts_as_it_does_for_snakemake():
    arguments = ["text=1e5", "text=2024_11"]
    assert as_typed(parse_config(arguments), arguments) == {"text": "2024_11"}


def test_overlays_in_brackets_are_a_list():
    arguments = ["overlay=[a.yaml, b.yaml]"]
    assert as_typed(parse_config(arguments), arguments) == {"overlay": ["a.yaml", "b.yaml"]}


def test_a_name_left_out_is_none():
    assert as_typed(parse_config(["model="]), ["model="]) == {"model": None}

"""Mutated YAML and CSV: whole values, lines and bytes replaced by what no author would write."""

import random
from typing import Any

import yaml

HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2**63, -(2**63), 10**30, 1e308, -1e308, 5e-324, 0.5, float("nan"),
    float("inf"), "", " ", "..", "../../etc", "/etc/passwd", "-rf", "$(touch pwned)", "`id`", "a;b",
    "x\ny", "\u202etxt", "é", "Ω" * 50, "a" * 20_000, "1e-3", "null", "~", "NaN", "\x00", [], {}, [[]],
    [None], {"": 1}, {"a": {"b": {"c": {}}}}, [1, "x", None], ["../x"], list(range(2000)), "%s%n{0}",
)  # fmt: skip
HOSTILE_LINES = (
    "run: ../x", "run: [", "? {a: 1}\n: 2", "<<: {run: x}", "a: &a [*a]", "a: &a [x]\nb: *a",
    "!!python/object/apply:os.system [id]", "x: !!python/name:os.system", "x: !!set {a}",
    "x: !!timestamp 2001-01-01", "x: !!binary aGk=", "- 1", "---\nrun: two", "...", "%YAML 9.9",
    "\tx: 1", "run: 2001-01-01", "run: 0x10", "run: 1_000", "x: 1:30:00", f"x: {'9' * 5000}",
    f"x: {'[' * 200}", f"{'x' * 5000}: 1", "\u2028run: x", "\ufeffrun: x", "'': 1", "null: 1",
    "1: 2", "true: x", "x: |\n  a\n b", "x: .nan", "x: -.inf", "root_seed: 1e400", "lm: lm",
)  # fmt: skip


def mutant(text: str, rng: random.Random) -> str:
    """The YAML text with one to three changes of value, key, line or character."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        text = rng.choice((_value, _value, _value, _key, _line, _characters))(text, rng)
    return text


def _value(text: str, rng: random.Random) -> str:
    try:
        tree = yaml.safe_load(text)
        holder, key = rng.choice(list(places(tree)))
    except (yaml.YAMLError, ValueError, IndexError, RecursionError):
        return _line(text, rng)
    holder[key] = rng.choice(HOSTILE_VALUES)
    return yaml.safe_dump(tree, allow_unicode=True)


def _key(text: str, rng: random.Random) -> str:
    try:
        tree = yaml.safe_load(text)
        holder, key = rng.choice([pair for pair in places(tree) if isinstance(pair[0], dict)])
    except (yaml.YAMLError, ValueError, IndexError, RecursionError):
        return _line(text, rng)
    holder[rng.choice(("", "../x", "k", "é", f"{key}_", "a b", "__class__"))] = holder.pop(key)
    return yaml.safe_dump(tree, allow_unicode=True)


def _line(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    lines[at : at + rng.choice((0, 1))] = [rng.choice((*HOSTILE_LINES, rng.choice(lines)))]
    return "\n".join(lines)


def _characters(text: str, rng: random.Random) -> str:
    at = rng.randrange(max(1, len(text)))
    return (
        text[:at] + rng.choice(":{}[]&*!|>'\"%@`#,-?\n\t\x07é0") + text[at + rng.choice((0, 1)) :]
    )


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) of a tree of mappings and lists."""
    found: list[tuple[Any, Any]] = []
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in pairs if isinstance(tree, dict | list) else ():
        found.append((tree, key))
        found += places(value) if isinstance(value, dict | list) else []
    return found

"""The lock: every pinned version, by the hashes of its files, and nothing else."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUP_RECIPE = re.compile(r"^\$\(VENV\)/\.installed:.*\n((?:\t.*\n)+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """Version by normalised name; a hash or a comment is no pin."""
    lines = re.findall(
        r"^([\w.-]+)==([^\s\\;]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
    )
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in lines}


def test_the_lock_holds_every_pinned_version_but_torchs():
    pinned = pins("constraints.txt")
    assert pinned.pop("torch")
    assert pins("lock/packages.txt") | pins("lock/build.txt") == pinned
    assert set(pins("lock/build.txt")) == {"setuptools"}


@pytest.mark.parametrize(("extra", "count"), [("s3", 2), ("cluster", 3)])
def test_what_an_extra_needs_agrees_with_what_is_pinned_and_with_the_extra(extra, count):
    pinned, locked = pins("constraints.txt"), pins(f"lock/{extra}.txt")
    assert {name: locked[name] for name in pinned if name in locked}.items() <= pinned.items()
    declared = re.search(
        rf"^{extra} = \[(.*)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert declared is not None
    wanted = dict(re.findall(r'"([\w-]+)(?:\[\w+\])?==([^"]+)"', declared[1]))
    assert len(wanted) == count and wanted.items() <= locked.items()


def test_the_extras_agree_so_that_one_environment_can_hold_both():
    one, other = pins("lock/s3.txt"), pins("lock/cluster.txt")
    assert {name: other[name] for name in one if name in other}.items() <= one.items()


def test_every_entry_of_the_lock_has_a_hash_and_names_no_place():
    for name in ("lock/build.txt", "lock/packages.txt", "lock/s3.txt", "lock/cluster.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        entries = re.split(r"\n(?! )", text.strip())
        assert len(entries) == len(pins(name))
        assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
        assert "://" not in text and " @ " not in text and "--index" not in text


def test_setup_takes_no_file_without_its_hash_but_torchs():
    recipe = SETUP_RECIPE.search((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert recipe is not None
    installs = [line for line in recipe[1].splitlines() if "$(PIP_INSTALL)" in line]
    for line in installs:
        hashed = "--require-hashes" in line and "--no-deps" in line
        own = "-e ." in line and "--no-deps" in line and "--no-build-isolation" in line
        assert hashed or own or "^torch==" in line, line
    assert len(installs) == 4

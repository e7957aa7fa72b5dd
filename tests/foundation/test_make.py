"""What `make help` and the scripts say of themselves, and what .ci/run hands on to the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.name for path in (ROOT / "workflow").glob("*.py"))


def test_make_help_lists_every_target_and_sets_nothing_up(tmp_path):
    done = subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), "help"],
        cwd=tmp_path, text=True, capture_output=True, check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},  # of `make test`
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    (phony,) = [
        line.split()[1:]
        for line in (ROOT / "Makefile").read_text().splitlines()
        if line.startswith(".PHONY:")
    ]
    assert listed == set(phony)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_says_what_it_does_from_any_folder(script, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "workflow" / script), "--help"],
        cwd=tmp_path, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"python workflow/{script}" in done.stdout
    assert list(tmp_path.iterdir()) == []


MAKE = """#!/bin/sh
echo "make $*"
echo "LM=$FISPACE_REAL_LM TEXT=$FISPACE_REAL_TEXT"
exit 7
"""


@pytest.fixture
def ci(tmp_path):
    """Runs a copy of .ci/run, with a `make` that fails, in a checkout beside which nothing lies."""
    checkout, tools = tmp_path / "checkout", tmp_path / "bin"
    for folder in (checkout / ".ci", tools):
        folder.mkdir(parents=True)
    (checkout / ".ci/run").write_bytes((ROOT / ".ci/run").read_bytes())
    (tools / "make").write_text(MAKE)
    (tools / "make").chmod(0o755)

    def run(**env: str) -> str:
        unset = {k: v for k, v in os.environ.items() if not k.startswith("FISPACE_REAL")}
        path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", ".ci/run"], cwd=checkout, text=True, capture_output=True, check=False,
            env={**unset, **env, "PATH": path},
        )  # fmt: skip
        assert done.returncode == 7, done.stderr
        return done.stdout

    return run


def test_ci_without_a_model_beside_the_checkout_says_so_and_fails_as_the_tests_do(ci):
    said = ci()
    assert "skipped" in said
    assert said.endswith("make test\nLM= TEXT=\n")


def test_ci_hands_on_a_model_beside_the_checkout(ci, tmp_path):
    model, text = tmp_path / "shared/real/stories260K", tmp_path / "shared/real/stories.jsonl"
    model.mkdir(parents=True)
    assert "skipped" in ci()  # a model alone does not do
    text.write_text("")
    said = ci()
    assert f"with {model} and {text}" in said
    assert said.endswith(f"LM={model} TEXT={text}\n")


def test_ci_keeps_what_the_environment_says(ci):
    said = ci(FISPACE_REAL_LM="/m", FISPACE_REAL_TEXT="/t")
    assert said.endswith("LM=/m TEXT=/t\n")


def test_nothing_but_ci_knows_what_lies_beside_the_checkout():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, text=True, capture_output=True, check=True
    )
    names = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    known = {name for name in names if b"../" + b"shared" in (ROOT / name).read_bytes()}
    assert known <= {".ci/run"}

"""The command line: errors are one paragraph and a non-zero exit, and it starts without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from fispace.cli import USER_ERROR, main
from fispace.commands import CHAPTERS, COMMANDS, find_command


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "fispace", *arguments], capture_output=True, text=True, check=False
    )


def test_a_user_error_is_one_paragraph_without_traceback(tmp_path):
    done = run(
        "extract", "standardiser", "--params", '{"zero_variance": "refuse"}',
        "--manifest", str(tmp_path / "none.json"), "--standardiser", str(tmp_path / "s"),
    )  # fmt: skip
    assert done.returncode == USER_ERROR
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and "none.json does not exist" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("{}", "extract.zero_variance: missing"),
        ('{"zero_variance": "refuse", "colour": 1}', "extract.colour: unknown parameter"),
        ('{"zero_variance": 3}', "extract.zero_variance: expected one of 'refuse', 'keep', got 3"),
        ("[1]", "expected a mapping"),
    ],
)
def test_bad_params_name_the_key(caplog, text, message):
    code = main(
        ["extract", "standardiser", "--params", text, "--manifest", "m", "--standardiser", "s"]
    )
    assert code == USER_ERROR
    assert message in caplog.text


def test_an_unknown_verb_lists_the_known_ones():
    done = run("extract", "everything")
    assert done.returncode != 0 and "activations" in done.stderr


def test_help_of_a_verb_is_its_functions_docstring():
    done = run("train", "choose-lr", "--help")
    assert done.returncode == 0 and "lowest final validation FVU" in done.stdout


def test_help_starts_without_torch():
    code = (
        "import sys; from fispace.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode
        == 0
    )


def test_every_command_has_a_function_with_a_docstring_and_keyword_paths():
    import importlib
    import inspect

    for command in COMMANDS:
        function = getattr(importlib.import_module(command.module), command.function)
        assert inspect.getdoc(function), command
        names = list(inspect.signature(function).parameters)
        assert (names[0] == "params") == (command.config is not None), command


def test_commands_belong_to_chapters_and_are_unique():
    keys = [(command.chapter, command.verb) for command in COMMANDS]
    assert len(keys) == len(set(keys))
    assert {chapter for chapter, _ in keys} == set(CHAPTERS)
    assert find_command(*keys[0]) is COMMANDS[0]


def test_no_step_prints(capsys):
    sources = Path(__file__).parents[2] / "src"
    assert not [path for path in sources.rglob("*.py") if "\n    print(" in path.read_text()]
    assert capsys.readouterr().out == ""

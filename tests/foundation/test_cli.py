"""The command line: errors are one paragraph and a non-zero exit, and it starts without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from fispace.cli import USAGE_ERROR, USER_ERROR, main
from fispace.study.chapters import BESIDE, CHAPTERS
from fispace.study.commands import Command, all_commands, find_command
from fispace.study.declarations import Option, OptionKind


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


def an_option(name: str, kind: OptionKind, of_type: type, *, is_list: bool = False) -> Option:
    return Option(
        name, kind, of_type, is_list, is_optional=False, is_folder=False, is_positional=False
    )


@pytest.fixture
def calls(monkeypatch) -> list[dict]:
    """Arguments of the calls of `geometry arm`, which itself is not run."""
    found: list[dict] = []
    options = (
        an_option("seed", OptionKind.VALUE, int),
        an_option("arm", OptionKind.VALUE, str),
        an_option("weights", OptionKind.READS, Path),
        an_option("parts", OptionKind.VALUE, str, is_list=True),
        an_option("table", OptionKind.WRITES, Path),
    )
    command = Command("m", "f", 1, "Stands in.", options, None, "geometry", "arm", (), "all")
    monkeypatch.setattr(Command, "loaded", lambda _: lambda **values: found.append(values))
    monkeypatch.setattr("fispace.cli.find_command", lambda *_: command)
    monkeypatch.setattr("fispace.cli.hashed_inputs", lambda *_: {})
    monkeypatch.setattr("fispace.cli.state_of", lambda *_: {})
    monkeypatch.setattr("fispace.cli.write_record", lambda *_: None)
    return found


def options(seeds: str, weights: str, tables: str) -> list[str]:
    return [
        "geometry", "arm", "--arm", "joint", "--seed", *seeds.split(),
        "--weights", *weights.split(), "--parts", "sae", "bias", "--table", *tables.split(),
    ]  # fmt: skip


def test_n_values_are_n_calls_in_turn_and_one_value_is_every_calls(calls):
    assert main(options("3 1 2", "w3 w1 w2", "t3 t1 t2")) == 0
    assert [(call["seed"], str(call["weights"]), str(call["table"])) for call in calls] == [
        (3, "w3", "t3"), (1, "w1", "t1"), (2, "w2", "t2"),
    ]  # fmt: skip
    assert [call["arm"] for call in calls] == ["joint"] * 3


def test_an_option_that_is_a_list_goes_whole_to_every_call(calls):
    assert main(options("0 1", "w", "t0 t1")) == 0
    assert [call["parts"] for call in calls] == [["sae", "bias"]] * 2


@pytest.mark.parametrize(
    ("seeds", "weights", "tables", "message"),
    [
        ("0 1 2", "w0 w1", "t0 t1 t2", "--weights: 2 values for 3 calls"),
        ("0 1", "w0 w1 w2", "t0 t1 t2", "--seed: 2 values for 3 calls"),
        ("0 1 2", "w", "t0 t1", "--table: 2 different values for 3 calls"),
        ("0 1", "w0 w1", "t", "--table: 1 different values for 2 calls"),
        ("0 1", "w0 w1", "t t", "--table: 1 different values for 2 calls"),
    ],
)
def test_counts_that_do_not_fit_are_refused_before_the_first_call(
    calls, capsys, seeds, weights, tables, message
):
    with pytest.raises(SystemExit) as refused:
        main(options(seeds, weights, tables))
    assert refused.value.code == USAGE_ERROR
    assert message in capsys.readouterr().err
    assert calls == []


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
    import inspect

    for command in all_commands():
        function = command.loaded()
        assert inspect.getdoc(function), command
        names = list(inspect.signature(function).parameters)
        assert (names[0] == "params") == (command.config is not None), command


def test_commands_belong_to_chapters_and_are_unique():
    keys = [(command.chapter, command.verb) for command in all_commands()]
    assert len(keys) == len(set(keys))
    assert {chapter for chapter, _ in keys} == {*CHAPTERS, *BESIDE}
    assert [find_command(*key) for key in keys] == list(all_commands())


def test_no_step_prints(capsys):
    sources = Path(__file__).parents[2] / "src"
    assert not [path for path in sources.rglob("*.py") if "\n    print(" in path.read_text()]
    assert capsys.readouterr().out == ""

"""A failed job's own message comes first and alone; its command is in its log."""

import logging
from pathlib import Path

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from engine.console import BriefFormatter, is_news, message_in, without_json

COMMAND = "python -m fispace train arm --params '{\"k\": 8}' --arm sae --seed 0 1"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "job.log"
    path.write_text(f"+ {COMMAND}\nstep 5 of 9\nerror: the shard is damaged.\nDelete it.\n")
    return path


def record_of_error(log: str, command: str = COMMAND) -> dict:
    return {
        "rule_name": "train_arm", "rule_msg": None, "msg": "", "jobid": 3, "input": ["in.parquet"],
        "output": ["out.parquet"], "log": [log], "conda_env": None, "aux": {}, "indent": False,
        "shellcmd": f"exec 2> {log}; set -x; {command}",
    }  # fmt: skip


def test_the_message_of_a_failed_job_is_first_and_the_command_is_left_to_the_log(log):
    said = BriefFormatter(set(), True).format_job_error(record_of_error(str(log)))
    time, *lines = said.splitlines()
    assert time.startswith("[")
    assert lines == [
        "error: the shard is damaged.", "Delete it.",
        f"    rule train_arm; its command and all it said: {log}",
    ]  # fmt: skip


def test_of_a_crash_the_end_of_the_log_is_said_without_the_command(log):
    log.write_text(f"+ {COMMAND}\n" + "".join(f"line {i}\n" for i in range(90)))
    said = message_in(log).splitlines()
    assert said[-1] == "line 89" and len(said) == 30
    log.write_text(f"+ {COMMAND}\nTraceback\n")
    assert message_in(log) == "Traceback"


@pytest.mark.parametrize("text", [None, ""])
def test_a_job_that_left_no_log_is_reported_as_snakemake_does(log, text):
    log.unlink() if text is None else log.write_text(text)
    said = BriefFormatter(set(), False).format_job_error(record_of_error(str(log)))
    assert COMMAND in said and "Error in rule train_arm" in said


def test_a_command_is_shown_without_its_parameters():
    said = BriefFormatter(set(), True).format_shellcmd({"cmd": f"exec 2> a; set -x; {COMMAND}"})
    assert said == "python -m fispace train arm --params '{...}' --arm sae --seed 0 1"
    assert without_json("""a --row '{"it'"'"'s": "$x"}' 'b c'""") == "a --row '{...}' 'b c'"


def record(event: LogEvent | None, text: str) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", logging.ERROR, "", 0, text, (), None)
    made.event = event
    return made


def test_only_the_copy_of_the_failed_command_is_no_news():
    copy = f"RuleException:\nCommand 'set -x; {COMMAND}' returned non-zero exit status 1."
    assert not is_news(record(LogEvent.ERROR, copy))
    assert is_news(record(LogEvent.ERROR, "WorkflowError:\nAnother reason."))
    assert is_news(record(None, copy))

"""The console's message about a failed job: only the job's own error.

Snakemake alone would print the job's command three times, a thousand characters each. The log of a job
begins with its command, and Snakemake's own log file keeps everything.
Must not: hide what is in no log, or change a log file.
"""

import logging
import shlex
from pathlib import Path
from typing import Any

from snakemake.logging import DefaultFormatter, get_event, logger, timestamp
from snakemake_interface_logger_plugins.common import LogEvent

HANDLER = "DefaultStreamHandler"
CALL = "python -m fispace "
ERROR = "error: "
MOST_LINES = 30
"""Printed of a log that does not end with an error."""


class BriefFormatter(DefaultFormatter):
    """Snakemake's formatter, with short messages about jobs and commands of this workflow."""

    def format_job_error(self, msg: dict[str, Any]) -> str:
        """The error at the end of the job's log, the rule, and the path of the log."""
        said = [message_in(Path(log)) for log in msg["log"]]
        if CALL not in (msg["shellcmd"] or "") or not any(said):
            return super().format_job_error(msg)
        logs = ", ".join(msg["log"])
        return "\n".join(
            [
                timestamp(),
                *said,
                f"    rule {msg['rule_name']}; its command and all it said: {logs}",
            ]
        )

    def format_shellcmd(self, msg: dict[str, Any]) -> str:
        """The command without its parameters, which are in its log."""
        said = super().format_shellcmd(msg)
        return without_json(said[said.index(CALL) :]) if CALL in said else said


def message_in(log: Path) -> str:
    """The error at the end of a log; the last lines of a log without one, as of a crash."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line for line in text.splitlines() if not line.startswith(f"+ {CALL}")]
    last = [number for number, line in enumerate(lines) if line.startswith(ERROR)]
    return "\n".join(lines[last[-1] :] if last else lines[-MOST_LINES:])


def without_json(command: str) -> str:
    """The command with its JSON arguments left out."""
    words = shlex.split(command)
    return " ".join("'{...}'" if word.startswith("{") else shlex.quote(word) for word in words)


def is_news(record: logging.LogRecord) -> bool:
    """Whether a record is more than a repetition that a command of this workflow failed."""
    said = record.getMessage()
    return get_event(record) is not LogEvent.ERROR or not (CALL in said and "exit status" in said)


def speak_briefly() -> None:
    """Use the formatter on the console of this process, unless it is a dry run."""
    for handler in logger.handlers:
        old, is_dry = handler.formatter, any(getattr(f, "dryrun", False) for f in handler.filters)
        if handler.name == HANDLER and type(old) is DefaultFormatter and not is_dry:
            handler.setFormatter(BriefFormatter(old.quiet, old.show_failed_logs))
            handler.addFilter(is_news)

"""How a benchmark runs from the command line. Must not: measure."""

import logging
import sys
from collections.abc import Callable

from benchmarks.worker import set_environment
from fispace.errors import FispaceError


def exit_code(work: Callable[[], None]) -> int:
    """Do the work with progress on stderr; 1 and one message if the user must change something, else 0."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    set_environment()
    try:
        work()
    except FispaceError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0

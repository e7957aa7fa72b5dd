"""Entry point of `python -m fispace`."""

import gc
import sys

# the libraries make a million objects that stay; the collector would look through them for 0.4 s a job
gc.set_threshold(1_000_000)

from fispace.cli import main  # noqa: E402  (its own imports are to be spared as well)

sys.exit(main())

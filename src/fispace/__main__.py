"""Entry point of `python -m fispace`."""

import gc
import sys

from fispace.cli import main

# loading the libraries makes a million objects that stay; looking through them costs 0.4 s a job
gc.set_threshold(1_000_000)
sys.exit(main())

"""Entry point of `python -m fispace`."""

import sys

from fispace.cli import main

sys.exit(main())

"""Speed, memory and quality of this package's training beside what a user would pick instead."""

import os

os.environ.pop("MPLBACKEND", None)  # a notebook's: it may be missing here

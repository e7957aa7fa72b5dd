"""`fispace explain FILE [ROW]`: the chain from a number back to activations and parameters.

It is read from the records that commands leave beside their results. It stands in `report`, above the
chapters, because they say what the rows of their tables are made of. Must not: import torch, or
compute a result.
"""

import json
import sys
from pathlib import Path

from fispace.errors import ArtifactError, ParamsError
from fispace.provenance.lineage import locate, read_run
from fispace.report.explained_rows import Tables, select
from fispace.report.explained_steps import Explanation, explain_file
from fispace.report.explained_text import as_json, chain_lines, tree_lines
from fispace.store.files import sha256_of


def explain(file: Path, row: str | None, /, *, tree: bool, json_: bool) -> None:
    pass

"""A finished run in a notebook: its arms, its tables as data frames, its latents and their contexts.

Must not: compute what a table of the run holds.
"""

import importlib
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from fispace.errors import ArtifactError, ParamsError
from fispace.exchange.export import arm_of_run
from fispace.library.activations import Activations
from fispace.library.arms import Arm
from fispace.lm.load import load_tokenizer
from fispace.lm.pieces import TokenTexts
from fispace.models.interventions import activation_of
from fispace.store.columns import Table
from fispace.store.split_text import SplitText, read_text
from fispace.store.tables import read_csv, read_table

DECLARED_IN = (
    "chapters.testbed.tables", "chapters.fidelity.tables", "chapters.geometry.tables",
    "chapters.train.tables", "chapters.interactions.tables", "chapters.factorial.tables",
    "report.tables",
)  # fmt: skip
"""Modules that declare the types of the columns of CSV tables."""
BATCH_TOKENS = 8192
CONTEXT_COLUMNS = ("activation", "document_id", "position", "before", "token", "after")


class Run:
    """The folder of a finished run, or of a run that is half finished: what is there can be read."""

    def __init__(self, folder: str | Path) -> None:
        """Use `fispace.open`."""
        self.folder = Path(folder)

    @property
    def arms(self) -> pd.DataFrame:
        """One row per trained model: arm and seed."""
        found = sorted((self.folder / "train").glob("*/seed*.safetensors"))
        rows = [(path.parent.name, int(path.stem.removeprefix("seed"))) for path in found]
        return pd.DataFrame(rows, columns=pd.Index(["arm", "seed"]))

    @property
    def tables(self) -> list[str]:
        """Names of the tables that are there, as `fidelity/summary`."""
        paths = {path.relative_to(self.folder) for path in self.folder.rglob("*.parquet")}
        paths |= {Path(name) for name in _declared() if (self.folder / name).is_file()}
        kept = (path for path in paths if not path.name.startswith(("shard-", ".")))
        return sorted({path.with_suffix("").as_posix() for path in kept})

    @cached_property
    def activations(self) -> Activations:
        """The activations of the run, with their standardiser.

        Raises:
            ArtifactError: if they are not there, as in a run of which only tables were kept.
        """
        return Activations(self.folder / "extract")

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run by its name in `tables`; each column of its declared type.

        Raises:
            ParamsError: if there is no such table; the message lists those of the same chapter.
            ArtifactError: if it is damaged.
        """
        parquet, csv = (self.folder / f"{name}.{kind}" for kind in ("parquet", "csv"))
        if name not in self.tables:
            chapter = name.split("/", maxsplit=1)[0]
            near = [
                known for known in self.tables if known.startswith(f"{chapter}/")
            ] or self.tables
            raise ParamsError(f"{self.folder} has no table {name!r}; it has {', '.join(near)}.")
        if parquet.exists():
            return read_table(parquet)
        return read_csv(csv, _declared()[f"{name}.csv"])

    def arm(self, name: str, seed: int = 0) -> Arm:
        """A trained arm of the run.

        Raises:
            ParamsError: if there is no such arm and seed; the message lists them.
            ArtifactError: if its files are damaged, or do not belong together.
        """
        return Arm(*arm_of_run(self.folder, name, seed))

    def latents(self, name: str, seed: int = 0) -> pd.DataFrame:
        """One row per latent of an arm: norms, firings, mean activation (chapter `geometry`).

        Raises:
            ParamsError: if the run has no such table.
        """
        return self.table(f"geometry/{name}/seed{seed}.latents")

    @torch.no_grad()
    def contexts(
        self, name: str, latent: int, seed: int = 0, *, n: int = 10, split: str = "test",
        width: int = 8, tokenizer: Any = None,
    ) -> pd.DataFrame:  # fmt: skip
        """The tokens of a split on which a latent is most active, with `width` tokens around each.

        Columns: activation, document_id, position (in the window), and the texts before, token, after. The
        tokenizer is that of the run's own LM; for another LM, give it (`LanguageModel.tokenizer`).

        Raises:
            ParamsError: if there is no such latent, or the tokenizer is missing.
            ArtifactError: if the activations are not there.
        """
        arm, data = self.arm(name, seed), self.activations
        if not 0 <= latent < arm.n_latents:
            raise ParamsError(f"latent={latent}: the arm has the latents 0 to {arm.n_latents - 1}.")
        words = self._tokenizer() if tokenizer is None else tokenizer
        active = [
            activation_of(arm.trained.model.sae.encode(arm.units.standardise(part)), latent)
            for group in data.store.groups(split)
            for part in torch.from_numpy(group).split(BATCH_TOKENS)
        ]
        values, text = torch.cat(active).numpy(), read_text(data.store, split)
        order = np.argsort(-values, kind="stable")[:n]
        texts = TokenTexts(words)
        rows = [
            (float(values[token]), *_context(text, int(text.rows[token]), width, texts))
            for token in order.tolist()
            if values[token] > 0
        ]
        return pd.DataFrame(rows, columns=pd.Index(CONTEXT_COLUMNS))

    def _tokenizer(self) -> Any:
        own = self.folder / "testbed/lm"
        if not own.is_dir():
            raise ParamsError(
                f"{self.folder} does not hold its language model; give contexts(..., tokenizer=...), such as "
                "`fispace.load_lm(...).tokenizer`."
            )
        return load_tokenizer(own)


def open(folder: str | Path) -> Run:
    """A run, such as `results/testbed`, or its tables that are kept in git, `results/reference/testbed`.

    Raises:
        ArtifactError: if there is no such folder, or it is not a run's.
    """
    place = Path(folder)
    chapters = ("extract", "train", "fidelity", "geometry", "factorial", "report")
    if not any((place / chapter).is_dir() for chapter in chapters):
        raise ArtifactError(
            f"{place} is not the folder of a run: it holds none of {', '.join(chapters)}. Give a folder such "
            "as results/testbed."
        )
    return Run(place)


def _context(text: SplitText, row: int, width: int, texts: TokenTexts) -> tuple[Any, ...]:
    """Document, position, and the texts before, of and after a token, all of its own window."""
    near, place = text.around(row, width)
    pieces = texts.of_window(text.token_ids[near].tolist())
    window = int(text.windows[row])
    where = int(text.document_ids[window]), row - text.window(window).start
    return (*where, "".join(pieces[:place]), pieces[place], "".join(pieces[place + 1 :]))


@cache
def _declared() -> dict[str, Table]:
    """Declared CSV tables by their path in a run."""
    modules = (importlib.import_module(f"fispace.{name}") for name in DECLARED_IN)
    found = (value for module in modules for value in vars(module).values())
    return {table.name: table for table in found if isinstance(table, Table)}

"""`browser data`: pages on which the latents of one trained model are looked at, and their data.

The page is static: it needs no server and no network, and loads what it shows from files beside it. All
text of the corpus is data; the page never takes it for markup. Must not: train, judge, or test a pair.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from fispace.chapters.browser.book import Book, Facts, MovedTokens
from fispace.chapters.browser.passes import Shown, Source, count
from fispace.chapters.browser.records import read_cells, read_history, read_shares
from fispace.devices import prepare
from fispace.lm.lens import moved_tokens, reads_width
from fispace.lm.pieces import TokenTexts
from fispace.lm.window_batches import load_extracted_lm
from fispace.models.trained import load_trained
from fispace.store.activations import ActivationStore
from fispace.store.checkpoint import data_record
from fispace.store.split_text import read_text
from fispace.store.standardiser import load_standardiser
from fispace.study.config.browser import BrowserStep
from fispace.study.step import Reads, ReadsFolder, WritesFolder, command

SPLIT = "test"
"""The split that the pages show: everything else is measured on it too."""


@command("browser", "data", sections=("factorial",), target="full")
def write_browser(
    params: BrowserStep, *, run: str, arm: str, seed: int, weights: Reads, manifest: Reads,
    standardiser: Reads, lm_folder: ReadsFolder | None, history: Reads | None, geometry: Reads | None,
    responses: list[Reads], out: WritesFolder,
) -> None:  # fmt: skip
    """Write `out/index.html` and `out/data/*.js`; equal inputs give equal bytes.

    Args:
        params: what is shown, and in how many files.
        run: name of the run, for the title.
        arm: arm of the model.
        seed: seed of the model.
        weights: the trained model.
        manifest: the activation store; its test split is shown.
        standardiser: units of the model's input.
        lm_folder: the testbed's language model, if the study reads from it.
        history: state of the latents during training, if it was kept.
        geometry: measures of the latents, if this model was measured.
        responses: activations on the battery, if this model was measured.
        out: folder of the page.

    Raises:
        ArtifactError, ArtifactMismatchError: if the inputs are damaged or do not belong together.
        ModelError: if the language model cannot be loaded.
    """
    prepare(params.threads)
    store = ActivationStore(manifest)
    store.verify(SPLIT)
    expected = {"arm": arm, "seed": seed} | data_record(manifest, standardiser)
    model = load_trained(weights, expected).model
    lm, tokenizer = load_extracted_lm(params.lm, lm_folder, store)
    source = Source(store, load_standardiser(standardiser), model, read_text(store, SPLIT))
    shown = count(source, params, arm, seed)
    n_latents = model.config.n_latents
    facts = Facts(
        history=read_history(history, n_latents),
        cells=read_cells(responses, params.factors, n_latents),
        shares=read_shares(geometry, n_latents),
        moved=_moved(lm, source, shown, params),
    )
    about = {"run": run, "arm": arm, "seed": seed, "hook": store.manifest["hook_path"]}
    Book(source, shown, params, TokenTexts(tokenizer)).write(out, facts, about)


def _moved(
    lm: Any, source: Source, shown: Shown, params: BrowserStep
) -> Iterator[MovedTokens] | None:
    """Tokens moved by each active latent in order; None if no head can read the hook point."""
    if not params.top_tokens or not reads_width(lm, len(source.units.mean)):
        return None
    return _read_by_head(lm, source, shown, params.top_tokens)


@torch.no_grad()
def _read_by_head(lm: Any, source: Source, shown: Shown, n: int) -> Iterator[MovedTokens]:
    units = source.units
    alive = torch.from_numpy(np.flatnonzero(shown.counts.fired))
    typical = torch.from_numpy(shown.counts.mean)[alive].float()
    directions = source.model.added_rows().detach()[alive] * typical[:, None] * units.std
    for moved in moved_tokens(lm, units.mean, directions, n):
        columns = (column.tolist() for column in moved)
        yield from (MovedTokens(*row) for row in zip(*columns, strict=True))

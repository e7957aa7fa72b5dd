"""Standardised activations of this study, in memory, in an order that every contestant gets alike."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from fispace.errors import ArtifactError
from fispace.store.activations import ActivationStore
from fispace.store.standardiser import load_standardiser


def require_manifest(manifest: Path) -> None:
    """Check that there are activations to train on.

    Raises:
        ArtifactError: if there are none; the message says what to run first.
    """
    if not manifest.exists():
        raise ArtifactError(
            f"There are no activations at {manifest}: the benchmark compares the quality of trained "
            "autoencoders on activations that the chapter `extract` has written. Run `make` (the "
            "default study) or `snakemake extract --cores all` first, or name another study's "
            "manifest: `make bench MANIFEST=results/RUN/extract/manifest.json`."
        )


def load_split(manifest: Path, split: str) -> Tensor:
    """All non-special tokens of a split, in units of the train split's standard deviation."""
    units = load_standardiser(manifest.parent / "standardiser.safetensors")
    groups = ActivationStore(manifest).groups(split)
    return torch.cat([units.standardise(torch.from_numpy(group)) for group in groups])


def shuffled_batches(
    tokens: Tensor, batch_tokens: int, n_steps: int, seed: int
) -> Iterator[Tensor]:
    """`n_steps` batches of randomly ordered tokens, an epoch's incomplete last batch left out."""
    generator = torch.Generator().manual_seed(seed)
    left = n_steps
    while left > 0:
        order = torch.randperm(len(tokens), generator=generator)
        batches = [batch for batch in order.split(batch_tokens) if len(batch) == batch_tokens]
        if not batches:
            raise ArtifactError(
                f"{len(tokens)} tokens do not fill one batch of {batch_tokens}: extract more tokens."
            )
        for batch in batches[:left]:
            yield tokens[batch]
        left -= len(batches)

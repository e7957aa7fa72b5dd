"""What the benchmark trains on: the same order for everyone, and a word when there is nothing."""

import sys

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks.activations import shuffled_batches
from benchmarks.contestants.fispace_nfm import draw_codes
from benchmarks.job import Size
from fispace.errors import ArtifactError


def test_without_activations_one_paragraph_says_what_to_run(tmp_path, monkeypatch, capsys):
    manifest = tmp_path / "manifest.json"
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--manifest", str(manifest)])
    assert command.main() == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert str(manifest) in message and "snakemake extract" in message


def test_batches_are_epochs_of_every_token_in_an_order_the_seed_fixes():
    tokens = torch.arange(10).float()[:, None]
    batches = list(shuffled_batches(tokens, 3, 5, seed=1))
    assert len(batches) == 5 and all(batch.shape == (3, 1) for batch in batches)
    assert torch.cat(batches[:3]).unique().numel() == 9
    again = list(shuffled_batches(tokens, 3, 5, seed=1))
    assert all(torch.equal(a, b) for a, b in zip(batches, again, strict=True))


def test_fewer_tokens_than_a_batch_are_refused():
    with pytest.raises(ArtifactError, match="do not fill"):
        next(shuffled_batches(torch.zeros(2, 1), 3, 1, seed=0))


@pytest.mark.parametrize("is_skewed", [False, True])
def test_drawn_codes_hold_no_latent_twice(is_skewed):
    size = Size(d_model=2, n_latents=40, k=8, d_embed=2, batch_tokens=256)
    codes = draw_codes(size, is_skewed, torch.Generator().manual_seed(0))
    assert codes.values.shape == codes.indices.shape == (256, 8)
    assert all(len(set(row.tolist())) == 8 for row in codes.indices)
    counts = torch.bincount(codes.indices.flatten(), minlength=40)
    assert (counts[:8].sum() > 2 * counts[-8:].sum()) == is_skewed


def test_latents_out_of_use_are_never_drawn():
    size = Size(d_model=2, n_latents=400, k=8, d_embed=2, batch_tokens=256)
    codes = draw_codes(size, False, torch.Generator().manual_seed(0), n_used=40)
    assert set(codes.indices.unique().tolist()) == set(range(0, 400, 10))
    assert all(len(set(row.tolist())) == 8 for row in codes.indices)

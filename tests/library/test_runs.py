"""An opened run shows what its files hold."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import fispace
from fispace.errors import ArtifactError, ParamsError
from fispace.lm.pieces import TokenTexts
from fispace.models.trained import initial_model
from fispace.store.checkpoint import save_checkpoint

REFERENCE = Path(__file__).parents[2] / "results/reference/testbed"


@pytest.fixture
def run(x, sae, tmp_path):
    """A run's folder with activations and one trained arm."""
    place = tmp_path / "results/mine"
    (place / "train/sae_bias").mkdir(parents=True)
    shutil.copytree(x.folder, place / "extract")
    sae.save(tmp_path / "arm")
    (tmp_path / "arm/weights.safetensors").rename(place / "train/sae_bias/seed0.safetensors")
    return fispace.open(place)


def test_tables_kept_in_git_are_data_frames_of_declared_types():
    run = fispace.open(REFERENCE)
    summary = run.table("fidelity/summary")
    assert pd.api.types.is_integer_dtype(summary["seed"])
    assert "" in set(summary["arm"])  # the LM alone: a text, not a missing number
    assert {"factorial/truth", "geometry/summary", "report/quantities"} <= set(run.tables)


def test_every_table_kept_in_git_is_read():
    run = fispace.open(REFERENCE)
    small = [name for name in run.tables if "report/figures" not in name]
    assert all(len(run.table(name).columns) > 1 for name in small)


def test_arms_are_listed_and_read(run, x, sae):
    assert run.arms.to_numpy().tolist() == [["sae_bias", 0]]
    arm = run.arm("sae_bias")
    assert np.array_equal(arm.reconstruct(x), sae.reconstruct(x))


def test_contexts_are_the_tokens_of_largest_activation_in_their_windows(run, lm, x, sae):
    codes = sae.codes(x).toarray()
    latent = int((codes > 0).sum(0).argmax())
    found = run.contexts("sae_bias", latent, n=5, width=3, tokenizer=lm.tokenizer)
    assert len(found) == 5
    np.testing.assert_allclose(found["activation"], -np.sort(-codes[:, latent])[:5], rtol=1e-5)
    tokens, texts = x.tokens("test"), TokenTexts(lm.tokenizer)
    for row in found.itertuples():
        own = tokens[(tokens["document_id"] == row.document_id)]
        near = own[own["position"] == row.position]
        assert row.token in {texts.one(int(token)) for token in near["token_id"]}
        assert len(row.before.split()) <= 3 and len(row.after.split()) <= 3


def test_a_silent_latent_has_no_contexts(run, lm, sae):
    record = sae.trained.record
    model = initial_model(record)
    with torch.no_grad():
        model.sae.b_enc[7] = -1e6
    save_checkpoint(
        run.folder / "train/sae_bias/seed0.safetensors", model.state_dict(), record.plain()
    )
    found = run.contexts("sae_bias", 7, tokenizer=lm.tokenizer)
    assert found.empty and found.columns[0] == "activation"


REFUSED = {
    "no such table": (lambda r: r.table("fidelity/summary"), ParamsError, "has no table"),
    "no such arm": (lambda r: r.arm("joint"), ParamsError, "as arm and seed: sae_bias 0"),
    "no such seed": (lambda r: r.arm("sae_bias", 4), ParamsError, "with seed 4"),
    "an arm that is a path": (lambda r: r.arm("../train/sae_bias"), ParamsError, "has no arm"),
    "no geometry yet": (lambda r: r.latents("sae_bias"), ParamsError, "has no table"),
    "no such latent": (lambda r: r.contexts("sae_bias", 999), ParamsError, "0 to 47"),
    "no tokenizer": (lambda r: r.contexts("sae_bias", 0), ParamsError, "tokenizer="),
    "tables alone": (lambda _: fispace.open(REFERENCE).activations, ArtifactError, "does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_run_lacks_is_named(case, run):
    call, kind, said = REFUSED[case]
    with pytest.raises(kind, match=said):
        call(run)

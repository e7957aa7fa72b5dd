"""The laws on a real pretrained model: set FISPACE_REAL_LM to its folder, FISPACE_REAL_TEXT to a .jsonl."""

import os
from pathlib import Path

import pytest
import torch
from fidelity.small_chapter import jsonl_text

from fispace.chapters.extract.activations import extract_activations
from fispace.chapters.extract.standardiser import fit_standardiser
from fispace.lm.hooks import logits, splice
from fispace.lm.window_batches import hooked_pass, load_extracted_lm, spliced_logits, window_batches
from fispace.lm.windows import pad_id_of
from fispace.stats.metrics import kl_per_token, log_probabilities, next_token_ce
from fispace.store.activations import ActivationStore
from fispace.store.standardiser import load_standardiser
from fispace.study.config.extract import ExtractStep, SpecialTokensConfig, StandardiserStep
from fispace.study.config.lm import LmConfig

LM, TEXT = os.environ.get("FISPACE_REAL_LM"), os.environ.get("FISPACE_REAL_TEXT")
AS_MARKED = SpecialTokensConfig(add=(), exempt=())
HOOK_POINT = 1

pytestmark = [
    pytest.mark.real_lm,
    pytest.mark.skipif(
        not (LM and TEXT), reason="set FISPACE_REAL_LM and FISPACE_REAL_TEXT to run on a real model"
    ),
]


@pytest.fixture(scope="module")
def params() -> ExtractStep:
    return ExtractStep(
        lm=LmConfig(name=str(LM), revision=None, dtype="float32", hook_point=HOOK_POINT),
        text=jsonl_text(str(TEXT)),
        transfer=None,
        window_tokens=128,
        min_window_tokens=8,
        add_bos=True,
        special_tokens=AS_MARKED,
        val_fraction=0.2,
        test_fraction=0.2,
        max_tokens={"train": 6000, "val": 2000, "test": 2000, "transfer": 1},
        shards={"train": 2, "val": 1, "test": 1, "transfer": 1},
        store_dtype="float16",
        row_group_tokens=1024,
        batch_windows=16,
        root_seed=0,
        threads=1,
        device="cpu",
    )


@pytest.fixture(scope="module")
def store(params, tmp_path_factory) -> ActivationStore:
    folder: Path = tmp_path_factory.mktemp("real")
    extract_activations(
        params, lm_folder=None, corpus=None, scratch=folder / "scratch", out=folder / "extract"
    )
    return ActivationStore(folder / "extract/manifest.json")


@pytest.fixture(scope="module")
def lm(params, store):
    return load_extracted_lm(params.lm, None, store)


@pytest.fixture(scope="module")
def batch(lm, store):
    return next(window_batches(store, "test", 8, pad_id_of(lm[1])))


def kl_of(lm, batch, rows) -> torch.Tensor:
    x, original = hooked_pass(lm[0], HOOK_POINT, batch)
    spliced = spliced_logits(lm[0], HOOK_POINT, batch, x, rows(x[batch.is_token]))
    kl = kl_per_token(log_probabilities(original), log_probabilities(spliced))
    return kl[batch.is_token]


def test_unmodified_activations_give_kl_below_1e_6_at_every_token(lm, batch):
    assert kl_of(lm, batch, lambda x: x).max() <= 1e-6


def test_standardised_and_restored_activations_give_kl_below_1e_6(lm, batch, store, tmp_path):
    path = tmp_path / "standardiser.safetensors"
    fit_standardiser(StandardiserStep(zero_variance="keep"), manifest=store.path, standardiser=path)
    units = load_standardiser(path)
    assert kl_of(lm, batch, lambda x: units.restore(units.standardise(x))).max() <= 1e-6


def test_float16_storage_gives_a_mean_kl_below_1e_6(lm, batch):
    assert kl_of(lm, batch, lambda x: x.half().float()).mean() <= 1e-6


def test_spliced_logits_are_those_of_a_full_pass_within_1e_5(lm, batch):
    x, _ = hooked_pass(lm[0], HOOK_POINT, batch)
    rows = 1.1 * x[batch.is_token].flip(0)
    place = batch.is_token[..., None].expand_as(x)
    with splice(lm[0], HOOK_POINT, lambda own: own.clone().masked_scatter(place, rows)):
        full = logits(lm[0], batch.token_ids, batch.attention_mask)
    found = spliced_logits(lm[0], HOOK_POINT, batch, x, rows)
    present = batch.attention_mask == 1
    torch.testing.assert_close(found[present], full[present], atol=1e-5, rtol=0)


def test_the_model_predicts_its_text_better_than_chance(lm, batch):
    _, original = hooked_pass(lm[0], HOOK_POINT, batch)
    ce = next_token_ce(log_probabilities(original), batch.token_ids)[batch.is_token]
    assert ce[ce > 0].mean() < 0.8 * torch.log(torch.tensor(float(original.shape[-1])))


def test_a_second_extraction_is_byte_identical(params, store, tmp_path):
    extract_activations(
        params.changed(), lm_folder=None, corpus=None, scratch=tmp_path / "s", out=tmp_path / "e"
    )
    assert (tmp_path / "e/manifest.json").read_bytes() == store.path.read_bytes()

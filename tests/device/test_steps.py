"""Every chapter's steps run on another device, and give the numbers of the processor within rounding."""

from pathlib import Path

import numpy as np
import pytest
import torch
from device.compare import require_same_numbers
from factorial.small_chapter import run_chapter
from fidelity.small_chapter import extracted, make_poor
from geometry import small_study as geometry
from interactions import planted_study as planted
from train import small_training as training

from fispace import devices
from fispace.chapters.geometry.arm import measure_geometry
from fispace.chapters.interactions.pairs import measure_pairs
from fispace.models.trained import load_trained
from fispace.models.training_state import Checkpoints

ALL_PARTS = ["sae", "linear", "bias", "interaction"]
TIGHT = {"rtol": 1e-5, "atol": 1e-6}
"""Of a pass over given weights."""
TRAINED = {"rtol": 2e-3, "atol": 2e-3}
"""Of weights after 60 steps, in which rounding grows."""


def on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "device_of", lambda _name: devices.CPU)


WITHOUT_DROPOUT = training.PARAMS.changed(dropout=0.0)
"""Each device has random numbers of its own for dropout."""


@pytest.fixture(scope="module")
def processor_training(tmp_path_factory) -> Path:
    store = training.write_store(tmp_path_factory.mktemp("cpu"))
    for arm, row in (("sae", training.SAE), ("joint", training.JOINT)):
        training.run(store, arm, row, params=WITHOUT_DROPOUT)
    return store


@pytest.mark.parametrize("arm", ["sae", "joint"])
def test_a_training_gives_the_processors_weights_within_rounding(
    arm, device, processor_training, tmp_path
):
    store = training.write_store(tmp_path)
    row = {"sae": training.SAE, "joint": training.JOINT}[arm]
    found = training.run(store, arm, row, params=WITHOUT_DROPOUT)
    expected = processor_training / "out"
    require_same_numbers(found, expected / f"{arm}.safetensors", **TRAINED)
    require_same_numbers(found.with_suffix(".parquet"), expected / f"{arm}.parquet", **TRAINED)


@pytest.mark.parametrize("options", [
    {"optimiser": "row_sparse_adam"}, {"optimiser": "half_precision_adam", "adam_eps": 1e-5},
    {"select_by": "contribution", "subtract_bias": True}, {"cuda_dtype": "bfloat16"},
])  # fmt: skip
def test_every_way_to_train_runs_on_the_device_and_twice_gives_the_same_bytes(
    options, device, tmp_path
):
    files = []
    for name in ("first", "second"):
        store = training.write_store(tmp_path / name)
        changed = training.PARAMS.changed(n_tokens=64 * 20, **options)
        files.append(training.run(store, "joint", training.JOINT, params=changed).read_bytes())
    assert files[0] == files[1]


class Killed(BaseException):
    """Ends a training like a signal."""


def test_a_killed_training_continues_to_the_same_bytes_dropout_included(
    device, tmp_path, monkeypatch
):
    params = training.PARAMS.changed(dropout=0.5)
    whole = training.run(
        training.write_store(tmp_path / "whole"), "joint", training.JOINT, params=params
    )
    store = training.write_store(tmp_path / "killed")
    real = Checkpoints.offer

    def offer(self, of) -> None:
        if of.progress.n_steps == 37:
            real(self, of)
        if of.progress.n_steps == 45:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoints, "offer", offer)
        training.run(store, "joint", training.JOINT, params=params, seconds=0.0)
    found = training.run(store, "joint", training.JOINT, params=params)
    assert found.read_bytes() == whole.read_bytes()


def test_a_frozen_sae_is_copied_to_the_device(device, tmp_path):
    store = training.write_store(tmp_path)
    sae = training.run(store, "sae", training.SAE)
    found = training.run(store, "sequential", training.SEQUENTIAL, frozen=sae)
    weights = [load_trained(path, {}).model.sae.W_dec for path in (sae, found)]
    assert torch.equal(*weights)


def test_fidelity_gives_the_processors_sums(device, lm_folders, tmp_path, monkeypatch):
    tables = {}
    for name in ("device", "processor"):
        if name == "processor":
            on_the_processor(monkeypatch)
        folder = tmp_path / name
        folder.mkdir()
        chapter = extracted(folder, lm_folders["llama"])
        weights = chapter.save_model("poor", ALL_PARTS, make_poor)
        tables[name] = [
            *chapter.measure("poor", weights).values(),
            chapter.measure_ablation_baselines(),
        ]
    for found, expected in zip(tables["device"], tables["processor"], strict=True):
        require_same_numbers(found, expected, rtol=1e-4, atol=1e-5)


def test_geometry_gives_the_processors_table(device, tmp_path, monkeypatch):
    manifest, standardiser = geometry.write_store(tmp_path, 300)
    weights = tmp_path / "weights.safetensors"
    geometry.write_checkpoint(weights, "joint", ALL_PARTS, manifest, standardiser, 0.1)
    tables = {}
    for name in ("device", "processor"):
        if name == "processor":
            on_the_processor(monkeypatch)
        outputs = {
            key: tmp_path / f"{name}.{key}.parquet" for key in ("latents", "spectrum", "table")
        }
        measure_geometry(
            geometry.PARAMS, arm="joint", seed=0, weights=weights, manifest=manifest,
            standardiser=standardiser, **outputs,
        )  # fmt: skip
        tables[name] = outputs
    for key, found in tables["device"].items():
        require_same_numbers(found, tables["processor"][key], rtol=1e-4, atol=1e-5)


def test_interactions_gives_the_processors_verdicts(device, tmp_path, monkeypatch):
    manifest, standardiser = planted.write_store(tmp_path)
    weights = tmp_path / "sae.safetensors"
    order = np.arange(planted.N_FEATURES)
    planted.write_sae(weights, 0, order, manifest, standardiser)
    tables = {}
    for name in ("device", "processor"):
        if name == "processor":
            on_the_processor(monkeypatch)
        outputs = {key: tmp_path / f"{name}.{key}.parquet" for key in ("pairs", "summary")}
        measure_pairs(
            planted.PARAMS, seed=0, weights=weights, manifest=manifest,
            standardiser=standardiser, **outputs,
        )  # fmt: skip
        tables[name] = outputs
    for key, found in tables["device"].items():
        require_same_numbers(found, tables["processor"][key], rtol=1e-3, atol=1e-4)


def test_factorial_runs_whole_and_gives_the_processors_responses(
    device, lm_folders, tmp_path, monkeypatch
):
    found = run_chapter(tmp_path / "device", lm_folders["llama"])
    on_the_processor(monkeypatch)
    expected = run_chapter(tmp_path / "processor", lm_folders["llama"])
    for name in ("select", "confirm"):
        require_same_numbers(getattr(found, name), getattr(expected, name), **TIGHT)
    for name in ("secondary", "residual"):
        require_same_numbers(getattr(found, name), getattr(expected, name), **TRAINED)
    require_same_numbers(found.checks, expected.checks, rtol=1e-2, atol=1e-3)

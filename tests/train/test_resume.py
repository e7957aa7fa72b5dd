"""A killed training continues to the same bytes as an uninterrupted one; other files are refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from train.small_training import JOINT, PARAMS, SAE, SEQUENTIAL, arm_row, run

from fispace.chapters.train.arm import train_candidate
from fispace.errors import DivergedError
from fispace.models import training_state as resume
from fispace.models.training_state import FILE, Checkpoints
from fispace.store.files import write_json
from fispace.store.tensors import load_tensors, save_tensors
from fispace.study.config.train import AuxKConfig

LAST = PARAMS.n_steps
AUX_K = AuxKConfig(k=4, coefficient=0.03, dead_tokens=300)
TRAININGS = {
    "adam": (JOINT, PARAMS),
    "row_sparse_adam": (JOINT, PARAMS.changed(optimiser="row_sparse_adam")),
    "aux_k": (SAE, PARAMS.changed(aux_k=AUX_K)),
    "row_sparse_aux_k": (JOINT, PARAMS.changed(aux_k=AUX_K, optimiser="row_sparse_adam")),
    "subtracted_bias": (JOINT, PARAMS.changed(subtract_bias=True, aux_k=AUX_K)),
    "frozen": (SEQUENTIAL, PARAMS),
}


class Killed(BaseException):
    """Ends a training like a signal."""


@pytest.fixture
def killed(monkeypatch):
    """Runs a training that is saved after step `kept` and killed after step `at`."""

    def training(kept, at, *arguments, **options):
        def offer(self, training):
            if training.progress.n_steps == kept:
                real(self, training)
            if training.progress.n_steps == at:
                raise Killed

        real = Checkpoints.offer
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Checkpoints, "offer", offer)
            run(*arguments, **options, seconds=0.0)

    return training


def files(store, folder):
    return {path.name: path.read_bytes() for path in sorted((store / folder).glob("*"))}


def kept_file(store, arm="joint") -> Path:
    return store / "scratch" / arm / FILE


def steps_taken(monkeypatch) -> list[int]:
    """A list that collects the steps of all trainings from now on."""
    taken: list[int] = []
    real = Checkpoints.offer

    def offer(self, training):
        taken.append(training.progress.n_steps)
        real(self, training)

    monkeypatch.setattr(Checkpoints, "offer", offer)
    return taken


@pytest.mark.parametrize("name", TRAININGS)
def test_a_killed_training_continues_to_the_same_bytes(store, killed, monkeypatch, name):
    row, params = TRAININGS[name]
    frozen = run(store, "sae", SAE, folder="source") if name == "frozen" else None
    run(store, "joint", row, params=params, frozen=frozen, folder="undisturbed")
    killed(37, 52, store, "joint", row, params=params, frozen=frozen)
    assert not (store / "out").exists()
    taken = steps_taken(monkeypatch)
    run(store, "joint", row, params=params, frozen=frozen)
    assert taken == list(range(38, LAST + 1))
    assert files(store, "out") == files(store, "undisturbed")
    assert len(files(store, "out")) == 3


@pytest.mark.parametrize("kept", [1, 19, 20, 23, 30, 59, LAST])
def test_the_step_of_the_saved_state_does_not_matter(store, killed, kept):
    # 1,500 rows are 22.97 batches, so step 23 spans two epochs
    run(store, "joint", JOINT, folder="undisturbed")
    killed(kept, LAST, store, "joint", JOINT)
    run(store, "joint", JOINT)
    assert files(store, "out") == files(store, "undisturbed")


def test_a_training_killed_again_and_again_ends_with_the_same_bytes(store, killed):
    run(store, "joint", JOINT, folder="undisturbed")
    for kept in (5, 18, 41, 42):
        killed(kept, kept + 3, store, "joint", JOINT)
    run(store, "joint", JOINT)
    assert files(store, "out") == files(store, "undisturbed")


def test_a_training_killed_with_signal_9_continues_to_the_same_bytes(store):
    params = PARAMS.changed(n_tokens=64 * 800, val_every=200)
    run(store, "joint", JOINT, params=params, folder="undisturbed")
    process = subprocess.Popen(command(params), cwd=store, env=dict(os.environ))
    deadline = time.monotonic() + 120
    while not kept_file(store).exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 0 < load_tensors(kept_file(store))[1]["progress"]["n_steps"] < params.n_steps
    run(store, "joint", JOINT, params=params)
    assert files(store, "out") == files(store, "undisturbed")
    assert not (store / "scratch/joint").exists()  # nor the remains of a killed write


def command(params) -> list[str]:
    values = {
        "params": json.dumps(params.plain()), "arm": "joint", "row": json.dumps(JOINT), "seed": "0",
        "chosen": "lr.json", "manifest": "manifest.json", "standardiser": "standardiser.safetensors",
        "scratch": "scratch/joint", "checkpoint-seconds": "0.05", "weights": "out/joint.safetensors",
        "curve": "out/joint.parquet", "lifecycle": "out/joint.lifecycle.parquet",
    }  # fmt: skip
    options = [word for name, value in values.items() for word in (f"--{name}", value)]
    return [sys.executable, "-m", "fispace", "train", "arm", *options]


def test_a_killed_candidate_continues_too(store, monkeypatch):
    def train(folder, seconds):
        train_candidate(
            PARAMS, lr=0.01, seed=0, manifest=store / "manifest.json",
            standardiser=store / "standardiser.safetensors", scratch=store / "scratch",
            checkpoint_seconds=seconds, curve=store / folder / "curve.parquet",
        )  # fmt: skip

    train("undisturbed", 60.0)
    monkeypatch.setattr("fispace.chapters.train.arm.write_table", raise_killed)
    with pytest.raises(Killed):
        train("out", 0.0)
    monkeypatch.undo()
    taken = steps_taken(monkeypatch)
    train("out", 60.0)
    assert taken == []
    assert files(store, "out") == files(store, "undisturbed")


def raise_killed(*_: object) -> None:
    raise Killed


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_finished_training_leaves_no_scratch_and_saving_changes_no_byte(store, seconds):
    run(store, "joint", JOINT, folder="undisturbed")
    run(store, "joint", JOINT, seconds=seconds)
    assert not (store / "scratch/joint").exists()
    assert files(store, "out") == files(store, "undisturbed")


def flip(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_progress(path: Path) -> None:
    tensors, record = load_tensors(path)
    record["progress"]["n_steps"] += 1
    save_tensors(path, tensors, record)


def change_weight(path: Path) -> None:
    tensors, record = load_tensors(path)
    tensors["model.sae.W_dec"][0, 0] += 1
    save_tensors(path, tensors, record)


DAMAGES = {f"bit at {place}": lambda path, place=place: flip(path, place)
           for place in (0.0, 0.01, 0.2, 0.5, 0.8, 1.0)} | {
    "truncated": truncate, "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no tensors"),
    "progress": change_progress, "weight": change_weight,
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_altered_checkpoint_is_noticed_and_the_training_starts_anew(
    store, killed, monkeypatch, caplog, damage
):
    run(store, "joint", JOINT, folder="undisturbed")
    killed(37, 37, store, "joint", JOINT)
    DAMAGES[damage](kept_file(store))
    taken = steps_taken(monkeypatch)
    run(store, "joint", JOINT)
    assert taken[0] == 1
    assert files(store, "out") == files(store, "undisturbed")
    assert [r for r in caplog.records if r.levelname == "WARNING" and FILE in r.getMessage()]


@pytest.mark.parametrize("what", ["params", "seed", "lr", "row", "data", "code", "numpy"])
def test_the_checkpoint_of_another_training_is_not_used(store, killed, monkeypatch, what):
    params, seed, row = PARAMS, 0, JOINT
    killed(37, 37, store, "joint", JOINT)
    if what == "params":
        params = PARAMS.changed(adam_eps=1e-7)
    elif what == "seed":
        seed = 1
    elif what == "lr":
        write_json(store / "lr.json", {"lr": 0.02})
    elif what == "row":
        row = arm_row(["sae", "linear", "interaction"])
    elif what == "data":
        manifest = json.loads((store / "manifest.json").read_text())
        write_json(store / "manifest.json", manifest | {"hook_point": "elsewhere"})
    elif what == "code":
        monkeypatch.setattr("fispace.models.training_state.code_digest", lambda _: "0")
    else:
        monkeypatch.setattr(np, "__version__", "0")
    taken = steps_taken(monkeypatch)
    run(store, "joint", row, params=params, seed=seed)
    assert taken[0] == 1


def test_a_frozen_sae_that_was_trained_again_starts_the_training_anew(store, killed, monkeypatch):
    sae = run(store, "sae", SAE)
    killed(37, 37, store, "sequential", SEQUENTIAL, frozen=sae)
    tensors, record = load_tensors(sae)
    save_tensors(sae, {name: 2 * value for name, value in tensors.items()}, record)
    taken = steps_taken(monkeypatch)
    run(store, "sequential", SEQUENTIAL, frozen=sae)
    assert taken[0] == 1


def test_a_diverging_training_keeps_its_last_finite_state(store, caplog):
    caplog.set_level("INFO", logger="fispace")
    write_json(store / "lr.json", {"lr": 1e30})
    params = PARAMS.changed(grad_clip=None)
    for _ in range(2):  # it ends the same way from the saved state
        with pytest.raises(DivergedError, match="diverged"):
            run(store, "joint", JOINT, params=params, seconds=0.0)
        assert not (store / "out").exists()
        assert all(
            value.isfinite().all()
            for value in load_file(kept_file(store)).values()
            if value.is_floating_point()
        )
        assert "last good state of this training is kept" in caplog.text


def test_a_full_disk_loses_the_saved_state_and_not_the_training(store, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    run(store, "joint", JOINT, folder="undisturbed")
    monkeypatch.setattr(resume, "save_tensors", full)
    run(store, "joint", JOINT, seconds=0.0)
    assert files(store, "out") == files(store, "undisturbed")
    assert "step 1 is not kept" in caplog.text


def test_the_training_is_saved_no_more_often_than_asked(store, monkeypatch):
    now, saved = [0.0], []
    monkeypatch.setattr(resume.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(resume, "save_tensors", lambda *_: saved.append(now[0]))
    real = Checkpoints.offer

    def offer(self, training):
        now[0] += 1.0  # a step takes a second
        real(self, training)

    monkeypatch.setattr(Checkpoints, "offer", offer)
    run(store, "joint", JOINT, seconds=25.0)
    assert saved == [25.0, 50.0]

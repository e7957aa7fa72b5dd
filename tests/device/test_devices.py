"""Which device a name stands for, and that records name the one that was used."""

import logging
from pathlib import Path

import pytest
import torch

from fispace import devices
from fispace.errors import ParamsError
from fispace.provenance.records import DEVICE, Record
from fispace.provenance.verify import _note_versions
from fispace.study.config.base import OnDevice


@pytest.fixture
def cards(monkeypatch):
    def there(n: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n)

    return there


@pytest.mark.parametrize(("name", "n_cards", "found"), [
    ("auto", 0, "cpu"), ("cpu", 2, "cpu"), ("auto", 2, "cuda:0"), ("cuda", 1, "cuda:0"),
    ("cuda:1", 2, "cuda:1"),
])  # fmt: skip
def test_a_name_stands_for_a_device_that_is_there(name, n_cards, found, cards):
    cards(n_cards)
    assert str(devices.device_of(name)) == found


@pytest.mark.parametrize(("name", "n_cards", "there"), [
    ("cuda", 0, "there are: cpu."), ("cuda:2", 2, "there are: cpu, cuda:0, cuda:1."),
])  # fmt: skip
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name, n_cards, there, cards):
    cards(n_cards)
    with pytest.raises(ParamsError, match=there):
        devices.device_of(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", "cuda:1;ls", "mps", ""])
def test_a_name_of_another_form_is_refused_before_anything_runs(name):
    with pytest.raises(ParamsError, match="device"):
        OnDevice.read({"threads": 1, "device": name}, "study")


def test_torchs_own_random_states_go_round(monkeypatch):
    torch.manual_seed(1)
    kept = devices.random_states(devices.CPU)
    first = torch.rand(3)
    devices.set_random_states(kept, devices.CPU)
    assert torch.equal(torch.rand(3), first)


def record_made_on(device: str | None) -> Record:
    made_with = {} if device is None else {DEVICE: device}
    return Record("train arm", {}, {}, {}, {}, [], "", made_with, Path("x"))


@pytest.mark.parametrize(("made_on", "is_noted"), [
    (["cpu", "cpu", None], False), (["cpu", "NVIDIA H100", None], True),
])  # fmt: skip
def test_verify_says_when_commands_ran_on_different_devices(made_on, is_noted, caplog):
    with caplog.at_level(logging.INFO):
        _note_versions([record_made_on(device) for device in made_on])
    said = caplog.text
    assert ("1 on NVIDIA H100, 1 on cpu" in said) == is_noted
    assert ("did not run on one device" in said) == is_noted

"""The device on which the tests of this folder run: a pretended one, or the one that the environment names."""

import os
from collections.abc import Iterator

import pytest
import torch
from device import pretend

from fispace import devices
from fispace.chapters.train import job

NAME = os.environ.get("FISPACE_TEST_DEVICE", "pretended")
"""pretended, cpu, cuda or cuda:N: set by `make test-gpu`."""


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device; every step runs on it inside the test, whatever its parameters say."""
    if NAME == "pretended":
        with pretend.pretended() as found:
            monkeypatch.setattr(devices, "device_of", lambda _name: found)
            # what makes tensors act as elsewhere is there in the thread of the test alone
            monkeypatch.setattr(job, "prefetched", lambda items, _depth: iter(items))
            yield found
        # a step that ignored the device would give the processor's numbers too
        assert sum(pretend.done[product] for product in pretend.PRODUCTS)
        return
    found = devices.device_of(NAME)
    monkeypatch.setattr(devices, "device_of", lambda _name: found)
    yield found
    torch.use_deterministic_algorithms(False)

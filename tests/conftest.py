"""Shared fixtures: runtime shape checks, and tiny causal LMs of three architectures on disk."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach a hub
os.environ.pop("MPLBACKEND", None)  # a notebook's: it may be missing in this environment

from jaxtyping import install_import_hook

install_import_hook("fispace", "beartype.beartype")

import pytest
import torch
from small_lms import KINDS, save_small_lm

torch.set_num_threads(1)  # tests run beside each other; two threads of a tiny product only wait


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers, a file each, the files that need the finished tiny study begin first.

    Their tests are the longest, and some build on one another: it is what the others are run beside.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: "finished" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def lm_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny random causal LMs: llama, gpt2, gpt_neox."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    for kind, folder in folders.items():
        save_small_lm(kind, folder)
    return folders

"""What is recorded of the machine: what the numbers depend on, and nothing that names it."""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from benchmarks.worker import THREADS

TOOLS = ("torch", "sae-lens", "eai-sparsify")
"""Distributions whose versions are recorded."""


def machine() -> dict[str, Any]:
    """What the numbers depend on besides the code; nothing that names a machine."""
    has_cuda = torch.cuda.is_available()
    return {
        "cores": os.cpu_count(),
        "threads": THREADS,
        "cuda_device": torch.cuda.get_device_name() if has_cuda else None,
        "versions": {name: _version(name) for name in TOOLS},
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None

"""Peak memory of this process: resident on the CPU, allocated on a CUDA device."""

import resource
import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_HIGH_WATER_MARK = "5"  # proc(5)


def peak_mib(device: str) -> float:
    """High-water mark since the last reset, in MiB."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    if STATUS.exists():
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**10
    unit = 1 if sys.platform == "darwin" else 2**10  # getrusage counts bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def reset_peak(device: str) -> None:
    """Start a new high-water mark from the memory in use now, where the system can."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif CLEAR_REFS.exists():
        CLEAR_REFS.write_text(RESET_HIGH_WATER_MARK)

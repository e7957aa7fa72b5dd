"""How torch computes in a training: how many threads, and only kernels that repeat to the bit.

Must not: seed anything; random streams have names.
"""

import torch


def fix_numerics(threads: int) -> None:
    """The same bits in every run with this number of threads, at no cost in speed.

    Torch's deterministic mode also overwrites every new tensor with NaN before its first use, to
    unmask reads of uninitialised memory; that is a debugging aid, paid for in every step.
    """
    torch.set_num_threads(threads)
    # same switch as use_deterministic_algorithms(True), which also loads the compiler: 1.5 seconds
    torch.set_deterministic_debug_mode("error")
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010, untyped

"""How torch computes in a training: threads, kernels that repeat to the bit, precision of the selection.

Must not: seed anything; random streams have names.
"""

import torch

from fispace.study.config.train import SelectionDtype, TopkDtype

BFLOAT16_PRODUCTS = ("avx512_bf16", "amx_bf16")
"""Capabilities of processors that multiply bfloat16 numbers faster than float32 ones."""

BFLOAT16_WEIGHTS, BFLOAT16_LATENTS_PER_K = 2**18, 32
"""With so few encoder weights, or fewer latents for each one chosen, taking the candidates' values again
costs what the faster product saves."""


def fix_numerics(threads: int) -> None:
    """The same bits in every run with this number of threads, at no cost in speed.

    Torch's deterministic mode also overwrites every new tensor with NaN before its first use, to
    unmask reads of uninitialised memory; that is a debugging aid, paid for in every step.
    """
    torch.set_num_threads(threads)
    # same switch as use_deterministic_algorithms(True), which also loads the compiler: 1.5 seconds
    torch.set_deterministic_debug_mode("error")
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010, untyped


def selection_dtype(topk_dtype: TopkDtype, d_model: int, n_latents: int, k: int) -> SelectionDtype:
    """The precision itself; of `auto` the faster one for training at this size on this processor.

    The codes' values are float32 either way; the chosen latents differ in near ties.
    """
    if topk_dtype != "auto":
        return topk_dtype
    capabilities = torch.cpu.get_capabilities()
    has_products = any(capabilities.get(name, False) for name in BFLOAT16_PRODUCTS)
    is_large = d_model * n_latents > BFLOAT16_WEIGHTS
    is_sparse = n_latents >= BFLOAT16_LATENTS_PER_K * k
    return "bfloat16" if has_products and is_large and is_sparse else "float32"

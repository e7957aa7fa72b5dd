"""A tiny random LM, texts of its words, and their activations, made once."""

import numpy as np
import pytest
import torch

import fispace

HOOK_POINT = 1


def sentences(n: int, seed: int = 0, low: int = 8, high: int = 30) -> list[str]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(low, high, n)
    return [" ".join(f"w{i}" for i in rng.integers(0, 60, length)) for length in lengths]


@pytest.fixture(scope="session")
def lm(lm_folders):
    return fispace.load_lm(lm_folders["llama"], HOOK_POINT)


@pytest.fixture(scope="session")
def x(lm):
    torch.set_num_threads(1)
    return fispace.activations(lm, sentences(60), window_tokens=16, min_window_tokens=4)


@pytest.fixture(scope="session")
def sae(x):
    return fispace.train(
        x, n_latents=48, k=6, parts=["sae", "bias"], name="sae_bias", batch_tokens=64, n_tokens=1280,
        d_embed=4,
    )  # fmt: skip

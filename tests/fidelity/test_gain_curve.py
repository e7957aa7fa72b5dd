"""Gain by k: cut codes, the best linear decoder, and the table of gains."""

import numpy as np
import pandas as pd
import pytest
import torch
from train.small_training import PARAMS, SAE, SEQUENTIAL, run, write_store

from fispace.chapters.fidelity.gain_curve import gain_table
from fispace.chapters.fidelity.reduced_k import measure_reduced_k
from fispace.models.readout import ReadoutSums
from fispace.models.sparse import Codes
from fispace.models.topk import encode_top_k, largest_codes
from fispace.models.trained import load_trained
from fispace.store.tables import read_table
from fispace.study.config.arms import gain_ks
from fispace.study.config.fidelity import FidelityReducedKStep


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def dense(codes, n_latents):
    return torch.zeros(len(codes.values), n_latents).scatter(1, codes.indices, codes.values)


def test_the_values_of_k_are_shares_of_the_trained_k_and_below_it():
    shares = {"gain_curve": {"k_shares": [0.5, 0.25, 0.01, 0.99]}}
    assert gain_ks(shares | {"k": 32}) == [1, 8, 16]  # 0.99 of 32 is 32 again
    assert gain_ks(shares | {"k": 1}) == []


def test_codes_cut_to_k_are_the_top_k_codes():
    z, W, b = drawn(20, 6, seed=1), drawn(30, 6, seed=2), drawn(30, seed=3)
    cut, own = largest_codes(encode_top_k(z, W, b, 8), 3), encode_top_k(z, W, b, 3)
    torch.testing.assert_close(dense(cut, 30), dense(own, 30))


def test_the_readout_of_batches_is_the_least_squares_fit_to_all_tokens():
    codes = encode_top_k(drawn(200, 6, seed=1), drawn(20, 6, seed=2), torch.zeros(20), 4)
    z = drawn(200, 5, seed=4)
    sums = ReadoutSums(20, 5)
    for rows in torch.arange(200).split(64):
        sums.add(codes[rows], z[rows])
    f = np.column_stack([dense(codes, 20).double().numpy(), np.ones(200)])
    expected = f @ np.linalg.lstsq(f, z.double().numpy())[0]
    torch.testing.assert_close(sums.solve()(codes), torch.from_numpy(expected).float())


def test_a_latent_that_never_fires_has_no_weight():
    sums = ReadoutSums(3, 2)
    sums.add(
        Codes(torch.tensor([[1.0], [2.0], [5.0]]), torch.zeros(3, 1).long()), drawn(3, 2, seed=1)
    )
    assert sums.solve().W[1:].abs().max() < 1e-12


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    store = write_store(tmp_path_factory.mktemp("cut"))
    sae, saes = run(store, "sae", SAE), run(store, "sae", SAE, folder="at2", changed={"k": 2})
    arm = run(store, "sequential", SEQUENTIAL, frozen=sae)
    arms = run(store, "sequential", SEQUENTIAL, frozen=sae, folder="at2", changed={"k": 2})
    assert load_trained(arms, {}).model.config.k == load_trained(saes, {}).model.config.k == 2
    measure_reduced_k(
        FidelityReducedKStep(threads=1, device="cpu"), seed=0, sae=sae, arm=arm, saes=[saes], arms=[arms],
        manifest=store / "manifest.json", standardiser=store / "standardiser.safetensors",
        cut=store / "cut.parquet",
    )  # fmt: skip
    return read_table(store / "cut.parquet").set_index(["k", "model"])["value"]


def test_cutting_to_the_trained_k_changes_neither_sae_nor_arm(found):
    assert found[PARAMS.k, "sae_cut"] == pytest.approx(found[PARAMS.k, "sae_trained"])
    assert found[PARAMS.k, "arm_cut"] == pytest.approx(found[PARAMS.k, "arm_trained"])


def test_cutting_k_raises_the_error_and_every_remedy_lowers_it(found):
    assert found[2, "sae_cut"] > found[PARAMS.k, "sae_cut"]
    for remedy in ("decoder_refit", "sae_trained", "arm_trained"):
        assert found[2, remedy] < found[2, "sae_cut"], remedy


def test_gains_pair_seed_and_k_and_are_averaged_over_seeds():
    fvus = pd.DataFrame(
        [
            {"split": "test", "k": 2, "model": model, "metric": "fvu", "unit": "1", "seed": seed,
             "value": value, "n_tokens": 10}
            for seed, values in enumerate([(0.4, 0.2), (0.8, 0.6)])
            for model, value in zip(("sae_cut", "arm_trained"), values, strict=True)
        ]
    )  # fmt: skip
    found = gain_table(fvus, 0.95)
    gains = found[found["metric"] == "gain"].set_index("seed")
    assert gains["value"].to_dict() == pytest.approx({-1: 0.375, 0: 0.5, 1: 0.25})
    assert gains["n_seeds"].to_dict() == {-1: 2, 0: 1, 1: 1}
    assert set(gains["model"]) == {"arm_trained"}
    turned = gain_table(fvus.iloc[::-1], 0.95)
    pd.testing.assert_frame_equal(turned, found)

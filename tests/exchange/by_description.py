"""What three other tools compute from their files, written from the formats' descriptions alone."""

import json
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor


class Forward(NamedTuple):
    """What a tool gives for some activations."""

    codes: Tensor
    """[tokens n_latents], dense."""
    x_hat: Tensor


def kept(pre_acts: Tensor, k: int) -> Tensor:
    """ReLU of the k largest entries of each row; zero elsewhere."""
    values, places = pre_acts.topk(k, dim=1)
    return torch.zeros_like(pre_acts).scatter(1, places, values.relu())


def saelens(folder: Path, x: Tensor) -> Forward:
    config = json.loads((folder / "cfg.json").read_text())
    own = load_file(folder / "sae_weights.safetensors")
    assert set(own) == {"W_enc", "b_enc", "W_dec", "b_dec"}  # the loader refuses any other tensor
    assert config["architecture"] == "topk" and config["normalize_activations"] == "none"
    assert own["W_enc"].shape == (config["d_in"], config["d_sae"])
    read = x - own["b_dec"] * config["apply_b_dec_to_input"]
    pre_acts = read @ own["W_enc"] + own["b_enc"]
    norm = own["W_dec"].norm(dim=-1)
    if config["rescale_acts_by_decoder_norm"]:
        pre_acts = pre_acts * norm
    codes = kept(pre_acts, config["k"])
    decoded = codes / norm if config["rescale_acts_by_decoder_norm"] else codes
    return Forward(codes, decoded @ own["W_dec"] + own["b_dec"])


def sparsify(folder: Path, x: Tensor) -> Forward:
    config = json.loads((folder / "cfg.json").read_text())
    own = load_file(folder / "sae.safetensors")
    n_latents = config["num_latents"] or config["d_in"] * config["expansion_factor"]
    assert own["encoder.weight"].shape == (n_latents, config["d_in"])
    read = x if config["transcode"] else x - own["b_dec"]
    pre_acts = (read @ own["encoder.weight"].T + own["encoder.bias"]).relu()
    codes = kept(pre_acts, config["k"])
    return Forward(codes, codes @ own["W_dec"] + own["b_dec"])


def dictionary_learning(folder: Path, x: Tensor) -> Forward:
    config = json.loads((folder / "config.json").read_text())
    own = torch.load(folder / "ae.pt", weights_only=True)
    assert config["trainer"]["dict_class"] == "AutoEncoderTopK"
    assert own["k"].item() == config["trainer"]["k"] and own["threshold"].item() < 0
    pre_acts = ((x - own["b_dec"]) @ own["encoder.weight"].T + own["encoder.bias"]).relu()
    codes = kept(pre_acts, int(own["k"]))
    return Forward(codes, codes @ own["decoder.weight"].T + own["b_dec"])


FORWARDS = {
    "saelens": saelens, "sparsify": sparsify, "dictionary_learning": dictionary_learning,
}  # fmt: skip


def interaction(folder: Path, codes: Tensor) -> Tensor:
    """What the sidecar adds to the reconstruction, by the formula in its note."""
    note = json.loads((folder / "interaction.json").read_text())
    own = load_file(folder / "interaction.safetensors")
    summed = codes @ own["V"]
    if note["pooling"] == "pairs":
        pooled = (summed.square() - codes.square() @ own["V"].square()) / 2
    else:
        assert note["pooling"] == "sum"
        pooled = summed
    hidden = (pooled @ own["W_hidden"].T + own["b_hidden"]).relu()
    return hidden @ own["W_out"].T - own["mean_output"]

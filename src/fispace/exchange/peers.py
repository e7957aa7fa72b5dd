"""The files in which other tools keep a TopK SAE: names of tensors, keys of the configuration.

Written from the formats' descriptions; the tools themselves are not needed. Must not: read a file, or know
what a run is.
"""

from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from fispace.exchange.folding import RawSae

Peer = Literal["saelens", "sparsify", "dictionary_learning"]
PEERS: tuple[Peer, ...] = get_args(Peer)

SAELENS_VERSION = "6.54.12"
"""Release of SAELens whose format this is. Without it in `metadata`, the loader drops the whole block."""
OWN_KEY = "fispace"
"""Key under which a configuration holds what only this package reads."""

CONFIGS: dict[Peer, str] = {
    "saelens": "cfg.json", "sparsify": "cfg.json", "dictionary_learning": "config.json",
}  # fmt: skip
WEIGHTS: dict[Peer, str] = {
    "saelens": "sae_weights.safetensors",
    "sparsify": "sae.safetensors",
    "dictionary_learning": "ae.pt",
}
UNSET_THRESHOLD = -1.0
"""Threshold with which dictionary_learning selects by k."""


class Origin(NamedTuple):
    """Where an SAE comes from, as far as the formats have a place for it."""

    model_name: str | None
    """Name on the Hugging Face hub; None for a local folder."""
    hook_point: int | str | None
    """Block, counted from 0, whose output is read, or a dotted module path; None if it is not known."""
    hook_path: str | None
    """Dotted path of the module."""
    dataset: str | None
    context_size: int | None
    """Tokens of a window."""
    prepend_bos: bool | None
    own: dict[str, Any]
    """What only this package reads."""

    @property
    def hook_name(self) -> str | None:
        """Name of the hook point in TransformerLens, or the module's path if it is not a block's output."""
        is_block = isinstance(self.hook_point, int)
        return f"blocks.{self.hook_point}.hook_resid_post" if is_block else self.hook_path


def tensors_for(peer: Peer, sae: RawSae) -> dict[str, Tensor]:
    """The SAE's weights in float32 by the tool's names."""
    W_enc, b_enc, W_dec, b_dec = (
        values.float().contiguous() for values in (sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec)
    )
    if peer == "saelens":
        return {"W_enc": W_enc.T.contiguous(), "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec}
    encoder = {"encoder.weight": W_enc, "encoder.bias": b_enc, "b_dec": b_dec}
    if peer == "sparsify":
        return encoder | {"W_dec": W_dec}
    return encoder | {
        "decoder.weight": W_dec.T.contiguous(),
        "k": torch.tensor(sae.k, dtype=torch.int32),
        "threshold": torch.tensor(UNSET_THRESHOLD),
    }


def config_for(peer: Peer, sae: RawSae, origin: Origin) -> dict[str, Any]:
    """The tool's configuration of the SAE."""
    if peer == "saelens":
        return _saelens(sae, origin)
    if peer == "sparsify":
        return _sparsify(sae, origin)
    return _dictionary_learning(sae, origin)


def _saelens(sae: RawSae, origin: Origin) -> dict[str, Any]:
    n_latents, d_model = sae.W_dec.shape
    return {
        "architecture": "topk",
        "d_in": d_model,
        "d_sae": n_latents,
        "k": sae.k,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "rescale_acts_by_decoder_norm": False,
        "metadata": {
            "sae_lens_version": SAELENS_VERSION,
            "sae_lens_training_version": None,
            "model_name": origin.model_name,
            "hook_name": origin.hook_name,
            "hf_hook_name": origin.hook_path,
            "model_from_pretrained_kwargs": {"center_writing_weights": False},
            "dataset_path": origin.dataset,
            "context_size": origin.context_size,
            "prepend_bos": origin.prepend_bos,
            OWN_KEY: origin.own,
        },
    }


def _sparsify(sae: RawSae, origin: Origin) -> dict[str, Any]:
    n_latents, d_model = sae.W_dec.shape
    return {
        "activation": "topk",
        "expansion_factor": max(1, n_latents // d_model),
        "normalize_decoder": False,
        "num_latents": n_latents,
        "k": sae.k,
        "multi_topk": False,
        "skip_connection": False,
        "transcode": False,
        "d_in": d_model,
        OWN_KEY: origin.own,
    }


def _dictionary_learning(sae: RawSae, origin: Origin) -> dict[str, Any]:
    n_latents, d_model = sae.W_dec.shape
    is_block = isinstance(origin.hook_point, int)
    trainer = {
        "trainer_class": "TopKTrainer",
        "dict_class": "AutoEncoderTopK",
        "activation_dim": d_model,
        "dict_size": n_latents,
        "k": sae.k,
        "device": "cpu",
        "layer": origin.hook_point if is_block else None,
        "lm_name": origin.model_name or "",
        "submodule_name": origin.hook_path,
    }
    buffer = {"d_submodule": d_model, "ctx_len": origin.context_size}
    return {"trainer": trainer, "buffer": buffer, OWN_KEY: origin.own}

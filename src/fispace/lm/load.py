"""Loads any Hugging Face causal LM and its tokenizer, from a folder or by name and revision.

Must not: run code that comes with a model, or read pickled weights.
"""

import math
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from fispace.devices import CPU
from fispace.errors import ModelError
from fispace.lm.anatomy import N_SHARED, require_causal, two_texts
from fispace.lm.hooks import resolve_hook_point, splice
from fispace.lm.probe import TOLERANCE, deviation, plain_pass, refusal
from fispace.store.files import sha256_of
from fispace.study.config.lm import LmConfig

MOST_GROWTH = 16
"""Largest plausible number of weights per stored number: more than the densest quantisation packs."""


def load_lm(
    lm: LmConfig, testbed_folder: Path | None, device: torch.device = CPU
) -> tuple[Any, Any]:
    """Model in evaluation mode on the device, and its tokenizer.

    Raises:
        ModelError: if the folder or name does not hold a causal LM with safetensors weights, or the
            model fails a check of the self-test.
        HookPointError: if the hook point does not exist in the model, or does not give one vector per token.
    """
    name = str(testbed_folder) if lm.is_testbed else lm.name
    is_folder = Path(name).is_dir()
    if not is_folder and (Path(name).is_absolute() or name.startswith(".") or name.count("/") > 1):
        raise ModelError(
            f"The model folder {name} does not exist. Give a folder that holds config.json, "
            "*.safetensors and a tokenizer, or a Hugging Face name, with --config model=NAME."
        )
    transformers_logging.disable_progress_bar()
    options: dict[str, Any] = {
        "revision": lm.revision, "local_files_only": is_folder, "trust_remote_code": False,
    }  # fmt: skip
    if is_folder:
        options.pop("revision")
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
        if is_folder:
            _require_sizes(Path(name), options)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name, dtype=getattr(torch, lm.dtype), use_safetensors=True,
            output_loading_info=True, **options,
        )  # fmt: skip
    except ModelError:
        raise
    except Exception as error:  # a damaged folder makes the libraries raise anything
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelError(
            f"The causal LM {name!r} (revision {lm.revision}) cannot be loaded: {first} Expected a "
            "Hugging Face name, or a folder with config.json, *.safetensors and a tokenizer."
        ) from None
    model, found = loaded
    model.to(device).eval().requires_grad_(False)
    _require_weights(model, found, name)
    self_test(model, lm.hook_point)
    return model, tokenizer


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a model's folder.

    Raises:
        ModelError: if there is none that can be read.
    """
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a damaged folder makes the libraries raise anything
        raise ModelError(f"The tokenizer in {folder} cannot be loaded: {error}") from None


def _require_sizes(folder: Path, options: dict[str, Any]) -> None:
    """Refuse a config.json that describes a far larger model than the weights beside it.

    The library would allocate the memory, and fill it at random, before it compares.
    """
    stored = [math.prod(shape) for file in folder.glob("*.safetensors") for shape in _shapes(file)]
    config = AutoConfig.from_pretrained(folder, **options)
    n_layers = getattr(config.get_text_config(decoder=True), "num_hidden_layers", 0)
    if n_layers > len(stored):
        raise ModelError(
            f"{folder}: config.json describes {n_layers} layers, but the folder's *.safetensors hold "
            f"{len(stored)} tensors. They do not belong together."
        )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    n_weights = sum(weight.numel() for weight in model.parameters())
    if n_weights > MOST_GROWTH * sum(stored):
        raise ModelError(
            f"{folder}: config.json describes a model of {n_weights:,} weights, but the folder's "
            f"*.safetensors hold {sum(stored):,}. They do not belong together."
        )


def _shapes(file: Path) -> list[list[int]]:
    with safe_open(file, framework="pt") as tensors:
        return [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118


def _require_weights(model: Any, found: dict[str, Any], name: str) -> None:
    """Refuse missing weights, which the library would fill at random, and weights that are not finite."""
    absent = sorted(found.get("missing_keys") or [])
    if absent:
        raise ModelError(
            f"{name}: {len(absent)} weights are not in its files, {absent[0]} first. "
            "The files belong to another architecture than config.json says."
        )
    for key, tensor in model.named_parameters():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"{name}: the weights {key} contain NaN or infinity in {tensor.dtype}. Give "
                "another model, or set lm.dtype to float32 if half precision overflows."
            )


def self_test(model: Any, hook_point: int | str) -> None:
    """Refuse a model, or a hook point in it, for which the study's measures are not defined.

    Checks: the model runs on token ids alone, its logits are finite, and no token depends on later ones;
    the hook point gives one vector per token, in one call per pass, and is causal as well; putting its
    own activations back changes no logit.

    Raises:
        ModelError: if a check of the model fails; the message names it and the model's class.
        HookPointError: if the hook point does not exist, or does not give one vector per token.
    """
    resolve_hook_point(model, hook_point)
    ids = two_texts(model)
    mask = torch.ones_like(ids)
    held: list[torch.Tensor] = []

    def kept(x: torch.Tensor) -> torch.Tensor:
        held.append(x.clone())
        return x

    with splice(model, hook_point, kept):
        expected = plain_pass(model, ids, mask)
    require_causal(model, held[0][:, :N_SHARED])
    with splice(model, hook_point, lambda _: held[0]):
        spliced = plain_pass(model, ids, mask)
    found = deviation(spliced, expected)
    if not found <= TOLERANCE[expected.dtype]:
        raise refusal(
            model, "splice", f"putting its own activations back at {hook_point!r} changes its logits by "
            f"{found:.1%} (norm of the difference, relative).",
            "Later modules read something else than the output of this one, or it is changed in place. "
            "Choose another lm.hook_point.",
        )  # fmt: skip


def model_fingerprint(lm: LmConfig, testbed_folder: Path | None, model: Any) -> dict[str, str]:
    """What identifies the weights: file hashes of a local folder, or name and commit on the hub."""
    folder = testbed_folder if lm.is_testbed else Path(lm.name)
    if folder is not None and folder.is_dir():
        files = sorted([*folder.glob("*.safetensors"), folder / "config.json"])
        return {file.name: sha256_of(file) for file in files}
    return {"name": lm.name, "commit": str(model.config._commit_hash)}

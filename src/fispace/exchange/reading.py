"""Reads a TopK SAE from a folder that SAELens or sparsify wrote: JSON and safetensors, never a pickle.

Must not: guess a key that is missing, or know where the SAE is to be used.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fispace.errors import ArtifactError
from fispace.exchange.folding import RawSae
from fispace.exchange.peers import CONFIGS, OWN_KEY, WEIGHTS, Peer
from fispace.store.files import read_json, require_memory

READABLE: tuple[Peer, ...] = ("saelens", "sparsify")
NAMES: dict[Peer, dict[str, str]] = {
    "saelens": {"W_enc": "W_enc", "b_enc": "b_enc", "W_dec": "W_dec", "b_dec": "b_dec"},
    "sparsify": {
        "W_enc": "encoder.weight", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec",
    },
}  # fmt: skip
"""The tensor of each weight, by tool."""
FIXED: dict[Peer, dict[str, tuple[Any, ...]]] = {
    "saelens": {
        "architecture": ("topk",),
        "normalize_activations": ("none", None),
        "reshape_activations": ("none", None),
    },
    "sparsify": {
        "activation": ("topk",),
        "skip_connection": (False, None),
        "transcode": (False, None),
    },
}
"""Keys that decide what the weights mean, with the values that a TopK SAE of one hook point has. None: the
key may be missing, and the tool then takes the value before it."""
PLACE = re.compile(r"(\w+\.)*(layers|h|blocks)\.\d+(\.\w+)*")
"""A module inside a block, as a folder's name."""
SEED = re.compile(r"seed\d+")
"""A folder below the module's, which sparsify writes where it trains with several seeds."""
MEANINGS = {
    "architecture": "only TopK SAEs can be an arm",
    "activation": "only TopK SAEs can be an arm",
    "normalize_activations": "an SAE that rescales each token is not a function of the standardised activation",
    "reshape_activations": "the SAE reads more than one vector of a token",
    "skip_connection": "a skip connection is not a part of an arm",
    "transcode": "a transcoder reads one hook point and predicts another",
}


class ForeignSae(NamedTuple):
    """An SAE trained elsewhere, and what its folder says of its origin."""

    sae: RawSae
    peer: Peer
    hook_name: str | None
    """Hook point by the tool's name; None if the folder does not say."""
    own: dict[str, Any]
    """What an export of this package noted; empty for other folders."""


def peer_of(folder: Path) -> Peer:
    """The tool that wrote the folder, by the names of its files.

    Raises:
        ArtifactError: if it is not a folder that can be read, with what is expected.
    """
    for peer in READABLE:
        if (folder / WEIGHTS[peer]).is_file():
            return peer
    expected = " or ".join(f"{CONFIGS[peer]} with {WEIGHTS[peer]} ({peer})" for peer in READABLE)
    if not folder.is_dir():
        raise ArtifactError(
            f"The folder {folder} does not exist. An imported arm needs a folder with {expected}."
        )
    if any(folder.glob("*.pt")) or any(folder.glob("*.bin")):
        raise ArtifactError(
            f"{folder} holds pickled weights, as dictionary_learning saves them. A pickle can execute "
            "code and is never read here. Load the SAE in SAELens and save it again, which writes "
            f"{CONFIGS['saelens']} and {WEIGHTS['saelens']}."
        )
    raise ArtifactError(
        f"{folder} holds no SAE that can be read: expected {expected}. If it holds several SAEs, name "
        "the folder of one."
    )


def read_folder(folder: Path) -> ForeignSae:
    """The SAE in a folder of SAELens or sparsify.

    Raises:
        ArtifactError: if a file is missing or damaged, a key is missing, or the SAE is of a kind that an
            arm cannot be; the message names file and key.
    """
    peer = peer_of(folder)
    path = folder / CONFIGS[peer]
    config = _config(path)
    for key, allowed in FIXED[peer].items():
        _require_value(path, config, key, allowed)
    tensors = _tensors(folder / WEIGHTS[peer], peer)
    of_peer = _from_saelens if peer == "saelens" else _from_sparsify
    sae = of_peer(path, config, tensors)
    hook_name, own = _origin(peer, folder, config)
    return ForeignSae(sae, peer, hook_name, own)


def _config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; without it the sizes of the SAE are unknown.")
    try:
        config = read_json(path)
    except ArtifactError as error:
        said = str(error).split(" It is truncated")[0]
        raise ArtifactError(f"{said} Copy the folder again from where it was made.") from None
    if not isinstance(config, dict):
        raise ArtifactError(f"{path} is not a configuration: expected a JSON object.")
    return config


def _require_value(path: Path, config: dict[str, Any], key: str, allowed: tuple[Any, ...]) -> None:
    if key not in config and None not in allowed:
        raise ArtifactError(
            f"{path}: the key {key!r} is missing; expected {allowed[0]!r}. The folder may be of an old "
            "version of the tool: load it with the present version and save it again."
        )
    found = config.get(key, allowed[0])
    if found not in allowed:
        raise ArtifactError(
            f"{path}: {key} is {found!r:.80}, expected {allowed[0]!r}: {MEANINGS[key]}. Choose "
            "another SAE."
        )


def _tensors(path: Path, peer: Peer) -> dict[str, Tensor]:
    """The SAE's weights in float64 by our names; all are there, no other is, and all are finite."""
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        require_memory(error)
        raise ArtifactError(
            f"{path} is not readable as safetensors ({error}). It is truncated or was altered; copy it "
            "again from where it was made."
        ) from None
    names = NAMES[peer]
    if set(found) != set(names.values()):
        missing, more = set(names.values()) - set(found), set(found) - set(names.values())
        said = [f"{', '.join(sorted(missing))} missing"] if missing else []
        said += [f"{', '.join(sorted(more))} not known"] if more else []
        raise ArtifactError(
            f"{path}: expected the tensors {', '.join(names.values())}; {'; '.join(said)}. It holds "
            "something else than a plain TopK SAE."
        )
    for name, tensor in found.items():
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            raise ArtifactError(
                f"{path}: the tensor {name!r} holds values that are not finite numbers. The file was "
                "altered, or the training went wrong; choose another SAE."
            )
    return {own: found[name].double() for own, name in names.items()}


def _from_saelens(path: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> RawSae:
    d_model, n_latents = _size(path, config, "d_in"), _size(path, config, "d_sae")
    tensors = tensors | {"W_enc": tensors["W_enc"].T} if tensors["W_enc"].dim() == 2 else tensors
    _require_shapes(path, tensors, n_latents, d_model, "d_sae", "d_in")
    sae = RawSae(**tensors, k=_k(path, config, n_latents))
    if not _flag(path, config, "apply_b_dec_to_input", default=True):
        sae = sae._replace(b_enc=sae.b_enc + sae.W_enc @ sae.b_dec)
    if _flag(path, config, "rescale_acts_by_decoder_norm", default=False):
        # its codes are pre-activations times the norm of the decoder row, and are divided by it again
        norm = sae.W_dec.norm(dim=1)
        divisor = torch.where(norm > 0, norm, 1.0)
        sae = sae._replace(
            W_enc=sae.W_enc * norm[:, None],
            b_enc=sae.b_enc * norm,
            W_dec=sae.W_dec / divisor[:, None],
        )
    return sae


def _from_sparsify(path: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> RawSae:
    d_model = _size(path, config, "d_in")
    n_latents = config.get("num_latents")
    if not n_latents:  # 0 stands for a multiple of the width
        n_latents = d_model * _size(path, config, "expansion_factor")
    elif type(n_latents) is not int:
        raise ArtifactError(f"{path}: num_latents is {n_latents!r:.80}, expected an integer.")
    _require_shapes(path, tensors, n_latents, d_model, "num_latents", "d_in")
    return RawSae(**tensors, k=_k(path, config, n_latents))


def _size(path: Path, config: dict[str, Any], key: str) -> int:
    if key not in config:
        raise ArtifactError(
            f"{path}: the key {key!r} is missing; expected a whole number of at least 1. The folder may "
            "be of an old version of the tool: load it with the present version and save it again."
        )
    if type(config[key]) is not int or config[key] < 1:
        raise ArtifactError(
            f"{path}: {key} is {config[key]!r:.80}, expected a whole number of at least 1."
        )
    return config[key]


def _k(path: Path, config: dict[str, Any], n_latents: int) -> int:
    k = _size(path, config, "k")
    if k > n_latents:
        raise ArtifactError(f"{path}: k is {k}, but there are only {n_latents} latents.")
    return k


def _flag(path: Path, config: dict[str, Any], key: str, *, default: bool) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise ArtifactError(f"{path}: {key} is {value!r:.80}, expected true or false.")
    return value


def _require_shapes(
    path: Path, tensors: dict[str, Tensor], n_latents: int, d_model: int, latents: str, width: str
) -> None:
    expected = {
        "W_enc": (n_latents, d_model), "b_enc": (n_latents,),
        "W_dec": (n_latents, d_model), "b_dec": (d_model,),
    }  # fmt: skip
    for name, shape in expected.items():
        found = tuple(tensors[name].shape)
        if found != shape:
            raise ArtifactError(
                f"{path} says {latents}={n_latents} and {width}={d_model}, but the weights beside it have "
                f"another size ({name}: {' x '.join(map(str, found))}). The two files do not belong "
                "together; copy both again from where they were made."
            )


def _origin(peer: Peer, folder: Path, config: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Hook point, and what an export of this package noted.

    sparsify writes no hook point; it names the folder after the module, as in `layers.3` or `layers.3/seed0`.
    """
    if peer == "saelens":
        metadata = config.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        hook_name, own = metadata.get("hook_name", config.get("hook_name")), metadata.get(OWN_KEY)
    else:
        named = folder.absolute()
        place = named.parent.name if SEED.fullmatch(named.name) else named.name
        hook_name, own = place if PLACE.fullmatch(place) else None, config.get(OWN_KEY)
    own = own if isinstance(own, dict) else {}
    hook_name = own.get("hook_path", hook_name)
    return (hook_name if isinstance(hook_name, str) else None), own

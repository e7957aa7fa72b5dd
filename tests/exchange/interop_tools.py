"""What SAELens and sparsify do with a folder: load it and compute, save it again, write one of their own.

Must not: import this package.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from exchange.by_description import Forward
from exchange.small_arms import D_MODEL, N_LATENTS, K
from torch import Tensor, nn

Write = Callable[[Path], None]
"""Makes a folder of a tool."""


class Tool(NamedTuple):
    """One of the tools."""

    forward: Callable[[Path, Tensor], Forward]
    """Codes and reconstruction of activations by the SAE in a folder."""
    save_again: Callable[[Path, Path], None]
    """Loads an SAE from the first folder and saves it to the second."""


@torch.no_grad()
def saelens_forward(folder: Path, x: Tensor) -> Forward:
    from sae_lens import SAE

    sae = SAE.load_from_disk(folder, device="cpu")
    codes = sae.encode(x)
    return Forward(codes, sae.decode(codes))


def saelens_again(folder: Path, out: Path) -> None:
    from sae_lens import SAE

    SAE.load_from_disk(folder, device="cpu").save_model(out)


@torch.no_grad()
def sparsify_forward(folder: Path, x: Tensor) -> Forward:
    from sparsify import SparseCoder

    sae = SparseCoder.load_from_disk(folder, device="cpu")
    found = sae(x)
    codes = torch.zeros(len(x), sae.num_latents)
    return Forward(codes.scatter(1, found.latent_indices, found.latent_acts), found.sae_out)


def sparsify_again(folder: Path, out: Path) -> None:
    from sparsify import SparseCoder

    SparseCoder.load_from_disk(folder, device="cpu").save_to_disk(out)


def write_saelens(folder: Path, kind: str = "TopK", **options: Any) -> None:
    """An SAE of random weights, of the class that SAELens calls `<kind>SAE`."""
    import sae_lens

    of_kind = {"k": K} if kind == "TopK" else {}
    config = getattr(sae_lens, f"{kind}SAEConfig")
    sae = getattr(sae_lens, f"{kind}SAE")(
        config(d_in=D_MODEL, d_sae=N_LATENTS, device="cpu", **of_kind, **options)
    )
    randomise(sae)
    sae.save_model(folder)


def write_sparsify(folder: Path, **options: Any) -> None:
    """A sparse coder of random weights."""
    from sparsify import SparseCoder, SparseCoderConfig

    config = SparseCoderConfig(num_latents=N_LATENTS, k=K, **options)
    sae = SparseCoder(D_MODEL, config, device="cpu")
    randomise(sae)
    sae.save_to_disk(folder)


def randomise(sae: nn.Module) -> None:
    stream = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for weight in sae.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=stream))


TOOLS: dict[str, Tool] = {
    "saelens": Tool(saelens_forward, saelens_again),
    "sparsify": Tool(sparsify_forward, sparsify_again),
}

FOREIGN: dict[str, tuple[str, Write]] = {
    "sparsify": ("sparsify", write_sparsify),
    **{
        f"saelens, {'' if minus else 'no '}b_dec subtracted, {'' if norm else 'not '}scaled by norms": (
            "saelens",
            partial(write_saelens, apply_b_dec_to_input=minus, rescale_acts_by_decoder_norm=norm),
        )
        for minus in (True, False)
        for norm in (True, False)
    },
}
"""SAEs that can be an arm, by a name, with the tool that writes them."""

NO_ARM: dict[str, tuple[Write, str]] = {
    "saelens, standard": (partial(write_saelens, kind="Standard"), "architecture"),
    "saelens, jumprelu": (partial(write_saelens, kind="JumpReLU"), "architecture"),
    "saelens, rescaled tokens": (
        partial(write_saelens, normalize_activations="layer_norm"), "normalize_activations",
    ),
    "sparsify, groupmax": (partial(write_sparsify, activation="groupmax"), "activation"),
    "sparsify, a transcoder": (partial(write_sparsify, transcode=True), "transcode"),
    "sparsify, a skip connection": (
        partial(write_sparsify, skip_connection=True), "skip_connection",
    ),
}  # fmt: skip
"""SAEs that cannot, with the key that says so."""

"""Exchange with the tools themselves: `make test-interop`, in an environment that has them.

Each row is the largest difference between a number of ours and theirs, relative to the largest of ours. The
program fails if one exceeds 1e-5.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from exchange.small_arms import D_MODEL, N_LATENTS, K, SmallRun, dense, raw_tokens, units
from torch import Tensor
from train.small_training import PARAMS

from fispace.chapters.train.imported import imported_model
from fispace.exchange.export import origin_of, write_export
from fispace.exchange.reading import read_folder

TOLERANCE = 1e-5
ARMS = ("sae", "sae_bias", "joint")


class Difference(NamedTuple):
    """One comparison."""

    of: str
    codes: float
    x_hat: float


def saelens(folder: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and reconstruction by SAELens."""
    from sae_lens import SAE

    sae = SAE.load_from_disk(folder, device="cpu")
    codes = sae.encode(x)
    return codes.to_dense() if codes.is_sparse else codes, sae.decode(codes)


def sparsify(folder: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and reconstruction by sparsify."""
    from sparsify import SparseCoder

    sae = SparseCoder.load_from_disk(folder, device="cpu")
    found = sae(x)
    codes = torch.zeros(len(x), sae.num_latents)
    return codes.scatter(1, found.latent_indices, found.latent_acts), found.sae_out


def of_saelens(folder: Path, **options: bool) -> None:
    """A folder that SAELens wrote, of random weights."""
    from sae_lens import TopKSAE, TopKSAEConfig

    sae = TopKSAE(TopKSAEConfig(d_in=D_MODEL, d_sae=N_LATENTS, k=K, device="cpu", **options))
    with torch.no_grad():
        for weight in sae.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=STREAM))
    sae.save_model(folder)


def of_sparsify(folder: Path) -> None:
    """A folder that sparsify wrote, of random weights."""
    from sparsify import SparseCoder, SparseCoderConfig

    sae = SparseCoder(D_MODEL, SparseCoderConfig(num_latents=N_LATENTS, k=K), device="cpu")
    with torch.no_grad():
        for weight in sae.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=STREAM))
    sae.save_to_disk(folder)


STREAM = torch.Generator().manual_seed(4)
TOOLS: dict[str, Callable[[Path, Tensor], tuple[Tensor, Tensor]]] = {
    "saelens": saelens, "sparsify": sparsify,
}  # fmt: skip
FOREIGN: dict[str, tuple[str, Callable[[Path], None]]] = {
    "sparsify": ("sparsify", of_sparsify),
    **{
        f"saelens, {'' if minus else 'no '}b_dec subtracted, {'' if norm else 'not '}scaled by norms": (
            "saelens",
            lambda folder, minus=minus, norm=norm: of_saelens(
                folder, apply_b_dec_to_input=minus, rescale_acts_by_decoder_norm=norm
            ),
        )
        for minus in (True, False)
        for norm in (True, False)
    },
}


def exported(scratch: Path) -> Iterator[Difference]:
    """Arms of ours, loaded by the tools."""
    for arm in ARMS:
        own, x = SmallRun(scratch / arm, arm), raw_tokens()
        codes = own.model.sae.encode(units().standardise(x))
        parts = [part for part in own.model.parts if part != "interaction"]
        x_hat = units().restore(own.model.reconstruct(codes, parts))
        for tool, forward in TOOLS.items():
            folder = scratch / arm / tool
            folder.mkdir()
            write_export(folder, own.trained, units(), tool, origin_of(own.extract, {}))
            theirs = forward(folder, x)
            yield Difference(
                f"{arm} to {tool}",
                relative(dense(codes, N_LATENTS), theirs[0]),
                relative(x_hat, theirs[1]),
            )


def imported(scratch: Path) -> Iterator[Difference]:
    """SAEs of the tools, imported as arms."""
    data = {"d_model": D_MODEL, "manifest": "a", "standardiser": "b"}
    for number, (name, (tool, write)) in enumerate(FOREIGN.items()):
        folder, x = scratch / f"foreign{number}", raw_tokens()
        folder.mkdir()
        write(folder)
        model = imported_model(PARAMS, read_folder(folder), units(), "theirs", 0, data).model
        codes = model.sae.encode(units().standardise(x))
        x_hat = units().restore(model.reconstruct(codes, model.parts))
        theirs = TOOLS[tool](folder, x)
        yield Difference(
            f"from {name}",
            relative(dense(codes, N_LATENTS), theirs[0]),
            relative(x_hat, theirs[1]),
        )


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, relative to the largest number of ours."""
    return float((ours - theirs.detach()).abs().max() / ours.abs().max())


@torch.no_grad()
def main() -> int:
    """Print the table; 1 if a difference is too large."""
    with tempfile.TemporaryDirectory() as scratch:
        found = [*exported(Path(scratch)), *imported(Path(scratch))]
    print(f"{'':58}{'codes':>10}{'x_hat':>10}")  # noqa: T201
    for row in found:
        print(f"{row.of:58}{row.codes:10.1e}{row.x_hat:10.1e}")  # noqa: T201
    return int(max(max(row.codes, row.x_hat) for row in found) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())

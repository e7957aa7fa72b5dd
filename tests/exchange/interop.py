"""Exchange with the tools themselves: `make test-interop`, in an environment that has them.

Each number is the largest difference between ours and theirs, relative to the largest of ours. The program
fails if one exceeds 1e-5, or if an SAE is read that no arm can be.
"""

import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from exchange import interop_lm
from exchange.by_description import Forward
from exchange.differences import TOLERANCE, Row, differences
from exchange.interop_tools import FOREIGN, NO_ARM, TOOLS
from exchange.small_arms import D_MODEL, N_LATENTS, SmallRun, dense, raw_tokens, units
from torch import Tensor
from train.small_training import PARAMS

from fispace.chapters.train.imported import imported_model
from fispace.errors import ArtifactError
from fispace.exchange.export import origin_of, write_export
from fispace.exchange.folding import code_scale
from fispace.exchange.peers import Origin
from fispace.exchange.reading import read_folder
from fispace.models.integrated import IntegratedModel
from fispace.models.trained import Trained

ARMS = ("sae", "sae_bias", "joint", "joint_no_linear", "first_order")
VARIANTS = {
    **{arm: (arm, {}, False) for arm in ARMS},
    "joint, by contribution": ("joint", {"select_by": "contribution"}, False),
    "joint, without linear part": ("joint", {}, True),
}
"""Exports, by a name: arm, changed parameters, and whether the decoder is the SAE's alone."""
RELEASES = ("sae-lens", "eai-sparsify", "transformer-lens", "transformers", "torch")


def exported(scratch: Path) -> Iterator[Row]:
    """Arms of ours in the tools; saved again by them, and imported from there."""
    for name, (arm, params, only_sae) in VARIANTS.items():
        own, x = SmallRun(scratch / name, arm, **params), raw_tokens()
        left_out = {"interaction", "linear"} if only_sae else {"interaction"}
        ours = by_model(own.model, x, left_out)
        for tool, does in TOOLS.items():
            folder, again = scratch / name / tool, scratch / name / f"{tool} again"
            folder.mkdir()
            write_export(folder, own.trained, units(), tool, origin_of(own.extract, {}), only_sae)
            yield Row(f"{name} to {tool}", differences(ours, does.forward(folder, x)))
            does.save_again(folder, again)
            back = by_model(as_arm(again).model, x)
            yield Row(f"{name} to {tool}, and back", differences(ours, back))


def imported(scratch: Path) -> Iterator[Row]:
    """SAEs of the tools as arms; exported again, in the tools."""
    nowhere = Origin(None, None, None, None, None, None, {})
    for name, (tool, write) in FOREIGN.items():
        folder, x = scratch / name, raw_tokens()
        write(folder)
        theirs, arm = TOOLS[tool].forward(folder, x), as_arm(folder)
        yield Row(f"from {name}", differences(by_model(arm.model, x), theirs))
        for other, does in TOOLS.items():
            again = scratch / f"{name} to {other}"
            again.mkdir()
            write_export(again, arm, units(), other, nowhere)
            yield Row(f"  and on to {other}", differences(theirs, does.forward(again, x)))


def refused(scratch: Path) -> Iterator[str]:
    """What the tools wrote, and is read although no arm can be it, or refused for another reason."""
    for name, (write, key) in NO_ARM.items():
        write(scratch / name)
        try:
            read_folder(scratch / name)
            yield f"{name}: read"
        except ArtifactError as error:
            if f": {key} is " not in str(error):
                yield f"{name}: {error}"


def as_arm(folder: Path) -> Trained:
    data = {"d_model": D_MODEL, "manifest": "a", "standardiser": "b"}
    return imported_model(PARAMS, read_folder(folder), units(), "theirs", 0, data)


@torch.no_grad()
def by_model(model: IntegratedModel, x: Tensor, left_out: set[str] | None = None) -> Forward:
    """Codes, on the scale on which they are exported, and reconstruction, both of raw activations."""
    codes = model.sae.encode(units().standardise(x))
    parts = [part for part in model.parts if part not in (left_out or ())]
    scaled = dense(codes, N_LATENTS) * code_scale(model).float()
    return Forward(scaled, units().restore(model.reconstruct(codes, parts)))


def main() -> int:
    """Print the table; 1 if a difference is too large, or too much is read."""
    print(", ".join(f"{name} {version(name)}" for name in RELEASES))  # noqa: T201
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        found = [*exported(scratch / "ours"), *imported(scratch / "theirs")]
        world = interop_lm.made(scratch / "lm")
        found += [*interop_lm.imported(world, scratch / "trained")]
        found += [*interop_lm.measured(world, scratch / "measured")]
        wrong = [*refused(scratch / "no arm")]
    for row in found:
        numbers = "  ".join(f"{name} {value:.1e}" for name, value in row.found.items())
        print(f"{row.of:60}{numbers}")  # noqa: T201
    refusals = f"{len(NO_ARM) - len(wrong)} of {len(NO_ARM)} SAEs that no arm can be are refused"
    print(refusals, *wrong, sep="\n")  # noqa: T201
    values = [value for row in found for value in row.found.values()]
    print(f"largest difference {max(values):.1e}, allowed {TOLERANCE:.0e}")  # noqa: T201
    return int(bool(wrong) or not all(value <= TOLERANCE for value in values))


if __name__ == "__main__":
    sys.exit(main())

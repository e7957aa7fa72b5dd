"""Whether an imported SAE belongs to a study's activations: its width, hook point and language model.

Must not: read a file.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from fispace.errors import ArtifactMismatchError, HookPointError
from fispace.exchange.reading import ForeignSae

log = logging.getLogger(__name__)

RESIDUAL = re.compile(r"blocks\.(?P<block>\d+)\.hook_(?P<side>resid_pre|resid_post|in|out)")
"""TransformerLens's names of a block's input and output; the short ones are those of its bridge."""
INPUTS = ("resid_pre", "in")
"""Sides that are a block's input, which is the output of the block before."""


def require_place(foreign: ForeignSae, manifest: Mapping[str, Any], arm: str) -> None:
    """Refuse an SAE of other activations than those that the manifest describes.

    A hook point that the SAE's folder does not name is not checked, which is logged.

    Raises:
        ArtifactMismatchError: if the width differs, or the SAE was exported from another language model.
        HookPointError: if the hook point differs.
    """
    width, d_model = foreign.sae.W_dec.shape[1], manifest["d_model"]
    if width != d_model:
        raise ArtifactMismatchError(
            f"The imported arm {arm!r} reads vectors of {width} dimensions, but the activations of this "
            f"study have {d_model}. It was trained on another model; give an SAE of this model, or "
            "another lm.name."
        )
    theirs, ours = foreign.own.get("model"), manifest.get("model")
    is_comparable = isinstance(theirs, dict) and isinstance(ours, dict) and set(theirs) == set(ours)
    if is_comparable and theirs != ours:
        raise ArtifactMismatchError(
            f"The imported arm {arm!r} was trained on another language model than this study's: the "
            "hashes of the weights that its folder notes differ. Give the same model, or an SAE of this "
            "one."
        )
    if foreign.hook_name is None:
        log.warning(
            "arm %s: its folder does not name a hook point, so it is not checked against lm.hook_point=%s",
            arm, manifest.get("hook_point"),
        )  # fmt: skip
    elif not is_same_place(foreign.hook_name, manifest):
        raise HookPointError(
            f"The imported arm {arm!r} was trained at the hook point {foreign.hook_name!r}, but this study "
            f"reads {manifest.get('hook_path')} (lm.hook_point={manifest.get('hook_point')!r}). Set "
            "lm.hook_point to the SAE's, or give an SAE of this hook point."
        )


def is_same_place(hook_name: str, manifest: Mapping[str, Any]) -> bool:
    """Whether a hook point by another tool's name is the one that the manifest's activations are of.

    `blocks.3.hook_resid_post`, `blocks.4.hook_resid_pre` and `blocks.3.hook_out` are the output of block 3. A
    module's path may leave out its first words, as in sparsify's `layers.3` for `model.layers.3`.
    """
    path, hook_point = str(manifest.get("hook_path")), manifest.get("hook_point")
    named = RESIDUAL.fullmatch(hook_name)
    if named is None:
        return path == hook_name or path.endswith(f".{hook_name}")
    block = int(named["block"]) - (named["side"] in INPUTS)
    if isinstance(hook_point, int):
        return block == hook_point
    return re.fullmatch(rf"(\w+\.)*(layers|h|blocks)\.{block}", path) is not None

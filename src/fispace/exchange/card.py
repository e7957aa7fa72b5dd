"""The model card of an exported SAE: what the folder holds, and what its format cannot express.

Must not: compute, or write a file.
"""

from collections.abc import Sequence
from typing import NamedTuple

from fispace.exchange.peers import CONFIGS, WEIGHTS, Origin, Peer
from fispace.study.config.parts import POOLED, Part, Pooling, head_formula

LOADING: dict[Peer, str] = {
    "saelens": "from sae_lens import SAE\nsae = SAE.load_from_disk(FOLDER)",
    "sparsify": "from sparsify import SparseCoder\nsae = SparseCoder.load_from_disk(FOLDER)",
    "dictionary_learning": "from dictionary_learning.trainers.top_k import AutoEncoderTopK\n"
    'sae = AutoEncoderTopK.from_pretrained(f"{FOLDER}/ae.pt")',
}
SIDECAR, SIDECAR_NOTE = "interaction.safetensors", "interaction.json"


class Exported(NamedTuple):
    """What was exported, for the card."""

    run: str
    arm: str
    seed: int
    parts: Sequence[Part]
    """Parts of the arm."""
    decoders: Sequence[Part]
    """Parts summed in the decoder of the export."""
    pooling: Pooling | None
    n_latents: int
    k: int
    d_model: int
    is_by_contribution: bool
    """Whether the arm selects latents by contribution."""
    is_bfloat16: bool
    """Whether the arm picks candidates in bfloat16."""


def card_of(what: Exported, peer: Peer, origin: Origin) -> str:
    """The card as Markdown."""
    blocks = (
        _head(what, peer, origin),
        _inside(what, peer),
        _missing(what, peer, origin),
    )
    return "\n\n".join(blocks) + "\n"


def interaction_note(pooling: Pooling) -> dict[str, str]:
    """What the tensors of the sidecar are, and the formula that they enter."""
    return {
        "formula": "x_hat = (f W_dec + b_dec of the SAE beside it) + y, "
        f"y = {head_formula(pooling)} - mean_output",
        "pooling": pooling,
        "p": POOLED[pooling],
        "f": "codes of the SAE beside this file, [n_latents]; at most k of them are not zero",
        "v_i": "row i of V",
        "V": "[n_latents d_embed] factor vectors",
        "W_hidden": "[d_embed d_embed]",
        "b_hidden": "[d_embed]",
        "W_out": "[d_model d_embed], in units of the activation",
        "mean_output": f"[d_model] mean of {head_formula(pooling)} over train tokens, in units of "
        "the activation; b_dec contains it",
    }


def _head(what: Exported, peer: Peer, origin: Origin) -> str:
    block = f" ({origin.hook_name})" if origin.hook_name != origin.hook_path else ""
    run = f", of the run `{what.run}`" if what.run else ""
    hook = f"output of the module `{origin.hook_path}`{block}" if origin.hook_path else "not known"
    bos = "with" if origin.prepend_bos else "without"
    windows = f"{origin.context_size} tokens, {bos} BOS; special tokens were not trained on"
    rows = [
        ("Arm", f"`{what.arm}`, seed {what.seed}{run}"),
        ("Parts of the arm", ", ".join(what.parts)),
        ("Latents", f"{what.n_latents:,}, at most {what.k:,} active on a token"),
        ("Width of the activations", str(what.d_model)),
        ("Language model", origin.model_name or f"a local folder; see {CONFIGS[peer]}"),
        ("Hook point", hook),
        ("Text", origin.dataset or "a local file, or the built-in language"),
        ("Windows", windows if origin.context_size else "not known"),
    ]  # fmt: skip
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    code = "\n".join(f"    {line}" for line in LOADING[peer].splitlines())
    return (
        f"# TopK SAE from fispace, for {peer}\n\n| | |\n|---|---|\n{table}\n\nTo load it:\n\n{code}"
    )


def _inside(what: Exported, peer: Peer) -> str:
    decoder = " + ".join("W_dec" if part == "sae" else "W_lin" for part in what.decoders)
    summed = f" The decoder is the sum {decoder} of the arm's." if len(what.decoders) > 1 else ""
    lines = [
        "## What is in it",
        "",
        f"`{WEIGHTS[peer]}` and `{CONFIGS[peer]}`: a TopK SAE of the activation x as the language model "
        "computes it. The arm itself reads z = (x - mean) / std; mean and std are folded into the weights:",
        "",
        "    f = TopK(ReLU(W_enc (x - b_dec) + b_enc)),  x_hat = f W_dec + b_dec",
        "",
        f"Weights are float32.{summed}",
    ]
    if "interaction" in what.parts:
        lines += [
            "",
            f"`{SIDECAR}` and `{SIDECAR_NOTE}`: the interaction part, which is not part of the SAE. The "
            "note holds its formula, and shape and unit of every tensor.",
        ]
    return "\n".join(lines)


def _missing(what: Exported, peer: Peer, origin: Origin) -> str:
    said = ["The standardiser: it is folded in and cannot be taken out again without the run."]
    if "interaction" in what.parts:
        formula = head_formula(what.pooling or "pairs")
        said.append(
            f"The interaction part, {formula}: the tool reconstructs without it. Codes are the same with "
            f"and without it. Add the output of `{SIDECAR_NOTE}`'s formula for the arm's whole reconstruction."
        )
    if "linear" in what.parts and "linear" in what.decoders:
        said.append(
            "That the decoder is a sum of two: W_dec and W_lin multiply the same codes, and only their sum "
            "decides the reconstruction."
        )
    if "linear" in what.parts and "linear" not in what.decoders:
        said.append("The linear part f W_lin, which this export leaves out.")
    if what.is_by_contribution:
        said.append(
            "Selection by contribution: codes are multiplied by the norm of the arm's decoder row, and decoder "
            "rows divided by it, so that the same latents are selected by the codes themselves."
        )
    if what.is_bfloat16:
        said.append(
            "Candidates picked in bfloat16: the tool compares all pre-activations in float32. The selected "
            "latents can differ where two pre-activations are nearly equal."
        )
    if peer == "saelens":
        said.append(
            "TransformerLens rewrites weights on loading. Load the language model without processing "
            "(`from_pretrained_no_processing`), or centred weights shift the activations."
        )
    if peer == "sparsify":
        said.append(
            f"The hook point: sparsify names the folder after it. It is `{origin.hook_path}`, noted in "
            f"`{CONFIGS[peer]}` under a key that sparsify does not read."
        )
    if peer == "dictionary_learning":
        said.append(
            "Weights without a pickle: `ae.pt` is one, of plain tensors, since the tool reads nothing else. "
            "This package never reads it back."
        )
        if not isinstance(origin.hook_point, int):
            said.append("The hook point as a number of a layer: `layer` is null, and the path is in "
                        "`submodule_name`.")  # fmt: skip
    said.append(
        "The random seed, the order of the data and the training: the run's records hold them."
    )
    return "## What the format cannot express\n\n" + "\n".join(f"- {line}" for line in said)

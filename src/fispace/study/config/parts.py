"""Names and formulas of the parts of a model, and of the poolings of its interaction.

`fispace.models.parts` and `fispace.models.interaction` hold the computations by the same names.
Must not: import anything that computes.
"""

from typing import Literal

Part = Literal["sae", "linear", "bias", "interaction", "residual_sae"]
Pooling = Literal["pairs", "sum", "shuffled", "second_order"]

PARTS: tuple[Part, ...] = ("sae", "linear", "bias", "interaction")
"""Parts of the published model."""

ALL_PARTS: tuple[Part, ...] = (*PARTS, "residual_sae")
"""All parts, including parts of control arms only, in the order of tables."""

DECODERS: tuple[Part, ...] = ("sae", "linear")
"""Parts f W, linear in the codes of the SAE; in joint training their gradients are identical (W1)."""

PART_FORMULAS: dict[Part, str] = {
    "sae": "f W_dec",
    "linear": "f W_lin",
    "bias": "b",
    "interaction": "W_out ReLU(W_hidden p + b_hidden)",
    "residual_sae": "h W_dec', h the codes of a second autoencoder",
}
"""What each part adds to the reconstruction; f are the codes of the SAE."""

POOLED: dict[Pooling, str] = {
    "pairs": "1/2 [(sum f_i v_i)^2 - sum (f_i v_i)^2], the published sum over pairs of active latents",
    "sum": "sum f_i v_i, a control of the same size without products",
    "shuffled": "1/2 [(sum f_i v_i)(sum g_j v_j) - sum f_i g_i v_i^2], a control with g the codes of "
    "another token of the batch",
    "second_order": "1/2 [(sum f_i v_i)^2 - sum (f_i v_i)^2], the published sum, without an MLP behind it",
}
"""Pooled vector p of the interaction part, elementwise in the factor vectors v_i."""


def head_formula(pooling: Pooling) -> str:
    """What the interaction part makes of the pooled vector p."""
    return "W_out p" if pooling == "second_order" else PART_FORMULAS["interaction"]

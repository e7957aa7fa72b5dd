"""Sizes of an integrated model, and how many parameters they come to.

Must not: hold weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fispace.study.config.train import Part, Pooling, SelectBy, SelectionDtype


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Sizes of an integrated model, and what its selection and its interaction do."""

    d_model: int
    n_latents: int
    k: int
    d_embed: int
    dropout: float
    topk_dtype: SelectionDtype
    """Precision of the encoder product that picks candidates; float32 is the exact choice."""
    select_by: SelectBy
    """What the chosen latents of a token are the largest by."""
    pooling: Pooling | None
    """What the interaction part pools; None where there is no such part."""


def n_parameters(shape: ModelShape, part: Part) -> int:
    """Number of trained weights that belong to a part of a model of this shape."""
    d_model, n_latents, d_embed = shape.d_model, shape.n_latents, shape.d_embed
    of_sae = 2 * n_latents * d_model + n_latents
    owned: dict[Part, int] = {
        "sae": of_sae,
        "residual_sae": of_sae,
        "linear": n_latents * d_model,
        "bias": d_model,
        "interaction": n_latents * d_embed + d_embed * d_embed + d_embed + d_embed * d_model,
    }
    return owned[part]


def matched_n_latents(
    shape: ModelShape, parts: Sequence[Part], matched_parts: Sequence[Part]
) -> int:
    """Latents with which a model of `parts` has as many parameters as one of `matched_parts` of `shape`.

    The largest number with no more of them, so the two differ by less than one latent's. At the
    paper's sizes an SAE is matched to the joint model by 77,504 latents (W2).
    """

    def total(n_latents: int, of: Sequence[Part]) -> int:
        return sum(n_parameters(replace(shape, n_latents=n_latents), part) for part in of)

    per_latent = total(1, parts) - total(0, parts)
    return (total(shape.n_latents, matched_parts) - total(0, parts)) // per_latent

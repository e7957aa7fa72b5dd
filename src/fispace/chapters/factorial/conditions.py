"""The interventions on the latents of one seed, and how each changes the activation at the hook point.

Must not: run the language model, choose a latent, or test.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.chapters.factorial.design import Frame
from fispace.chapters.factorial.encoder_stack import Pipeline
from fispace.lm.hooks import Replace
from fispace.models.interventions import Intervention, InterventionTarget, base_of, movement
from fispace.models.sparse import Codes
from fispace.seeds import torch_stream
from fispace.study.config.factorial import IDENTITY, ClampStep

LINEAR = "linear"
DIRECTIONS: dict[str, InterventionTarget] = {
    "candidate": "direction",
    "primary": "primary_direction",
}
"""Control of each kind of latent: a random direction, moved as far as the latent would."""

TARGETS: dict[str, InterventionTarget] = {"primary": "primary", "secondary": "secondary"}
"""Target of an intervention, by the space of the latent. Latents of the residual SAE are not clamped."""

SET_KINDS = ("candidate", "insensitive", "random")
"""Kinds that are also set to a quantile, at active and inactive tokens alike. All are secondary."""

NO_LATENT = -1


class Condition(NamedTuple):
    """One intervention, with the columns that identify it in the tables."""

    kind: str
    rank: int
    latent: int
    mode: str
    clamp: float
    """Multiplier, or the quantile of its activations to which the latent is set."""
    change: Intervention
    direction: Float[Tensor, " d_model"] | None


def clamp_conditions(
    params: ClampStep, pipe: Pipeline, chosen: Frame, codes: dict[str, Codes]
) -> list[Condition]:
    """Every intervention of one seed; the quantiles are taken from `codes`, those of the select half."""
    return [
        *(found for row in chosen.to_dict("records") for found in _of_latent(params, row, codes)),
        *_directions(params, pipe, chosen),
        *(
            Condition(
                LINEAR, 1, NO_LATENT, "multiply", m, _multiplied("linear", NO_LATENT, m), None
            )
            for m in _multipliers(params)
        ),
    ]


def _of_latent(
    params: ClampStep, row: dict[str, Any], codes: dict[str, Codes]
) -> Iterator[Condition]:
    kind, rank, latent, space = row["kind"], row["rank"], row["latent"], row["space"]
    if space not in TARGETS:
        return
    for m in _multipliers(params):
        change = _multiplied(TARGETS[space], latent, m)
        yield Condition(kind, rank, latent, "multiply", m, change, None)
    if kind not in SET_KINDS:
        return
    own = codes[space]
    active = own.values[(own.indices == latent) & (own.values > 0)].double().cpu().numpy()
    for quantile in params.quantiles:
        value = float(np.quantile(active, quantile)) if active.size else 0.0
        change = Intervention(TARGETS[space], latent, "set", value)
        yield Condition(kind, rank, latent, "set", quantile, change, None)


def _directions(params: ClampStep, pipe: Pipeline, chosen: Frame) -> Iterator[Condition]:
    """A random direction for each candidate and primary latent, with the same length at every token."""
    for row in chosen[chosen["kind"].isin(list(DIRECTIONS))].to_dict("records"):
        kind, rank, latent = DIRECTIONS[row["kind"]], row["rank"], row["latent"]
        unit = random_direction(pipe, params.root_seed, kind, rank)
        for m in _multipliers(params):
            change = _multiplied(kind, latent, m)
            yield Condition(kind, rank, latent, "multiply", m, change, unit)


def random_direction(
    pipe: Pipeline, root_seed: int, kind: str, rank: int
) -> Float[Tensor, " d_model"]:
    """Unit vector, uniform on the sphere; it depends on the seeds, arm, kind and rank only."""
    names = ("factorial", kind, pipe.arm, pipe.seed, rank)
    drawn = torch.randn(pipe.model.d_model, generator=torch_stream(root_seed, *names))
    return (drawn / drawn.norm()).to(pipe.units.device)


def _multiplied(target: InterventionTarget, latent: int, amount: float) -> Intervention:
    return Intervention(target, latent, "multiply", amount)


def _multipliers(params: ClampStep) -> list[float]:
    return [clamp for clamp in params.clamps if clamp != IDENTITY]


def moved_activations(
    pipe: Pipeline, found: list[Condition], add_back_errors: bool, n_prefix: int
) -> Callable[[Float[Tensor, "batch pos d_model"]], Iterator[Float[Tensor, "batch pos d_model"]]]:
    """Function from activations at the hook point to their variants: unmoved, then by condition.

    Activations are standardised, moved, and transformed back. The first `n_prefix` positions (BOS) stay
    unchanged, because no part of the pipeline was trained on them.
    """

    def variants(x: Tensor) -> Iterator[Tensor]:
        x = x.to(pipe.units.device)
        rows, kept = x[:, n_prefix:].float(), x[:, :n_prefix].float()
        z = pipe.units.standardise(rows.reshape(-1, rows.shape[-1]))
        base = base_of(pipe.model, pipe.secondary, z, add_back_errors)
        for condition in (None, *found):
            moved = base.z
            if condition is not None:
                step = (condition.change, condition.direction)
                moved = moved + movement(pipe.model, pipe.secondary, base, *step)
            yield torch.cat([kept, pipe.units.restore(moved).reshape(rows.shape)], dim=1)

    return variants


def replacement(
    pipe: Pipeline, condition: Condition | None, add_back_errors: bool, n_prefix: int
) -> Replace:
    """Function to splice in for one condition; None stands for the unmoved pipeline."""
    variants = moved_activations(
        pipe, [] if condition is None else [condition], add_back_errors, n_prefix
    )
    return lambda x: list(variants(x))[-1]

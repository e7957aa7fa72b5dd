"""One pass of an arm's model over the test tokens: firing, part outputs, functional contributions.

Must not: define a measure, or write a file.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fispace.chapters.geometry.weight_table import LatentValues
from fispace.devices import CPU
from fispace.models.integrated import IntegratedModel
from fispace.models.interaction import Interaction
from fispace.models.leave_one_out import DecoderTerms, interaction_growth
from fispace.models.sparse import Codes, active_entries
from fispace.stats import paper_formulas
from fispace.stats.metrics import FvuSums
from fispace.store.activations import ActivationStore
from fispace.store.standardiser import load_standardiser
from fispace.study.config.geometry import GeometryArmStep

Batches = Callable[[], Iterable[Float[Tensor, "tokens d_model"]]]


def test_batches(
    manifest: Path, standardiser: Path, batch_tokens: int, device: torch.device = CPU
) -> Batches:
    """A function that gives the standardised tokens of the test split, without special tokens, in batches.

    Raises:
        ArtifactError: if a shard is missing or altered.
    """
    store, scale = ActivationStore(manifest), load_standardiser(standardiser, device)
    store.verify("test")

    def batches() -> Iterator[Tensor]:
        for group in store.groups("test"):
            yield from scale.standardise(torch.from_numpy(group)).split(batch_tokens)

    return batches


class Outputs(NamedTuple):
    """Sums and means of one model over the test tokens."""

    firings: LatentValues
    """Number of tokens on which each latent is active."""
    activation: LatentValues
    """Sum of each latent's activations over the tokens."""
    growth: dict[str, LatentValues]
    """Growth of the FVU when a latent is removed from one part, by part: those of decoder, linear and
    interaction that the arm has.

    In the interaction it is NaN for latents that were not drawn.
    """
    mean_abs: dict[str, float]
    """Mean |output| of the parts linear and interaction, as far as the arm has them."""
    live_units: float | None
    """Share of the interaction's hidden units that some token activates; None without interaction."""
    variance_explained: float
    n_tokens: int


@torch.no_grad()
def pass_over(
    model: IntegratedModel, test: Batches, params: GeometryArmStep,
    is_drawn: Bool[np.ndarray, " n_latents"],
) -> Outputs:  # fmt: skip
    """Outputs of the model on the test tokens; only drawn latents are removed from the interaction."""
    sums = _Sums(model, torch.from_numpy(is_drawn).to(model.device))
    scores: list[float] = []
    for number, z in enumerate(test()):
        codes = model.sae.encode(z)
        z_hat = model.reconstruct(codes, model.parts)
        sums.add(z, z_hat, codes)
        if number < params.n_published_batches and len(z) > 1:
            scores.append(
                paper_formulas.batch_variance_explained(z.cpu().numpy(), z_hat.cpu().numpy())
            )
    return sums.outputs(float(np.mean(scores)))


def live_units(
    head: Interaction, hidden: Float[Tensor, "tokens d_embed"]
) -> Bool[np.ndarray, " d_embed"]:
    """Whether some token activates each hidden unit: its output is not zero."""
    return (head.activate(hidden) != 0).any(0).cpu().numpy()


class _Sums:
    """Sums over the test tokens from which `Outputs` is made."""

    def __init__(self, model: IntegratedModel, is_drawn: Bool[Tensor, " n_latents"]) -> None:
        n_latents, d_model = model.config.n_latents, model.d_model
        self.model, self.is_drawn = model, is_drawn
        self.firings, self.activation = np.zeros(n_latents), np.zeros(n_latents)
        self.absolute: Counter[str] = Counter()
        self.is_live = np.zeros(0, dtype=bool)
        self.terms = DecoderTerms(n_latents, d_model, model.device)
        self.interaction = torch.zeros_like(is_drawn, dtype=torch.float64)
        self.fvu = FvuSums(d_model, model.device)
        self.n_tokens = 0

    def add(self, z: Tensor, z_hat: Tensor, codes: Codes) -> None:
        n_latents = len(self.firings)
        values, indices = (
            codes.values.double().cpu().numpy().ravel(),
            codes.indices.cpu().numpy().ravel(),
        )
        self.firings += np.bincount(indices[values > 0], minlength=n_latents)
        self.activation += np.bincount(indices, weights=values, minlength=n_latents)
        if "linear" in self.model.parts:
            self._add_output("linear", self.model.contribution(codes, "linear"))
        self.fvu.add(z, z_hat)
        self.n_tokens += len(z)
        active, residual = active_entries(codes.values, codes.indices), z - z_hat
        self.terms.add(active, residual)
        if "interaction" in self.model.parts:
            head = self.model.interaction
            self.interaction += interaction_growth(head, codes, residual, self.is_drawn)
            hidden = head.hidden(codes)
            fired = live_units(head, hidden)
            self.is_live = fired | self.is_live if len(self.is_live) else fired
            # the mean is included, as in the author's code
            self._add_output("interaction", head.output(hidden))

    def _add_output(self, part: str, output: Tensor) -> None:
        mean = output.abs().mean().item()
        self.absolute[part] += mean * len(output)  # pyright: ignore[reportArgumentType]

    def outputs(self, variance_explained: float) -> Outputs:
        mean_abs = {part: total / self.n_tokens for part, total in self.absolute.items()}
        live_units = float(self.is_live.mean()) if len(self.is_live) else None
        return Outputs(
            self.firings, self.activation, self._growth(), mean_abs, live_units,
            variance_explained, self.n_tokens,
        )  # fmt: skip

    def _growth(self) -> dict[str, LatentValues]:
        found = {"decoder": self.terms.growth(self.model.sae.W_dec)}
        if "linear" in self.model.parts:
            found["linear"] = self.terms.growth(self.model.W_lin)
        if "interaction" in self.model.parts:
            unknown = torch.full_like(self.interaction, torch.nan)
            found["interaction"] = torch.where(self.is_drawn, self.interaction, unknown)
        return {part: (sums / self.fvu.squares).cpu().numpy() for part, sums in found.items()}

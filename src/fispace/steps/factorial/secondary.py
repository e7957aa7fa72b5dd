"""`factorial secondary`: the TopK SAE on the interaction part's first MLP layer, and its quality.

Must not: define an SAE or a training loop.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.config.factorial import SecondaryStep
from fispace.measure.fidelity import FvuSums, dead_fraction, l0
from fispace.models.fit import CurveRow, fit, schedule_of
from fispace.models.integrated import IntegratedModel
from fispace.models.numerics import fix_numerics
from fispace.models.objective import squared_error
from fispace.models.secondary import SecondarySae, hidden_vectors
from fispace.seeds import torch_stream
from fispace.steps.factorial.halves import require_same
from fispace.steps.factorial.pipeline import initial_sae, load_arm
from fispace.store.activations import ActivationStore
from fispace.store.checkpoint import save_checkpoint
from fispace.store.files import read_json, sha256_of
from fispace.store.standardiser import Standardiser, fit_moments, load_standardiser
from fispace.store.tables import write_table


class Quality(NamedTuple):
    """One number that says how well the secondary SAE does."""

    metric: str
    unit: str
    value: float
    n: int
    """Tokens."""


def train_secondary(
    params: SecondaryStep, *, weights: Path, lr: Path, manifest: Path, standardiser: Path,
    secondary: Path, curve: Path, quality: Path,
) -> None:  # fmt: skip
    """Train the secondary SAE on the first MLP layer of one arm and seed; writes its test quality.

    Raises:
        ArtifactMismatchError: if the arm has no interaction, or was trained on another store.
        DivergedError: if the loss becomes non-finite.
    """
    model, trained = load_arm(weights, standardiser)
    require_same(weights, "manifest", trained["manifest"], sha256_of(manifest))
    store, units = ActivationStore(manifest), load_standardiser(standardiser)
    for split in ("train", "val", "test"):
        store.verify(split)
    key = {"arm": trained["arm"], "seed": trained["seed"]}
    peak = float(read_json(lr)["lr"])
    fitted, rows = fit_secondary(params, model, units, store, trained["seed"], peak)
    recipe = asdict(params) | key | {"step": "factorial secondary", "lr": peak}
    recipe["weights"] = sha256_of(weights)
    _save(secondary, fitted, recipe)
    write_table(curve, pd.DataFrame(rows).assign(**key), recipe)
    test = stored_hidden_vectors(model, units, store, "test")
    numbers = pd.DataFrame(secondary_quality(fitted, test))
    write_table(quality, numbers.assign(**key, split="test"), recipe)


def fit_secondary(
    params: SecondaryStep, model: IntegratedModel, units: Standardiser, store: ActivationStore,
    seed: int, lr: float,
) -> tuple[SecondarySae, list[CurveRow]]:  # fmt: skip
    """Secondary SAE trained on hidden vectors of train tokens, and its training curve."""
    fix_numerics(params.threads)

    def stream(purpose: str) -> Iterator[Tensor]:
        names = (params.root_seed, "factorial", seed, purpose)
        rows = store.shuffled_batches("train", params.batch_tokens, params.pool_groups, names)
        return (hidden_vectors(model, units.standardise(torch.from_numpy(x))) for x in rows)

    n_fitted = -(-params.standardiser_tokens // params.batch_tokens)
    fitted = fit_moments((h.numpy() for h in _take(stream("standardiser"), n_fitted)), "keep")
    d_embed = model.shape.d_embed
    generator = torch_stream(params.root_seed, "factorial", seed, "init")
    sae = initial_sae(d_embed, params.expansion * d_embed, params.k, generator)
    secondary = SecondarySae(sae, fitted.mean, fitted.std)
    curve = fit(
        sae,
        squared_error(lambda h: sae.decode(sae.encode(h))),
        (fitted.standardise(h) for h in _take(stream("order"), params.n_steps)),
        schedule_of(params, lr),
        lambda: (
            secondary_quality(secondary, stored_hidden_vectors(model, units, store, "val"))[0].value
        ),
    )
    return secondary, curve


@torch.no_grad()
def secondary_quality(
    secondary: SecondarySae, batches: Iterator[Float[Tensor, "tokens d_embed"]]
) -> list[Quality]:
    """FVU in standardised units, L0 and share of dead latents, over whole batches of tokens."""
    n_latents, d_embed = secondary.sae.W_dec.shape
    sums, active, fired = FvuSums(d_embed), 0.0, torch.zeros(n_latents, dtype=torch.bool)
    for hidden in batches:
        codes = secondary.encode(hidden)
        scale = secondary.std
        sums.add(hidden / scale, secondary.decode(codes) / scale)
        active += l0(codes.values).sum().item()
        fired[codes.indices[codes.values > 0]] = True
    n_tokens = sums.n_tokens
    return [
        Quality("fvu", "fraction", sums.fvu, n_tokens),
        Quality("l0", "latents per token", active / n_tokens, n_tokens),
        Quality("dead_latents", "fraction", dead_fraction(fired), n_tokens),
    ]


def stored_hidden_vectors(
    model: IntegratedModel, units: Standardiser, store: ActivationStore, split: str
) -> Iterator[Float[Tensor, "tokens d_embed"]]:
    """Hidden vectors of all non-special tokens of a split, a row group at a time."""
    for group in store.groups(split):
        if len(group):
            yield hidden_vectors(model, units.standardise(torch.from_numpy(group)))


def _save(path: Path, secondary: SecondarySae, record: dict[str, Any]) -> None:
    """Write a secondary SAE with its standardiser, its shape and its record."""
    n_latents, d_embed = secondary.sae.W_dec.shape
    shape = {"n_latents": n_latents, "d_embed": d_embed, "k": secondary.sae.k}
    save_checkpoint(path, secondary.state_dict(), record | shape)


def _take(batches: Iterator[Tensor], count: int) -> Iterator[Tensor]:
    for _ in range(count):
        yield next(batches)

"""The geometry chapter: norms, Gram, spectra and published ratios of one trained arm, with nulls.

Every number is computed on the trained weights and on the same arm's initial weights; the ratios
also with only the decoder's norms trained, the spectra also on a Gaussian matrix of the same
shape. Must not: define a measure; those are in `measure.geometry` and `measure.published`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.config.geometry import GeometryArmStep
from fispace.measure import geometry, published
from fispace.measure.geometry_table import (
    INITIAL,
    RANDOM,
    TRAINED,
    Row,
    Spectra,
    Weights,
    factor_rows,
    gram_rows,
    norm_rows,
    ratio_rows,
    ratios_by_state,
    spectra,
    spectrum_rows,
)
from fispace.models.integrated import IntegratedModel
from fispace.models.sparse import Codes
from fispace.models.trained import initial_model, load_trained
from fispace.seeds import numpy_stream
from fispace.store.activations import ActivationStore
from fispace.store.files import sha256_of
from fispace.store.standardiser import load_standardiser
from fispace.store.tables import read_table, write_csv, write_table

Batches = Callable[[], Iterable[Float[Tensor, "tokens d_model"]]]


class Outputs(NamedTuple):
    """What one model does on the test tokens."""

    firings: Float[np.ndarray, " n_latents"]
    """Tokens on which a latent is active."""
    activation: Float[np.ndarray, " n_latents"]
    """Sum of a latent's activations over the tokens."""
    mean_abs: dict[str, float]
    """Mean |output| of those of the parts linear and interaction that the arm has."""
    live_units: float | None
    """Share of the interaction's hidden units that any token activates; None without interaction."""
    variance_explained: float
    n_tokens: int


def measure_arm(
    params: GeometryArmStep, *, arm: str, seed: int, weights: Path, manifest: Path,
    standardiser: Path, latents: Path, spectrum: Path, table: Path,
) -> None:  # fmt: skip
    """Write the geometry of one arm and seed.

    `table` is long (arm seed state metric unit value n); `latents` has one row a latent; `spectrum`
    one row a component, state and centring.

    Raises:
        ArtifactError: if the checkpoint or a shard is missing or altered.
        ArtifactMismatchError: if the checkpoint is of another arm, seed or store.
    """
    torch.set_num_threads(params.threads)
    made_of = {"manifest": sha256_of(manifest), "standardiser": sha256_of(standardiser)}
    trained = load_trained(weights, {"arm": arm, "seed": seed, **made_of})
    models = {TRAINED: trained.model, INITIAL: initial_model(trained.record).eval()}
    by_state = {state: _weights(model) for state, model in models.items()}
    test = _test_batches(manifest, standardiser, params.batch_tokens)
    outputs = {state: _run(model, test, params) for state, model in models.items()}
    stream = numpy_stream(params.root_seed, "geometry", arm, seed, RANDOM)
    of = spectra(by_state, stream)
    rows = [
        *norm_rows(by_state),
        *gram_rows(by_state, _pairs(by_state, params)),
        *spectrum_rows(of, params),
        *ratio_rows(by_state, params.group_threshold),
        *factor_rows(by_state),
        *_parameter_rows(models[TRAINED]),
        *_output_rows(outputs),
    ]
    per_latent = _latent_table(by_state, outputs[TRAINED], params.group_threshold)
    recipe = {"step": "geometry arm", "arm": arm, "seed": seed}
    write_table(table, _keyed(pd.DataFrame(rows), arm, seed), recipe)
    write_table(spectrum, _keyed(_spectrum_table(of), arm, seed), recipe)
    write_table(latents, _keyed(per_latent, arm, seed), recipe)


def summarise(*, documents: list[Path], summary: Path, table: Path) -> None:
    """Write the long tables of all arms and seeds as one, as Parquet and as CSV."""
    frame = pd.concat([read_table(path) for path in documents], ignore_index=True)
    frame = frame.sort_values(["arm", "metric", "state", "seed"], ignore_index=True)
    write_table(summary, frame, {"step": "geometry summary"})
    write_csv(table, frame)


def _weights(model: IntegratedModel) -> Weights:
    rows = {"decoder": model.sae.W_dec}
    if "linear" in model.parts:
        rows["linear"] = model.W_lin
    if "interaction" in model.parts:
        rows["factors"] = model.interaction.V
    return {name: weight.detach().cpu().numpy() for name, weight in rows.items()}


def _test_batches(manifest: Path, standardiser: Path, batch_tokens: int) -> Batches:
    store, scale = ActivationStore(manifest), load_standardiser(standardiser)
    store.verify("test")

    def batches() -> Iterator[Tensor]:
        for group in store.groups("test"):
            yield from scale.standardise(torch.from_numpy(group)).split(batch_tokens)

    return batches


def _pairs(by_state: Mapping[str, Weights], params: GeometryArmStep) -> np.ndarray:
    stream = numpy_stream(params.root_seed, "geometry", "pairs")  # the same pairs for every arm
    return geometry.sample_pairs(len(by_state[TRAINED]["decoder"]), params.gram_pairs, stream)


@torch.no_grad()
def _run(model: IntegratedModel, test: Batches, params: GeometryArmStep) -> Outputs:
    n_latents = model.shape.n_latents
    firings, activation = np.zeros(n_latents), np.zeros(n_latents)
    absolute, is_live, scores, n_tokens = Counter[str](), np.zeros(0, dtype=bool), [], 0
    for number, z in enumerate(test()):
        codes = model.sae.encode(z)
        values = codes.values.double().numpy().ravel()
        indices = codes.indices.numpy().ravel()
        firings += np.bincount(indices[values > 0], minlength=n_latents)
        activation += np.bincount(indices, weights=values, minlength=n_latents)
        absolute.update({k: v * len(z) for k, v in _mean_abs_outputs(model, codes).items()})
        if "interaction" in model.parts:
            fired = (model.interaction.hidden(codes) > 0).any(0).numpy()
            is_live = fired | is_live if len(is_live) else fired
        n_tokens += len(z)
        if number < params.n_published_batches and len(z) > 1:
            z_hat = model.reconstruct(codes, model.parts)
            scores.append(published.variance_explained(z.numpy(), z_hat.numpy()))
    mean_abs = {part: total / n_tokens for part, total in absolute.items()}
    live_units = float(is_live.mean()) if len(is_live) else None
    return Outputs(firings, activation, mean_abs, live_units, float(np.mean(scores)), n_tokens)


def _mean_abs_outputs(model: IntegratedModel, codes: Codes) -> dict[str, float]:
    """Mean |output| of linear and interaction, the latter with its mean, as the author has it."""
    found: dict[str, float] = {}
    if "linear" in model.parts:
        found["linear"] = model.contribution(codes, "linear").abs().mean().item()
    if "interaction" in model.parts:
        raw = model.interaction.output(model.interaction.hidden(codes))
        found["interaction"] = raw.abs().mean().item()
    return found


def _parameter_rows(model: IntegratedModel) -> Iterator[Row]:
    for part in model.parts:
        yield Row(TRAINED, f"n_parameters_{part}", "parameters", model.n_parameters(part), 1)
    yield Row(TRAINED, "n_latents", "latents", model.shape.n_latents, 1)


def _output_rows(outputs: Mapping[str, Outputs]) -> Iterator[Row]:
    for state, output in outputs.items():
        n = output.n_tokens
        yield Row(state, "variance_explained_published", "fraction", output.variance_explained, n)
        yield Row(state, "active_share", "fraction", output.firings.mean() / n, n)
        yield Row(state, "never_fired_share", "fraction", (output.firings == 0).mean(), n)
        for part, value in output.mean_abs.items():
            yield Row(state, f"mean_abs_output_{part}", "z", value, n)
        if len(output.mean_abs) == 2:
            shares = published.mean_output_shares(**output.mean_abs)
            for part, value in zip(("linear", "interaction"), shares, strict=True):
                yield Row(state, f"mean_output_share_{part}", "fraction", value, n)
        if output.live_units is not None:
            yield Row(state, "interaction_live_units", "fraction", output.live_units, n)


def _latent_table(
    by_state: Mapping[str, Weights], trained: Outputs, threshold: float
) -> pd.DataFrame:
    columns: dict[str, Any] = {"latent": np.arange(len(trained.firings))}
    for state, weights in by_state.items():
        for name, rows in weights.items():
            columns[f"squared_norm_{name}_{state}"] = geometry.squared_norms(rows)
    for state, (_, ratios) in ratios_by_state(by_state).items():
        columns |= {f"ratio_{name}_{state}": getattr(ratios, name) for name in published.RATIOS}
    columns["is_low"] = columns[f"squared_norm_decoder_{TRAINED}"] < threshold
    moved = by_state[TRAINED]["decoder"] - by_state[INITIAL]["decoder"]
    columns["distance_from_initial"] = np.sqrt(geometry.squared_norms(moved))
    columns["firings"] = trained.firings.astype(np.int64)
    columns["mean_activation"] = trained.activation / np.maximum(trained.firings, 1)
    columns["n_tokens"] = trained.n_tokens
    return pd.DataFrame(columns)


def _spectrum_table(of: Spectra) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "state": state,
                "centred": centred,
                "component": np.arange(1, len(shares) + 1),
                "share": shares,
            }
        )
        for (state, centred), shares in of.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _keyed(frame: pd.DataFrame, arm: str, seed: int) -> pd.DataFrame:
    frame.insert(0, "seed", seed)
    frame.insert(0, "arm", arm)
    return frame

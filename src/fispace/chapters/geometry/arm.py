"""`geometry arm`: norms, Gram, spectra, modes and contributions of one trained arm, with nulls.

Every number is computed on the trained and on the initial weights of the arm. Further nulls are
permuted norms, and random directions, both sampled and by their exact law. Must not: define a
measure; those are in `fispace.stats`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.geometry.latent_table import functional_rows, log_norm_mixture, mode_rows
from fispace.chapters.geometry.outputs import Outputs, pass_over, test_batches
from fispace.chapters.geometry.weight_table import (
    INITIAL,
    MIXTURE_SPLIT,
    PUBLISHED_SPLIT,
    RANDOM,
    TRAINED,
    GeometryRow,
    Ratios,
    Spectra,
    Weights,
    factor_rows,
    gram_rows,
    norm_rows,
    ratio_rows,
    ratios_by_state,
    spectra,
    spectrum_rows,
    top_dimension_rows,
)
from fispace.devices import prepare
from fispace.models.integrated import IntegratedModel
from fispace.models.trained import initial_model, load_trained
from fispace.seeds import numpy_stream
from fispace.stats import directions as geometry
from fispace.stats import paper_formulas
from fispace.stats.bimodality import Mixture
from fispace.store.checkpoint import data_record
from fispace.store.metric_registry import with_units
from fispace.store.tables import of_training, write_table
from fispace.study.config.geometry import GeometryArmStep
from fispace.study.step import Reads, Writes, command


@command("geometry", "arm")
def measure_geometry(
    params: GeometryArmStep, *, arm: str, seed: int, weights: Reads, manifest: Reads,
    standardiser: Reads, latents: Writes, spectrum: Writes, table: Writes,
) -> None:  # fmt: skip
    """Write the geometry of one arm and seed.

    `table` is long (arm seed state metric unit value n). `latents` has one row per latent, `spectrum`
    one row per component, state and centring.

    Raises:
        ArtifactError: if the checkpoint or a shard is missing or altered.
        ArtifactMismatchError: if the checkpoint is of another arm, seed or store.
    """
    device = prepare(params.threads, params.device)
    expected = {"arm": arm, "seed": seed} | data_record(manifest, standardiser)
    trained = load_trained(weights, expected, device)
    models = {TRAINED: trained.model, INITIAL: initial_model(trained.record).to(device).eval()}
    by_state = {state: _weights(model) for state, model in models.items()}
    test = test_batches(manifest, standardiser, params.batch_tokens, device)

    def stream(name: str) -> np.random.Generator:
        return numpy_stream(params.root_seed, "geometry", arm, seed, name)

    drawn = _drawn(len(by_state[TRAINED]["decoder"]), params.functional_latents, stream("drawn"))
    outputs = {state: pass_over(model, test, params, drawn) for state, model in models.items()}
    of = spectra(by_state, stream(RANDOM))
    ratios = ratios_by_state(by_state, stream("permuted"))
    mixtures = {
        state: log_norm_mixture(geometry.squared_norms(weights["decoder"]), stream("modes"))
        for state, weights in by_state.items()
    }
    thresholds = {
        PUBLISHED_SPLIT: params.group_threshold,
        MIXTURE_SPLIT: float(np.exp(mixtures[TRAINED].threshold)),
    }
    rows = [
        *_weight_rows(by_state, of, ratios, thresholds, params, stream("top")),
        *_parameter_rows(models[TRAINED]),
        *_output_rows(outputs),
        *_latent_rows(by_state, outputs, drawn, mixtures, thresholds, stream("functional")),
    ]
    recipe = {"step": "geometry arm", "arm": arm, "seed": seed}
    per_latent = _latent_table(by_state, ratios, outputs[TRAINED], params.group_threshold)
    write_table(table, of_training(with_units(pd.DataFrame(rows)), arm, seed), recipe)
    write_table(spectrum, of_training(_spectrum_table(of), arm, seed), recipe)
    write_table(latents, of_training(per_latent, arm, seed), recipe)


def _weights(model: IntegratedModel) -> Weights:
    rows = {"decoder": model.sae.W_dec}
    if "linear" in model.parts:
        rows["linear"] = model.W_lin
    if "interaction" in model.parts:
        rows["factors"] = model.interaction.V
    return {name: weight.detach().cpu().numpy() for name, weight in rows.items()}


def _drawn(n_latents: int, n_drawn: int, stream: np.random.Generator) -> np.ndarray:
    """Whether each latent is removed from the interaction in turn: all, or `n_drawn` of them at random."""
    is_drawn = np.zeros(n_latents, dtype=bool)
    is_drawn[stream.choice(n_latents, min(n_drawn, n_latents), replace=False)] = True
    return is_drawn


def _weight_rows(
    by_state: Mapping[str, Weights], of: Spectra, ratios: Ratios,
    thresholds: Mapping[str, float], params: GeometryArmStep, stream: np.random.Generator,
) -> Iterator[GeometryRow]:  # fmt: skip
    """Rows computed from the weights alone."""
    pairs = _pairs(by_state, params)
    yield from norm_rows(by_state)
    yield from gram_rows(by_state, pairs)
    yield from top_dimension_rows(by_state, pairs, params, stream)
    yield from spectrum_rows(of, len(by_state[TRAINED]["decoder"]), params)
    yield from ratio_rows(ratios, thresholds)
    yield from factor_rows(by_state)


def _pairs(by_state: Mapping[str, Weights], params: GeometryArmStep) -> np.ndarray:
    stream = numpy_stream(params.root_seed, "geometry", "pairs")  # the same pairs for every arm
    return geometry.sample_pairs(len(by_state[TRAINED]["decoder"]), params.gram_pairs, stream)


def _parameter_rows(model: IntegratedModel) -> Iterator[GeometryRow]:
    for part in model.parts:
        yield GeometryRow(TRAINED, f"n_parameters_{part}", model.n_parameters(part), 1)
    yield GeometryRow(TRAINED, "n_latents", model.config.n_latents, 1)


def _output_rows(outputs: Mapping[str, Outputs]) -> Iterator[GeometryRow]:
    for state, output in outputs.items():
        n = output.n_tokens
        yield GeometryRow(state, "variance_explained_published", output.variance_explained, n)
        yield GeometryRow(state, "active_share", output.firings.mean() / n, n)
        yield GeometryRow(state, "never_fired_share", (output.firings == 0).mean(), n)
        for part, value in output.mean_abs.items():
            yield GeometryRow(state, f"mean_abs_output_{part}", value, n)
        if len(output.mean_abs) == 2:
            shares = paper_formulas.mean_output_shares(**output.mean_abs)
            for part, value in zip(("linear", "interaction"), shares, strict=True):
                yield GeometryRow(state, f"mean_output_share_{part}", value, n)
        if output.live_units is not None:
            yield GeometryRow(state, "interaction_live_units", output.live_units, n)


def _latent_rows(
    by_state: Mapping[str, Weights], outputs: Mapping[str, Outputs], drawn: np.ndarray,
    mixtures: Mapping[str, Mixture], thresholds: Mapping[str, float], stream: np.random.Generator,
) -> Iterable[GeometryRow]:  # fmt: skip
    """Rows of norm modes and functional contributions, which need weights and outputs."""
    for state, output in outputs.items():
        squared = geometry.squared_norms(by_state[state]["decoder"])
        modes = mixtures[state], thresholds[PUBLISHED_SPLIT]
        yield from mode_rows(state, squared, output.firings, *modes)
        growth = {part: values[drawn] for part, values in output.growth.items()}
        yield from functional_rows(state, growth, squared[drawn], thresholds, stream)


def _latent_table(
    by_state: Mapping[str, Weights], ratios: Ratios, trained: Outputs, threshold: float
) -> pd.DataFrame:
    columns: dict[str, Any] = {"latent": np.arange(len(trained.firings))}
    for state, weights in by_state.items():
        for name, rows in weights.items():
            columns[f"squared_norm_{name}_{state}"] = geometry.squared_norms(rows)
    for state, (_, of) in ratios.items():
        columns |= {f"ratio_{name}_{state}": getattr(of, name) for name in paper_formulas.RATIOS}
    columns |= {f"fvu_growth_{part}": values for part, values in trained.growth.items()}
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

"""The arms that are tested for planted pairs: trained on one world, applied to its held-out tokens.

Must not: score pairs, or write files.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.errors import named_divergence
from fispace.models.fit import Schedule, fit
from fispace.models.integrated import IntegratedModel
from fispace.models.objective import ArmObjective, FixedCodes, Objective
from fispace.models.readout import fit_readout
from fispace.models.sparse import Codes, from_dense
from fispace.seeds import numpy_stream, stream_seed, torch_stream
from fispace.study.config.parts import PARTS, Part, Pooling
from fispace.study.config.planted import FIRST_ORDER, ORACLE, PlantedStep, WorldTraining
from fispace.study.config.train import ModelConfig
from fispace.testbed.planted import World, WorldTokens, draw

TokenMatrix = Float[Tensor, "tokens width"]
HEAD_PARTS: tuple[Part, ...] = ("linear", "bias", "interaction")
SAE_PARTS: tuple[Part, ...] = ("sae", "bias")
SUFFIXES: tuple[tuple[str, Pooling], ...] = (("", "pairs"), (FIRST_ORDER, "sum"))
"""Suffix of an arm's name, and the pooling it stands for."""


class Tokens(NamedTuple):
    """Tokens of a world, centred and scaled so that training tokens have mean variance 1 per dimension."""

    z: TokenMatrix
    features: TokenMatrix
    """True codes a, not scaled."""
    planted: TokenMatrix
    """The planted term in the units of z, not centred."""


class TrainedArm(NamedTuple):
    """A trained arm, and what it gives on the held-out tokens."""

    model: IntegratedModel
    codes: Codes
    output: TokenMatrix | None
    """Contribution of the interaction part; None if the arm has none."""
    z_hat: TokenMatrix
    linear: TokenMatrix
    """Best linear readout of the same codes, fitted on the training tokens."""


def world_tokens(params: WorldTraining, world: World, number: int) -> tuple[Tokens, Tokens]:
    """Training and held-out tokens, centred and scaled by the moments of the training tokens.

    All dimensions share one scale, which keeps the noise isotropic and the shares exact.
    """
    sizes = {"train": params.planted.n_tokens, "heldout": params.planted.n_heldout_tokens}
    samples = [
        draw(world, n, numpy_stream(params.root_seed, "testbed", "planted", number, split))
        for split, n in sizes.items()
    ]
    mean = samples[0].x.mean(0)
    scale = np.sqrt(np.square(samples[0].x - mean).mean())
    train, heldout = (_in_units(sample, mean, scale) for sample in samples)
    return train, heldout


def _in_units(
    sample: WorldTokens, mean: Float[np.ndarray, " d_model"], scale: np.floating
) -> Tokens:
    arrays = ((sample.x - mean) / scale, sample.features, sample.interaction / scale)
    return Tokens(*(torch.from_numpy(array) for array in arrays))


def train_arms(
    params: PlantedStep, number: int, train: Tokens, heldout: Tokens
) -> Iterator[tuple[str, TrainedArm]]:
    """Every arm by name.

    oracle      linear, bias and interaction on the true codes, fitted to the residual of their best
                linear readout
    sae         SAE with bias, no interaction
    sequential  linear, bias and interaction on the frozen codes of that SAE, fitted to the residual
                of their best linear readout
    joint       SAE, linear, bias and interaction, trained together
    *_first_order   the same with the pooling sum_i f_i v_i, which contains no product
    """
    own = params.planted.training
    true = tuple(from_dense(tokens.features, own.oracle_k) for tokens in (train, heldout))
    n_features = train.features.shape[1]
    yield ORACLE, _head(params, number, ORACLE, "pairs", n_features, true, train)
    base = train_whole(params, number, "sae", "pairs", SAE_PARTS, train, heldout)
    yield "sae", base
    codes = (encoded(base.model, train.z), base.codes)
    for suffix, pooling in SUFFIXES:
        arm = f"sequential{suffix}"
        yield arm, _head(params, number, arm, pooling, own.n_latents, codes, train)
    for suffix, pooling in SUFFIXES:
        arm = f"joint{suffix}"
        yield arm, train_whole(params, number, arm, pooling, PARTS, train, heldout)


@torch.no_grad()
def encoded(model: IntegratedModel, z: TokenMatrix) -> Codes:
    """Codes of the model's SAE."""
    return model.sae.encode(z)


def _head(
    params: PlantedStep, number: int, arm: str, pooling: Pooling, n_latents: int,
    codes: tuple[Codes, ...], train: Tokens,
) -> TrainedArm:  # fmt: skip
    """Linear, bias and interaction on given codes.

    They are fitted to the residual of the codes' best linear readout, divided by its standard
    deviation. If the decoder were trained at the same time, the interaction would first follow the
    decoder and lose its hidden units.
    """
    readout = fit_readout(codes[0], train.z, n_latents)
    left = train.z - readout(codes[0])
    scale = left.square().mean().sqrt()
    model = _model(params, number, n_latents, pooling, HEAD_PARTS)
    objective = FixedCodes(model, codes[0], left / scale)
    _fit(params, number, arm, model, objective.batches(_order(params, number)), objective)
    with torch.no_grad():
        linear = readout(codes[1])
        z_hat = linear + scale * model.reconstruct(codes[1], HEAD_PARTS)
        output = scale * model.interaction(codes[1])
    return TrainedArm(model, codes[1], output, z_hat, linear)


def train_whole(
    params: WorldTraining, number: int, arm: str, pooling: Pooling, parts: tuple[Part, ...],
    train: Tokens, heldout: Tokens,
) -> TrainedArm:  # fmt: skip
    """An arm whose parts are all trained together from their initial weights, by the study's objective."""
    n_latents = params.planted.training.n_latents
    model = _model(params, number, n_latents, pooling, parts)
    batches = (train.z[rows] for rows in _order(params, number))
    _fit(params, number, arm, model, batches, ArmObjective(model, is_frozen=False, aux_k=None))
    codes = encoded(model, heldout.z)
    readout = fit_readout(encoded(model, train.z), train.z, n_latents)
    with torch.no_grad():
        output = model.interaction(codes) if "interaction" in parts else None
        z_hat = model.reconstruct(codes, parts)
    return TrainedArm(model, codes, output, z_hat, readout(codes))


def _model(
    params: WorldTraining, number: int, n_latents: int, pooling: Pooling, parts: tuple[Part, ...]
) -> IntegratedModel:
    own = params.planted.training
    config = ModelConfig(
        n_latents=n_latents,
        k=min(own.k, n_latents),  # a model on given codes never selects any
        d_embed=own.d_embed, dropout=own.dropout, init=own.init,
        topk_dtype="float32", select_by="pre_activation",
    )  # fmt: skip
    return IntegratedModel(
        params.planted.world.d_model, config, parts, pooling,
        root_seed=params.root_seed, seed=number,
    )  # fmt: skip


def _fit(
    params: WorldTraining, number: int, arm: str, model: IntegratedModel,
    batches: Iterable[Tensor], objective: Objective,
) -> None:  # fmt: skip
    torch.manual_seed(stream_seed(params.root_seed, "testbed", "planted", number, "dropout", arm))
    own = params.planted.training
    at_end = own.n_steps  # nothing is logged or validated earlier
    schedule = Schedule(own, own.lr, own.n_steps, log_every=at_end, val_every=at_end)
    with named_divergence(f"planted world {number}"):
        fit(model, objective, batches, schedule, lambda: float("nan"))
    model.eval().requires_grad_(False)


def _order(params: WorldTraining, number: int) -> Iterator[Int[Tensor, " _"]]:
    """Rows of every batch, the same for all arms: the whole batches of one shuffle, then of the next."""
    own, n_tokens = params.planted.training, params.planted.n_tokens
    stream = torch_stream(params.root_seed, "testbed", "planted", number, "order")
    n_whole = n_tokens // own.batch_tokens
    for begin in range(0, own.n_steps, n_whole):
        shuffled = torch.randperm(n_tokens, generator=stream).split(own.batch_tokens)
        yield from shuffled[: min(n_whole, own.n_steps - begin)]

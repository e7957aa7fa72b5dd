"""`factorial secondary`: a TopK SAE on the interaction's first MLP layer, or on the raw residuals.

Must not: define an SAE or a training loop.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.chapters.factorial.design import require_same
from fispace.chapters.factorial.encoder_stack import initial_sae, load_arm
from fispace.devices import prepare
from fispace.errors import ParamsError, named_divergence
from fispace.models.fit import Schedule, fit
from fispace.models.integrated import IntegratedModel
from fispace.models.objective import squared_error_objective
from fispace.models.secondary import SecondarySae, hidden_vectors, residual_vectors
from fispace.models.training_state import Checkpoints, CurveRow, surroundings
from fispace.seeds import torch_stream
from fispace.stats.metrics import FvuSums, dead_fraction, l0
from fispace.store.activations import ActivationStore
from fispace.store.checkpoint import data_record, save_checkpoint
from fispace.store.files import read_json, sha256_of
from fispace.store.metric_registry import with_units
from fispace.store.standardiser import Standardiser, fit_moments, load_standardiser
from fispace.store.tables import write_table
from fispace.study.config.factorial import SecondaryStep
from fispace.study.step import Reads, Scratch, Unrecorded, Writes, command

Reader = Callable[[IntegratedModel, Tensor], Tensor]

SECONDARY, RESIDUAL = "secondary", "residual"
SITES: dict[str, Reader] = {SECONDARY: hidden_vectors, RESIDUAL: residual_vectors}


class Vectors(NamedTuple):
    """The training vectors of the SAE: one site of one model, over the stored tokens."""

    model: IntegratedModel
    units: Standardiser
    store: ActivationStore
    reader: Reader

    def read(self, x: Float[Tensor, "tokens d_model"]) -> Float[Tensor, "tokens width"]:
        """The site's vectors for raw activations."""
        return self.reader(self.model, self.units.standardise(x))

    def of(self, split: str) -> Iterator[Float[Tensor, "tokens width"]]:
        """The site's vectors for all non-special tokens of a split, one row group at a time."""
        for group in self.store.groups(split):
            if len(group):
                yield self.read(torch.from_numpy(group))


class Quality(NamedTuple):
    """One metric of the secondary SAE's quality."""

    metric: str
    value: float
    n: int
    """Tokens."""


@command("factorial", "secondary", sections=("factorial.secondary", "train"))
def train_secondary(
    params: SecondaryStep, *, site: str, weights: Reads, lr: Reads, manifest: Reads,
    standardiser: Reads, scratch: Scratch, checkpoint_seconds: Unrecorded[float], secondary: Writes,
    curve: Writes, quality: Writes,
) -> None:  # fmt: skip
    """Train the SAE of one site, arm and seed, and write its quality on the test split.

    Site `secondary` is the interaction's first MLP layer. Site `residual` is the error of the linear
    parts. Both use the same number of latents, k, tokens and optimiser. `scratch` and
    `checkpoint_seconds` are as in `train arm`.

    Raises:
        ParamsError: if there is no such site.
        ArtifactMismatchError: if the arm has no interaction, or was trained on another store.
        DivergedError: if the loss becomes non-finite.
    """
    read = reader_of(site)
    device = prepare(params.threads, params.device)
    model, record = load_arm(weights, standardiser, device)
    require_same(weights, "manifest", record.manifest, sha256_of(manifest))
    store, units = ActivationStore(manifest), load_standardiser(standardiser, device)
    for split in ("train", "val", "test"):
        store.verify(split)
    key = {"arm": record.arm, "seed": record.seed, "site": site}
    peak = float(read_json(lr)["lr"])
    vectors = Vectors(model, units, store, read)
    names = (record.seed, *([] if site == SECONDARY else [site]))
    recipe = params.plain() | key | {"step": "factorial secondary", "lr": peak}
    recipe["weights"] = sha256_of(weights)
    identity = recipe | data_record(manifest, standardiser) | surroundings(__name__, device)
    checkpoints = Checkpoints(scratch, identity, checkpoint_seconds)
    with named_divergence(f"{site} SAE of arm {key['arm']}, seed {key['seed']}"):
        fitted, rows = fit_secondary(params, vectors, names, peak, checkpoints)
    _save(secondary, fitted, recipe)
    write_table(curve, pd.DataFrame(rows).assign(**key), recipe)
    numbers = with_units(pd.DataFrame(secondary_quality(fitted, vectors.of("test"))))
    write_table(quality, numbers.assign(**key, split="test"), recipe)
    checkpoints.remove()


def reader_of(site: str) -> Reader:
    """Function that computes the vectors of a site.

    Raises:
        ParamsError: if there is no such site.
    """
    if site not in SITES:
        raise ParamsError(f"--site {site}: no such site; there are {', '.join(SITES)}.")
    return SITES[site]


def fit_secondary(
    params: SecondaryStep, vectors: Vectors, names: tuple[str | int, ...], lr: float,
    checkpoints: Checkpoints,
) -> tuple[SecondarySae, list[CurveRow]]:  # fmt: skip
    """SAE trained on the site's vectors of train tokens, and its training curve.

    `names` identify its random streams.
    """
    root, n_taken = (params.root_seed, "factorial", *names), checkpoints.n_steps

    def stream(purpose: str, start: int = 0) -> Iterator[Tensor]:
        rows = vectors.store.shuffled_batches(
            "train", params.batch_tokens, params.pool_groups, (*root, purpose), start
        )
        return (vectors.read(torch.from_numpy(x)) for x in rows)

    n_fitted = -(-params.standardiser_tokens // params.batch_tokens)
    drawn = (h.cpu().numpy() for h in _take(stream("standardiser"), n_fitted))
    fitted = fit_moments(drawn, "keep").to(vectors.units.device)
    n_latents = params.expansion * vectors.model.config.d_embed
    width = fitted.mean.shape[0]
    sae = initial_sae(width, n_latents, params.k, torch_stream(*root, "init")).to(fitted.device)
    secondary = SecondarySae(sae, fitted.mean, fitted.std)
    clipped = _clipped_as_the_arms(params, width, vectors.model.d_model)
    curve = fit(
        sae,
        squared_error_objective(lambda h: sae.decode(sae.encode(h))),
        map(fitted.standardise, _take(stream("order", n_taken), params.n_steps - n_taken)),
        Schedule(clipped, lr, params.n_steps, params.log_every, params.val_every),
        lambda: secondary_quality(secondary, vectors.of("val"))[0].value,
        checkpoints,
    )
    return secondary, curve


def _clipped_as_the_arms(params: SecondaryStep, width: int, d_model: int) -> SecondaryStep:
    """The parameters with grad_clip rescaled, so that gradients are clipped at the same norm as the arms'."""
    if params.grad_clip is None:
        return params
    return params.changed(grad_clip=params.grad_clip * width / d_model)


@torch.no_grad()
def secondary_quality(
    secondary: SecondarySae, batches: Iterator[Float[Tensor, "tokens width"]]
) -> list[Quality]:
    """FVU in standardised units, L0, and share of dead latents, over all tokens of the batches."""
    n_latents, width = secondary.sae.W_dec.shape
    sums, active = FvuSums(width, secondary.mean.device), 0.0
    fired = torch.zeros(n_latents, dtype=torch.bool, device=secondary.mean.device)
    for hidden in batches:
        codes = secondary.encode(hidden)
        scale = secondary.std
        sums.add(hidden / scale, secondary.decode(codes) / scale)
        active += l0(codes.values).sum().item()
        fired[codes.indices[codes.values > 0]] = True
    n_tokens = sums.n_tokens
    return [
        Quality("fvu", sums.fvu, n_tokens),
        Quality("l0", active / n_tokens, n_tokens),
        Quality("dead_latents", dead_fraction(fired), n_tokens),
    ]


def _save(path: Path, secondary: SecondarySae, record: dict[str, Any]) -> None:
    """Write a secondary SAE with its standardiser, its shape and its record."""
    n_latents, width = secondary.sae.W_dec.shape
    shape = {"n_latents": n_latents, "width": width, "k": secondary.sae.k}
    save_checkpoint(path, secondary.state_dict(), record | shape)


def _take(batches: Iterator[Tensor], count: int) -> Iterator[Tensor]:
    for _ in range(count):
        yield next(batches)

"""Arms in a notebook: trained on activations, imported, read from a folder, and applied to raw activations.

Must not: hold a training loop; the step `train arm` trains.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix
from torch import Tensor

from fispace.chapters.train.arm import train_arm
from fispace.chapters.train.imported import imported_model
from fispace.chapters.train.settings import SAE_RATE
from fispace.errors import ParamsError
from fispace.exchange.export import new_folder, origin_of, require_new, write_export
from fispace.exchange.peers import PEERS, Origin, Peer
from fispace.exchange.places import require_place
from fispace.exchange.reading import read_folder
from fispace.library.activations import Activations, Rows, rows_of, stored
from fispace.models.interventions import Intervention, Mode, primary_movement
from fispace.models.sparse import Codes
from fispace.models.trained import Trained, load_trained
from fispace.stats.metrics import FvuSums
from fispace.store.checkpoint import data_record, save_checkpoint
from fispace.store.files import write_json
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.study.config.parts import PARTS, Part, Pooling
from fispace.study.config.train import TrainArmStep

WEIGHTS, UNITS, CHOSEN = "weights.safetensors", "standardiser.safetensors", "chosen.json"
PASSES = 10
"""Passes over the train tokens, by default."""

TRAINING: dict[str, Any] = {
    "d_embed": 32, "dropout": 0.15, "batch_tokens": 1024, "lr_end_fraction": 0.05,
    "lr_decay_fraction": 0.8, "optimiser": "adam", "adam_betas": [0.9, 0.999], "adam_eps": 1.0e-8,
    "grad_clip": 1.0, "topk_dtype": "auto", "select_by": "pre_activation", "subtract_bias": False,
    "cuda_dtype": "float32", "tuned": False,
    "aux_k": None, "standardise_per": "split",
    "init": {"factors": 0.05, "linear": 0.01, "mlp": 0.01}, "interaction_mean_tokens": 131072,
    "pool_groups": 16, "prefetch_batches": 4, "log_every": 50, "val_every": 100,
}  # fmt: skip
"""Values of params.yaml, with which an arm is trained unless `train` is given others."""


class Arm:
    """A trained arm with the standardiser of its activations; it reads and writes the LM's units."""

    def __init__(self, trained: Trained, units: Standardiser) -> None:
        """Use `fispace.train`, `fispace.import_sae`, `fispace.load_arm` or `Run.arm`."""
        self.trained, self.units = trained, units

    @property
    def name(self) -> str:
        """Name of the arm."""
        return self.trained.record.arm

    @property
    def seed(self) -> int:
        """Seed of its initial weights and of the order of the data."""
        return self.trained.record.seed

    @property
    def parts(self) -> tuple[Part, ...]:
        """Parts that are summed in the reconstruction."""
        return self.trained.model.parts

    @property
    def n_latents(self) -> int:
        """Number of latents of its SAE."""
        return self.trained.model.config.n_latents

    @property
    def k(self) -> int:
        """Latents that may be active on a token."""
        return self.trained.model.config.k

    @torch.no_grad()
    def codes(self, x: Rows | Activations) -> csr_matrix:
        """Codes f of activations, [tokens n_latents], at most k of a row above zero."""
        codes = self._encode(self._standardised(x))
        n_tokens, k = codes.values.shape
        starts = np.arange(0, n_tokens * k + 1, k)
        values = (codes.values.numpy().ravel(), codes.indices.numpy().ravel(), starts)
        matrix = csr_matrix(values, shape=(n_tokens, self.n_latents))
        matrix.eliminate_zeros()
        return matrix

    @torch.no_grad()
    def reconstruct(
        self, x: Rows | Activations, parts: Sequence[Part] | None = None
    ) -> Float[np.ndarray, "tokens d_model"]:
        """Reconstruction of activations by all parts, or by some of them, in the LM's units.

        Raises:
            ValueError: if the arm does not have a part.
        """
        return self.units.restore(self._z_hat(self._standardised(x), parts)).numpy()

    @torch.no_grad()
    def fvu(self, x: Rows | Activations, parts: Sequence[Part] | None = None) -> float:
        """Fraction of variance unexplained, sum |z - z_hat|^2 / sum |z - mean z|^2, >= 0.

        z are the standardised activations, so every dimension counts alike. Of a store, the split test is
        taken.
        """
        z = self._standardised(x)
        sums = FvuSums(z.shape[1])
        sums.add(z, self._z_hat(z, parts))
        return sums.fvu

    @torch.no_grad()
    def moved(
        self, x: Float[Tensor, "*tokens d_model"], latent: int, amount: float, mode: Mode
    ) -> Float[Tensor, "*tokens d_model"]:
        """Activations after one latent is multiplied by `amount`, or set to it, all else kept.

        The latent acts through its rows in the decoder and the linear part, as in `factorial clamp`.

        Raises:
            ParamsError: if there is no such latent.
        """
        if not 0 <= latent < self.n_latents:
            raise ParamsError(
                f"latent={latent}: the arm {self.name!r} has the latents 0 to {self.n_latents - 1}."
            )
        z = self.units.standardise(x.float().reshape(-1, x.shape[-1]))
        change = Intervention("primary", latent, mode, amount)
        step = primary_movement(self.trained.model, self._encode(z), change)
        return x + (step * self.units.std).reshape(x.shape).to(x.dtype)

    def save(self, folder: str | Path) -> None:
        """Write weights and standardiser to a new folder, for `fispace.load_arm`.

        Raises:
            ParamsError: if the folder exists.
        """
        require_new(Path(folder))
        with new_folder(Path(folder)) as partial:
            record = self.trained.record.plain()
            save_checkpoint(partial / WEIGHTS, self.trained.model.state_dict(), record)
            self.units.save(partial / UNITS, {})

    def _standardised(self, x: Rows | Activations) -> Tensor:
        return self.units.standardise(rows_of(x))

    def _encode(self, z: Tensor) -> Codes:
        return self.trained.model.sae.encode(z)

    def _z_hat(self, z: Tensor, parts: Sequence[Part] | None) -> Tensor:
        return self.trained.model(z, self.parts if parts is None else tuple(parts))


def train(
    x: Activations | Rows,
    *,
    n_latents: int,
    k: int,
    parts: Sequence[Part] = PARTS,
    frozen: Arm | None = None,
    pooling: Pooling = "pairs",
    lr: float = 1.0e-2,
    n_tokens: int | None = None,
    seed: int = 0,
    name: str = "arm",
    **options: Any,
) -> Arm:
    """An arm trained on activations by the study's own step.

    `x` is a store, or an array [tokens d_model]. `parts` are summed in the reconstruction: sae, linear, bias,
    interaction (all trained together by default), residual_sae. With `frozen`, the arm copies that arm's SAE
    and trains the other parts on it. `pooling` is the input of the interaction's MLP: pairs, or a control
    (sum, shuffled). `n_tokens` are presented in the training, ten passes by default. `options` are further
    parameters of the training by their names in the section train of params.yaml.

    Raises:
        ParamsError: if an argument is unknown or out of range.
        ArtifactMismatchError: if `frozen` was trained on other activations, or with another seed.
        DivergedError: if the loss becomes non-finite.
    """
    data = x if isinstance(x, Activations) else stored(x, seed)
    row = {
        "parts": list(parts), "matched_to": None,
        "frozen_sae_from": None if frozen is None else frozen.name,
        "pooling": pooling if "interaction" in parts else None,
    }  # fmt: skip
    params = _training(data, n_latents, k, n_tokens, options)
    with tempfile.TemporaryDirectory(prefix="fispace-") as folder:
        place = Path(folder)
        write_json(place / CHOSEN, {SAE_RATE: float(lr)})
        if frozen is not None:
            frozen.save(place / "frozen")
        train_arm(
            params, arm=name, row=json.dumps(row), matched_row=None, changed=None, seed=seed,
            chosen=place / CHOSEN, manifest=data.manifest, standardiser=data.standardiser,
            frozen=None if frozen is None else place / "frozen" / WEIGHTS, scratch=place / "scratch",
            checkpoint_seconds=86400.0, weights=place / WEIGHTS, curve=place / "curve.parquet",
            lifecycle=place / "lifecycle.parquet",
        )  # fmt: skip
        return Arm(load_trained(place / WEIGHTS, {}), data.units)


def load_arm(folder: str | Path) -> Arm:
    """An arm that `Arm.save` wrote.

    Raises:
        ArtifactError: if a file is missing or damaged.
    """
    place = Path(folder)
    return Arm(load_trained(place / WEIGHTS, {}), load_standardiser(place / UNITS))


def import_sae(folder: str | Path, x: Activations, *, name: str = "theirs", seed: int = 0) -> Arm:
    """A TopK SAE that SAELens or sparsify saved, as an arm on these activations.

    Raises:
        ArtifactError: if the folder holds no such SAE, or a damaged one.
        ArtifactMismatchError: if it is of another width or another language model.
        HookPointError: if it was trained at another hook point.
    """
    foreign = read_folder(Path(folder))
    require_place(foreign, x.store.manifest, name)
    params = _training(x, len(foreign.sae.W_enc), foreign.sae.k, None, {"batch_tokens": 1})
    data = data_record(x.manifest, x.standardiser)
    return Arm(imported_model(params, foreign, x.units, name, seed, data), x.units)


def export_sae(
    arm: Arm, folder: str | Path, to: Peer, x: Activations | None = None, *, only_sae: bool = False
) -> None:
    """Write an arm to a new folder in the format of saelens, sparsify or dictionary_learning.

    The standardiser is folded in. `x` are the activations that it was trained on; from them, the folder names
    model and hook point. `only_sae` leaves the linear part out of the decoder. The folder's README.md says
    what the format cannot express.

    Raises:
        ParamsError: if the folder exists, or the format cannot hold the arm.
    """
    if to not in PEERS:
        raise ParamsError(f"to={to!r}: expected one of {', '.join(PEERS)}.")
    own = {"arm": arm.name, "seed": arm.seed}
    origin = Origin(None, None, None, None, None, None, own)
    if x is not None and "hook_path" in x.store.manifest:
        origin = origin_of(x.folder, own)
    require_new(Path(folder))
    with new_folder(Path(folder)) as partial:
        write_export(partial, arm.trained, arm.units, to, origin, only_sae)


def _training(
    data: Activations, n_latents: int, k: int, n_tokens: int | None, options: dict[str, Any]
) -> TrainArmStep:
    """Parameters of a training: those given, and otherwise the study's."""
    n_train = data.store.n_tokens("train")
    values = (
        TRAINING | {"root_seed": 0, "threads": torch.get_num_threads(), "device": "cpu"} | options
    )
    values |= {"n_latents": n_latents, "k": k}
    values["n_tokens"] = PASSES * n_train if n_tokens is None else n_tokens
    return TrainArmStep.read(values, "train")

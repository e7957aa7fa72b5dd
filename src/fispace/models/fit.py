"""The one training loop: Adam on an objective, with linear decay.

Must not: know arms, files, or where batches come from.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from fispace.config.train import OptimiserKind
from fispace.errors import DivergedError
from fispace.models.objective import Objective
from fispace.models.optimiser import build_optimiser, clip_gradients


@dataclass(frozen=True)
class Schedule:
    """Length, step sizes and logging of one training."""

    n_steps: int
    lr: float
    lr_end_fraction: float
    lr_decay_fraction: float
    optimiser: OptimiserKind
    betas: tuple[float, float]
    eps: float
    grad_clip: float | None
    log_every: int
    val_every: int

    def lr_at(self, step: int) -> float:
        """Learning rate of a step in [0, n_steps).

        Linear from lr at step 0 to lr * lr_end_fraction at lr_decay_fraction of the steps actually
        taken, constant after it (paper; the author's code counts sequences and decays within the
        first 0.6 %).
        """
        n_decay = max(1.0, self.lr_decay_fraction * self.n_steps - 1)
        progress = min(1.0, step / n_decay)
        return self.lr * (1 - (1 - self.lr_end_fraction) * progress)


@runtime_checkable
class ScheduleParams(Protocol):
    """Parameters of a training, whatever it trains; read-only, so frozen dataclasses fit."""

    @property
    def lr_end_fraction(self) -> float: ...  # noqa: D102

    @property
    def lr_decay_fraction(self) -> float: ...  # noqa: D102

    @property
    def optimiser(self) -> OptimiserKind: ...  # noqa: D102

    @property
    def adam_betas(self) -> tuple[float, ...]: ...  # noqa: D102

    @property
    def adam_eps(self) -> float: ...  # noqa: D102

    @property
    def grad_clip(self) -> float | None: ...  # noqa: D102

    @property
    def log_every(self) -> int: ...  # noqa: D102

    @property
    def val_every(self) -> int: ...  # noqa: D102

    @property
    def n_steps(self) -> int: ...  # noqa: D102


def schedule_of(params: ScheduleParams, lr: float) -> Schedule:
    """The schedule that the parameters describe, from the peak learning rate `lr`."""
    first, second = params.adam_betas
    return Schedule(
        n_steps=params.n_steps, lr=lr,
        lr_end_fraction=params.lr_end_fraction, lr_decay_fraction=params.lr_decay_fraction,
        optimiser=params.optimiser, betas=(first, second), eps=params.adam_eps,
        grad_clip=params.grad_clip,
        log_every=params.log_every, val_every=params.val_every,
    )  # fmt: skip


class CurveRow(NamedTuple):
    """One logged step of a training."""

    step: int
    n_tokens: int
    lr: float
    train_fvu: float
    """FVU of the batches since the last row, by their own mean."""
    val_fvu: float | None


def fit(
    model: nn.Module,
    objective: Objective,
    batches: Iterable[Float[Tensor, "_ d_model"]],
    schedule: Schedule,
    validate: Callable[[], float],
) -> list[CurveRow]:
    """Train `model` in place on the objective's total loss; returns the curve.

    Raises:
        DivergedError: at the first step whose loss is not finite.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = build_optimiser(
        model, schedule.optimiser, schedule.lr, schedule.betas, schedule.eps
    )
    curve: list[CurveRow] = []
    window = _FvuWindow()
    n_tokens = 0
    model.train()
    for step, z in enumerate(batches):
        lr = optimiser.lr = schedule.lr_at(step)
        losses = objective(z)
        optimiser.zero_grad()
        losses.total.backward()
        if schedule.grad_clip is not None:
            clip_gradients(weights, schedule.grad_clip)
        optimiser.step()
        n_tokens += z.shape[0]
        window.add(losses.error.item(), z, step)
        if _is_due(step, schedule.log_every, schedule.n_steps):
            is_validated = _is_due(step, schedule.val_every, schedule.n_steps)
            val_fvu = _in_eval(model, validate) if is_validated else None
            curve.append(CurveRow(step + 1, n_tokens, lr, window.pop(), val_fvu))
    return curve


class _FvuWindow:
    """Sums of squared error and variance since the last logged row."""

    def __init__(self) -> None:
        self.error = self.variance = 0.0

    def add(self, loss: float, z: Tensor, step: int) -> None:
        if not math.isfinite(loss):
            raise DivergedError(
                f"The loss is {loss} at step {step + 1}: the training diverged. Lower the learning "
                "rates in train.lr_candidates, or set train.grad_clip."
            )
        self.error += loss
        self.variance += z.var(0, correction=0).mean().item()

    def pop(self) -> float:
        fvu = self.error / self.variance
        self.error = self.variance = 0.0
        return fvu


def _is_due(step: int, every: int, n_steps: int) -> bool:
    return (step + 1) % every == 0 or step + 1 == n_steps


def _in_eval(model: nn.Module, validate: Callable[[], float]) -> float:
    model.eval()
    try:
        return validate()
    finally:
        model.train()

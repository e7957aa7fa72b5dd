"""The one training loop: Adam on an objective, with linear decay.

Must not: seed anything, since random streams have names; or know arms, files, or where batches come from.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from fispace.errors import DivergedError
from fispace.models.objective import Objective
from fispace.models.optimiser import build_optimiser, clip_gradients
from fispace.models.training_state import Checkpoints, CurveRow, Progress, Training
from fispace.study.config.train import OptimiserConfig

log = logging.getLogger(__name__)

ADVICE = "Lower the learning rates in train.lr_candidates, or set train.grad_clip."


@dataclass(frozen=True)
class Schedule:
    """Length, step sizes and logging of one training."""

    config: OptimiserConfig
    lr: float
    """Peak learning rate, used at the first step."""
    n_steps: int
    log_every: int
    val_every: int
    multiples: Mapping[str, float] = field(default_factory=dict[str, float])
    """Rates of some weights, by name, as multiples of `lr`; all others have `lr`."""

    def lr_at(self, step: int) -> float:
        """Learning rate of a step in [0, n_steps).

        It falls linearly from lr at step 0 to lr * lr_end_fraction at lr_decay_fraction of the steps that are
        taken, and is constant afterwards (paper; the author's code counts sequences instead and decays
        within the first 0.6 %).
        """
        n_decay = max(1.0, self.config.lr_decay_fraction * self.n_steps - 1)
        progress = min(1.0, step / n_decay)
        return self.lr * (1 - (1 - self.config.lr_end_fraction) * progress)

    def max_norm(self, n_dimensions: int) -> float | None:
        """Norm at which gradients of the mean squared error are clipped; None if they are not.

        grad_clip is the norm for the error summed over n_dimensions dimensions, whose gradient is
        n_dimensions times the gradient of the mean.
        """
        clip = self.config.grad_clip
        return None if clip is None else clip / n_dimensions


def fit(
    model: nn.Module,
    objective: Objective,
    batches: Iterable[Float[Tensor, "_ d_model"]],
    schedule: Schedule,
    validate: Callable[[], float],
    checkpoints: Checkpoints | None = None,
) -> list[CurveRow]:
    """Train `model` in place on the objective's total loss; returns the curve.

    With `checkpoints`, the training continues from the saved state, and `batches` are the remaining ones.

    Raises:
        ArtifactMismatchError: if the checkpoint is not of this training.
        DivergedError: at the first step with a non-finite loss, or if the last step leaves a weight that
            is not finite.
    """
    config = schedule.config
    first, second = config.adam_betas
    optimiser = build_optimiser(
        model, config.optimiser, schedule.lr, (first, second), config.adam_eps, schedule.multiples
    )
    training = Training(model, optimiser, Progress())
    if checkpoints is not None:
        checkpoints.resume(training)
    if training.progress.n_steps:
        log.info("continuing at step %d of %d", training.progress.n_steps + 1, schedule.n_steps)
    model.train()
    try:
        for z in batches:
            _step(training, objective, z, schedule)
            _log_if_due(training, schedule, validate)
            if checkpoints is not None:
                checkpoints.offer(training)
        _require_finite(training)
    except DivergedError:
        if checkpoints is not None:
            checkpoints.note_kept()
        raise
    return training.progress.curve


def _step(training: Training, objective: Objective, z: Tensor, schedule: Schedule) -> None:
    model, optimiser, progress = training
    optimiser.lr = schedule.lr_at(progress.n_steps)
    losses = objective(z)
    optimiser.zero_grad()
    losses.total.backward()
    max_norm = schedule.max_norm(z.shape[1])
    if max_norm is not None:
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        clip_gradients(weights, max_norm)
    optimiser.step()
    error = losses.error.item()
    if not math.isfinite(error):
        raise DivergedError(
            f"The loss is {error} at step {progress.n_steps + 1}: the training diverged. {ADVICE}"
        )
    progress.add(z.shape[0], error, mean_variance(z))


def mean_variance(z: Tensor) -> float:
    """Mean over dimensions of the variance over tokens, in two passes, which is faster than `var(0)`."""
    return (z - z.mean(0)).square_().mean().item()


def _require_finite(training: Training) -> None:
    """Check the weights after the last step; a step's loss only reflects the weights before it."""
    for name, weight in training.model.named_parameters():
        if not bool(weight.isfinite().all()):
            raise DivergedError(
                f"{name} holds a NaN or an infinity after step {training.progress.n_steps}: the "
                f"training diverged. {ADVICE}"
            )


def _log_if_due(training: Training, schedule: Schedule, validate: Callable[[], float]) -> None:
    model, optimiser, progress = training
    if _is_due(progress.n_steps, schedule.log_every, schedule.n_steps):
        is_validated = _is_due(progress.n_steps, schedule.val_every, schedule.n_steps)
        progress.log(optimiser.lr, _in_eval(model, validate) if is_validated else None)


def _is_due(n_done: int, every: int, n_steps: int) -> bool:
    return n_done % every == 0 or n_done == n_steps


def _in_eval(model: nn.Module, validate: Callable[[], float]) -> float:
    model.eval()
    try:
        return validate()
    finally:
        model.train()

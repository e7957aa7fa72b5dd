"""Adam, dense or row-sparse, and clipping of dense and sparse gradients alike.

Must not: know schedules or losses.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.adam import adam

from fispace.config.train import OptimiserKind
from fispace.models.sae import TopKSae

BLOCK_NUMBERS = 2**16
"""Weights of the rows updated together, so that they stay in the cache between their three uses."""


def build_optimiser(
    model: nn.Module, kind: OptimiserKind, lr: float, betas: tuple[float, float], eps: float
) -> Optimizer:
    """Optimiser of the model's trained weights; `row_sparse_adam` asks its SAEs for sparse gradients."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    is_sparse = kind == "row_sparse_adam"
    for module in model.modules():
        if isinstance(module, TopKSae):
            module.has_sparse_gradients = is_sparse
    if is_sparse:
        return RowSparseAdam(weights, lr, betas, eps)
    return Adam(weights, lr=lr, betas=betas, eps=eps, fused=True)


def clip_gradients(weights: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale all gradients together to the norm `max_norm` where theirs is larger."""
    gradients = []
    for weight in weights:
        if weight.grad is not None:
            if weight.grad.is_sparse:
                weight.grad = coalesced(weight.grad)
            gradients.append(weight.grad.values() if weight.grad.is_sparse else weight.grad)
    norm = nn.utils.get_total_norm(gradients)
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale)


def coalesced(gradient: Tensor) -> Tensor:
    """The sparse gradient with every row once, in ascending order.

    Autograd forgets on the way that ours are; only where AuxK adds its rows is there work to do.
    """
    rows = gradient._indices()[0]
    if bool((rows.diff() > 0).all()):
        return gradient._coalesced_(True)
    return gradient.coalesce()


class RowSparseAdam(Optimizer):
    """Adam that leaves a row alone, moments included, in steps that give it no gradient.

    Dense gradients get Adam unchanged. The bias correction counts steps of the optimiser, not of
    the row, as in torch.optim.SparseAdam, which this is without its temporaries of full size.
    """

    def __init__(
        self, weights: Sequence[nn.Parameter], lr: float, betas: tuple[float, float], eps: float
    ) -> None:
        """One group of weights, each with dense moments that start at zero."""
        super().__init__(weights, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, group)

    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), device=weight.device)
            state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(weight) for _ in range(2))
        step = state["step"].clone()
        state["step"] += 1
        numbers = (weight, state["exp_avg"], state["exp_avg_sq"])
        if not gradient.is_sparse:
            _adam_step(numbers, gradient, step, group)
            return
        gradient = coalesced(gradient)
        n_rows = max(1, BLOCK_NUMBERS // max(1, weight[0].numel()))
        blocks = zip(
            gradient.indices()[0].split(n_rows), gradient.values().split(n_rows), strict=True
        )
        for rows, of_rows in blocks:
            taken = tuple(matrix.index_select(0, rows) for matrix in numbers)
            _adam_step(taken, of_rows, step.clone(), group)
            for matrix, updated in zip(numbers, taken, strict=True):
                matrix.index_copy_(0, rows, updated)


def _adam_step(
    numbers: tuple[Tensor, ...], gradient: Tensor, step: Tensor, group: dict[str, Any]
) -> None:
    """One fused Adam step of (weight, first moment, second moment), in place."""
    weight, exp_avg, exp_avg_sq = numbers
    first, second = group["betas"]
    adam(
        [weight], [gradient.contiguous()], [exp_avg], [exp_avg_sq], [], [step],
        amsgrad=False, beta1=first, beta2=second, lr=group["lr"], weight_decay=0.0,
        eps=group["eps"], maximize=False, fused=True,
    )  # fmt: skip

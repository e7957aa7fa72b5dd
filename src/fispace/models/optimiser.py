"""Adam (dense, row-sparse or in half precision), and clipping of dense and sparse gradients.

Must not: know schedules or losses.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from fispace.models.sae import TopKSae
from fispace.study.config.train import OptimiserKind

BLOCK_NUMBERS = 2**18
"""Number of weights updated together; so many stay in the cache between their three uses."""


def build_optimiser(
    model: nn.Module, kind: OptimiserKind, lr: float, betas: tuple[float, float], eps: float,
    multiples: Mapping[str, float] | None = None,
) -> "Adam":  # fmt: skip
    """Optimiser of the model's trained weights; `row_sparse_adam` makes the SAEs' gradients sparse.

    `multiples` has the rate of some weights, by name, as a multiple of `lr`; all others have `lr`.
    """
    named = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    of_weights = [(multiples or {}).get(name, 1.0) for name in named]
    is_sparse = kind == "row_sparse_adam"
    for module in model.modules():
        if isinstance(module, TopKSae):
            module.has_sparse_gradients = is_sparse
    kind_of_adam = HalfPrecisionAdam if kind == "half_precision_adam" else Adam
    return kind_of_adam(list(named.values()), lr, betas, eps, of_weights)


def clip_gradients(weights: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale all gradients together to the norm `max_norm` if their joint norm is larger."""
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

    Our gradients already are, but autograd drops the flag. Only rows added by AuxK need real work.
    """
    rows = gradient._indices()[0]
    if bool((rows.diff() > 0).all()):
        return gradient._coalesced_(True)
    return gradient.coalesce()


class Adam:
    """Adam (Kingma & Ba 2015) by the library's fused kernel.

    If a gradient is sparse, only its rows of the weight and of the moments change. The bias correction counts
    steps of the weight, not of the row, as in torch.optim.SparseAdam; unlike that class, this one needs no
    full-size temporaries. It is not a torch.optim.Optimizer, because creating one loads torch's compiler,
    which costs 1.5 seconds per job.
    """

    def __init__(
        self, weights: Sequence[nn.Parameter], lr: float, betas: tuple[float, float], eps: float,
        multiples: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        """Moments are dense and start at zero; `lr` may be set between steps.

        The rate of each weight is `lr` times its multiple, 1 if none are given.
        """
        self.lr = lr
        self._multiples = [1.0] * len(weights) if multiples is None else list(multiples)
        self._betas, self._eps = betas, eps
        self._weights = list(weights)
        self._moments = [
            (torch.zeros_like(weight.detach()), torch.zeros_like(weight.detach()))
            for weight in self._weights
        ]
        self._steps = [torch.zeros((), device=weight.device) for weight in self._weights]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Moments and step counts by name. They alias the optimiser's state: copying into them sets it."""
        found: dict[str, Tensor] = {}
        for i, ((exp_avg, exp_avg_sq), step) in enumerate(
            zip(self._moments, self._steps, strict=True)
        ):
            found |= {f"{i}.exp_avg": exp_avg, f"{i}.exp_avg_sq": exp_avg_sq, f"{i}.step": step}
        return found

    @torch.no_grad()
    def step(self) -> None:
        """Update every weight that has a gradient."""
        dense: dict[float, list[tuple[Tensor, ...]]] = {}
        state = zip(self._weights, self._moments, self._steps, self._multiples, strict=True)
        for weight, moments, step, multiple in state:
            if weight.grad is None:
                continue
            lr = self.lr * multiple
            if weight.grad.is_sparse:
                self._update_rows((weight, *moments), coalesced(weight.grad), step, lr)
                step.add_(1)
            else:
                dense.setdefault(lr, []).append((weight, weight.grad, *moments, step))
        for lr, rows in dense.items():
            self._update_all(rows, lr)

    def _update_rows(
        self, numbers: tuple[Tensor, ...], gradient: Tensor, step: Tensor, lr: float
    ) -> None:
        """Update the gradient's rows: in place where most rows of a block have one, else on a copy of them.

        Blocks serve the processor's cache; on a GPU all rows are copied out and back at once.
        """
        if not gradient.is_cpu:
            self._update_copied(numbers, gradient.indices()[0], gradient.values(), step, lr)
            return
        n_rows = max(1, BLOCK_NUMBERS // max(1, numbers[0][0].numel()))
        rows, of_rows = gradient.indices()[0], gradient.values()
        taken_out = torch.ones_like(rows, dtype=torch.bool)
        for first, start, end in _mostly_full(rows, n_rows, gradient.shape[0]):
            block = tuple(matrix[first : first + n_rows] for matrix in numbers)
            self._update_block(block, rows[start:end] - first, of_rows[start:end], step, lr)
            taken_out[start:end] = False
        for some in taken_out.nonzero()[:, 0].split(n_rows):
            self._update_copied(numbers, rows[some], of_rows[some], step, lr)

    def _update_copied(
        self, numbers: tuple[Tensor, ...], rows: Tensor, of_rows: Tensor, step: Tensor, lr: float
    ) -> None:
        """Update these rows on a copy of them."""
        taken = tuple(matrix.index_select(0, rows) for matrix in numbers)
        self._update(taken, of_rows, step.clone(), lr)
        for matrix, updated in zip(numbers, taken, strict=True):
            matrix.index_copy_(0, rows, updated)

    def _update_block(
        self, block: tuple[Tensor, ...], rows: Tensor, of_rows: Tensor, step: Tensor, lr: float
    ) -> None:
        """Update all rows of a block in place, then restore the rows without a gradient."""
        is_left = torch.ones(len(block[0]), dtype=torch.bool, device=rows.device)
        is_left[rows] = False
        left = is_left.nonzero()[:, 0]
        if len(left) > 0:
            of_rows = torch.zeros_like(block[0]).index_copy_(0, rows, of_rows)
        before = tuple(matrix.index_select(0, left) for matrix in block)
        self._update(block, of_rows, step.clone(), lr)
        for matrix, as_it_was in zip(block, before, strict=True):
            matrix.index_copy_(0, left, as_it_was)

    def _update(
        self, numbers: tuple[Tensor, ...], gradient: Tensor, step: Tensor, lr: float
    ) -> None:
        """One step, in place, of (weight, first moment, second moment) and of the step count."""
        weight, *moments = numbers
        self._update_all([(weight, gradient, *moments, step)], lr)

    def _update_all(self, rows: Sequence[tuple[Tensor, ...]], lr: float) -> None:
        """One step, in place, of each (weight, gradient, first moment, second moment, step count)."""
        weights, gradients, exp_avgs, exp_avg_sqs, steps = (
            list(of) for of in zip(*rows, strict=True)
        )
        first, second = self._betas
        adam(
            weights, [own.contiguous() for own in gradients], exp_avgs, exp_avg_sqs, [], steps,
            amsgrad=False, beta1=first, beta2=second, lr=lr, weight_decay=0.0,
            eps=self._eps, maximize=False, fused=True,
        )  # fmt: skip


def _mostly_full(rows: Tensor, n_rows: int, n_all: int) -> Iterator[tuple[int, int, int]]:
    """Blocks of n_rows consecutive rows, most of them listed: first row, start and end in the list."""
    firsts = torch.arange(0, n_all, n_rows, device=rows.device)
    starts = torch.searchsorted(rows, firsts).tolist()
    for first, start, end in zip(firsts.tolist(), starts, [*starts[1:], len(rows)], strict=True):
        if 2 * (end - start) > min(n_rows, n_all - first):
            yield first, start, end


class HalfPrecisionAdam(Adam):
    """Adam with weights, gradients and both moments held in float16, as the author's code trains (W7).

    The arithmetic is float32; every result is then rounded to the nearest float16. Half the smallest float16
    number is 3e-8, so with a second beta of .999 a gradient below 5.5e-3 leaves the second moment at zero,
    and the step is divided by eps alone. A step smaller than half the spacing of float16 numbers does not
    change its weight.
    """

    @torch.no_grad()
    def step(self) -> None:
        """Update every weight that has a gradient."""
        for weight in self._weights:
            if weight.grad is not None:
                _round_to_half(weight.grad)
        super().step()
        for weight, moments in zip(self._weights, self._moments, strict=True):
            for numbers in (weight, *moments):
                _round_to_half(numbers)


def _round_to_half(numbers: Tensor) -> None:
    """Round to the nearest float16, in place."""
    numbers.copy_(numbers.half())

"""Scores of pairs of latents in the interaction part, from their factor vectors and from their effect.

Must not: know which pairs are planted.
"""

from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.models.integrated import IntegratedModel
from fispace.models.pairs import Pairs, pair_weights
from fispace.models.sparse import Codes


def all_pairs(latents: Int[np.ndarray, " n_features"]) -> Pairs:
    """All pairs of the listed latents, in the order of numpy's upper triangle of their positions."""
    first, second = np.triu_indices(len(latents), 1)
    return Pairs(latents[first], latents[second], np.full(len(first), np.nan))


@torch.no_grad()
def factor_scores(
    model: IntegratedModel, codes: Codes, pairs: Pairs
) -> Float[np.ndarray, " pairs"]:
    """Norm of a pair's weight through the interaction part, times both latents' mean activations.

    On one token the derivative of the output by the product f_i f_j is exactly
    W_out diag(1[h > 0]) W_hidden (v_i * v_j), where h are the hidden units; without a hidden layer it is
    W_out (v_i * v_j). Here the indicators are replaced by their means over the tokens. The norm is
    multiplied by m_i m_j, where m_i is the mean of f_i over the tokens on which latent i is active, so the
    score has the units of the output and does not depend on the scale of a latent.
    """
    head = model.interaction
    is_open = head.slope(head.hidden(codes)).mean(0)
    through = (head.W_out * is_open) @ head.W_hidden
    weights = np.stack([pair_weights(model, readout, pairs) for readout in through])
    scale = mean_active(codes, model.config.n_latents).cpu().numpy()
    return np.linalg.norm(weights, axis=0) * scale[pairs.first] * scale[pairs.second]


def mean_active(codes: Codes, n_latents: int) -> Float[Tensor, " n_latents"]:
    """Mean activation of each latent over the tokens on which it is active; 0 if there are none."""
    places, values = codes.indices.reshape(-1), codes.values.double().reshape(-1)
    total = values.new_zeros(n_latents).index_add_(0, places, values)
    fired = torch.zeros_like(total).index_add_(0, places, (values > 0).double())
    return total / fired.clamp(min=1)


@torch.no_grad()
def functional_scores(
    model: IntegratedModel, codes: Codes, latents: Int[np.ndarray, " n_features"]
) -> Float[np.ndarray, " pairs"]:
    """Norm of the mean double difference of the interaction's output, for the pairs of `all_pairs`.

    Delta_ij = y(f) - y(f without i) - y(f without j) + y(f without both), averaged over the tokens on which
    both are active. It is what the two latents do together beyond what each does alone. It is 0 for a pair
    that is never active together, and for any y that is a sum over latents.
    """
    n = len(latents)
    head, place = model.interaction, torch.full((model.config.n_latents,), -1)
    place[torch.from_numpy(latents)] = torch.arange(n)
    where = place[
        codes.indices
    ]  # tokens x k: position of the latent in the list, -1 if it is not listed
    is_active = (codes.values > 0) & (where >= 0)
    total = torch.zeros(n * n, head.W_hidden.shape[0])
    count = torch.zeros(n * n)
    for i, j in combinations(range(where.shape[1]), 2):
        tokens = (is_active[:, i] & is_active[:, j]).nonzero()[:, 0]
        pair = where[tokens][:, [i, j]].sort(1).values @ torch.tensor([n, 1])
        total.index_add_(0, pair, double_difference(model, codes[tokens], i, j))
        count.index_add_(0, pair, torch.ones(len(pair)))
    mean = (total / count.clamp(min=1)[:, None]) @ head.W_out.T
    first, second = np.triu_indices(n, 1)
    return mean.norm(dim=1).double().cpu().numpy()[first * n + second]


def double_difference(
    model: IntegratedModel, codes: Codes, i: int, j: int
) -> Float[Tensor, "tokens d_embed"]:
    """Double difference of the hidden units' output for the latents at positions i and j of the codes.

    The output layer is linear, so W_out times this is the double difference of the output.
    """
    head = model.interaction

    def output(*without: int) -> Tensor:
        values = codes.values.clone()
        values[:, list(without)] = 0
        return head.activate(head.hidden(codes.with_values(values)))

    return output() - output(i) - output(j) + output(i, j)

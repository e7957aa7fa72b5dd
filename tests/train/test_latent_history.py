"""The history of latents by hand: firings, silence, norms, distance."""

import torch

from fispace.models.latent_history import LatentHistory


def codes(*tokens: list[tuple[int, float]]) -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.tensor([[value for _, value in token] for token in tokens])
    indices = torch.tensor([[latent for latent, _ in token] for token in tokens])
    return values, indices


def test_firings_and_silence_are_counted_in_tokens() -> None:
    history = LatentHistory(torch.zeros(4, 2))
    history.add(*codes([(0, 1.0), (1, 2.0)], [(0, 0.5), (2, 0.0)]))
    history.add(*codes([(1, 1.0), (2, 0.0)], [(1, 1.0), (0, 0.0)], [(1, 3.0), (2, 0.0)]))
    rows = history.snapshot(torch.zeros(4, 2))
    assert rows.firings.tolist() == [2, 4, 0, 0]
    assert rows.tokens_since_last_firing.tolist() == [3, 0, 5, 5]
    assert rows.n_tokens.tolist() == [5] * 4
    assert rows.step.tolist() == [2] * 4
    assert rows.latent.tolist() == [0, 1, 2, 3]


def test_a_value_of_zero_does_not_count_as_firing() -> None:
    history = LatentHistory(torch.zeros(2, 2))
    history.add(*codes([(0, 0.0), (1, 1.0)]))
    assert history.snapshot(torch.zeros(2, 2)).firings.tolist() == [0, 1]


def test_norms_are_initial_and_current() -> None:
    decoder = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    history = LatentHistory(decoder)
    decoder[0] = torch.tensor([0.0, 8.0])  # training changes the weights in place
    rows = history.snapshot(decoder)
    assert rows.squared_norm_initial.tolist() == [25.0, 1.0]
    assert rows.squared_norm.tolist() == [64.0, 1.0]
    assert rows.distance_from_initial.tolist() == [5.0, 0.0]


def test_a_snapshot_is_not_changed_by_later_training() -> None:
    history = LatentHistory(torch.zeros(2, 2))
    history.add(*codes([(0, 1.0), (1, 1.0)]))
    before = history.snapshot(torch.zeros(2, 2))
    history.add(*codes([(0, 1.0), (1, 1.0)]))
    assert before.firings.tolist() == [1, 1]
    assert before.tokens_since_last_firing.tolist() == [0, 0]


def test_a_latent_that_never_fires_keeps_its_weights() -> None:
    # a weight without gradient is at distance 0, and silent throughout
    decoder = torch.nn.Parameter(torch.ones(3, 2))
    history = LatentHistory(decoder)
    optimiser = torch.optim.Adam([decoder], lr=0.1)
    for _ in range(5):
        values, indices = codes([(0, 1.0), (1, 1.0)])
        loss = (values[0, :, None] * decoder[indices[0]]).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.add(values, indices)
    rows = history.snapshot(decoder)
    assert (rows.distance_from_initial > 0).tolist() == [True, True, False]
    assert rows.tokens_since_last_firing.tolist() == [0, 0, 5]

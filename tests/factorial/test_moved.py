"""Words after prompts under moved activations: one cached pass equals every word on its own."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fispace.lm.hooks import logits, splice
from fispace.lm.intervention_scoring import Moves, score_moved
from fispace.lm.load import load_lm
from fispace.lm.score import plan_words, score_words
from fispace.study.config.lm import LmConfig

PROMPTS = ["w20 w21", "w22 w23 w24 w25 w26", "w30"]
SINGLE = ["w1", "w2", "w3"]
SEVERAL = [*SINGLE, "w2 w3", "w2 w4", "w1 w4 w5", "w6 w7 w8 w9"]
STRENGTHS = (0.0, 0.5, -2.0)
BOS = 1


@pytest.fixture(params=["llama", "gpt2", "gpt_neox"])
def lm(request, lm_folders: dict[str, Path]):
    return load_lm(
        LmConfig(name=str(lm_folders[request.param]), revision=None, dtype="float32", hook_point=0),
        None,
    )


def moved(x: torch.Tensor, strength: float) -> torch.Tensor:
    return x + strength * x.roll(1, -1).square()


def after_bos(x: torch.Tensor, strength: float) -> torch.Tensor:
    return torch.cat([x[:, :BOS], moved(x[:, BOS:], strength)], dim=1)


def all_after_bos(x: torch.Tensor) -> Iterator[torch.Tensor]:
    return (after_bos(x, strength) for strength in STRENGTHS)


def all_moved(x: torch.Tensor) -> Iterator[torch.Tensor]:
    return (moved(x, strength) for strength in STRENGTHS)


def one_by_one(lm, words: list[str], strength: float) -> np.ndarray:
    """Each word after each prompt in a pass of its own: no padding, no cache."""
    model, tokenizer = lm
    scores = np.zeros((len(PROMPTS), len(words)))
    for i, prompt in enumerate(PROMPTS):
        n_prompt = BOS + len(prompt.split())
        for j, word in enumerate(words):
            tokens = tokenizer(f"{prompt} {word}", add_special_tokens=False)["input_ids"]
            ids = torch.tensor([[tokenizer.bos_token_id, *tokens]])
            with splice(model, 0, lambda x: after_bos(x, strength)):
                logp = logits(model, ids, torch.ones_like(ids))[0].double().log_softmax(-1)
            places = range(n_prompt, ids.shape[1])
            scores[i, j] = sum(logp[place - 1, ids[0, place]].item() for place in places)
    return scores


@pytest.mark.parametrize("words", [SINGLE, SEVERAL], ids=["single", "several"])
@pytest.mark.parametrize("batch", [1, 6, 100])
def test_scores_under_every_move_are_those_of_each_word_on_its_own(lm, words, batch):
    model, tokenizer = lm
    plan = plan_words(tokenizer, PROMPTS, words, True)
    moves = Moves(all_after_bos, all_moved)
    found = score_moved(model, 0, plan, batch, moves, len(STRENGTHS))
    expected = np.stack([one_by_one(lm, words, strength) for strength in STRENGTHS])
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(found[1] - found[0]).min() > 1e-4  # the moves do move
    np.testing.assert_allclose(found[0], score_words(model, plan, batch), atol=2e-5)

"""Continuations: the cached ones are those of the whole sequence, and what is spliced in is in them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from factorial.small_chapter import paths, prepare, read_texts, write_csv, write_stimuli

from fispace.chapters.factorial.tables import CONTEXTS
from fispace.errors import ModelError
from fispace.lm.cached import Replacements
from fispace.lm.generate import continue_texts, greedy, sampler
from fispace.lm.hooks import logits, splice
from fispace.lm.load import load_lm
from fispace.seeds import numpy_stream
from fispace.store.tables import read_csv
from fispace.study.config.lm import LmConfig

KINDS = ["llama", "gpt2", "gpt_neox"]
PROMPTS = [[1, 7, 30, 4, 19], [1, 55], [1, 12, 12, 40, 8, 33, 21]]
N_TOKENS = 9
BOS = 1


@pytest.fixture(params=KINDS)
def lm(request, lm_folders: dict[str, Path]):
    config = LmConfig(
        name=str(lm_folders[request.param]), revision=None, dtype="float32", hook_point=0
    )
    return load_lm(config, None)[0]


def moved(x: torch.Tensor) -> torch.Tensor:
    """A replacement of each position by itself, as every clamp is."""
    return 3 * x.roll(1, -1) - x.square()


def after_bos(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x[:, :BOS], moved(x[:, BOS:])], dim=1)


def by_whole_sequences(lm, replace, choose) -> np.ndarray:
    """Every step runs every position of one prompt at a time: no padding, no cache."""
    rows = [list(prompt) for prompt in PROMPTS]
    for step in range(N_TOKENS):
        outputs = []
        for row in rows:
            ids = torch.tensor([row])
            with splice(lm, 0, replace):
                outputs.append(logits(lm, ids, torch.ones_like(ids))[:, -1])
        for row, token in zip(rows, choose(torch.cat(outputs), step).tolist(), strict=True):
            row.append(token)
    return np.array([row[-N_TOKENS:] for row in rows])


@pytest.mark.parametrize("decoding", ["greedy", "sampled"])
def test_keeping_keys_and_values_changes_no_token(lm, decoding):
    uniforms = numpy_stream(0, "test").random((len(PROMPTS), N_TOKENS))
    choose = greedy if decoding == "greedy" else sampler(uniforms, 1.0)
    found = continue_texts(lm, 0, Replacements(after_bos, moved), PROMPTS, N_TOKENS, choose)
    assert (found == by_whole_sequences(lm, after_bos, choose)).all()
    unmoved = continue_texts(
        lm, 0, Replacements(lambda x: x, lambda x: x), PROMPTS, N_TOKENS, choose
    )
    assert (unmoved == by_whole_sequences(lm, lambda x: x, choose)).all()
    assert (found != unmoved).any()


def test_a_sampled_token_is_the_one_whose_cumulative_probability_passes_the_uniform_number():
    output = torch.tensor([[0.2, 0.3, 0.5]]).log()
    for uniform, token in [(0.0, 0), (0.19, 0), (0.21, 1), (0.49, 1), (0.51, 2), (1.0, 2)]:
        assert sampler(np.array([[uniform]]), 1.0)(output, 0).tolist() == [token]
    hot = sampler(np.array([[0.34]]), 1e6)  # uniform over tokens
    assert hot(output, 0).tolist() == [1]


def test_a_continuation_beyond_the_positions_is_refused_when_the_battery_is_read(
    lm_folders, tmp_path
):
    lm = LmConfig(name=str(lm_folders["gpt2"]), revision=None, dtype="float32", hook_point=1)
    at, battery = paths(tmp_path), write_stimuli(tmp_path / "battery", 4)
    write_csv(battery / "prompts.csv", ["prompt"], [("w20 w21",), ("w20 w21 w22 w23 w24",)])
    prepare(at, battery)
    lengths = [1 + len(text.split()) for text in read_csv(at.contexts, CONTEXTS)["prompt"]]
    assert lengths[:3] == [
        3,
        6,
        9,
    ]  # a short prompt first, and BOS before each; the LM has 64 positions
    for n_contexts, longest in ((1, 3), (2, 6), (99, 9)):
        read_texts(at, lm, n_contexts, 65 - longest)
        assert at.select.exists()
        at.select.unlink()
        said = rf"'positions': a prompt of {longest} tokens and a continuation of {66 - longest} need 65"
        with pytest.raises(ModelError, match=said):
            read_texts(at, lm, n_contexts, 66 - longest)
        assert not at.select.exists()

"""The splice law: activations spliced in at their own hook point change nothing, elsewhere they do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fispace.errors import HookPointError
from fispace.lm.hooks import logits, read_activations, resolve_hook_point, resumed_from, splice
from fispace.lm.load import load_lm
from fispace.lm.window_batches import WindowBatch, spliced_logits
from fispace.stats.metrics import kl_per_token, log_probabilities
from fispace.store.standardiser import fit_moments
from fispace.study.config.lm import LmConfig

KINDS = ["llama", "gpt2", "gpt_neox"]
IDS = torch.randint(3, 60, (4, 20), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS)


@pytest.fixture(params=KINDS)
def lm(request, lm_folders: dict[str, Path]):
    config = LmConfig(
        name=str(lm_folders[request.param]), revision=None, dtype="float32", hook_point=1
    )
    return load_lm(config, None)[0]


def kl_when_spliced(lm, hook_point, replacement) -> torch.Tensor:
    original = log_probabilities(logits(lm, IDS, MASK))
    with splice(lm, hook_point, lambda _: replacement):
        spliced = log_probabilities(logits(lm, IDS, MASK))
    return kl_per_token(original, spliced)


def test_index_i_is_the_output_of_block_i(lm):
    states = lm(input_ids=IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    torch.testing.assert_close(read_activations(lm, 1, IDS, MASK), states[2])


def test_dotted_path_and_index_name_the_same_hook_point(lm):
    path, module = resolve_hook_point(lm, 1)
    assert resolve_hook_point(lm, path) == (path, module)
    torch.testing.assert_close(
        read_activations(lm, path, IDS, MASK), read_activations(lm, 1, IDS, MASK)
    )


def test_unmodified_activations_give_kl_below_1e_6_at_every_token(lm):
    assert kl_when_spliced(lm, 1, read_activations(lm, 1, IDS, MASK)).max() <= 1e-6


def test_standardising_and_restoring_gives_kl_below_1e_6(lm):
    x = read_activations(lm, 1, IDS, MASK)
    units = fit_moments([x.reshape(-1, x.shape[-1]).numpy()], "refuse")
    assert kl_when_spliced(lm, 1, units.restore(units.standardise(x))).max() <= 1e-6


def test_activations_stored_as_float16_give_a_mean_kl_below_1e_6(lm):
    x = read_activations(lm, 1, IDS, MASK)
    assert kl_when_spliced(lm, 1, x.half().float()).mean() <= 1e-6


@pytest.mark.parametrize("wrong", [0, 2])
def test_splicing_at_a_neighbouring_layer_breaks_the_law(lm, wrong):
    assert kl_when_spliced(lm, wrong, read_activations(lm, 1, IDS, MASK)).mean() > 1e-3


def test_a_missing_standardiser_breaks_the_law(lm):
    x = read_activations(lm, 1, IDS, MASK)
    units = fit_moments([x.reshape(-1, x.shape[-1]).numpy()], "refuse")
    assert kl_when_spliced(lm, 1, units.standardise(x)).mean() > 1e-3


def test_the_hook_is_gone_after_the_block_even_after_an_error(lm):
    before = logits(lm, IDS, MASK)
    with pytest.raises(ZeroDivisionError), splice(lm, 1, lambda x: x * (1 / 0)):
        logits(lm, IDS, MASK)
    assert torch.equal(logits(lm, IDS, MASK), before)


@pytest.mark.parametrize("missing", [3, -1, "no.such.module", ""])
def test_a_hook_point_that_does_not_exist_lists_those_that_do(lm, missing):
    with pytest.raises(HookPointError) as error:
        resolve_hook_point(lm, missing)
    assert "0 to" in str(error.value)
    assert resolve_hook_point(lm, 0)[0] in str(error.value)


@pytest.mark.parametrize("padded", [0, 7])
@pytest.mark.parametrize("hook_point", [0, 1, 2, "dotted"])
def test_resuming_from_the_hook_point_gives_the_logits_of_the_full_pass_within_1e_5(
    lm, hook_point, padded
):
    path = resolve_hook_point(lm, 1)[0] if hook_point == "dotted" else hook_point
    mask = MASK.clone()
    mask[1, MASK.shape[1] - padded :] = 0  # the second text is shorter
    other = 1.5 * read_activations(lm, path, IDS, mask)
    with splice(lm, path, lambda _: other):
        full = logits(lm, IDS, mask)
    with resumed_from(lm, path, other):
        resumed = logits(lm, IDS, mask)
    assert full.abs().max() > 0.1
    torch.testing.assert_close(resumed, full, atol=1e-5, rtol=0)


def test_reading_activations_calls_no_later_block_and_no_lm_head(lm):
    blocks = [resolve_hook_point(lm, i)[1] for i in range(3)]
    watched = {**dict(enumerate(blocks)), "head": lm.get_output_embeddings()}
    read_activations(lm, 1, IDS, MASK)  # the first reading tests the model, with whole passes
    calls = []
    handles = [
        module.register_forward_pre_hook(lambda *_, name=name: calls.append(name))
        for name, module in watched.items()
    ]
    read_activations(lm, 1, IDS, MASK)
    assert calls == [0, 1]
    logits(lm, IDS, MASK)
    for handle in handles:
        handle.remove()
    assert calls == [0, 1, 0, 1, 2, "head"]


def test_rows_spliced_in_give_the_logits_of_a_full_pass_with_these_rows_within_1e_5(lm):
    mask = MASK.clone()
    mask[2, 13:] = 0
    is_token = mask == 1
    is_token[:, 0] = False  # a special token keeps its own activations
    batch = WindowBatch(IDS, mask, is_token, np.arange(len(IDS)))
    x = read_activations(lm, 1, IDS, mask)
    rows = x[is_token].flip(0) + 0.5

    def replaced(own):
        return own.clone().masked_scatter(is_token[..., None].expand_as(own), rows)

    with splice(lm, 1, replaced):
        full = logits(lm, IDS, mask)
    assert (full - logits(lm, IDS, mask)).abs().max() > 1e-2
    torch.testing.assert_close(spliced_logits(lm, 1, batch, x, rows), full, atol=1e-5, rtol=0)


def test_resuming_skips_the_blocks_before_the_hook_point_and_restores_them(lm):
    x = read_activations(lm, 1, IDS, MASK)
    blocks = [resolve_hook_point(lm, i)[1] for i in range(3)]
    with resumed_from(lm, 1, x):
        pass  # the first use detects the type of the block's output
    calls = []
    handles = [
        block.register_forward_hook(lambda *_, i=i: calls.append(i))
        for i, block in enumerate(blocks)
    ]
    with resumed_from(lm, 1, x):
        logits(lm, IDS, MASK)
    for handle in handles:
        handle.remove()
    assert calls == [2]
    assert [resolve_hook_point(lm, i)[1] for i in range(3)] == blocks

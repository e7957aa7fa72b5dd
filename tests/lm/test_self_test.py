"""What is checked of a model before it is used: each failure names the check, the class, and what to do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lm.laws import of_clamps, of_texts
from lm.zoo import ZOO, build

from fispace.errors import HookPointError, ModelError
from fispace.lm.anatomy import anatomy_of
from fispace.lm.batching import require_positions
from fispace.lm.cached import Replacements
from fispace.lm.generate import continue_texts, greedy
from fispace.lm.hooks import following_block, read_activations, resolve_hook_point
from fispace.lm.intervention_scoring import Moves, score_moved
from fispace.lm.load import load_lm, self_test
from fispace.lm.score import WordContext, WordPlan, score_words
from fispace.study.config.lm import LmConfig

STILL = Replacements(lambda x: x, lambda x: x)
N_POSITIONS = 64


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


def saved(model: Any, folder: Path, tokenizer_of: Path) -> LmConfig:
    """A folder that holds the model and the words of the tests' tokenizer."""
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tokenizer_of / name).read_bytes())
    return LmConfig(name=str(folder), revision=None, dtype="float32", hook_point=0)


def of_words(**changes: Any) -> Any:
    """A Llama of as many tokens as the tests' tokenizer has."""
    animal = ZOO["llama"]
    return build(type(animal)(animal.config, animal.values | {"vocab_size": 63} | changes))


def test_a_checkpoint_that_sees_later_tokens_is_refused_when_it_is_loaded(tmp_path, lm_folders):
    lm = saved(of_words(is_causal=False), tmp_path / "lm", lm_folders["llama"])
    with pytest.raises(ModelError, match=r"LlamaForCausalLM fails the self-test 'causal'.*\d%"):
        load_lm(lm, None)


def test_one_that_does_not_is_loaded(tmp_path, lm_folders):
    lm = saved(of_words(), tmp_path / "lm", lm_folders["llama"])
    model, _ = load_lm(lm, None)
    assert resolve_hook_point(model, 0)[0] == "model.layers.0"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["llama", "mixtral", "mamba", "gemma3"])
def test_models_in_half_precision_pass(name, dtype):
    self_test(build(ZOO[name]).to(dtype), 0)


def test_half_precision_hides_no_model_that_sees_later_tokens():
    model = of_words(is_causal=False).to(torch.bfloat16)
    with pytest.raises(ModelError, match="'causal'"):
        self_test(model, 0)


def of_few_tokens(name: str, n_ordinary: int, **changes: Any) -> Any:
    """A model in whose configuration all tokens but the first few have a role."""
    animal, roles = ZOO[name], {"eos_token_id": list(range(n_ordinary, 62)), "bos_token_id": None}
    return build(type(animal)(animal.config, animal.values | roles | changes))


@pytest.mark.parametrize("n_ordinary", [1, 2, 3, 6, 7])
def test_a_small_vocabulary_hides_no_model_that_sees_later_tokens(n_ordinary):
    with pytest.raises(ModelError, match="'causal'"):
        self_test(of_few_tokens("llama", n_ordinary, is_causal=False), 0)


@pytest.mark.parametrize("n_ordinary", [2, 7])
def test_a_small_vocabulary_hides_no_window_of_attention(n_ordinary):
    model = of_few_tokens("mistral, sliding", n_ordinary)
    assert max(of_clamps(model), of_texts(model)) <= 1e-5


@pytest.mark.parametrize("size", [2, 3, 4, 7])
@pytest.mark.parametrize("of", ["every block of tokens", "the first tokens"])
def test_tokens_that_see_each_other_within_a_block_or_a_prefix_are_seen(of, size):
    def see_each_other(_module: Any, _inputs: Any, x: torch.Tensor) -> torch.Tensor:
        last = x.shape[1] if of == "every block of tokens" else size
        blocks = [block + block.mean(1, keepdim=True) for block in x[:, :last].split(size, dim=1)]
        return torch.cat([*blocks, x[:, last:]], dim=1)

    model = build(ZOO["llama"])
    model.model.layers[0].register_forward_hook(see_each_other)
    with pytest.raises(ModelError, match="'causal'"):
        self_test(model, 1)


def test_a_model_that_overflows_is_refused():
    model = of_words()
    model.lm_head.weight.data.mul_(1e6)
    with pytest.raises(ModelError, match=r"'finite'.*float16.*lm\.dtype to float32"):
        self_test(model.half(), 0)


def test_a_model_that_draws_at_random_is_refused():
    model = of_words()
    model.model.layers[1].register_forward_hook(lambda _m, _i, x: x + torch.randn_like(x[:1]))
    with pytest.raises(ModelError, match=r"'splice'.*another lm\.hook_point"):
        self_test(model, 0)


# Hook points: one vector per token, or a refusal that lists the possible ones.


@pytest.mark.parametrize(
    ("name", "hook_point", "said"),
    [
        ("opt", "model.decoder.layers.1.fc2", "does not give one vector per token"),
        ("qwen3", "model.layers.1.self_attn.q_norm", "does not give one vector per token"),
        ("mixtral", "model.layers.1.mlp.gate", "does not give one vector per token"),
        ("mamba", "backbone.layers.1.mixer.conv1d", "is not called in a pass"),
        ("gemma3, vision", "model.vision_tower", "is not called in a pass"),
        ("qwen3", "model.layers.1.mlp.act", "does not exist"),
        ("gemma3, vision", 2, "has 2 blocks"),
    ],
)
def test_a_hook_point_that_does_not_serve_is_refused_with_those_that_do(name, hook_point, said):
    model = build(ZOO[name])
    with pytest.raises(HookPointError) as error:
        self_test(model, hook_point)
    message = str(error.value)
    assert said in message and type(model).__name__ in message
    assert (
        f"an index of 0 to 1, the output of {ZOO[name].blocks}.0 to {ZOO[name].blocks}.1" in message
    )
    block = f"{ZOO[name].blocks}.{1 if '1' in str(hook_point) else 0}"
    listed = message.split("; or ")[1].rstrip(".").split(", ")
    assert listed[-1] == block and all(path.startswith(block) for path in listed)
    for path in listed:
        self_test(model, path)


def test_a_module_that_runs_twice_in_one_pass_is_no_hook_point():
    model = build(ZOO["llama"])
    model.model.layers[1].mlp.act_fn = model.model.layers[0].mlp.act_fn
    with pytest.raises(HookPointError, match="runs 2 times in one pass"):
        resolve_hook_point(model, "model.layers.0.mlp.act_fn")


def test_blocks_that_run_twice_have_no_index_and_what_serves_is_listed():
    model = build(ZOO["llama"])
    model.model.layers[1] = model.model.layers[0]  # a loop over one block
    with pytest.raises(
        HookPointError, match=r"has no list of blocks.*points: .*model\.embed_tokens"
    ):
        resolve_hook_point(model, 0)
    self_test(model, "model.norm")


def test_the_blocks_are_the_language_models_and_not_those_of_the_eye_beside_it():
    model = build(ZOO["gemma3, vision"])
    assert len(model.model.vision_tower.encoder.layers) == 2  # as deep as the language model
    assert resolve_hook_point(model, 1)[0] == "model.language_model.layers.1"
    assert following_block(model, 0) == 1 and following_block(model, 1) is None
    ids = torch.tensor([[5, 6, 7]])
    assert read_activations(model, 1, ids, torch.ones_like(ids)).shape == (1, 3, 32)


def test_blocks_that_return_lists_are_read_and_spliced():
    sizes = {"vocab_size": 62, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    model = build(type(ZOO["llama"])("OpenAIGPTConfig", sizes))
    self_test(model, 1)
    assert anatomy_of(model).n_blocks == 2


# Positions: the longest text with all that follows it.


@pytest.mark.parametrize("name", ["gpt2", "opt", "gpt-neo, local", "roberta, decoder"])
def test_a_continuation_may_reach_the_last_position_and_not_pass_it(name):
    model = build(ZOO[name])
    prompt = [3 + i % 50 for i in range(N_POSITIONS - 15)]
    found = continue_texts(model, 0, STILL, [prompt[:5], prompt], 16, greedy)
    assert found.shape == (2, 16)
    said = rf"{type(model).__name__} fails the self-test 'positions'.*65.*Shorten it"
    with pytest.raises(ModelError, match=said):
        continue_texts(model, 0, STILL, [prompt[:5], [*prompt, 3]], 16, greedy)


@pytest.mark.parametrize("name", ["gpt2", "opt", "roberta, decoder"])
def test_a_prompt_with_its_words_may_reach_the_last_position_and_not_pass_it(name):
    model = build(ZOO[name])
    still = Moves(lambda x: iter([x]), lambda x: iter([x]))
    for n_prompt in (N_POSITIONS - 1, N_POSITIONS):
        prompt = tuple(3 + i % 50 for i in range(n_prompt))
        contexts = (
            WordContext(0, prompt, (0,), np.array([[5]])),
            WordContext(0, (*prompt, 6), (1,), np.array([[6, 7]])),
        )
        plan = WordPlan((prompt,), contexts, 2)
        if n_prompt < N_POSITIONS:
            assert np.isfinite(score_moved(model, 0, plan, 8, still, 1)).all()
            continue
        for score in (score_words, lambda *a: score_moved(a[0], 0, *a[1:], still, 1)):
            with pytest.raises(ModelError, match=r"'positions'.*has 65 tokens"):
                score(model, plan, 8)


def test_positions_of_a_nested_configuration_are_found():
    with pytest.raises(
        ModelError, match=r"'positions': the window=65, but the model has 64 positions"
    ):
        require_positions(build(ZOO["gemma3, vision"]), 65, "the window=65")


def test_a_model_without_a_number_of_positions_takes_any_length():
    require_positions(build(ZOO["mamba"]), 300, "a text")

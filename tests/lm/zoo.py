"""A zoo of tiny random causal LMs, and by how much each breaks the laws that every number rests on.

`cd tests && python -m lm.zoo` prints the table: architecture by check, the largest deviation of each.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import transformers

from fispace.chapters.fidelity.document_sums import MASKED
from fispace.chapters.fidelity.spliced_evaluation import Scored, undisturbed
from fispace.lm.batching import sharing
from fispace.lm.cached import Replacements, keeping
from fispace.lm.generate import continue_texts, greedy
from fispace.lm.hooks import read_activations, resolve_hook_point
from fispace.lm.intervention_scoring import Moves, prompt_log_probs, score_moved
from fispace.lm.score import WordContext, WordPlan, next_token_log_probs, score_words
from fispace.lm.self_test import self_test
from fispace.lm.window_batches import WindowBatch
from fispace.lm.windows import padded
from fispace.stats.metrics import kl_per_token

WINDOW = 8
"""Tokens that a layer with a sliding or chunked window sees: fewer than most texts below have."""

SIZES = {
    "vocab_size": 62, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 64,
}  # fmt: skip
GROUPED = SIZES | {"num_key_value_heads": 2}
HEADED = GROUPED | {"head_dim": 8}
EXPERTS = {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}
ALTERNATING = ["sliding_attention", "full_attention"]
RECURRENT = {
    "vocab_size": 62, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8,
}  # fmt: skip
SCALED_ROPE = {"rope_theta": 1e4, "original_max_position_embeddings": 16}
LATENT = {
    "q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8,
    "v_head_dim": 8, "num_key_value_heads": 4,
}  # fmt: skip
EYE = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip


@dataclass(frozen=True)
class Animal:
    """One architecture of the zoo."""

    config: str
    """Class of the configuration, in transformers."""
    values: dict[str, Any]
    blocks: str = "model.layers"
    """Where its blocks are, known from its source."""


ZOO = {
    "llama": Animal("LlamaConfig", GROUPED),
    "phi3, long rope": Animal(
        "Phi3Config",
        GROUPED
        | {"pad_token_id": 0, "original_max_position_embeddings": 16}
        | {
            "rope_parameters": SCALED_ROPE
            | {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
        },
    ),
    "gpt2": Animal("GPT2Config", SIZES, "transformer.h"),
    "gpt-neo, local": Animal(
        "GPTNeoConfig",
        SIZES | {"attention_types": [[["global", "local"], 1]], "window_size": WINDOW},
        "transformer.h",
    ),
    "gpt-j": Animal("GPTJConfig", SIZES | {"rotary_dim": 4}, "transformer.h"),
    "gpt-neox": Animal("GPTNeoXConfig", SIZES, "gpt_neox.layers"),
    "opt": Animal(
        "OPTConfig", SIZES | {"ffn_dim": 48, "word_embed_proj_dim": 32}, "model.decoder.layers"
    ),
    "bloom": Animal("BloomConfig", SIZES | {"n_head": 4}, "transformer.h"),
    "mpt": Animal(
        "MptConfig",
        {"vocab_size": 62, "d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 64},
        "transformer.blocks",
    ),
    "falcon": Animal("FalconConfig", SIZES, "transformer.h"),
    "falcon, alibi": Animal("FalconConfig", SIZES | {"alibi": True}, "transformer.h"),
    "phi": Animal("PhiConfig", GROUPED),
    "stablelm": Animal("StableLmConfig", GROUPED),
    "olmo": Animal("OlmoConfig", GROUPED),
    "olmo2": Animal("Olmo2Config", GROUPED),
    "starcoder2": Animal("Starcoder2Config", GROUPED | {"sliding_window": WINDOW}),
    "mistral, sliding": Animal("MistralConfig", HEADED | {"sliding_window": WINDOW}),
    "gemma": Animal("GemmaConfig", HEADED),
    "gemma2": Animal("Gemma2Config", HEADED | {"sliding_window": WINDOW}),
    "gemma3": Animal(
        "Gemma3TextConfig", HEADED | {"sliding_window": WINDOW, "layer_types": ALTERNATING}
    ),
    "gemma3, vision": Animal(
        "Gemma3Config",
        {
            "text_config": HEADED | {"sliding_window": WINDOW, "layer_types": ALTERNATING},
            "vision_config": EYE,
            "mm_tokens_per_image": 4,
        },
        "model.language_model.layers",
    ),
    "qwen2": Animal("Qwen2Config", GROUPED),
    "qwen3": Animal("Qwen3Config", HEADED),
    "qwen3-next": Animal(
        "Qwen3NextConfig",
        HEADED
        | EXPERTS
        | {
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_value_heads": 2, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
            "linear_value_head_dim": 8, "shared_expert_intermediate_size": 16,
        },
    ),  # fmt: skip
    "cohere": Animal("CohereConfig", GROUPED | {"logit_scale": 1.0}),
    "cohere2, sliding": Animal(
        "Cohere2Config",
        GROUPED | {"logit_scale": 1.0, "sliding_window": WINDOW, "layer_types": ALTERNATING},
    ),
    "llama4, chunked": Animal(
        "Llama4TextConfig",
        HEADED
        | {"attention_chunk_size": WINDOW, "num_local_experts": 2, "intermediate_size_mlp": 48},
    ),
    "mixtral": Animal("MixtralConfig", GROUPED | {"num_local_experts": 4}),
    "qwen2-moe": Animal("Qwen2MoeConfig", GROUPED | EXPERTS | {"shared_expert_intermediate_size": 16}),
    "gpt-oss": Animal(
        "GptOssConfig",
        HEADED | {"sliding_window": WINDOW, "num_local_experts": 4, "layer_types": ALTERNATING},
    ),
    "deepseek-v3": Animal(
        "DeepseekV3Config",
        SIZES
        | LATENT
        | {
            "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_group": 1,
            "topk_group": 1, "first_k_dense_replace": 1,
        },
    ),  # fmt: skip
    "mamba": Animal("MambaConfig", RECURRENT, "backbone.layers"),
    "mamba2": Animal(
        "Mamba2Config",
        RECURRENT | {"num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 4},
        "backbone.layers",
    ),
    "falcon-mamba": Animal("FalconMambaConfig", RECURRENT, "backbone.layers"),
    "rwkv": Animal(
        "RwkvConfig",
        {"vocab_size": 62, "hidden_size": 32, "num_hidden_layers": 2, "context_length": 64},
        "rwkv.blocks",
    ),
    "recurrent-gemma": Animal(
        "RecurrentGemmaConfig",
        HEADED
        | {
            "lru_width": 32, "attention_window_size": WINDOW,
            "block_types": ["recurrent", "attention"],
        },
    ),  # fmt: skip
    "jamba": Animal(
        "JambaConfig",
        GROUPED
        | {
            "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "num_experts": 2,
            "expert_layer_offset": 1, "mamba_d_state": 8, "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
    ),  # fmt: skip
    "bamba": Animal(
        "BambaConfig",
        GROUPED
        | {
            "attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8,
            "mamba_n_groups": 1, "mamba_chunk_size": 4,
        },
    ),  # fmt: skip
    "lfm2": Animal(
        "Lfm2Config",
        GROUPED | {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
    ),
    "roberta, decoder": Animal(
        "RobertaConfig",
        SIZES | {"is_decoder": True, "max_position_embeddings": 66},
        "roberta.encoder.layer",
    ),
}  # fmt: skip

REFUSED = {
    "llama, is_causal false": Animal("LlamaConfig", GROUPED | {"is_causal": False}),
    "bert": Animal("BertConfig", SIZES),
    "roberta, is_decoder false": Animal("RobertaConfig", SIZES),
    "xlnet": Animal("XLNetConfig", {"vocab_size": 62, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}),
}  # fmt: skip
"""Checkpoints that load as causal LMs and are none."""


def build(animal: Animal) -> Any:
    """The model with random weights, far from the near-identity of a usual initialisation."""
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    config = getattr(transformers, animal.config)(**animal.values)
    model: Any = transformers.AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    return model.eval().requires_grad_(False)


HOOK_POINT = 0
LENGTHS = (3, 9, 14, 30)
PROMPTS = tuple(tuple(3 + (7 * i + n) % 55 for i in range(n)) for n in LENGTHS)
PIECES = ((5,), (6, 7), (8, 9, 10))
"""Tokens of the words that are scored: one, two, and three."""
STRENGTHS = (0.0, 0.7)
N_TOKENS = 6
ONE_BY_ONE, ALL = 1, 256


def moved(x: torch.Tensor, strength: float) -> torch.Tensor:
    """A change of each position by itself, as every clamp is; strength 0 changes nothing."""
    return x + strength * x.roll(1, -1).tanh()


def variants(x: torch.Tensor) -> Iterator[torch.Tensor]:
    return (moved(x, strength) for strength in STRENGTHS)


def plan_of(prompts: tuple[tuple[int, ...], ...]) -> WordPlan:
    contexts = [
        WordContext(number, prompt + piece[:-1], (word,), np.array([piece]))
        for number, prompt in enumerate(prompts)
        for word, piece in enumerate(PIECES)
    ]
    return WordPlan(prompts, tuple(contexts), len(PIECES))


class Alone:
    """The truth: one text in one plain pass of transformers itself, without padding or cache."""

    def __init__(self, model: Any) -> None:
        self.model, self.module = (
            model,
            dict(model.named_modules())[resolve_hook_point(model, HOOK_POINT)[0]],
        )

    def log_probs(self, ids: tuple[int, ...], strength: float | None = None) -> np.ndarray:
        """[pos vocabulary] of one text; with a strength, with the moved activations at the hook point."""

        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (moved(output[0], strength), *output[1:])
            return moved(output, strength)

        handle = self.module.register_forward_hook(hook) if strength is not None else None
        row = torch.tensor([ids])
        options = {} if type(self.model).__name__ == "XLNetLMHeadModel" else {"use_cache": False}
        found = self.model(input_ids=row, attention_mask=torch.ones_like(row), **options).logits
        if handle is not None:
            handle.remove()
        return found[0].double().log_softmax(-1).numpy()

    @cache  # noqa: B019
    def scores(self) -> np.ndarray:
        """[moves prompts words]"""
        rows = np.zeros((len(STRENGTHS), len(PROMPTS), len(PIECES)))
        for move, strength in enumerate(STRENGTHS):
            for i, prompt in enumerate(PROMPTS):
                for j, piece in enumerate(PIECES):
                    found = self.log_probs(prompt + piece[:-1], strength)[-len(piece) :]
                    rows[move, i, j] = found[np.arange(len(piece)), piece].sum()
        return rows


def of_scores(model: Any) -> float:
    """Log-probabilities of words, nats: alone, in a batch, and in a batch in another order."""
    expected, turned = Alone(model).scores()[0], plan_of(PROMPTS[::-1])
    found = [score_words(model, plan_of(PROMPTS), size) for size in (ONE_BY_ONE, ALL)]
    found.append(score_words(model, turned, ALL)[::-1])
    return largest(found, expected)


def of_clamps(model: Any) -> float:
    """The same under a move at the hook point, nats."""
    expected, moves = Alone(model).scores(), Moves(variants, variants)
    assert np.abs(expected[1] - expected[0]).max() > 1e-3  # the move does move
    found = [
        score_moved(model, HOOK_POINT, plan_of(PROMPTS), size, moves, len(STRENGTHS))
        for size in (ONE_BY_ONE, ALL)
    ]
    turned = score_moved(model, HOOK_POINT, plan_of(PROMPTS[::-1]), ALL, moves, len(STRENGTHS))
    return largest([*found, turned[:, ::-1]], expected)


def of_texts(model: Any) -> float:
    """Log-probabilities at every step of a continuation under a move, nats."""
    seen: list[np.ndarray] = []

    def choose(output: torch.Tensor, step: int) -> torch.Tensor:
        seen.append(output.double().log_softmax(-1).numpy())
        return greedy(output, step)

    move = Replacements(*[lambda x: moved(x, STRENGTHS[1])] * 2)
    tokens = continue_texts(model, HOOK_POINT, move, PROMPTS, N_TOKENS, choose)
    alone = Alone(model)
    expected = [
        alone.log_probs((*prompt, *tokens[i, :-1].tolist()), STRENGTHS[1])[-N_TOKENS:]
        for i, prompt in enumerate(PROMPTS)
    ]
    return largest([np.stack(seen, axis=1)], np.stack(expected))


def of_kl(model: Any) -> float:
    """KL and CE of windows with something else spliced in, nats: together, and each alone."""
    texts = [np.array(prompt) for prompt in PROMPTS]
    together = spliced_sums(model, texts)
    return max(
        largest([together[i]], spliced_sums(model, [text])[0]) for i, text in enumerate(texts)
    )


def spliced_sums(model: Any, texts: list[np.ndarray]) -> np.ndarray:
    """[texts 2] KL and excess CE, mean over the tokens of each text."""
    ids, mask = padded(texts, 0)
    batch = WindowBatch(ids, mask, mask == 1, np.arange(len(texts)))
    scored = Scored(undisturbed(model, HOOK_POINT, batch), MASKED)
    found = scored.splice(moved(scored.rows, STRENGTHS[1]))
    sums = [found["kl"].sum(1), (found["ce"] - scored.original["ce"]).sum(1)]
    return torch.stack(sums, dim=1).double().numpy() / mask.sum(1, keepdim=True).numpy()


def of_activations(model: Any) -> float:
    """Activations, in units of their standard deviation: in a batch, and alone."""
    ids, mask = padded([np.array(prompt) for prompt in PROMPTS], 0)
    together = read_activations(model, HOOK_POINT, ids, mask)
    scale = float(together[mask == 1].std())
    alone = [
        read_activations(model, HOOK_POINT, ids[[i], :n], mask[[i], :n])
        for i, n in enumerate(LENGTHS)
    ]
    pairs = [(together[i, :n], x[0]) for (i, n), x in zip(enumerate(LENGTHS), alone, strict=True)]
    return max(float((found - x).abs().max()) / scale for found, x in pairs)


def of_later_tokens(model: Any) -> float:
    """Log-probabilities after the first tokens of a text, nats: with other tokens after them."""
    alone, text = Alone(model), PROMPTS[-1]
    other = (*text[: len(text) // 2], *PROMPTS[2][: len(text) - len(text) // 2])
    first = slice(0, len(text) // 2)
    return largest([alone.log_probs(text)[first]], alone.log_probs(other)[first])


def of_identity(model: Any) -> float:
    """KL after each prompt, nats, of its own activations put back by the passes that scoring makes."""
    plan, still = plan_of(PROMPTS), Moves(*[lambda x: iter([x])] * 2)
    found = prompt_log_probs(model, HOOK_POINT, plan, range(len(PROMPTS)), still)
    original = torch.from_numpy(next_token_log_probs(model, PROMPTS))
    return float(kl_per_token(original, torch.from_numpy(found)).max())


def largest(found: list[np.ndarray], expected: np.ndarray) -> float:
    return max(float(np.abs(values - expected).max()) for values in found)


CHECKS: dict[str, Callable[[Any], float]] = {
    "causal": of_later_tokens, "activations": of_activations, "scores": of_scores,
    "clamps": of_clamps, "texts": of_texts, "KL and CE": of_kl, "identity": of_identity,
}  # fmt: skip


def _print_table() -> None:
    head = [
        "architecture",
        *CHECKS,
        "texts of a batch",
        "kept, token by token",
        "kept, several tokens",
        "self-test, s",
    ]
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    started = time.process_time()
    for name, animal in ZOO.items():
        model = build(animal)
        before = time.process_time()
        self_test(model, HOOK_POINT)
        seconds = time.process_time() - before
        cells = [f"{check(model):.0e}" for check in CHECKS.values()]
        kept = [keeping(model, max(LENGTHS) + N_TOKENS, n) for n in (1, 2)]
        print(
            f"| {name} | {' | '.join(cells)} | {sharing(model, LENGTHS)} | {kept[0]} | {kept[1]} | {seconds:.2f} |",
            flush=True,
        )
    print(f"\n{len(ZOO)} architectures, {time.process_time() - started:.0f} s of one core.")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    _print_table()
    sys.exit()

"""A zoo of tiny random causal LMs, and by how much each breaks the laws that every number rests on.

`make zoo`, or `python -m lm.zoo` in tests/, prints the table of docs/robustness.md: architecture by check,
the largest deviation of each.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from lm.laws import CHECKS, HOOK_POINT, LENGTHS, N_TOKENS

from fispace.lm.batching import sharing
from fispace.lm.cached import keeping
from fispace.lm.load import self_test

WINDOW = 8
"""Tokens that a layer with a sliding or chunked window sees: fewer than most texts below have."""

SIZES = {
    "vocab_size": 62,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
GROUPED = SIZES | {"num_key_value_heads": 2}
HEADED = GROUPED | {"head_dim": 8}
EXPERTS = {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}
ALTERNATING = ["sliding_attention", "full_attention"]
RECURRENT = {
    "vocab_size": 62,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "state_size": 8,
}
SCALED_ROPE = {"rope_theta": 1e4, "original_max_position_embeddings": 16}
LATENT = {
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "num_key_value_heads": 4,
}
EYE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


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
    "openai-gpt": Animal(
        "OpenAIGPTConfig",
        {"vocab_size": 62, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
        "transformer.h",
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
            "linear_num_value_heads": 2,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "shared_expert_intermediate_size": 16,
        },
    ),
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
    "qwen2-moe": Animal(
        "Qwen2MoeConfig", GROUPED | EXPERTS | {"shared_expert_intermediate_size": 16}
    ),
    "gpt-oss": Animal(
        "GptOssConfig",
        HEADED | {"sliding_window": WINDOW, "num_local_experts": 4, "layer_types": ALTERNATING},
    ),
    "deepseek-v3": Animal(
        "DeepseekV3Config",
        SIZES
        | LATENT
        | {
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
        },
    ),
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
            "lru_width": 32,
            "attention_window_size": WINDOW,
            "block_types": ["recurrent", "attention"],
        },
    ),
    "jamba": Animal(
        "JambaConfig",
        GROUPED
        | {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "num_experts": 2,
            "expert_layer_offset": 1,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
    ),
    "bamba": Animal(
        "BambaConfig",
        GROUPED
        | {
            "attn_layer_indices": [1],
            "mamba_n_heads": 8,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "mamba_n_groups": 1,
            "mamba_chunk_size": 4,
        },
    ),
    "nemotron-h": Animal(
        "NemotronHConfig",
        {key: value for key, value in HEADED.items() if key != "num_hidden_layers"}
        | {
            "layers_block_type": ["linear_attention", "full_attention"],
            "ssm_state_size": 64,
            "mamba_num_heads": 64,
            "mamba_head_dim": 32,
        },
    ),
    "lfm2": Animal(
        "Lfm2Config",
        GROUPED | {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
    ),
    "roberta, decoder": Animal(
        "RobertaConfig",
        SIZES | {"is_decoder": True, "max_position_embeddings": 66},
        "roberta.encoder.layer",
    ),
}

REFUSED = {
    "llama, is_causal false": Animal("LlamaConfig", GROUPED | {"is_causal": False}),
    "bert": Animal("BertConfig", SIZES),
    "roberta, is_decoder false": Animal("RobertaConfig", SIZES),
    "xlnet": Animal(
        "XLNetConfig", {"vocab_size": 62, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}
    ),
}
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


def rows_of_table() -> Iterator[list[str]]:
    """Head, and a row for each architecture."""
    yield [
        "architecture",
        *CHECKS,
        "one batch",
        "kept: next token",
        "kept: next tokens",
        "self-test, s",
    ]
    for name, animal in ZOO.items():
        model = build(animal)
        started = time.process_time()
        self_test(model, HOOK_POINT)
        seconds = time.process_time() - started
        found = [f"{check(model):.0e}" for check in CHECKS.values()]
        kept = [keeping(model, max(LENGTHS) + N_TOKENS, n_fed) for n_fed in (1, 2)]
        yield [name, *found, sharing(model, LENGTHS), *kept, f"{seconds:.2f}"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    for number, row in enumerate(rows_of_table()):
        sys.stdout.write(
            f"| {' | '.join(row)} |\n" + "|---" * len(row) * (number == 0) + "|\n" * (number == 0)
        )
        sys.stdout.flush()
    sys.stdout.write(f"\n{len(ZOO)} architectures, {time.process_time():.0f} s of one core.\n")

"""Exchange around a language model: SAEs that the tools trained on it, and what they measure of ours.

The model is tiny and random, and the texts are drawn from it, so that it predicts them better than chance.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from exchange.by_description import Forward
from exchange.differences import Row, differences, relative
from exchange.interop_tools import TOOLS
from small_lms import SPECIAL, save_small_lm
from torch import Tensor

import fispace
from fispace.lm.hooks import logits_after, read_activations
from fispace.lm.window_batches import window_batches

HOOK_POINT, WIDTH, WINDOW_TOKENS, N_TEXTS = 1, 16, 16, 80
N_LATENTS, K = 48, 6
BOS, PAD = SPECIAL.index("<bos>"), SPECIAL.index("<pad>")


class World(NamedTuple):
    """A language model and its activations."""

    folder: Path
    lm: fispace.LanguageModel
    x: fispace.Activations
    texts: list[list[int]]
    """Token ids, each text one full window with its BOS."""


def made(folder: Path) -> World:
    """A random Llama whose texts are drawn from it; the three special tokens never occur in them."""
    folder.mkdir()
    model = save_small_lm("llama", folder, std=0.6)
    torch.manual_seed(5)
    drawn = model.generate(
        torch.full((N_TEXTS, 1), BOS), do_sample=True, top_k=0, max_new_tokens=WINDOW_TOKENS - 1,
        suppress_tokens=list(range(len(SPECIAL))), pad_token_id=PAD,
    )  # fmt: skip
    texts = drawn.tolist()
    lm = fispace.load_lm(folder, HOOK_POINT)
    words = [" ".join(f"w{token - len(SPECIAL)}" for token in text[1:]) for text in texts]
    x = fispace.activations(lm, words, window_tokens=WINDOW_TOKENS, min_window_tokens=4)
    return World(folder, lm, x, texts)


def train_saelens(world: World, out: Path, **options: Any) -> list[Path]:
    """SAELens trains a TopK SAE on the model: the folder of the result, and of the last checkpoint."""
    from datasets import Dataset
    from sae_lens import (
        LanguageModelSAERunnerConfig,
        LanguageModelSAETrainingRunner,
        LoggingConfig,
        TopKTrainingSAEConfig,
    )

    config = LanguageModelSAERunnerConfig(
        sae=TopKTrainingSAEConfig(d_in=WIDTH, d_sae=N_LATENTS, k=K, **options),
        model_name=str(world.folder), model_class_name="AutoModelForCausalLM",
        hook_name=f"model.layers.{HOOK_POINT}", dataset_path="none", streaming=False,
        context_size=WINDOW_TOKENS, n_batches_in_buffer=8, store_batch_size_prompts=8,
        training_tokens=2000, train_batch_size_tokens=32, n_batches_for_norm_estimate=4, lr=1e-3,
        logger=LoggingConfig(log_to_wandb=False), output_path=str(out / "result"),
        checkpoint_path=str(out / "checkpoints"), save_final_checkpoint=True, verbose=False,
    )  # fmt: skip
    texts = Dataset.from_dict({"tokens": world.texts})
    LanguageModelSAETrainingRunner(config, override_dataset=texts).run()
    return sorted(path.parent for path in out.rglob("cfg.json"))


def train_sparsify(world: World, out: Path, seeds: list[int]) -> list[Path]:
    """sparsify trains a sparse coder on the model for every seed: their folders."""
    from datasets import Dataset
    from sparsify import SparseCoderConfig, TrainConfig, Trainer

    config = TrainConfig(
        sae=SparseCoderConfig(num_latents=N_LATENTS, k=K), batch_size=8, init_seeds=seeds,
        hookpoints=[f"layers.{HOOK_POINT}"], save_dir=str(out), log_to_wandb=False,
    )  # fmt: skip
    texts = Dataset.from_dict({"input_ids": world.texts}).with_format("torch")
    Trainer(config, texts, world.lm.model).fit()
    return sorted(path.parent for path in out.rglob("cfg.json"))


def imported(world: World, scratch: Path) -> Iterator[Row]:
    """SAEs that the tools trained on the model, imported as arms of its activations."""
    trained = {
        "saelens": train_saelens(world, scratch / "saelens"),
        "sparsify": [
            *train_sparsify(world, scratch / "one", [0]),
            *train_sparsify(world, scratch / "two", [0, 1]),
        ],
    }
    trained["saelens"] += train_saelens(
        world, scratch / "scaled", normalize_activations="expected_average_only_in"
    )[-1:]
    x = torch.from_numpy(world.x.array("test"))
    for tool, folders in trained.items():
        for folder in folders:
            arm = fispace.import_sae(folder, world.x)
            named = arm.trained.record.hook_name
            assert named in (f"layers.{HOOK_POINT}", f"model.layers.{HOOK_POINT}"), (folder, named)
            codes = torch.from_numpy(arm.codes(x).toarray())
            ours = Forward(codes, torch.from_numpy(arm.reconstruct(x)))
            place = folder.relative_to(scratch)
            yield Row(
                f"trained by {tool}: {place}", differences(ours, TOOLS[tool].forward(folder, x))
            )


def measured(world: World, scratch: Path) -> Iterator[Row]:
    """An arm of ours at its place in the language model, as SAELens attaches and evaluates it."""
    from sae_lens import SAE
    from sae_lens.analysis.sae_transformer_bridge import SAETransformerBridge

    arm = fispace.train(
        world.x, n_latents=N_LATENTS, k=K, parts=["sae", "bias"], name="sae_bias", batch_tokens=64,
        n_tokens=6400,
    )  # fmt: skip
    fispace.export_sae(arm, scratch / "ours", "saelens", world.x)
    sae = SAE.load_from_disk(scratch / "ours", device="cpu")
    (batch,) = window_batches(world.x.store, "test", N_TEXTS, PAD)
    assert bool((batch.attention_mask == 1).all()), "SAELens knows no padding"

    x = read_activations(world.lm.model, HOOK_POINT, batch.token_ids, batch.attention_mask)
    bridge = SAETransformerBridge.boot_transformers(str(world.folder))
    with torch.no_grad():
        ours = logits_after(
            world.lm.model, HOOK_POINT, sae(x), batch.token_ids, batch.attention_mask
        )
        theirs = bridge.run_with_saes(batch.token_ids, saes=[sae])
    yield Row("at blocks.1.hook_resid_post of TransformerLens", {"logits": relative(ours, theirs)})
    yield from _evaluated(world, arm, sae, batch.token_ids)


def _evaluated(world: World, arm: fispace.Arm, sae: Any, tokens: Tensor) -> Iterator[Row]:
    """KL, CE and recovered CE: the rows of `fispace.fidelity`, and SAELens's own evaluation.

    With BOS left out, SAELens still sets it to zero in its ablation and ours does not, so the recovered CE
    is compared with BOS alone.
    """
    table = fispace.fidelity(world.lm, arm, world.x, n_bootstrap=2)
    table = table[(table["parts"] == "sae+bias") & (table["condition"] == "reconstruction")]
    for special_tokens, ignored, metrics in (
        ("included", None, ("kl", "ce", "ce_recovered_zero")),
        ("masked", [BOS], ("kl", "ce")),
    ):
        rows = table[table["special_tokens"] == special_tokens].set_index("metric")["value"]
        theirs = saelens_evaluation(world, sae, tokens, ignored)
        found = {
            metric: abs(float(rows[metric]) - theirs[metric]) / abs(theirs[metric])
            for metric in metrics
        }
        yield Row(f"evaluated by SAELens, BOS {special_tokens}", found)


@torch.no_grad()
def saelens_evaluation(
    world: World, sae: Any, tokens: Tensor, ignored: list[int] | None
) -> dict[str, float]:
    """SAELens's measures by our names, of these tokens."""
    from sae_lens.evals import get_downstream_reconstruction_metrics
    from sae_lens.load_model import load_model
    from sae_lens.training.activation_scaler import ActivationScaler

    class Tokens:
        def get_batch_tokens(self, n: int) -> Tensor:
            return tokens[:n].long()

    model = load_model("AutoModelForCausalLM", str(world.folder), "cpu")
    sae.cfg.metadata.hook_name = sae.cfg.metadata.hf_hook_name
    found = get_downstream_reconstruction_metrics(
        sae, model, Tokens(), ActivationScaler(), compute_kl=True, compute_ce_loss=True, n_batches=1,
        eval_batch_size_prompts=len(tokens), ignore_tokens=ignored,
    )  # fmt: skip
    return {
        "kl": found["kl_div_with_sae"], "ce": found["ce_loss_with_sae"],
        "ce_recovered_zero": found["ce_loss_score"],
    }  # fmt: skip

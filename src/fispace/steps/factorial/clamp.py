"""`factorial clamp`: secondary latents clamped inside the running LM, and what it then expects.

Must not: choose latents, or test a hypothesis.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.config.factorial import IDENTITY, ClampStep
from fispace.lm.hooks import read_activations, splice
from fispace.lm.load import load_lm
from fispace.lm.score import (
    PAD_ID,
    WordPlan,
    next_token_log_probs,
    plan_words,
    score_words,
)
from fispace.lm.windows import padded
from fispace.measure.fidelity import kl_per_token
from fispace.models.secondary import Clamp, clamped_reconstruction
from fispace.steps.factorial.cells import Frame
from fispace.steps.factorial.pipeline import Pipeline, encode_both, load_pipeline
from fispace.store.tables import read_csv, write_table

ANY_LATENT = 0
"""Multiplier 1 is the same for every latent."""


def clamp_latents(
    params: ClampStep, *, lm_folder: Path | None, weights: Path, standardiser: Path,
    secondary: Path, candidates: Path, words: Path, contexts: Path, effects: Path, checks: Path,
) -> None:  # fmt: skip
    """Write each word's change of log-probability by latent and clamp, and what the identity costs.

    Raises:
        ModelError: if the LM cannot be loaded.
        StimuliError: if a response word cannot be scored with the LM's tokenizer.
    """
    torch.set_num_threads(params.threads)
    pipe = load_pipeline(weights, standardiser, secondary)
    lm = load_lm(params.lm, lm_folder)
    chosen, prompts, listed = (read_csv(path) for path in (candidates, contexts, words))
    key = {"arm": pipe.arm, "seed": pipe.seed}
    recipe = asdict(params) | key | {"step": "factorial clamp", "lm": params.lm.recorded}
    table = clamp_effects(params, pipe, lm, chosen, prompts, listed)
    write_table(effects, table.assign(**key), recipe)
    numbers = identity_checks(params, pipe, lm, chosen, prompts, listed)
    write_table(checks, numbers.assign(**key), recipe)


def clamp_effects(
    params: ClampStep, pipe: Pipeline, lm: tuple[Any, Any], chosen: Frame, prompts: Frame,
    words: Frame,
) -> pd.DataFrame:  # fmt: skip
    """Change of each word's log-probability against multiplier 1, by latent, clamp and item.

    One baseline serves all latents, since multiplying any of them by 1 is the same pass.
    """
    model, tokenizer = lm
    plan = plan_words(tokenizer, prompts["prompt"].tolist(), words["word"].tolist(), params.add_bos)

    def scores(clamp: Clamp) -> np.ndarray:
        replace = clamp_function(pipe, clamp, params.add_back_errors, int(params.add_bos))
        with splice(model, params.lm.hook_point, replace):
            return score_words(model, plan, params.batch_contexts)

    baseline = scores(Clamp(ANY_LATENT, IDENTITY))
    found: list[pd.DataFrame] = []
    for row in chosen.itertuples():
        by_clamp = {
            clamp: baseline if clamp == IDENTITY else scores(Clamp(row.latent, clamp))
            for clamp in params.clamps
        }
        table = effect_table(prompts, by_clamp, words, baseline)
        found.append(table.assign(kind=row.kind, rank=row.rank, latent=row.latent))
    return pd.concat(found, ignore_index=True)


def effect_table(
    texts: Frame, scores: dict[float, Float[np.ndarray, "prompts words"]], words: Frame,
    baseline: Float[np.ndarray, "prompts words"],
) -> pd.DataFrame:  # fmt: skip
    """Change of each word's log-probability by clamp, averaged over the prompts of an item."""
    found: list[pd.DataFrame] = []
    for multiplier, scored in scores.items():
        wide = pd.DataFrame(scored - baseline, columns=pd.Index(words["word"], name="word"))
        items: Frame = wide.groupby(texts["item"].to_numpy(), sort=True).mean()
        items.index.name = "item"
        long = items.stack().rename("value").reset_index()
        found.append(long.assign(clamp=multiplier))
    return pd.concat(found, ignore_index=True).merge(words, on="word", how="left")


def identity_checks(
    params: ClampStep, pipe: Pipeline, lm: tuple[Any, Any], chosen: Frame, prompts: Frame,
    words: Frame,
) -> pd.DataFrame:  # fmt: skip
    """KL(original || multiplier 1) after the prompts, and the prompts each latent is active in.

    A multiplier does nothing to a latent that is not active: the share says how often it could.
    """
    model, tokenizer = lm
    plan = plan_words(tokenizer, prompts["prompt"].tolist(), words["word"].tolist(), params.add_bos)
    kl, active = [], []
    latents = torch.tensor(chosen["latent"].to_numpy(dtype=np.int64))
    identity = Clamp(ANY_LATENT, IDENTITY)
    replace = clamp_function(pipe, identity, params.add_back_errors, int(params.add_bos))
    for start in range(0, len(plan.prompts), params.batch_contexts):
        batch = plan.prompts[start : start + params.batch_contexts]
        original = torch.from_numpy(next_token_log_probs(model, batch))
        with splice(model, params.lm.hook_point, replace):
            spliced = torch.from_numpy(next_token_log_probs(model, batch))
        kl.append(kl_per_token(original, spliced))
        active.append(_is_active(params, pipe, model, batch, latents))
    return _check_table(torch.cat(kl), torch.cat(active), chosen, plan)


def clamp_function(
    pipe: Pipeline, clamp: Clamp, add_back_errors: bool, n_prefix: int
) -> Callable[[Float[Tensor, "batch pos d_model"]], Float[Tensor, "batch pos d_model"]]:
    """What is spliced in at the hook point: standardised in, clamped, and restored.

    The first `n_prefix` positions (BOS) stay as they are: no part of the pipeline was trained on
    them.
    """

    def replace(x: Tensor) -> Tensor:
        rows = x[:, n_prefix:].float()
        z = pipe.units.standardise(rows.reshape(-1, rows.shape[-1]))
        moved = clamped_reconstruction(pipe.model, pipe.secondary, z, clamp, add_back_errors)
        kept = x[:, :n_prefix].float()
        return torch.cat([kept, pipe.units.restore(moved).reshape(rows.shape)], dim=1)

    return replace


def _is_active(
    params: ClampStep, pipe: Pipeline, model: Any, batch: tuple[tuple[int, ...], ...],
    latents: Tensor,
) -> Tensor:  # fmt: skip
    """[prompts latents] whether a latent fires on any token of the prompt after BOS."""
    ids, mask = padded([np.array(sequence) for sequence in batch], PAD_ID)
    x = read_activations(model, params.lm.hook_point, ids, mask).float()
    codes = encode_both(pipe, pipe.units.standardise(x.reshape(-1, x.shape[-1])))["secondary"]
    mask[:, : int(params.add_bos)] = 0
    hits = (codes.indices[:, :, None] == latents) & (codes.values > 0)[:, :, None]
    on_token = hits.any(1).reshape(*ids.shape, -1) & mask.bool()[..., None]
    return on_token.any(1)


def _check_table(kl: Tensor, active: Tensor, chosen: Frame, plan: WordPlan) -> pd.DataFrame:
    n = len(plan.prompts)
    rows: list[dict[str, Any]] = [
        {"metric": "kl_identity_mean", "unit": "nats per prompt", "value": kl.mean().item()},
        {"metric": "kl_identity_max", "unit": "nats per prompt", "value": kl.max().item()},
    ]
    shares = active.double().mean(0).tolist()
    for row, share in zip(chosen.itertuples(), shares, strict=True):
        name = f"active_prompts_{row.kind}_{row.rank}"
        rows.append({"metric": name, "unit": "fraction", "value": share})
    return pd.DataFrame(rows).assign(split="confirm", n=n)

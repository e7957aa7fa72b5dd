"""`factorial clamp`: interventions inside the running LM, and how they change its predictions.

Must not: choose latents, or test a hypothesis.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.chapters.factorial.conditions import (
    Condition,
    clamp_conditions,
    moved_activations,
)
from fispace.chapters.factorial.design import Frame
from fispace.chapters.factorial.encoder_stack import (
    Pipeline,
    encode_all,
    load_pipeline,
    read_stimulus_tokens,
)
from fispace.chapters.factorial.planted_contrast import (
    has_planted_contrast,
    planted_contrast,
    planted_reach,
)
from fispace.chapters.factorial.tables import CANDIDATES, CONTEXTS, WORDS
from fispace.devices import prepare
from fispace.lm.hooks import read_activations
from fispace.lm.intervention_scoring import Moves, prompt_log_probs, score_checked
from fispace.lm.load import load_lm
from fispace.lm.score import WordPlan, next_token_log_probs, plan_words, require_scorable
from fispace.lm.windows import PAD_ID, padded
from fispace.stats.metrics import kl_per_token
from fispace.store.metric_registry import with_units
from fispace.store.tables import read_csv, write_table
from fispace.study.config.factorial import IDENTITY, ClampStep
from fispace.study.step import Reads, ReadsFolder, Writes, command

EFFECT_COLUMNS = ("kind", "rank", "latent", "mode", "clamp", "item", "value")


@command("factorial", "clamp", sections=("extract",))
def clamp_latents(
    params: ClampStep, *, lm_folder: ReadsFolder | None, weights: Reads, standardiser: Reads,
    secondary: Reads, candidates: Reads, words: Reads, contexts: Reads, select: Reads,
    effects: Writes, planted: Writes, checks: Writes,
) -> None:  # fmt: skip
    """Write each word's change of log-probability by intervention, and the KL of the unmoved pipeline.

    `planted` holds the change of the planted contrast per item. It has no rows if the battery has no
    planted contrast.

    Raises:
        ModelError: if the LM cannot be loaded, has too few positions for a prompt and a word, or has no
            embedding for one of their tokens.
        StimuliError: if a response word cannot be scored with the LM's tokenizer.
    """
    device = prepare(params.threads, params.device)
    pipe = load_pipeline(weights, standardiser, secondary, device=device)
    model, tokenizer = load_lm(params.lm, lm_folder, device)
    chosen = read_csv(candidates, CANDIDATES)
    prompts, listed = read_csv(contexts, CONTEXTS), read_csv(words, WORDS)
    key = {"arm": pipe.arm, "seed": pipe.seed}
    recipe = params.plain() | key | {"step": "factorial clamp", "lm": params.lm.recorded}
    codes = encode_all(pipe, read_stimulus_tokens(select, pipe.units).z)
    found = clamp_conditions(params, pipe, chosen, codes)
    texts = prompts["prompt"].tolist(), listed["word"].tolist()
    plan = plan_words(tokenizer, *texts, params.add_bos)
    require_scorable(model, tokenizer, plan, *texts)
    base, moved = scores_of(params, pipe, model, plan, found)
    write_table(effects, effect_table(prompts, found, moved - base, listed).assign(**key), recipe)
    changes = planted_contrast_table(params, prompts, found, base, moved, listed)
    write_table(planted, changes.assign(**key), recipe)
    numbers = identity_checks(params, pipe, model, plan, chosen)
    write_table(checks, numbers.assign(**key, site="clamp"), recipe)


def scores_of(
    params: ClampStep, pipe: Pipeline, model: Any, plan: WordPlan, found: list[Condition]
) -> tuple[Float[np.ndarray, "prompts words"], Float[np.ndarray, "conditions prompts words"]]:
    """Log-probabilities of the words on the unmoved pipeline, and under every condition."""
    moves = _moves(params, pipe, found)
    scores = score_checked(
        model, params.lm.hook_point, plan, params.batch_contexts, moves, 1 + len(found)
    )
    return scores[0], scores[1:]


def _moves(params: ClampStep, pipe: Pipeline, found: list[Condition]) -> Moves:
    """Activations at the hook point: of the unmoved pipeline first, then under each condition."""
    return Moves(
        *(
            moved_activations(pipe, found, params.add_back_errors, n_prefix)
            for n_prefix in (int(params.add_bos), 0)
        )
    )


def effect_table(
    prompts: Frame, found: list[Condition],
    changes: Float[np.ndarray, "conditions prompts words"], words: Frame,
) -> pd.DataFrame:  # fmt: skip
    """Each word's change by condition in nats, averaged over an item's prompts; 0 at multiplier 1."""
    items = sorted(set(prompts["item"]))
    place = prompts["item"].map({item: i for i, item in enumerate(items)}).to_numpy()
    share = np.eye(len(items))[:, place]
    per_item = np.einsum("ip,cpw->ciw", share / share.sum(1, keepdims=True), changes)
    rows = [
        (c.kind, c.rank, c.latent, c.mode, c.clamp, item, word, per_item[i, j, k])
        for i, c in enumerate(found)
        for j, item in enumerate(items)
        for k, word in enumerate(words["word"])
    ]
    columns = pd.Index([*EFFECT_COLUMNS[:-1], "word", "value"])
    own: Frame = pd.DataFrame(rows, columns=columns)
    multiplied = own[own["mode"] == "multiply"]
    first = multiplied["clamp"] == multiplied["clamp"].iloc[0]
    identity = multiplied[first].assign(clamp=IDENTITY, value=0.0)
    merged: Frame = pd.concat([own, identity], ignore_index=True).merge(
        words, on="word", how="left"
    )
    return merged


def planted_contrast_table(
    params: ClampStep, prompts: Frame, found: list[Condition],
    base: Float[np.ndarray, "prompts words"],
    moved: Float[np.ndarray, "conditions prompts words"], words: Frame,
) -> pd.DataFrame:  # fmt: skip
    """Change of each item's planted contrast by condition, and the largest change possible (`reach`)."""

    def rows() -> Iterator[tuple[Any, ...]]:
        before = planted_contrast(base, prompts, words, params.factors)
        for condition, scores in zip(found, moved, strict=True):
            value = planted_contrast(scores, prompts, words, params.factors) - before
            reach = planted_reach(scores - base, prompts, words, params.factors)
            yield from ((*condition[:5], *own) for own in zip(items, value, reach, strict=True))

    items = sorted(set(prompts["item"]))
    filled = rows() if has_planted_contrast(prompts, words, params.factors) else ()
    return pd.DataFrame(list(filled), columns=pd.Index([*EFFECT_COLUMNS, "reach"]))


def identity_checks(
    params: ClampStep, pipe: Pipeline, model: Any, plan: WordPlan, chosen: Frame
) -> pd.DataFrame:
    """KL(original || unmoved pipeline) after the prompts, and the share of prompts with a latent active.

    The original is an ordinary forward pass. The unmoved pipeline uses the same passes as the scores. A
    multiplier does nothing where a latent is inactive, so the share bounds how often it has an effect.
    """
    kl, active = [], []
    unmoved = _moves(params, pipe, [])
    for start in range(0, len(plan.prompts), params.batch_contexts):
        numbers = range(len(plan.prompts))[start : start + params.batch_contexts]
        batch = plan.prompts[start : start + params.batch_contexts]
        original = torch.from_numpy(next_token_log_probs(model, batch))
        spliced = prompt_log_probs(model, params.lm.hook_point, plan, numbers, unmoved)
        kl.append(kl_per_token(original, torch.from_numpy(spliced)))
        active.append(_is_active(params, pipe, model, batch, chosen))
    return _check_table(torch.cat(kl), np.concatenate(active), chosen, plan)


def _is_active(
    params: ClampStep, pipe: Pipeline, model: Any, batch: tuple[tuple[int, ...], ...],
    chosen: Frame,
) -> np.ndarray:  # fmt: skip
    """[prompts latents] 1 if the latent fires on any token of the prompt after BOS; NaN if not clamped."""
    ids, mask = padded([np.array(sequence) for sequence in batch], PAD_ID)
    x = read_activations(model, params.lm.hook_point, ids, mask).float()
    mask[:, : int(params.add_bos)] = 0
    codes = encode_all(pipe, pipe.units.standardise(x.reshape(-1, x.shape[-1])))
    found: list[Tensor] = []
    for row in chosen.to_dict("records"):
        if row["space"] not in codes:
            found.append(torch.full((len(batch),), torch.nan))
            continue
        own = codes[row["space"]]
        fires = ((own.indices == row["latent"]) & (own.values > 0)).any(1).cpu()
        found.append((fires.reshape(ids.shape) & mask.bool()).any(1).float())
    return torch.stack(found, dim=1).cpu().numpy()


def _check_table(kl: Tensor, active: np.ndarray, chosen: Frame, plan: WordPlan) -> pd.DataFrame:
    n = len(plan.prompts)
    rows: list[dict[str, Any]] = [
        {"metric": "kl_identity_mean", "value": kl.mean().item()},
        {"metric": "kl_identity_max", "value": kl.max().item()},
    ]
    shares = active.mean(0).tolist()
    for row, share in zip(chosen.to_dict("records"), shares, strict=True):
        if not np.isnan(share):
            name = f"active_prompts_{row['kind']}_{row['rank']}"
            rows.append({"metric": name, "value": share})
    return with_units(pd.DataFrame(rows)).assign(split="confirm", n=n)

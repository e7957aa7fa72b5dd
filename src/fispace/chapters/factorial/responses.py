"""`factorial responses`: mean activation of every latent on every text, one file per half.

Must not: compare cells.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from fispace.chapters.factorial.design import CONFIRM, SELECT
from fispace.chapters.factorial.encoder_stack import (
    Pipeline,
    StimulusTokens,
    encode_all,
    load_pipeline,
    read_stimulus_tokens,
)
from fispace.chapters.factorial.tables import ITEMS
from fispace.devices import prepare
from fispace.models.sparse import Codes
from fispace.store.responses import Responses, write_responses
from fispace.store.tables import read_csv
from fispace.study.config.factorial import ResponsesStep
from fispace.study.step import Reads, Writes, command


@command("factorial", "responses", sections=("train",))
def measure_responses(
    params: ResponsesStep, *, item_table: Reads, weights: Reads, standardiser: Reads, secondary: Reads,
    residual: Reads, select: Reads, confirm: Reads, select_responses: Writes,
    confirm_responses: Writes,
) -> None:  # fmt: skip
    """Write the mean activation of every latent of every SAE on every text, one file per half."""
    device = prepare(params.threads, params.device)
    pipe = load_pipeline(weights, standardiser, secondary, residual, device=device)
    table: Any = read_csv(item_table, ITEMS)
    files = ((SELECT, select, select_responses), (CONFIRM, confirm, confirm_responses))
    for half, source, target in files:
        texts = table[table["half"] == half]
        texts = texts[["item", *ITEMS.factors(table)]]
        tokens = read_stimulus_tokens(source, pipe.units)
        means = mean_activations(pipe, tokens, len(texts), params.batch_tokens)
        recipe = {"step": "factorial responses", "arm": pipe.arm, "seed": pipe.seed, "half": half}
        write_responses(target, Responses(texts.reset_index(drop=True), means, recipe))


def mean_activations(
    pipe: Pipeline, tokens: StimulusTokens, n_texts: int, batch_tokens: int
) -> dict[str, Float[np.ndarray, "texts latents"]]:
    """Mean activation of every latent of every SAE over the tokens of each text."""
    saes = {"primary": pipe.model.sae, "secondary": pipe.secondary.sae}
    saes |= {"residual": pipe.residual.sae} if pipe.residual is not None else {}
    sizes = {space: sae.W_dec.shape[0] for space, sae in saes.items()}
    return means_by_text(partial(encode_all, pipe), sizes, tokens, n_texts, batch_tokens)


def means_by_text(
    encode: Callable[[Float[Tensor, "tokens d_model"]], dict[str, Codes]],
    sizes: Mapping[str, int], tokens: StimulusTokens, n_texts: int, batch_tokens: int,
) -> dict[str, Float[np.ndarray, "texts latents"]]:  # fmt: skip
    """Mean code of every latent over the tokens of each text; `sizes` hold the number of latents by space."""
    sums = {space: np.zeros((n_texts, width)) for space, width in sizes.items()}
    for begin in range(0, len(tokens.z), batch_tokens):
        rows = tokens.text[begin : begin + batch_tokens]
        for space, codes in encode(tokens.z[begin : begin + batch_tokens]).items():
            where = (rows[:, None], codes.indices.cpu().numpy())
            np.add.at(sums[space], where, codes.values.double().cpu().numpy())
    counts = np.bincount(tokens.text, minlength=n_texts)[:, None]
    return {space: total / counts for space, total in sums.items()}

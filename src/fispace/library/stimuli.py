"""A 2x2 test of an arm's latents on items of one's own.

Must not: define a test; the step `factorial discover` tests.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch

from fispace.chapters.factorial.discover import discovery_table
from fispace.chapters.factorial.encoder_stack import stimulus_tokens
from fispace.chapters.factorial.responses import means_by_text
from fispace.library.arms import Arm
from fispace.library.given import given_items
from fispace.library.language_model import LanguageModel
from fispace.lm.stimuli import stimulus_table
from fispace.study.config.factorial import BatteryActivationsStep, DiscoverStep

SPACE = "primary"
BATCH_TOKENS = 4096


def test_2x2(
    lm: LanguageModel,
    arm: Arm,
    items: pd.DataFrame,
    factors: Mapping[str, Sequence[str]],
    *,
    alpha: float = 0.05,
    n_permutations: int = 10_000,
    window_tokens: int = 128,
    add_bos: bool | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Tests of every latent for two factors and their interaction, crossed with items.

    `items` has the columns item, text and one per factor; each item is written in all four cells. Texts that
    mean a missing value elsewhere, such as "NA", are ordinary names; a missing value is refused. `factors`
    gives the two levels of each factor, the one with index 0 first. A latent's response to a text is its mean
    activation over the text's tokens, special tokens left out.

    One row per effect and latent: estimate with interval, t, p, q (Benjamini & Hochberg over the latents),
    partial_eta2, and for the interaction y11 - y10 - y01 + y00 the sign-flip p of the latent alone
    (p_sign_flip) and against the largest |t| of all latents (p_max), by which `is_significant` judges it.

    Raises:
        StimuliError: if a column or a value is missing, a level is not declared, an item lacks a cell, or a
            text is longer than a window.
        ParamsError: if the factors are not two with two levels each.
    """
    declared = [{"name": name, "levels": list(levels)} for name, levels in factors.items()]
    tests = DiscoverStep.read(
        {
            "factors": declared, "alpha": alpha, "n_permutations": n_permutations, "n_candidates": 1,
            "root_seed": seed,
        },
        "factorial",
    )  # fmt: skip
    passes = BatteryActivationsStep.read(
        {
            "lm": lm.config.plain(), "window_tokens": window_tokens, "batch_windows": 32,
            "add_bos": lm.has_bos if add_bos is None else add_bos,
            "special_tokens": {"add": [], "exempt": []}, "threads": torch.get_num_threads(),
            "device": "cpu",
        },
        "extract",
    )  # fmt: skip
    texts = given_items(items, factors)
    table = stimulus_table(passes, lm.model, lm.tokenizer, texts["text"].tolist())
    tokens = stimulus_tokens(table, arm.units)
    encode = arm.trained.model.sae.encode
    with torch.no_grad():
        means = means_by_text(
            lambda z: {SPACE: encode(z)}, {SPACE: arm.n_latents}, tokens, len(texts), BATCH_TOKENS
        )
    found = discovery_table(tests, texts, means, (arm.name, arm.seed))
    return found.drop(columns="space").sort_values("p", kind="stable").reset_index(drop=True)

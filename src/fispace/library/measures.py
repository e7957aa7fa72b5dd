"""What an arm loses: FVU, KL and CE of the language model that runs on its reconstruction, with controls.

Must not: define a metric; the steps of the chapter `fidelity` measure.
"""

from collections.abc import Sequence

import pandas as pd
import torch

from fispace.chapters.fidelity.ablation_baselines import bounds_table
from fispace.chapters.fidelity.arm import measure_arm
from fispace.chapters.fidelity.document_sums import resampled_documents, with_references
from fispace.chapters.fidelity.summary import fidelity_table
from fispace.errors import ArtifactMismatchError
from fispace.library.activations import Activations
from fispace.library.arms import Arm
from fispace.library.language_model import LanguageModel
from fispace.lm.window_batches import require_extracted
from fispace.store.checkpoint import data_record
from fispace.study.config.fidelity import (
    PAPER_ERROR,
    FidelityArmStep,
    FidelityBaselinesStep,
    MatchedError,
)

DEAD_WINDOW_TOKENS = 10_000


def fidelity(
    lm: LanguageModel,
    arm: Arm,
    x: Activations,
    *,
    matched_errors: Sequence[MatchedError] = (PAPER_ERROR,),
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    batch_windows: int = 32,
    seed: int = 0,
) -> pd.DataFrame:
    """What activations and predictions lose on the split test, for every set of the arm's parts.

    One row per parts, special_tokens, condition and metric: value, and the interval from resampled documents.
    `condition` is `reconstruction`, or a random error as large as its own at each token (`matched_errors`;
    formulas in fispace.chapters.fidelity.matched_errors), or a reference without an arm: `original`,
    `zero_ablation`, `mean_ablation`. Metrics and units are those of the chapter `fidelity`: fvu, kl (nats per
    token), ce, excess_ce, ce_recovered_*, l0, dead_fraction.

    Raises:
        ArtifactMismatchError: if the activations are of another model or hook point, or the arm was trained on
            other activations.
    """
    require_extracted(lm.config, lm.fingerprint, x.store)
    _require_trained_on(arm, x)
    passes = {
        "lm": lm.config.plain(), "batch_windows": batch_windows, "threads": torch.get_num_threads(),
        "device": "cpu",
    }  # fmt: skip
    measured = {
        "matched_errors": list(matched_errors), "ablation_matched_errors": [PAPER_ERROR], "epsilon_draws": 1,
        "dead_window_tokens": DEAD_WINDOW_TOKENS, "root_seed": seed,
    }  # fmt: skip
    of_arm = FidelityArmStep.read(passes | measured, "fidelity")
    of_lm = FidelityBaselinesStep.read(passes, "fidelity")
    loaded = (lm.model, lm.tokenizer)
    found = measure_arm(of_arm, arm.trained, arm.units, x.store, loaded)
    bounds = bounds_table(of_lm, arm.units, x.store, loaded)
    rows = with_references(found.documents, bounds)
    drawn = resampled_documents(rows, seed, n_bootstrap)
    return fidelity_table(rows, found.latents, drawn, confidence)


def _require_trained_on(arm: Arm, x: Activations) -> None:
    record = arm.trained.record
    if record.manifest != data_record(x.manifest, x.standardiser)["manifest"]:
        raise ArtifactMismatchError(
            f"The arm {arm.name!r} was trained on other activations than these, so it may have seen their test "
            "documents. Train it on these, or open the activations that it was trained on."
        )

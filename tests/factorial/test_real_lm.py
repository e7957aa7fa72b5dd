"""The whole chapter on a real pretrained model and on English: set FISPACE_REAL_LM to its folder."""

import os
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from factorial.small_chapter import run_chapter

from fispace.chapters.factorial.tables import FAMILY
from fispace.store.tables import read_csv, read_table
from fispace.study.config.factorial import FactorConfig

LM = os.environ.get("FISPACE_REAL_LM")
ENGLISH = Path(__file__).parents[2] / "data/stimuli/english"
FACTORS = (
    FactorConfig(name="formality", levels=("formal", "casual")),
    FactorConfig(name="emotion", levels=("low", "high")),
)
N_ITEMS, N_PROMPTS, N_WORDS = 12, 8, 3

pytestmark = [
    pytest.mark.real_lm,
    pytest.mark.skipif(not LM, reason="set FISPACE_REAL_LM to run on a real model"),
]


def write_part(folder: Path) -> Path:
    """The first items, prompts and words of a cell of the English battery."""
    folder.mkdir()
    stimuli, words, prompts = (
        pd.read_csv(ENGLISH / f"{name}.csv") for name in ("stimuli", "responses", "prompts")
    )
    own = stimuli[stimuli["variant"] == "keyword"].drop(columns="variant").head(4 * N_ITEMS)
    own.to_csv(folder / "stimuli.csv", index=False)
    first = words.groupby(["formality", "emotion"], sort=False).head(N_WORDS)
    first.to_csv(folder / "responses.csv", index=False)
    prompts.head(N_PROMPTS).to_csv(folder / "prompts.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def chapter(tmp_path_factory) -> SimpleNamespace:
    folder: Path = tmp_path_factory.mktemp("real")
    return run_chapter(folder, Path(str(LM)), write_part(folder / "english"), FACTORS)


def test_the_identity_costs_nothing_on_a_real_model(chapter) -> None:
    checks = read_table(chapter.checks).set_index("metric")["value"]
    assert checks["kl_identity_max"] <= 1e-6


def test_every_word_is_scored_after_every_prompt_and_confirm_text_and_moved_by_a_clamp(
    chapter,
) -> None:
    effects = read_table(chapter.effects)
    n_contexts = N_PROMPTS + N_ITEMS // 2  # the other half of the items has selected
    assert effects["word"].nunique() == 4 * N_WORDS and effects["item"].nunique() == n_contexts
    assert (effects.loc[effects["clamp"] == 1, "value"] == 0).all()
    assert effects.loc[effects["kind"] == "primary", "value"].abs().max() > 1e-6


def test_the_family_is_complete_and_claims_no_ground_truth(chapter) -> None:
    family = read_csv(chapter.table, FAMILY)
    assert {"activation", "clamp_slope", "clamp", "set"} == set(family["family"])
    kept = family[family["excluded"] == "no"]
    assert kept["p_max"].between(0, 1).all() and kept["p"].between(0, 1).all()
    assert read_table(chapter.planted).empty

"""Intervals over documents: paired, degenerate where documents agree, wider for few of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report.synthetic import ERRORS

from fispace.report.documents import write_documents
from fispace.report.tables import DOCUMENTS
from fispace.seeds import numpy_stream
from fispace.store.tables import read_csv, write_table
from fispace.study.config.report import DocumentsStep

PARAMS = DocumentsStep(confidence=0.95, n_bootstrap=400, few_documents=5, root_seed=0)
N_DOCUMENTS = 60


def sums(arm: str, seed: int, noise: float) -> pd.DataFrame:
    """Sums of ten tokens a document; KL ten times the error, which varies over documents."""
    shared = 1 + noise * numpy_stream(0, "tests", "documents").standard_normal(N_DOCUMENTS) ** 2
    clean = {"arm": arm, "seed": seed, "split": "test", "special_tokens": "masked"}
    tables = []
    for (of_arm, parts), mse in ERRORS.items():
        if of_arm == arm:
            error = 10 * mse * (1 + seed) * shared
            for condition, size in (("reconstruction", 1.0), ("epsilon_random", 0.25)):
                key = clean | {"parts": parts, "condition": condition}
                tables.append(_rows(key, size * error, 30.0 + size * error))
    elsewhere = tables[0].assign(split="transfer", error=1e9)
    unmasked = tables[0].assign(special_tokens="included", error=1e9)
    return pd.concat([*tables, elsewhere, unmasked], ignore_index=True)


def bounds() -> pd.DataFrame:
    """The original LM and the two ablations, for every split and treatment of special tokens."""
    key = {"arm": "", "parts": "", "seed": -1}
    return pd.concat(
        [
            _rows(
                key | {"split": split, "special_tokens": special, "condition": condition},
                None, np.full(N_DOCUMENTS, ce),
            )
            for split in ("test", "transfer")
            for special in ("masked", "included")
            for condition, ce in (
                ("original", 30.0), ("zero_ablation", 90.0), ("mean_ablation", 60.0)
            )
        ],
        ignore_index=True,
    )  # fmt: skip


def _rows(key: dict[str, object], error: np.ndarray | None, ce: np.ndarray) -> pd.DataFrame:
    found = np.full(N_DOCUMENTS, np.nan) if error is None else error
    columns = {"error": found, "deviation": 10.0 + 0 * found, "n_dimensions": 10.0 + 0 * found}
    columns |= {"kl": 10 * found, "ce": ce}
    frame = pd.DataFrame(columns).assign(document_id=range(N_DOCUMENTS), n_tokens=10.0, n_next=9.0)
    return frame.assign(**key)


def intervals(folder: Path, noise: float) -> pd.DataFrame:
    paths = []
    for arm in ("sae", "sae_bias", "joint"):
        for seed in (0, 1):
            paths.append(folder / f"{arm}{seed}.parquet")
            write_table(paths[-1], sums(arm, seed, noise), {})
    write_table(folder / "bounds.parquet", bounds(), {})
    write_documents(
        PARAMS, sums=paths, bounds=folder / "bounds.parquet", table=folder / "documents.csv"
    )
    return read_csv(folder / "documents.csv", DOCUMENTS).set_index("quantity")


def test_equal_documents_have_an_interval_without_width(tmp_path: Path) -> None:
    row = intervals(tmp_path, 0.0).loc["mse_gain.joint.full.over.sae_bias.full"]
    assert (row["low"], row["high"]) == (pytest.approx(1 - 0.12 / 0.16),) * 2
    assert row["n_documents"] == N_DOCUMENTS


def test_a_difference_that_stands_for_a_ratio_has_its_interval(tmp_path: Path) -> None:
    found = intervals(tmp_path, 0.0)
    row = found.loc["mse_reduction.joint.full.over.sae_bias.full"]
    # seeds 0 and 1, the second with twice as much of everything
    assert (row["low"], row["high"]) == (pytest.approx(1.5 * (0.16 - 0.12)),) * 2
    step = found.loc["kl_last_reduction.joint.interaction"]
    assert step["low"] == pytest.approx(10 * 1.5 * (0.14 - 0.12))
    above = found.loc["kl_above_epsilon.joint.full"]
    assert above["high"] == pytest.approx(10 * 1.5 * 0.12 * 0.75)


def test_a_gain_is_paired_so_that_documents_of_different_difficulty_cancel(tmp_path: Path) -> None:
    found = intervals(tmp_path, 1.0)
    gain, level = (
        found.loc[name] for name in ("kl_gain.joint.full.over.joint.sae", "kl.joint.full")
    )
    assert gain["high"] - gain["low"] == pytest.approx(0, abs=1e-9)
    assert level["low"] < level["high"]


def test_a_level_over_few_documents_is_less_certain(tmp_path: Path) -> None:
    row = intervals(tmp_path, 1.0).loc["kl.joint.full"]
    assert row["few_high"] - row["few_low"] > 2 * (row["high"] - row["low"])


def test_quantities_against_random_errors_have_intervals_too(tmp_path: Path) -> None:
    row = intervals(tmp_path, 1.0).loc["kl_over_epsilon.joint.full"]
    assert row["low"] == pytest.approx(4.0)


def test_the_interval_of_a_level_covers_its_mean_over_seeds(tmp_path: Path) -> None:
    row = intervals(tmp_path, 0.3).loc["mse.sae.full"]
    shared = 1 + 0.3 * numpy_stream(0, "tests", "documents").standard_normal(N_DOCUMENTS) ** 2
    assert row["low"] < 0.20 * 1.5 * shared.mean() < row["high"]


def test_the_same_sums_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    intervals(tmp_path / "a", 1.0)
    intervals(tmp_path / "b", 1.0)
    first, second = ((tmp_path / of / "documents.csv").read_bytes() for of in "ab")
    assert first == second

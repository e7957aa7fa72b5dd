"""The table of validation FVUs: every step at which one was taken, of every training."""

from pathlib import Path

import pandas as pd
import pytest

from fispace.chapters.train.tables import VALIDATION
from fispace.chapters.train.validation import tabulate_validation
from fispace.errors import ArtifactError
from fispace.store.tables import read_csv, write_table


def test_it_holds_the_validated_steps_of_every_curve_in_order(tmp_path: Path) -> None:
    curve = pd.DataFrame(
        {
            "step": [5, 10, 12], "n_tokens": [40, 80, 96], "lr": 0.1, "train_fvu": [0.9, 0.5, 0.4],
            "val_fvu": [None, 0.6, 0.5],
        }
    )  # fmt: skip
    paths = []
    for arm, seed in (("sae", 1), ("joint", 0), ("sae", 0)):
        paths.append(tmp_path / f"{arm}{seed}.parquet")
        write_table(paths[-1], curve, {"arm": arm, "seed": seed})
    tabulate_validation(curves=paths, table=tmp_path / "validation.csv")
    table = read_csv(tmp_path / "validation.csv", VALIDATION)
    keys = list(zip(table["arm"], table["seed"], table["step"], strict=True))
    assert keys == [
        (arm, seed, n) for arm, seed in (("joint", 0), ("sae", 0), ("sae", 1)) for n in (10, 12)
    ]
    assert (
        table["val_fvu"].tolist() == [0.6, 0.5] * 3 and table["n_tokens"].tolist() == [80, 96] * 3
    )


def test_a_missing_curve_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"none\.parquet"):
        tabulate_validation(curves=[tmp_path / "none.parquet"], table=tmp_path / "validation.csv")
    assert not list(tmp_path.iterdir())

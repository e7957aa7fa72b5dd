"""Live hidden units of every interaction: the number of `geometry arm`, for all arms of target full."""

from pathlib import Path

import pandas as pd
import pytest
from geometry.small_study import D_EMBED, PARAMS, write_checkpoint, write_store

from fispace.chapters.geometry.arm import measure_geometry
from fispace.chapters.geometry.heads import measure_heads
from fispace.chapters.geometry.tables import HEADS
from fispace.errors import ArtifactError, ArtifactMismatchError
from fispace.store.tables import read_csv, read_table
from fispace.store.tensors import load_tensors, save_tensors
from fispace.study.config.geometry import GeometryHeadsStep

PARTS = ["sae", "bias", "interaction"]
STEP = GeometryHeadsStep(batch_tokens=PARAMS.batch_tokens, threads=1, device="cpu")


def heads(folder: Path, weights: list[Path], store: tuple[Path, Path]) -> pd.DataFrame:
    manifest, standardiser = store
    measure_heads(
        STEP,
        weights=weights,
        manifest=manifest,
        standardiser=standardiser,
        table=folder / "heads.csv",
    )
    return read_csv(folder / "heads.csv", HEADS)


def with_dead_units(weights: Path, n_dead: int) -> None:
    tensors, record = load_tensors(weights)
    tensors["interaction.b_hidden"][:n_dead] = -1e6
    tensors["interaction.b_hidden"][n_dead:] = 1e6
    save_tensors(weights, tensors, record)


def test_the_share_is_that_of_the_units_that_were_left_alive(tmp_path: Path) -> None:
    store = write_store(tmp_path, 120)
    paths = [tmp_path / f"{n}.safetensors" for n in (0, 2, D_EMBED)]
    for n, path in zip((0, 2, D_EMBED), paths, strict=True):
        write_checkpoint(path, f"dead_{n}", PARTS, *store, change=0.1)
        with_dead_units(path, n)
    table = heads(tmp_path, list(reversed(paths)), store)
    assert table["arm"].tolist() == ["dead_0", "dead_2", f"dead_{D_EMBED}"]
    assert table["value"].tolist() == [1.0, (D_EMBED - 2) / D_EMBED, 0.0]
    assert set(table["n"]) == {120} and set(table["state"]) == {"trained"}


@pytest.mark.parametrize("pooling", ["pairs", "sum", "shuffled", "second_order"])
def test_it_is_the_number_of_the_whole_geometry(tmp_path: Path, pooling: str) -> None:
    manifest, standardiser = store = write_store(tmp_path, 120)
    weights = tmp_path / "weights.safetensors"
    write_checkpoint(weights, "joint", PARTS, *store, change=0.3, pooling=pooling)
    out = {key: tmp_path / key for key in ("table", "latents", "spectrum")}
    measure_geometry(
        PARAMS,
        arm="joint",
        seed=0,
        weights=weights,
        manifest=manifest,
        standardiser=standardiser,
        **out,
    )
    whole = read_table(out["table"]).set_index(["metric", "state"])["value"]
    (share,) = heads(tmp_path, [weights], store)["value"]
    assert share == whole["interaction_live_units", "trained"]


def test_a_checkpoint_of_another_store_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    store, other = write_store(tmp_path, 120), write_store(tmp_path / "other", 90)
    weights = tmp_path / "weights.safetensors"
    write_checkpoint(weights, "joint", PARTS, *other, change=0.1)
    with pytest.raises(ArtifactMismatchError):
        heads(tmp_path, [weights], store)
    with pytest.raises(ArtifactError, match="nowhere"):
        heads(tmp_path, [tmp_path / "nowhere"], store)
    assert not (tmp_path / "heads.csv").exists()

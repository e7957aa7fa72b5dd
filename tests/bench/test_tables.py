"""The result files, their ratios, and the page made from them."""

import pandas as pd
import pytest

from benchmarks.figure import draw
from benchmarks.job import CONTESTANTS, MIDDLE, SMALL, Job
from benchmarks.machine import machine
from benchmarks.quality import CONTESTANTS as QUALITY_CONTESTANTS
from benchmarks.ratios import all_ratios
from benchmarks.rounds import Measured
from benchmarks.scaling import NFM_CONTESTANTS, active_latents
from benchmarks.steps import ON_CPU, memory_rows, step_rows
from benchmarks.summary import gpu_page, page
from benchmarks.tables import COLUMNS, read_tables, table_of, write_tables
from benchmarks.worker import Memory
from fispace.errors import ArtifactError

MACHINE = {"cores": 2, "threads": 1, "cuda_device": None, "versions": {"torch": "2"}}
SECONDS = {name: 0.1 * (i + 1) for i, name in enumerate(ON_CPU)}


def measured(names):
    return {name: Measured([SECONDS[name]] * 3, Memory(100, 150)) for name in names}


def scaling_rows():
    return [
        {
            "contestant": name, **vars(MIDDLE), "n_latents": n, "active_latents": n, "n_rounds": 3,
            "median_s": 0.1, "us_per_token": float(cost),
        }
        for name in NFM_CONTESTANTS
        for n, cost in ((2048, 10), (16384, 12))
    ]  # fmt: skip


def quality_rows():
    return [
        {
            "run": "testbed", "contestant": name, "d_model": 128, "n_latents": 2048, "k": 32,
            "batch_tokens": 1024, "n_tokens": 10_240, "lr": lr, "seed": seed,
            "fvu": fvu * (1 + i), "seconds": 5.0,
        }
        for i, name in enumerate(QUALITY_CONTESTANTS)
        for lr, fvu in ((1e-3, 0.02), (1e-2, 0.01))
        for seed in (0, 1)
    ]  # fmt: skip


def data_rows():
    rates = {"loader": 900.0, "fastest arm": 100.0, "extraction": 30.0, "bare forward pass": 20.0}
    return [
        {"what": what, "quantity": "tokens_per_s", "value": rate} for what, rate in rates.items()
    ]


@pytest.fixture
def tables():
    sizes = SMALL, MIDDLE
    rows = {
        "steps": [row for size in sizes for row in step_rows("cpu", size, measured(ON_CPU))],
        "memory": [row for size in sizes for row in memory_rows("cpu", size, measured(ON_CPU))],
        "scaling": scaling_rows(),
        "quality": quality_rows(),
        "data": data_rows(),
    }
    return {name: table_of(name, found) for name, found in rows.items()}


def test_tables_survive_writing_and_reading(tables, tmp_path):
    write_tables(tmp_path, tables)
    read = read_tables(tmp_path)
    assert {name: tuple(table.columns) for name, table in read.items()} == dict(COLUMNS)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(read[name], table)


def test_a_row_with_another_column_is_refused():
    with pytest.raises(ValueError, match="host"):
        table_of("scaling", [scaling_rows()[0] | {"host": "here"}])


def test_a_table_of_another_version_is_refused(tables, tmp_path):
    write_tables(tmp_path, tables)
    tables["steps"].drop(columns="min_s").to_csv(tmp_path / "steps.csv", index=False)
    with pytest.raises(ArtifactError, match="make bench"):
        read_tables(tmp_path)


def test_the_machine_is_named_by_its_cores_only():
    assert set(machine()) == {"cores", "threads", "cuda_device", "versions"}


def test_ratios_are_of_medians_at_the_middle_size(tables):
    found = {ratio.what: ratio.value for ratio in all_ratios(tables)}
    expected = SECONDS["saelens"] / SECONDS["fispace_sae"]
    label = CONTESTANTS["nfm_row_sparse"].label
    assert found["SAELens's step over our SAE step"] == pytest.approx(expected)
    assert found[f"NFM parts, {label}: 2,048 to 16,384 latents"] == pytest.approx(1.2)
    one, other = (
        (CONTESTANTS[name].label, 1 + QUALITY_CONTESTANTS.index(name))
        for name in ("fispace_like_saelens", "saelens")
    )
    for where in ("at lr 0.001", "each at its best lr"):
        what = f"testbed, 2,048 latents: FVU of {one[0]}, over {other[0]}, {where}"
        assert found[what] == pytest.approx(one[1] / other[1])
    assert found["tokens a second, loader over fastest arm"] == 9.0


def test_frequent_latents_crowd_out_rare_ones():
    job = Job("nfm_row_sparse", SMALL, n_steps=1, lr=1e-3, seed=0)
    skewed = Job("nfm_row_sparse_skewed", SMALL, n_steps=1, lr=1e-3, seed=0)
    assert active_latents(skewed) <= active_latents(job) == SMALL.n_latents


def test_the_page_says_what_was_not_measured(tables):
    text = page(tables, MACHINE)
    taken, ours = SECONDS["saelens"], SECONDS["fispace_sae"]
    cell = f"{1000 * taken:.0f} ({taken / ours:.2f})"
    assert f"| SAELens | {cell} | {cell} | 50 |" in text


def test_the_page_of_a_gpu_names_the_card_and_shows_every_size(tables):
    seconds = {name: Measured([2.0], Memory(0, 9000)) for name in ("fispace_joint", "saelens")}
    found = {
        name: table_of(
            name, [row for size in (SMALL, MIDDLE) for row in rows("cuda", size, seconds)]
        )
        for name, rows in (("steps", step_rows), ("memory", memory_rows))
    }
    text = gpu_page(found | {"quality": tables["quality"]}, MACHINE | {"cuda_device": "A card"})
    assert text.count("| fispace, joint | 2,000.00 | 2,048 | 9,000 |") == 2
    assert "A card; torch 2." in text


def test_the_figure_draws_all_panels(tables):
    assert len(draw(tables).axes) == 3

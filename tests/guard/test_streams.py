"""One tree of random streams: recorded, and blind to what else a study holds."""

import json

import pandas as pd
from guard.conftest import RUN, SmallRun

from fispace.provenance.records import records_in
from fispace.seeds import numpy_stream
from fispace.store.tables import read_table

AT = f"results/{RUN}"
STORE = {"manifest": f"{AT}/extract/manifest.json"}
BOTH = STORE | {"standardiser": f"{AT}/extract/standardiser.safetensors"}
ROW = {"parts": ["sae", "bias"], "frozen_sae_from": None, "pooling": None, "matched_to": None}


def streams_of(small: SmallRun, name: str) -> list[str]:
    path = small.file(name)
    (record,) = (one for one in records_in(path.parent) if path.name in one.outputs)
    return record.streams


def test_records_name_the_streams_that_a_result_was_drawn_from(small):
    root = small.study["root_seed"]
    assert streams_of(small, "extract/standardiser.safetensors") == []
    trained = streams_of(small, "train/sae/seed0.safetensors")
    assert {f"{root}/train/0/order", f"{root}/train/0/dropout/sae"} <= set(trained)
    assert not any("sae" in name for name in trained if name.endswith("order"))
    assert f"{root}/fidelity/bootstrap/test" in streams_of(small, "fidelity/summary.parquet")


def measured(small: SmallRun, arm: str, seed: int) -> dict[str, str]:
    """Train an arm that is not in the small run, and measure it."""
    at, row = f"{AT}/train/{arm}/seed{seed}", ROW if arm != "sae" else ROW | {"parts": ["sae"]}
    made = {"documents": f"{AT}/fidelity/{arm}/seed{seed}.parquet",
            "latents": f"{AT}/fidelity/{arm}/seed{seed}.latents.parquet"}  # fmt: skip
    codes = [
        small.call("train", "arm", arm=arm, row=json.dumps(row), seed=seed, chosen=f"{AT}/train/lr.json",
                   **BOTH, scratch="scratch/other", checkpoint_seconds=60,
                   weights=f"{at}.safetensors", curve=f"{at}.curve.parquet",
                   lifecycle=f"{at}.lifecycle.parquet"),
        small.call("fidelity", "arm", arm=arm, seed=seed, weights=f"{at}.safetensors", **BOTH, **made,
                   positions=f"{AT}/fidelity/{arm}/seed{seed}.positions.parquet"),
    ]  # fmt: skip
    assert codes == [0, 0]
    return made


def of_the_first(table: pd.DataFrame) -> pd.DataFrame:
    mine = table[(table["arm"] == "sae") & (table["seed"] == 0)]
    assert len(mine)
    return mine.reset_index(drop=True)


def test_another_arm_and_another_seed_change_no_number_of_those_that_were_there(small):
    names = ["train/sae/seed0.safetensors", "fidelity/sae/seed0.parquet"]
    before = {name: small.file(name).read_bytes() for name in names}
    alone = read_table(small.file("fidelity/summary.parquet"))
    more = [measured(small, "another", 0), measured(small, "sae", 1)]
    measured(small, "sae", 0)  # again, after the others
    assert {name: small.file(name).read_bytes() for name in names} == before
    tables = {"documents": [f"{AT}/fidelity/sae/seed0.parquet"],
              "latents": [f"{AT}/fidelity/sae/seed0.latents.parquet"]}  # fmt: skip
    for one in more:
        tables = {key: [*tables[key], one[key]] for key in tables}
    assert small.call("fidelity", "summary", **tables, bounds=f"{AT}/fidelity/bounds.parquet",
                      summary="together.parquet", table="together.csv") == 0  # fmt: skip
    together = read_table(small.path / "together.parquet")
    assert set(zip(together["arm"], together["seed"], strict=True)) > {("another", 0), ("sae", 1)}
    pd.testing.assert_frame_equal(of_the_first(together), of_the_first(alone))


def test_arms_of_a_seed_see_the_same_data_in_the_same_order(small):
    measured(small, "another", 0)
    one, other = (streams_of(small, f"train/{arm}/seed0.safetensors") for arm in ("sae", "another"))
    assert set(one) ^ set(other) == {
        name for name in {*one, *other} if name.endswith(("dropout/sae", "dropout/another"))
    }


def test_a_stream_is_the_same_whatever_was_drawn_before_it():
    first = numpy_stream(1, "train", 0, "order").random(4).tolist()
    numpy_stream(1, "train", 1, "order").random(1000)
    assert numpy_stream(1, "train", 0, "order").random(4).tolist() == first

"""Parameters that another one leaves without effect or without data are refused, each with its limit."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fispace.errors import ParamsError
from fispace.study.params import load_study

ROOT = Path(__file__).parents[2]
AUX = {"k": 8, "coefficient": 0.03, "dead_tokens": 1000}


def loaded(tmp_path: Path, overlay: dict[str, Any]) -> dict[str, Any]:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(overlay))
    return load_study(ROOT, [ROOT / "params/tiny.yaml", path])


BROKEN = [
    ({"train": {"batch_tokens": 40001, "n_tokens": 50000}, "factorial": {"secondary": {"n_tokens": 50000}}},
     "train.batch_tokens=40001 must be <= 40000"),
    ({"geometry": {"batch_tokens": 2049}}, "geometry.batch_tokens=2049 must be <= 2048"),
    ({"train": {"val_every": 30}}, "train.val_every=30 must be a multiple of log_every=20"),
    ({"train": {"aux_k": AUX | {"dead_tokens": 40001}}}, "dead_tokens=40001 must be <= 40000"),
    ({"train": {"aux_k": AUX | {"k": 129}}}, "train.aux_k.k=129 must be <= 128"),
    ({"factorial": {"secondary": {"k": 129}}}, "factorial.secondary.k=129 must be <= 128"),
    ({"factorial": {"n_candidates": 43}}, "factorial.n_candidates=43 must be <= 42"),
    ({"factorial": {"calibration": {"n_latents": 2}}}, "factorial.n_candidates=3 must be <= 2"),
    ({"factorial": {"calibration": {"n_mixed": 41}}}, "calibration.n_mixed=41 must be <= 40"),
    ({"factorial": {"alpha": 0.001}}, "n_permutations=200 sign flips give no p below 0.005"),
    ({"factorial": {"n_permutations": 19, "alpha": 0.04}}, "n_permutations=19 sign flips"),
    ({"fidelity": {"n_bootstrap": 39}}, "fidelity.n_bootstrap=39 resamples are too few for an interval"),
    ({"report": {"confidence": 0.999}}, "report.n_bootstrap=1000 resamples are too few for an interval"),
    ({"factorial": {"select_fraction": 0.95}}, "leaves 15 of testbed.battery.n_items=16 items"),
    ({"factorial": {"select_fraction": 0.05}}, "leaves 1 of testbed.battery.n_items=16 items"),
    ({"lm": {"hook_point": 3}}, "lm.hook_point=3 must be < testbed.lm.n_blocks=3"),
    ({"extract": {"window_tokens": 257}}, "extract.window_tokens=257 must be <= testbed.lm.n_positions=256"),
    ({"extract": {"min_window_tokens": 65}}, "extract.min_window_tokens=65 must be <= window_tokens=64"),
    ({"extract": {"text": {"source": "txt", "path": "a", "delimiter": "("}}}, "is not a regular expression"),
    ({"extract": {"text": {"path": "a.txt"}}}, "extract.text.path: must be null"),
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "said"), BROKEN, ids=[said[:40] for _, said in BROKEN])
def test_a_limit_that_is_broken_is_named_with_both_parameters(overlay, said, tmp_path):
    with pytest.raises(ParamsError) as caught:
        loaded(tmp_path, overlay)
    assert said in str(caught.value)


KEPT = [
    {"train": {"batch_tokens": 40000, "n_tokens": 50000}, "factorial": {"secondary": {"n_tokens": 50000}}},
    {"geometry": {"batch_tokens": 2048}},
    {"train": {"log_every": 7, "val_every": 21}},
    {"train": {"log_every": 10**6, "val_every": 10**6}},
    {"train": {"aux_k": AUX | {"dead_tokens": 40000, "k": 128}}},
    {"factorial": {"n_candidates": 20}},
    {"factorial": {"select_fraction": 0.125}},
    {"extract": {"window_tokens": 256, "min_window_tokens": 256}},
    {"fidelity": {"n_bootstrap": 40}},
]  # fmt: skip


@pytest.mark.parametrize("overlay", KEPT, ids=str)
def test_a_parameter_may_reach_its_limit(overlay, tmp_path):
    loaded(tmp_path, overlay)


@pytest.mark.parametrize("name", ["tiny", "pythia-70m", "openllama-3b"])
def test_every_study_of_the_repository_keeps_the_limits(name):
    load_study(ROOT, [ROOT / f"params/{name}.yaml"])


def test_the_studies_of_the_fault_harness_keep_the_limits():
    load_study(ROOT, [ROOT / "params/tiny.yaml", ROOT / "tests/faults/smaller.yaml"])

"""The workflow of a study whose arms are tuned: who is tried, on what, and what each training reads."""

import re
from pathlib import Path

import pytest
from workflow.conftest import Folder

HEAD = "{sae: 1.0, linear: 1.0, interaction: %s, dropout: 0.0, init: {factors: 0.2, linear: 0.01, mlp: 0.2}}"
HEADS = f"[{HEAD % 1.0}, {HEAD % 0.3}]"
OVERLAY = f"""run: mine
train:
  tuned: true
  lr_search_seed: 7
  tuning: {{heads: {HEADS}}}
  audit: {{switches: {{untuned: {{tuned: false}}}}}}
"""


@pytest.fixture
def study(copy: Folder, tmp_path: Path) -> Folder:
    """A copy of the repository with an overlay that tunes the arms of the tiny study."""
    made = copy.copied_to(tmp_path / "study", "results", "logs", ".snakemake")
    (made.path / "mine.yaml").write_text(OVERLAY)
    return made


def planned(folder: Folder, target: str) -> str:
    return folder.snakemake(target, "-n", "-p", "--config", "overlay=[params/tiny.yaml,mine.yaml]")


def inputs(plan: str, output: str) -> str:
    """Inputs of the job with this output."""
    jobs = re.split(r"\n(?=rule |localrule )", plan)
    (job,) = (job for job in jobs if re.search(rf"output: .*{re.escape(output)}", job))
    return re.search(r"input: (.*)", job).group(1)  # type: ignore[union-attr]


def test_every_arm_has_as_many_tries_and_is_trained_with_its_own_settings(study):
    plan = planned(study, "full")
    tries = re.findall(r"output: results/mine/train/tries/([a-z_]+)/([0-9])\.curve", plan)
    arms = {arm for arm, _ in tries}
    assert {"sae", "joint", "sae_matched", "mlp_probe", "sequential_shuffled"} <= arms
    assert sorted(tries) == sorted((arm, number) for arm in arms for number in "01")
    for arm in ("joint", "sae_matched"):
        assert f"train/tuned/{arm}.json" in inputs(
            plan, f"results/mine/train/{arm}/seed0.safetensors"
        )
    assert "train/full/tuning.csv" in plan


def test_tries_over_a_frozen_sae_read_one_of_the_seed_of_the_tries(study):
    plan = planned(study, "train")
    assert "train/sae/seed7.safetensors" in inputs(plan, "tries/sequential/0.curve.parquet")
    assert "seed7" not in inputs(plan, "train/sequential/seed0.safetensors")


def test_the_audit_can_switch_tuning_off(study):
    plan = planned(study, "full")
    read = inputs(plan, "train/audit/untuned/joint/seed0.safetensors")
    assert "train/lr.json" in read and "tuned" not in read.replace("audit/untuned", "")

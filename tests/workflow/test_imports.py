"""The workflow of a study with an imported arm."""

import re
from pathlib import Path

import pytest
from workflow.conftest import Folder

ROW = "{target: all, parts: [sae, bias], frozen_sae_from: theirs, pooling: null, matched_to: null}"
OVERLAY = f"run: mine\ntrain: {{arms: {{theirs: {{import: theirs}}, over_theirs: {ROW}}}}}\n"


@pytest.fixture
def study(copy: Folder, tmp_path: Path) -> Folder:
    """A copy of the repository with an overlay that imports the folder `theirs`."""
    made = copy.copied_to(tmp_path / "study", "results", "logs", ".snakemake")
    (made.path / "mine.yaml").write_text(OVERLAY)
    return made


def jobs(folder: Folder, **options: bool) -> str:
    overlays = "overlay=[params/tiny.yaml,mine.yaml]"
    return folder.snakemake("-n", "--quiet", "rules", "--config", overlays, **options)


def test_an_imported_arm_is_not_trained_and_has_all_that_other_arms_have(study):
    folder = study.path / "theirs"
    folder.mkdir()
    for name in ("cfg.json", "sae.safetensors"):
        (folder / name).write_text("{}")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", jobs(study), re.MULTILINE))
    n_seeds = int(counts["train_import"])
    assert n_seeds == 2 and int(counts["train_arm"]) == 7 * n_seeds
    assert int(counts["geometry_arm"]) >= 1 and "fidelity_arm" in counts


def test_a_folder_that_holds_no_sae_stops_before_the_first_job(study):
    said = jobs(study, ok=False)
    assert (
        "train.arms.theirs.import='theirs' is not a folder that holds an SAE. Give a folder" in said
    )
    assert "Traceback" not in said

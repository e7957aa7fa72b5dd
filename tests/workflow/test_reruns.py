"""What an edit plans to run again in the finished tiny study, and what not."""

import re

import pytest

pytestmark = pytest.mark.slow


def test_another_arm_or_seed_plans_no_training_of_those_that_are_there(finished):
    def planned(setting: str) -> set[str]:
        said = finished.snakemake("-n", "--config", f"train={{{setting}}}")
        return set(re.findall(r"^    output: results/testbed/train/(\w+/seed\d)\.", said, re.M))

    arm = (
        "{target: all, parts: [sae, bias], frozen_sae_from: null, pooling: null, matched_to: null}"
    )
    assert planned(f"arms: {{another: {arm}}}") == {"another/seed0", "another/seed1"}
    assert {name.split("/")[1] for name in planned("seeds: [0, 1, 5]")} == {"seed5"}


CLAIMED = {"report_claims", "report_claims_plot", "report_draw", "report_explanations"}
CLAIMED |= {"report_summary", "report_page"}
SUMMARISED = {"geometry_summary", "report_quantities", "report_arms", "report_health", *CLAIMED}
MEASURED = {
    "geometry_arm",
    "geometry_history",
    "geometry_plots",
    "report_draw_geometry",
    *SUMMARISED,
}
DRAWN = {
    f"report_draw{kind}"
    for kind in ("", "_factorial", "_fidelity", "_geometry", "_interactions", "_modules")
}
UNTRAINED = {
    "testbed_corpus", "testbed_lm", "extract_activations", "extract_standardiser",
    "factorial_activations", "factorial_battery", "fidelity_ablation_baselines", "report_diagrams",
    "report_draw_modules",
}  # fmt: skip
CODE = "\n\nADDED = 1\n"
EDITS = {
    "a figure's parameter": (
        "params.yaml", "density_points: 96", "density_points: 80",
        {"geometry_plots", "report_draw_geometry", "report_summary", "report_page"},
    ),
    "a measurement's parameter": (
        "params.yaml", "group_threshold: 0.2", "group_threshold: 0.3", MEASURED,
    ),
    "a step's code": ("src/fispace/chapters/geometry/summary.py", "", CODE, SUMMARISED),
    "code that a step imports": (
        "src/fispace/stats/intervals.py", "", CODE, {*CLAIMED, "report_arms"},
    ),
    "code that an import imports": ("src/fispace/stats/bimodality.py", "", CODE, MEASURED),
    "code of the figures": (
        "src/fispace/plotting/style.py", "", CODE,
        {*DRAWN, "report_summary", "report_arms", "report_page"},
    ),
    "a style of the pages": ("src/fispace/html/assets/report.css", "", "\n", {"report_page"}),
    "code of every training": ("src/fispace/models/optimiser.py", "", CODE, None),
    "a claim": ("workflow/claims.yaml", "", "\n# another text\n", CLAIMED),
    "a comment": ("src/fispace/models/optimiser.py", "", "\n# a comment\n", set()),
    "a docstring": ("src/fispace/models/optimiser.py", '"""', '"""Said otherwise: ', set()),
}  # fmt: skip


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_reruns_the_rules_that_depend_on_it_and_no_other(finished, tmp_path, kind):
    def planned(*options: str) -> set[str]:
        said = folder.snakemake("-n", "--quiet", "rules", *options)
        return set(re.findall(r"^(\w+) +\d+$", said, re.MULTILINE)) - {"all", "total"}

    name, old, new, expected = EDITS[kind]
    folder = finished.copied_to(tmp_path / "study")
    if old:
        folder.edit(name, old, new)
    else:
        path = folder.path / name
        path.write_text(path.read_text() + new)
    if expected is None:
        expected = planned("--forceall") - UNTRAINED
    assert planned() == expected


def test_another_interval_between_checkpoints_reruns_nothing(finished):
    def planned(setting: str) -> str:
        return finished.snakemake("-n", "--quiet", "rules", "--config", f"train={{{setting}}}")

    assert "train_arm" in planned("log_every: 10")  # so the value given does count
    assert "Nothing to be done" in planned("checkpoint_seconds: 7")

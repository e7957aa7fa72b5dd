"""The tiny study for real: from nothing to the end, again, through DVC, and after a kill."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from guard.conftest import SIZES, write_corpus
from workflow.altered import ALTERATIONS, altered, flip, named_in, one_of_each_kind, swapped
from workflow.conftest import Folder, odd_surroundings, steps

from fispace.provenance.lineage import COPIED, read_run
from fispace.study.params import merged

pytestmark = pytest.mark.slow

KILL_WHEN = "train/sae/seed0.safetensors"
PATIENCE_SECONDS = 900


def commit(folder: Folder) -> None:
    folder.git("add", "-A")
    folder.git("commit", "-qm", "state")


def nothing_to_do(folder: Folder) -> None:
    output = folder.snakemake()
    assert "Nothing to be done" in output
    assert steps(output) == []


def test_the_study_runs_from_nothing_to_claims_and_figures(finished):
    results = finished.results()
    for name in ("report/claims.csv", "report/summary.md", "fidelity/summary.csv"):
        assert results[name]
    figures = [Path(name) for name in results if Path(name).parent == Path("report/figures")]
    assert {path.suffix for path in figures} == {".csv", ".svg", ".pdf"}
    assert not [name for name in results if Path(name).name.startswith(".")]
    assert not (finished.path / "scratch").exists() or not any(
        path.is_file() for path in (finished.path / "scratch").rglob("*")
    )


def test_a_finished_run_is_verified_and_names_what_made_it(finished):
    source = {"PYTHONPATH": str(finished.path / "src")}
    assert "are as they were made" in finished.run("fispace", "verify", "testbed", **source)
    made = json.loads((finished.path / "logs/testbed/run.json").read_text())
    assert made["ended"] and made["seconds"]["train/joint/seed0"] > 0
    assert set(made["promised"]) <= {f"results/testbed/{name}" for name in finished.results()}


def test_a_repeated_run_computes_nothing(finished):
    nothing_to_do(finished)


def copied_elsewhere(finished: Folder, path: Path) -> Folder:
    """The results, as a user takes them to another clone: without what tools keep beside them."""
    return finished.copied_to(path, ".snakemake", "logs", "scratch", ".git", ".dvc")


def test_a_run_copied_to_another_clone_is_refused_until_synced_and_then_kept(finished, tmp_path):
    folder = copied_elsewhere(finished, tmp_path / "clone")
    said = folder.snakemake(ok=False)
    assert "`python workflow/sync.py` accepts" in said
    assert steps(said) == []
    n_results = len([name for name in finished.results() if "/.provenance/" not in name])
    assert f"accepted {n_results} files" in folder.sync()
    nothing_to_do(folder)
    assert folder.results() == finished.results()


def test_of_a_copied_run_what_is_not_proven_is_named_kept_and_discarded_on_demand(
    finished, tmp_path
):
    folder = copied_elsewhere(finished, tmp_path / "clone")
    results = folder.path / "results/testbed"
    flip(results / "train/joint/seed1.safetensors")
    (results / "train/notes.txt").write_text("mine")
    before = folder.results()
    done = folder.script("sync.py")
    assert done.returncode == 1
    assert "joint/seed1.safetensors: its bytes are not those that `train arm` wrote" in done.stdout
    assert "train/notes.txt: no rule of this study makes it" in done.stdout
    assert folder.results() == before
    assert folder.script("sync.py", "--discard").returncode == 0
    ran = steps(folder.snakemake())
    assert ran.count("train arm") == 1
    assert not {"testbed lm", "extract activations", "train candidate"} & set(ran)
    assert folder.results() == finished.results()


ODD = 'a{b} {c,d} it\'s "q" $HOME `x` \\ ü;&|'


def test_a_users_files_of_any_name_run_and_are_followed_by_content(copy, lm_folders):
    home = copy.path / ODD
    shutil.copytree(lm_folders["llama"], home / "model")
    write_corpus(home / "-t.jsonl")
    local = yaml.safe_load((copy.path / "params/local.yaml").read_text())
    sizes = {name: SIZES[name] for name in ("extract", "train", "fidelity", "geometry")}
    (home / "my.yaml").write_text(yaml.safe_dump(merged(local, sizes) | {"run": "mine"}))
    given = [f"{key}={ODD}/{name}" for key, name in
             (("overlay", "my.yaml"), ("model", "model"), ("text", "-t.jsonl"))]  # fmt: skip
    extract = ["extract", "--config", *given]
    ran = steps(copy.snakemake(*extract, HOME="/proc/none"))
    assert ran == ["extract activations", "extract standardiser"]
    assert "Nothing to be done" in copy.snakemake(*extract)
    os.utime(home / "-t.jsonl")
    assert "Nothing to be done" in copy.snakemake(*extract)
    write_corpus(home / "-t.jsonl", seed=1)
    assert "extract_activations" in copy.snakemake(*extract, "-n")
    copy.git("init", "-q")  # DVC works in repositories alone
    done = copy.script("stages.py", "--config", *given)
    assert done.returncode == 0, done.stdout
    assert "extract" in copy.dvc("stage", "list", "studies/mine/dvc.yaml")


def test_a_failed_job_says_why_once_and_its_log_begins_with_the_command(copy):
    (copy.path / "t.jsonl").write_text("")
    given = ["overlay=params/local.yaml", "model=./absent", "text=t.jsonl"]
    said = copy.snakemake("extract", "--config", *given, ok=False)
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "absent does not exist" in line
    assert '"window_tokens"' not in said
    assert said.count("python -m fispace") == 1
    log = (copy.path / "logs/local/extract/activations.log").read_text().splitlines()
    assert log[0].startswith("+ python -m fispace extract activations --params '{")
    assert log[-1] == line


@pytest.mark.parametrize("way", [*ALTERATIONS, "swapped"])
def test_every_kind_of_artefact_that_is_altered_is_named_with_what_to_rerun(
    finished, tmp_path, way
):
    folder = finished.copied_to(tmp_path / "study", ".snakemake")
    kinds = one_of_each_kind(folder)
    assert {path.suffix for pair in kinds.values() for path in pair} >= {
        ".parquet", ".safetensors", ".json", ".csv", ".svg", ".pdf", ".md"
    }  # fmt: skip
    touched = swapped(kinds) if way == "swapped" else altered(kinds, way)
    assert len(touched) > 20
    source = {"PYTHONPATH": str(folder.path / "src")}
    said = folder.run("fispace", "verify", "testbed", ok=False, **source)
    for rule, path in touched:
        finding = "missing" if way == "deleted" else "changed"
        assert named_in(said, finding, rule, path.relative_to(folder.path)), path


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


def test_results_name_no_folder_of_this_machine(finished):
    here = [str(finished.path).encode(), str(Path(sys.prefix)).encode()]
    for name, content in finished.results().items():
        if not name.startswith("testbed/lm/"):
            assert not [word for word in here if word in content], name


REDRAWN = {"geometry plots", "report draw", "report summary", "report page"}


@pytest.fixture(scope="module")
def tools(finished, tmp_path_factory) -> Folder:
    """A copy of the finished study that both tools have seen, committed."""
    folder = finished.copied_to(tmp_path_factory.mktemp("tools") / "study")
    assert steps(folder.dvc("repro")) == []  # DVC takes over what Snakemake made
    commit(folder)
    return folder


def test_deleted_results_come_back_byte_for_byte_in_other_surroundings(finished, tools, tmp_path):
    for name in ("report", "factorial", "geometry/joint", "fidelity/joint"):
        shutil.rmtree(tools.path / "results/testbed" / name)
    assert len(steps(tools.snakemake(**odd_surroundings(tmp_path)))) > 20
    assert tools.results() == finished.results()


def test_going_from_one_tool_to_the_other_recomputes_nothing(tools):
    nothing_to_do(tools)
    assert steps(tools.dvc("repro")) == []
    assert "up to date" in tools.dvc("status")


def test_a_changed_figure_setting_redraws_and_retrains_nothing(tools):
    tools.edit("params.yaml", "density_points: 96", "density_points: 80")
    ran = steps(tools.dvc("repro"))
    assert set(ran) == REDRAWN
    nothing_to_do(tools)
    commit(tools)


def test_a_comment_runs_no_step_under_either_tool(tools):
    source = tools.path / "src/fispace/seeds.py"
    source.write_text(source.read_text() + "# a comment\n")
    nothing_to_do(tools)
    assert steps(tools.dvc("repro")) == []
    commit(tools)


def test_an_older_state_checked_out_is_refused_until_synced_and_then_kept(tools):
    tools.git("checkout", "-q", "HEAD~2")
    tools.dvc("checkout")
    message = tools.snakemake(ok=False)
    assert "workflow/sync.py" in message
    assert steps(message) == []
    tools.sync()
    nothing_to_do(tools)
    assert "up to date" in tools.dvc("status")
    tools.git("checkout", "-q", "-")
    tools.dvc("checkout")
    tools.sync()
    nothing_to_do(tools)


def test_a_parameter_edited_between_checkout_and_dvc_publishes_nothing_stale(tools):
    tools.git("checkout", "-q", "HEAD~2")
    tools.dvc("checkout")
    tools.edit("params.yaml", "density_points: 96", "density_points: 64")
    ran = steps(tools.dvc("repro"))
    assert set(ran) == REDRAWN
    nothing_to_do(tools)
    tools.git("checkout", "-qf", "-")
    tools.dvc("checkout", "--force")
    tools.sync()


def test_a_fresh_clone_with_pulled_results_computes_nothing(tools, tmp_path):
    tools.dvc("remote", "add", "--local", "--default", "--force", "shelf", str(tmp_path / "shelf"))
    tools.dvc("push")
    tools.git("clone", "-q", str(tools.path), str(tmp_path / "clone"))
    shutil.copy(tools.path / ".dvc/config.local", tmp_path / "clone/.dvc/config.local")
    clone = Folder(tmp_path / "clone")
    clone.dvc("pull")
    source = clone.path / "src/fispace/seeds.py"  # DVC alone would call every stage stale
    source.write_text(source.read_text() + "# another comment\n")
    clone.sync()
    nothing_to_do(clone)
    assert steps(clone.dvc("repro")) == []
    assert clone.results() == tools.results()


def test_metrics_plots_and_parameters_are_shown_and_compared_as_dvc_users_expect(tools):
    assert "published" in tools.dvc("metrics", "show", "--json")
    tools.dvc("plots", "show", "--out", "plots")
    tools.edit("params.yaml", "  mixture_spread: 0.2", "  mixture_spread: 0.3")
    assert "report.mixture_spread" in tools.dvc("params", "diff")
    tools.git("checkout", "-q", "params.yaml")
    ran = steps(tools.dvc("exp", "run", "-S", "report.confidence=0.9"))
    assert {step.split()[0] for step in ran} == {"report"}
    assert "claims.json" in tools.dvc("metrics", "diff")
    tools.git("checkout", "-q", "params.yaml", "dvc.lock")
    tools.dvc("checkout", "--force")
    tools.sync()


def test_the_reference_holds_what_a_reader_wants_to_see(tools):
    def kept_by_reference() -> set[str]:
        done = tools.script("reference.py")
        assert done.returncode == 0
        assert ("left out" in done.stdout) == (not (results / "factorial/calibration.csv").exists())
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    results, folder = tools.path / "results/testbed", tools.path / "results/reference/testbed"
    without_full = kept_by_reference()
    assert "gain_over_matched" not in (tools.path / "README.md").read_text()
    tools.snakemake("full")
    kept = kept_by_reference()
    names = ("calibration", "planted", "gain_curve", "arm_controls", "claims_full", "audit")
    figures = {f"report/figures/{name}.svg" for name in names}
    tables = {"factorial/calibration.csv", "testbed/planted.csv", "report/full/claims.csv"}
    assert figures | tables | {"report/full/summary.md"} <= kept - without_full
    assert "gain_over_matched" in (tools.path / "README.md").read_text()
    assert without_full < kept
    assert {"report/claims.csv", "report/summary.md", "testbed/floor.json"} <= kept
    kinds = {".csv", ".svg", ".pdf", ".md", ".json", ".jsonl"}
    assert {Path(name).suffix for name in kept} == kinds
    copied = kept - {COPIED}
    assert all((folder / name).read_bytes() == tools.results()[name] for name in copied)
    run = read_run(folder)
    assert copied <= run.makers.keys() == read_run(results).makers.keys()


def test_an_incomplete_run_gives_no_reference(copy):
    done = copy.script("reference.py")
    assert done.returncode == 1
    assert "nothing was copied" in done.stdout
    assert not (copy.path / "results/reference").exists()


def test_the_files_of_a_removed_seed_are_deleted_and_no_training_runs(tools):
    tools.edit("params.yaml", "  seeds:\n  - 0\n  - 1\n", "  seeds:\n  - 0\n")
    assert steps(tools.dvc("repro", "train")) == ["train validation"]  # the table of all seeds
    left = [name for name in tools.results() if name.startswith("train/")]
    assert "train/joint/seed0.safetensors" in left
    assert not [name for name in left if "seed1" in name]


def wait_until(happens, process: subprocess.Popen) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert process.poll() is None, "the workflow ended before the kill"
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_killed_run_is_locked_then_continues_to_the_same_bytes(finished, tmp_path):
    folder = finished.copied_to(tmp_path / "study", "results", "scratch", ".snakemake", "logs")
    command = [sys.executable, "-m", "snakemake", "train"]
    process = subprocess.Popen(
        command, cwd=folder.path, env=folder.env(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until((folder.path / "results/testbed" / KILL_WHEN).exists, process)
    second = folder.snakemake("train", ok=False)
    assert "LockException" in second
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    folder.snakemake("--unlock")
    ran = steps(folder.snakemake("train"))
    assert ran
    assert not {"testbed lm", "extract activations", "train candidate"} & set(ran)
    expected = finished.results()
    assert all(content == expected[name] for name, content in folder.results().items())
    assert not [
        name for name in expected if name.startswith("train/") and name not in folder.results()
    ]

"""The finished tiny study under Snakemake and DVC in turn, in one folder: its tests build on one another."""

import shutil
from pathlib import Path

import pytest
from workflow.conftest import Folder, nothing_to_do, steps

from fispace.provenance.lineage import COPIED, read_run

pytestmark = pytest.mark.slow


def commit(folder: Folder) -> None:
    folder.git("add", "-A")
    folder.git("commit", "-qm", "state")


REDRAWN = {"geometry plots", "report draw", "report summary", "report page"}


@pytest.fixture(scope="module")
def tools(finished, tmp_path_factory) -> Folder:
    """A copy of the finished study that both tools have seen, committed."""
    folder = finished.copied_to(tmp_path_factory.mktemp("tools") / "study")
    assert steps(folder.dvc("repro")) == []  # DVC takes over what Snakemake made
    commit(folder)
    return folder


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
    ran = steps(tools.dvc("exp", "run", "-S", "report.smallest_share=0.9"))
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
    donor = "train/sae/"  # its codes plant the products of `interactions power`, target full
    assert {name.startswith(donor) for name in left if "seed1" in name} <= {True}

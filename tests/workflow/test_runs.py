"""The tiny study for real: from nothing to the end, again, in another clone, and after a kill."""

import json
import os
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
from workflow.conftest import Folder, nothing_to_do, odd_surroundings, steps

from fispace.study.params import merged

pytestmark = pytest.mark.slow

KILL_WHEN = "train/sae/seed0.safetensors"
PATIENCE_SECONDS = 900


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


def test_of_a_copied_run_what_is_not_proven_is_discarded_and_comes_back_in_other_surroundings(
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
    for name in ("report", "factorial"):  # what is deleted comes back as well
        shutil.rmtree(results / name)
    ran = steps(folder.snakemake(**odd_surroundings(tmp_path)))
    assert len(ran) > 20
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


def test_results_name_no_folder_of_this_machine(finished, shared_temp):
    assert finished.path.is_relative_to(shared_temp)  # as is the folder in which the study ran
    here = [str(shared_temp).encode(), str(Path(sys.prefix)).encode()]
    for name, content in finished.results().items():
        if not name.startswith("testbed/lm/"):
            assert not [word for word in here if word in content], name


def wait_until(happens, process: subprocess.Popen) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert process.poll() is None, "the workflow ended before the kill"
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_killed_run_is_locked_then_continues_to_the_same_bytes(finished, tmp_path):
    folder = finished.copied_to(tmp_path / "study", "scratch", "logs")
    results = folder.path / "results/testbed"
    weights = sorted(results.glob("train/*/seed0.safetensors"))
    for part in set(results.iterdir()) - {results / "testbed", results / "extract"}:
        shutil.rmtree(part)
    trainings = [str(path.relative_to(folder.path)) for path in weights]
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *trainings], cwd=folder.path, env=folder.env(),
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until((results / KILL_WHEN).exists, process)
    second = folder.snakemake(*trainings, ok=False)
    assert "LockException" in second
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    folder.snakemake("--unlock")
    ran = steps(folder.snakemake(*trainings))
    assert ran
    assert not {"testbed lm", "extract activations", "train candidate"} & set(ran)
    assert len(weights) > 4 and all(path.exists() for path in weights)
    expected = finished.results()
    assert all(content == expected[name] for name, content in folder.results().items())

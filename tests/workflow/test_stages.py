"""The DVC stages of a study: those of dvc.yaml, with its own folders, values and files."""

import shlex
from pathlib import Path

import pytest
import yaml

import stages

ROOT = Path(__file__).parents[2]
LOCAL = ["overlay=params/local.yaml", "model=some {folder}", "text=a b's ${x}.jsonl"]


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    """A folder with what the script reads, and with the files that the local study names."""
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "params").symlink_to(ROOT / "params")
    (tmp_path / "some {folder}").mkdir()
    (tmp_path / "a b's ${x}.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)


def written(run: str, *given: str) -> dict:
    assert stages.main(["--config", *given]) == 0
    return yaml.safe_load(Path(f"studies/{run}/dvc.yaml").read_text())


def test_a_study_has_the_default_stages_in_its_own_folders():
    default = yaml.safe_load(Path("dvc.yaml").read_text())
    made = written("tiny", "overlay=params/tiny.yaml")
    assert set(made["stages"]) == set(default["stages"])
    for name, stage in made["stages"].items():
        like = default["stages"][name]
        assert stage["wdir"] == "../.."
        assert stage["cmd"] == f"{like['cmd']} --config overlay=params/tiny.yaml"
        assert stage["outs"] == [{f"results/tiny/{name}": {"persist": True}}]
        assert stage["params"] == like["params"]
        moved = [dep.replace("results/testbed/", "results/tiny/") for dep in like["deps"]]
        assert stage["deps"] == [*moved, "params/tiny.yaml"]
    assert made["metrics"] == ["../../results/tiny/report/claims.json"]
    assert {path for plot in made["plots"] for path in plot} == {
        f"../../results/tiny/report/figures/{name}.csv" for name in ("reconstruction", "spectrum")
    }


def test_a_study_of_the_users_own_tracks_its_files_and_has_no_testbed():
    made = written("local", *LOCAL)["stages"]
    assert "testbed" not in made
    assert not [dep for stage in made.values() for dep in stage["deps"] if "local/testbed" in dep]
    own = ["params/local.yaml", "some {folder}", "a b's \\${x}.jsonl"]
    for name in ("extract", "fidelity", "factorial"):
        assert made[name]["deps"][-3:] == own
    assert "some {folder}" not in made["train"]["deps"]


def test_dvc_hands_every_value_on_to_snakemake_as_it_was_given():
    from dvc.parsing import DataResolver
    from dvc.repo import Repo

    written("local", *LOCAL)
    repo = Repo.init(no_scm=True)
    content = yaml.safe_load(Path("studies/local/dvc.yaml").read_text())
    resolved = DataResolver(repo, Path("studies/local").absolute().as_posix(), content).resolve()
    words = shlex.split(resolved["stages"]["extract"]["cmd"])
    assert words[-3:] == LOCAL
    assert "a b's ${x}.jsonl" in resolved["stages"]["extract"]["deps"]


def test_the_default_run_and_bad_values_are_refused_in_words(capsys):
    for given, said in (("threads=2", "dvc.yaml itself"), ("overlay=none.yaml", "none.yaml")):
        assert stages.main(["--config", given]) == 1
        assert said in capsys.readouterr().err
    assert not Path("studies").exists()

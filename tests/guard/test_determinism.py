"""Surroundings leave no trace: other hash seed, zone, locale, threads, backend, folder, same bytes."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from guard.conftest import ROOT, SmallRun
from workflow.conftest import OLDER_PROCESSORS, odd_surroundings

MAKE = """
import sys
sys.path[:0] = [{tests!r}, {src!r}]
from pathlib import Path
from guard.conftest import SmallRun, make
make(SmallRun(Path.cwd(), Path({model!r})))
"""
NO_HOME = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "XDG_CONFIG_HOME": "/dev/null"}
"""A home in which nothing can be read or written, for root neither."""
NO_TORCH = """
import multiprocessing, runpy, sys
multiprocessing.set_start_method("fork")  # the drawing processes take this on
sys.modules.update(dict.fromkeys(("torch", "snakemake", "scipy")))  # importing one is an error
sys.argv = ["redraw.py", *sys.argv[1:]]
runpy.run_path("workflow/redraw.py", run_name="__main__")
"""


def run(code: str, folder: Path, env: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, check=False, text=True,
        env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def made_again(made_once: SmallRun, folder: Path, env: dict[str, str]) -> dict[str, bytes]:
    """Results of the small run, made by another process in the folder."""
    shutil.copytree(made_once.path, folder, ignore=shutil.ignore_patterns("results", "logs"))
    code = MAKE.format(tests=str(ROOT / "tests"), src=str(ROOT / "src"), model=str(made_once.model))
    run(code, folder, env)
    return files(folder / "results")


def test_no_step_depends_on_its_surroundings(made_once, tmp_path):
    odd = odd_surroundings(tmp_path) | NO_HOME
    made = made_again(made_once, tmp_path / "ein anderer Ordner, ü", odd)
    assert made == files(made_once.path / "results")


@pytest.mark.parametrize("processor", OLDER_PROCESSORS)
def test_nor_on_an_older_processor_where_the_numbers_are_close_and_the_drawings_the_same(
    made_once, tmp_path, processor
):
    env = OLDER_PROCESSORS[processor]
    made = made_again(made_once, tmp_path / "study", env)
    odd = odd_surroundings(tmp_path) | NO_HOME
    assert made_again(made_once, tmp_path / "other", env | odd) == made
    ours = files(made_once.path / "results")
    assert made.keys() == ours.keys()
    drawings = {name for name in made if name.endswith((".svg", ".pdf"))}
    assert drawings
    assert {name: made[name] for name in drawings} == {name: ours[name] for name in drawings}
    (table,) = (name for name in made if name.endswith("fidelity/summary.csv"))
    one, other = (pd.read_csv(io.BytesIO(results[table])) for results in (made, ours))
    pd.testing.assert_frame_equal(one, other, rtol=0.02, atol=1e-6)


def reference_copy(path: Path) -> Path:
    for name in ("workflow", "src", "benchmarks"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, path / name, ignore=ignored)
    shutil.copytree(ROOT / "results/reference", path / "results/reference")
    return path


@pytest.mark.parametrize(
    ("processor", "studies"), [(None, "*"), ("AVX2", "stories260k"), ("SSE", "testbed")]
)
def test_every_reference_figure_is_redrawn_to_the_committed_bytes_without_torch(
    tmp_path, processor, studies
):
    folder = reference_copy(tmp_path / "clone")
    for path in (folder / "results/reference").iterdir():
        if path.is_dir() and not path.match(studies):
            shutil.rmtree(path)
    before = files(folder / "results")
    drawings = [p for p in (folder / "results").rglob("*") if p.suffix in (".svg", ".pdf")]
    assert len(drawings) >= 16
    for path in drawings:
        path.unlink()
    env = OLDER_PROCESSORS.get(processor, {})
    said = run(NO_TORCH, folder, odd_surroundings(tmp_path) | NO_HOME | env)
    assert files(folder / "results") == before, said


def test_drawings_hold_no_date_and_no_version():
    for path in (ROOT / "results/reference").rglob("*"):
        if path.suffix in (".svg", ".pdf"):
            content = path.read_bytes()
            words = [b"<dc:date>", b"CreationDate", b"ModDate", b"matplotlib.org", b"/Producer"]
            assert not [word for word in words if word in content], path

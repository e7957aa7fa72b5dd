"""Surroundings leave no trace: other hash seed, zone, locale, threads, backend, folder, same bytes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from guard.conftest import ROOT
from workflow.conftest import odd_surroundings

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


def test_no_step_depends_on_its_surroundings(made_once, tmp_path):
    other = tmp_path / "ein anderer Ordner, ü"
    shutil.copytree(made_once.path, other, ignore=shutil.ignore_patterns("results", "logs"))
    code = MAKE.format(tests=str(ROOT / "tests"), src=str(ROOT / "src"), model=str(made_once.model))
    run(code, other, odd_surroundings(tmp_path) | NO_HOME)
    assert files(other / "results") == files(made_once.path / "results")


def reference_copy(path: Path) -> Path:
    for name in ("workflow", "src", "benchmarks"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, path / name, ignore=ignored)
    shutil.copytree(ROOT / "results/reference", path / "results/reference")
    return path


def test_every_reference_figure_is_redrawn_to_the_committed_bytes_without_torch(tmp_path):
    folder = reference_copy(tmp_path / "clone")
    before = files(folder / "results")
    drawings = [p for p in (folder / "results").rglob("*") if p.suffix in (".svg", ".pdf")]
    assert len(drawings) >= 16
    for path in drawings:
        path.unlink()
    said = run(NO_TORCH, folder, odd_surroundings(tmp_path) | NO_HOME)
    assert files(folder / "results") == before, said


def test_drawings_hold_no_date_and_no_version():
    for path in (ROOT / "results/reference").rglob("*"):
        if path.suffix in (".svg", ".pdf"):
            content = path.read_bytes()
            words = [b"<dc:date>", b"CreationDate", b"ModDate", b"matplotlib.org", b"/Producer"]
            assert not [word for word in words if word in content], path

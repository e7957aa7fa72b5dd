"""Copies of the repository in which the tests run the workflow for real."""

import fcntl
import os
import resource
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml
from numpy._core._multiarray_umath import __cpu_dispatch__

from fispace.study.params import merged

ROOT = Path(__file__).parents[2]
PARTS = ["README.md", "Snakefile", "dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"]
FOLDERS = ["workflow", "src", "params", "profiles", "data", "docs", ".dvc"]
TINY = ROOT / "params/tiny.yaml"
MOST_SECONDS = 1800


class Folder:
    """A working copy, and how to run the tools in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def copied_to(self, path: Path, *leave_out: str) -> "Folder":
        """The folder under another path, file times and all, without the top-level names left out."""
        path.mkdir(parents=True)
        for source in self.path.iterdir():
            if source.name not in leave_out:
                copy = shutil.copytree if source.is_dir() else shutil.copy2
                copy(source, path / source.name)
        return Folder(path)

    def run(
        self, *arguments: str, ok: bool = True, most_bytes: int | None = None, **env: str
    ) -> str:
        """Output of `python -m ...` in the folder; fails the test if the tool fails and `ok`."""
        limit = None
        if most_bytes is not None:
            limit = partial(resource.setrlimit, resource.RLIMIT_AS, (most_bytes, most_bytes))
        done = subprocess.run(
            [sys.executable, "-m", *arguments], cwd=self.path, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.env(**env),
            timeout=MOST_SECONDS, preexec_fn=limit,
        )  # fmt: skip
        if ok:
            assert done.returncode == 0, done.stdout[-4000:]
        else:
            assert done.returncode != 0, done.stdout[-4000:]
        return done.stdout

    def env(self, **more: str) -> dict[str, str]:
        """The environment without settings of the surrounding session that tools react to."""
        dropped = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "SNAKEMAKE_PROFILE")
        kept = {key: value for key, value in os.environ.items() if key not in dropped}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return {**kept, "PATH": path, "DVC_NO_ANALYTICS": "1", **more}

    def snakemake(
        self, *arguments: str, ok: bool = True, most_bytes: int | None = None, **env: str
    ) -> str:
        return self.run("snakemake", *arguments, ok=ok, most_bytes=most_bytes, **env)

    def dvc(self, *arguments: str, ok: bool = True) -> str:
        return self.run("dvc", *arguments, ok=ok)

    def script(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a script of workflow/; its output is in `stdout`."""
        return subprocess.run(
            [sys.executable, f"workflow/{name}", *arguments], cwd=self.path, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.env(),
        )  # fmt: skip

    def sync(self) -> str:
        done = self.script("sync.py")
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def git(self, *arguments: str) -> None:
        name = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *name, *arguments], cwd=self.path, check=True, capture_output=True)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.path / name
        text = path.read_text()
        assert old in text, (name, old)
        path.write_text(text.replace(old, new, 1))

    def results(self, run: str = "testbed") -> dict[str, bytes]:
        """Bytes of every result file, by its path."""
        folder = self.path / "results" / run
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


NEWER = tuple(name for name in __cpu_dispatch__ if "512" in name or name == "X86_V4")
"""What numpy does faster with AVX-512, by its own names; nothing on another kind of processor."""
OLDER_PROCESSORS = {
    "AVX2": {
        "NPY_DISABLE_CPU_FEATURES": " ".join(NEWER), "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "SSE": {
        "NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__), "OPENBLAS_CORETYPE": "Prescott",
        "ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
}  # fmt: skip
"""Environments in which the libraries compute as on x86-64 processors without AVX-512, or without AVX."""


def odd_surroundings(folder: Path) -> dict[str, str]:
    """An environment that no result may depend on; `folder` gets a user's settings of matplotlib."""
    rc = folder / "matplotlibrc"
    rc.write_text("font.size: 20\nsvg.hashsalt: other\naxes.grid: True\ntext.usetex: True\n")
    return {
        "PYTHONHASHSEED": "4711", "TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8",
        "LANG": "de_DE.UTF-8", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline", "MPLCONFIGDIR": f"{rc}/none",
        "HOME": "/proc/none", "MATPLOTLIBRC": str(rc), "USER": "someone", "LOGNAME": "someone", "COLUMNS": "40",
    }  # fmt: skip


def steps(output: str) -> list[str]:
    """The commands that a tool really ran, as 'chapter verb'."""
    calls = [line.split() for line in output.splitlines() if "python -m fispace " in line]
    return [" ".join(call[call.index("fispace") + 1 :][:2]) for call in calls]


def nothing_to_do(folder: Folder) -> None:
    """Fails the test if Snakemake runs a job of the finished study."""
    output = folder.snakemake()
    assert "Nothing to be done" in output
    assert steps(output) == []


def working_copy(path: Path) -> Folder:
    """The repository's own files, as they stand, without results."""
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "tmp", "cache", "config.local")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, path / name, ignore=leave_out)
    for name in PARTS:
        shutil.copy(ROOT / name, path / name)
    return Folder(path)


def tiny_folder(path: Path, *overlays: Path) -> Folder:
    """A working copy whose default study has the sizes of params/tiny.yaml, and of the overlays."""
    folder, study = working_copy(path), yaml.safe_load((ROOT / "params.yaml").read_text())
    for overlay in (TINY, *overlays):
        study = merged(study, yaml.safe_load(overlay.read_text()))
    text = yaml.safe_dump({**study, "run": "testbed"}, sort_keys=False)
    (path / "params.yaml").write_text(text)
    folder.git("init", "-q")
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Folder:
    """A fresh working copy."""
    return working_copy(tmp_path)


@pytest.fixture(scope="session")
def shared_temp(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the whole session, in which the workers have theirs."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if hasattr(request.config, "workerinput") else own


@pytest.fixture(scope="session")
def finished(shared_temp: Path, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A working copy in which the tiny study has run from nothing to the end; do not change it.

    It runs once for all workers. Each reads a copy of its own: Snakemake keeps notes in the folder
    even of a dry run.
    """
    made, complete = shared_temp / "finished", shared_temp / "finished.complete"
    with (shared_temp / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        if not complete.exists():
            shutil.rmtree(made, ignore_errors=True)
            tiny_folder(made).snakemake()
            complete.touch()
    return Folder(made).copied_to(tmp_path_factory.mktemp("finished") / "study")

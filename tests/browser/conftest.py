"""One small run for the tests of its data and of its pages."""

from pathlib import Path

import pytest
from browser.small_run import SmallRun, write_lm


@pytest.fixture(scope="session")
def hostile_lm(lm_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lm(lm_folders["llama"], tmp_path_factory.mktemp("hostile") / "lm")


@pytest.fixture(scope="session")
def run(hostile_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return SmallRun(tmp_path_factory.mktemp("browsed"), hostile_lm)


@pytest.fixture(scope="session")
def pages(run: SmallRun) -> Path:
    return run.browse()

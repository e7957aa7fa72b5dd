"""No folder of this machine enters a result: recipes record the LM without its name."""

from dataclasses import asdict
from pathlib import Path

from fispace.study.config.lm import LmConfig

PACKAGE = Path(__file__).parents[2] / "src/fispace"


def test_what_is_recorded_of_an_lm_holds_no_name():
    lm = LmConfig("some/folder", None, "float32", 2)
    assert lm.recorded == {"dtype": "float32", "hook_point": 2}
    assert "some/folder" in str(asdict(lm))


def test_a_step_that_reads_an_lm_never_records_all_of_its_parameters():
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text()
        if "params.lm" in source and "asdict(params)" in source and "recipe = asdict" in source:
            assert "params.lm.recorded" in source, path

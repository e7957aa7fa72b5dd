"""No folder of this machine enters a result: recipes record the LM without its name."""

from pathlib import Path

from fispace.study.config.lm import LmConfig

PACKAGE = Path(__file__).parents[2] / "src/fispace"


def test_what_is_recorded_of_an_lm_holds_no_name():
    lm = LmConfig(name="some/folder", revision=None, dtype="float32", hook_point=2)
    assert lm.recorded == {"dtype": "float32", "hook_point": 2}
    assert "some/folder" in str(lm.plain())


def test_a_step_that_reads_an_lm_never_records_all_of_its_parameters():
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text()
        if "params.lm" in source and "recipe = params.plain()" in source:
            assert "params.lm.recorded" in source, path

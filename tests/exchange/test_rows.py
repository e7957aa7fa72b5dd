"""A row `{import: FOLDER}` among the arms: what it stands for, and what may refer to it."""

from pathlib import Path
from typing import Any

import pytest

from fispace.errors import ParamsError
from fispace.study.config.arms import ImportedArm, arms_of, imports_of
from fispace.study.config.train import ArmModel
from fispace.study.params import Study, load_study

ROOT = Path(__file__).parents[2]
OVER = "{target: all, parts: [sae, bias], frozen_sae_from: %s, pooling: null, matched_to: %s}"
REFUSED = {
    "theirs: {import: a}, sae: null": "'sae', of target all, is missing",
    "theirs: {import: ''}": "theirs.import: ''",
    "theirs: {import: 3}": "theirs.import: 3 is not of type 'string'",
    "theirs: {import: null}": "theirs.import: None is not of type 'string'",
    "theirs: {import: 'a{b}'}": "theirs.import: .* holds a brace",
    "theirs: {import: a, parts: [sae]}": "theirs.parts: unknown parameter; known here: import",
    "theirs: {imports: a}": "theirs.parts: missing parameter",
    "../x: {import: a}": r"\.\./x",
    "full: {import: a}": "'full' is the name of a file or folder",
    "theirs: {import: a}, sequential: {frozen_sae_from: theirs}": "gain_curve.arm: 'sequential' copies",
    f"theirs: {{import: a}}, x: {OVER % ('null', 'theirs')}": "x.matched_to: 'theirs' has the size",
    f"theirs: {{import: a}}, y: {OVER % ('theirs', 'null')}, x: {OVER % ('null', 'y')}": "x.matched_to: 'y'",
}


def study(text: str, tmp_path: Path) -> Study:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_study(ROOT, [path])


def test_an_imported_arm_is_an_sae_with_a_bias_of_every_run(tmp_path):
    train = study("train: {arms: {theirs: {import: some/folder}}}", tmp_path)["train"]
    own = {"parts": ["sae", "bias"], "frozen_sae_from": None, "pooling": None, "matched_to": None}
    assert arms_of(train, "all")["theirs"] == own
    assert set(own) == set(ArmModel.model_fields)
    assert imports_of(train) == {"theirs": "some/folder"}
    ArmModel.checked(own)
    assert ImportedArm.target == "all"


def test_the_default_study_imports_nothing_and_its_rows_are_as_before(tmp_path):
    train = study("run: mine", tmp_path)["train"]
    assert imports_of(train) == {}
    assert all(set(row) == set(ArmModel.model_fields) for row in arms_of(train, "full").values())


def test_other_arms_may_copy_an_imported_sae(tmp_path):
    text = f"train: {{arms: {{theirs: {{import: a}}, over: {OVER % ('theirs', 'null')}}}}}"
    rows: dict[str, Any] = arms_of(study(text, tmp_path)["train"], "all")
    assert rows["over"]["frozen_sae_from"] == "theirs"


@pytest.mark.parametrize("arms", REFUSED)
def test_what_an_import_cannot_be_is_refused_with_its_key(arms, tmp_path):
    with pytest.raises(ParamsError, match=REFUSED[arms]):
        study(f"train: {{arms: {{{arms}}}}}", tmp_path)


@pytest.mark.parametrize("key", ["arm", "baseline"])
def test_the_audit_trains_its_arms_again(key, tmp_path):
    text = f"train: {{arms: {{theirs: {{import: a}}}}, audit: {{{key}: theirs}}}}"
    with pytest.raises(ParamsError, match=f"audit.{key}: 'theirs' is imported"):
        study(text, tmp_path)

"""What records and hashes prove of a run that was copied here, and nothing else, is accepted."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from guard.conftest import RUN, SmallRun

from fispace.cli import calls_of
from fispace.provenance import proof as proofs
from fispace.provenance.proof import Call, Proof
from fispace.provenance.records import FOLDER
from fispace.study.config.arms import arms_of
from fispace.study.declarations import OptionKind

AT = f"results/{RUN}"
STANDARDISER, WEIGHTS = (
    f"{AT}/extract/standardiser.safetensors",
    f"{AT}/train/sae/seed0.safetensors",
)
MANIFEST, LR = f"{AT}/extract/manifest.json", f"{AT}/train/lr.json"
CURVE, SUMMARY = f"{AT}/train/sae/seed0.curve.parquet", f"{AT}/fidelity/summary.csv"


def today(run: SmallRun) -> list[Call]:
    """The calls by which today's study would make the run."""
    both = {"manifest": MANIFEST, "standardiser": STANDARDISER}
    row = json.dumps(arms_of(run.study["train"], "all")["sae"])
    of_arm = {name: f"{AT}/fidelity/sae/seed0{end}.parquet"
              for name, end in (("documents", ""), ("latents", ".latents"))}  # fmt: skip
    bounds = f"{AT}/fidelity/bounds.parquet"
    lines = [
        run.words("extract", "activations", scratch="scratch/small", out=f"{AT}/extract"),
        run.words("extract", "standardiser", **both),
        ["train", "choose-lr", "--params", '{"lr_candidates": [0.01]}', "--curves", "--lr", LR],
        run.words("train", "arm", arm="sae", row=row, seed=0, chosen=LR, **both, scratch="elsewhere",
                  checkpoint_seconds=1, weights=WEIGHTS, curve=CURVE,
                  lifecycle=f"{AT}/train/sae/seed0.lifecycle.parquet"),
        run.words("fidelity", "ablation-baselines", **both, bounds=bounds),
        run.words("fidelity", "arm", arm="sae", seed=0, weights=WEIGHTS, **both, **of_arm,
                  positions=f"{AT}/fidelity/sae/seed0.positions.parquet"),
        run.words("fidelity", "summary", **of_arm, bounds=bounds, table=SUMMARY,
                  summary=f"{AT}/fidelity/summary.parquet"),
    ]  # fmt: skip
    return [call for words in lines for call in calls(words)]


def calls(words: list[str]) -> list[Call]:
    command, turns = calls_of(words)
    found = []
    for values in turns:
        places = [values[name] for name in command.names_of(OptionKind.WRITES)]
        inside = [path for place in places for path in sorted(place.rglob("*")) if place.is_dir()]
        files = [path for path in inside if path.is_file() and FOLDER not in path.parts]
        if command.name == "extract activations":
            files = [path for path in files if path != Path(STANDARDISER)]
        found.append(Call(command, values, (*files, *(p for p in places if not p.is_dir()))))
    return found


def reasons(run: SmallRun) -> dict[str, str | None]:
    made = today(run)
    proof = Proof(made)
    return {str(path): proof.why_not(path) for call in made for path in call.outputs}


def test_a_whole_run_is_proven_in_another_folder(small):
    found = reasons(small)
    assert {STANDARDISER, WEIGHTS, MANIFEST, LR, SUMMARY} < set(found)
    assert set(found.values()) == {None}


def test_a_changed_byte_unproves_the_file_and_all_that_was_made_from_it(small):
    path = Path(WEIGHTS)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    found = reasons(small)
    assert found[WEIGHTS] == "its bytes are not those that `train arm` wrote"
    assert (
        found[SUMMARY] and WEIGHTS in found[SUMMARY] and "its bytes are not those" in found[SUMMARY]
    )
    assert found[STANDARDISER] is None and found[CURVE] is None


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("code", "0" * 64, "the code of `train arm` has changed"),
        ("command", "train candidate", "`train candidate` wrote it, today `train arm` does"),
        ("options", {"arm": "sae"}, "`train arm` was called with other options"),
        ("params", {"k": 1}, "`train arm` had other parameters"),
        ("inputs", {}, f"it was not made from {MANIFEST}"),
    ],
)
def test_a_record_of_anything_else_than_todays_call_proves_nothing(small, key, value, why):
    (record,) = small.file("train/sae").glob(f"{FOLDER}/*.json")
    content = json.loads(record.read_text()) | {key: value}
    known = {
        *content["inputs"],
        *content["outputs"],
    }  # a record names no file that it does not list
    content["files"] = {
        name: [f for f in of if f in known] for name, of in content["files"].items()
    }
    record.write_text(json.dumps(content))
    found = reasons(small)
    assert found[WEIGHTS] == why
    assert found[STANDARDISER] is None


def test_another_version_of_an_input_unproves_what_was_made_from_it(small):
    (record,) = small.file("train/sae").glob(f"{FOLDER}/*.json")
    content = json.loads(record.read_text())
    name = next(name for name in content["inputs"] if name.endswith("lr.json"))
    content["inputs"][name] = "0" * 64
    record.write_text(json.dumps(content))
    assert reasons(small)[WEIGHTS] == f"it was made from a different {LR}"


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_lost_or_damaged_record_proves_nothing_and_is_no_crash(small, content):
    (record,) = small.file("train/sae").glob(f"{FOLDER}/*.json")
    record.unlink() if content is None else record.write_text(content)
    assert reasons(small)[WEIGHTS]


def test_another_parameter_of_today_unproves_what_depends_on_it_alone(small):
    overlay = small.path / "params/small.yaml"
    values = yaml.safe_load(overlay.read_text())
    values["fidelity"]["n_bootstrap"] = 41
    overlay.write_text(yaml.safe_dump(values))
    found = reasons(small)
    assert {path for path, why in found.items() if why} == {
        SUMMARY,
        SUMMARY.replace("csv", "parquet"),
    }


def test_a_comment_unproves_nothing_and_other_code_does(small, monkeypatch):
    monkeypatch.setattr(proofs, "code_digest", lambda _: "another")
    assert all(reasons(small).values())


def test_the_users_files_must_be_as_they_were_where_they_are_here(small):
    corpus = small.path / "corpus.jsonl"
    text = corpus.read_text()
    corpus.write_text(text + '{"text": "w1"}\n')
    found = reasons(small)
    assert found[MANIFEST] and "corpus.jsonl" in found[MANIFEST]
    assert found[WEIGHTS] and MANIFEST in found[WEIGHTS]
    corpus.write_text(text)
    assert set(reasons(small).values()) == {None}


def test_a_model_of_another_content_unproves_what_reads_it(small, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(small.model, model)
    overlay = small.path / "params/small.yaml"
    overlay.write_text(overlay.read_text().replace(str(small.model), str(model)))
    assert set(reasons(small).values()) == {None}  # the same files elsewhere
    (model / "config.json").write_text((model / "config.json").read_text() + "\n")
    found = reasons(small)
    assert found[MANIFEST] and "config.json" in found[MANIFEST]


def moved(small: SmallRun) -> tuple[Path, Path]:
    """The model and the text in folders that the records do not name, and a study that names them there."""
    model, text = Path("elsewhere/model2"), Path("elsewhere/other.jsonl")
    shutil.copytree(small.model, model)
    (small.path / "corpus.jsonl").rename(text)
    overlay = small.path / "params/small.yaml"
    content = overlay.read_text().replace(str(small.model), str(model))
    overlay.write_text(content.replace("corpus.jsonl", str(text)))
    return model, text


def test_a_run_is_proven_where_model_and_text_lie_elsewhere_with_the_same_bytes(small):
    moved(small)
    assert set(reasons(small).values()) == {None}


def test_another_text_of_the_recorded_name_proves_nothing(small):
    _, text = moved(small)
    folder = small.path / "another"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text(text.read_text() + '{"text": "w1"}\n')
    overlay = small.path / "params/small.yaml"
    overlay.write_text(overlay.read_text().replace(str(text), "another/corpus.jsonl"))
    assert reasons(small)[MANIFEST] == "it was not made from another/corpus.jsonl"


def test_files_of_a_model_that_have_changed_names_prove_nothing(small):
    model, _ = moved(small)
    one, two = model / "config.json", model / "generation_config.json"
    contents = one.read_bytes(), two.read_bytes()
    one.write_bytes(contents[1])
    two.write_bytes(contents[0])
    found = reasons(small)
    assert found[MANIFEST] and "config.json" in found[MANIFEST]


def test_a_text_that_was_recorded_in_another_role_proves_nothing(small):
    (record,) = (
        path
        for path in small.file("extract").glob(f"{FOLDER}/*.json")
        if "jsonl" in path.read_text()
    )
    content = json.loads(record.read_text())
    content["files"]["transfer"] = content["files"].pop("text")
    record.write_text(json.dumps(content))
    assert reasons(small)[MANIFEST] == "it was not made from corpus.jsonl"


def test_a_run_is_proven_where_the_model_and_the_text_are_not(small):
    (small.path / "corpus.jsonl").unlink()
    overlay = small.path / "params/small.yaml"
    overlay.write_text(overlay.read_text().replace(str(small.model), "no/such/folder"))
    made = today(small)
    proof = Proof(made)
    assert {proof.why_not(path) for call in made for path in call.outputs} == {None}
    assert {"config.json", "model.safetensors"} < proof.not_compared
    assert any("corpus.jsonl" in name for name in proof.not_compared)


def test_two_inputs_of_one_name_are_both_recorded(small, tmp_path, monkeypatch):
    from fispace.provenance.recording import names_of

    one, two = tmp_path / "a/t.jsonl", tmp_path / "b/t.jsonl"
    monkeypatch.chdir(small.path)
    names = names_of({one: "1" * 64, two: "2" * 64, Path("corpus.jsonl"): "3"}, Path(AT))
    assert names == {
        one: "t.jsonl#111111111111", two: "t.jsonl#222222222222", Path("corpus.jsonl"): "../../corpus.jsonl"
    }  # fmt: skip


def test_a_file_that_todays_study_does_not_make_is_not_proven(small):
    proof = Proof(today(small))
    other = Path(f"{AT}/train/sae/seed9.safetensors")
    other.write_bytes(b"x")
    assert proof.why_not(other) == "no rule of this study makes it"

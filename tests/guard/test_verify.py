"""`fispace verify`: whatever is altered, swapped, deleted or stale is named, with what to rerun."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from damage import flip, truncate
from guard.conftest import ROOT, RUN, SmallRun, make

from fispace.cli import main
from fispace.provenance.records import DEVICE, FOLDER, read_record, versions
from fispace.study.commands import all_commands

KINDS = {
    "extract/train/shard-1-of-2.parquet": "extract_activations",
    "extract/manifest.json": "extract_activations",
    "extract/standardiser.safetensors": "extract_standardiser",
    "train/lr.json": "train_choose_lr",
    "train/sae/seed0.safetensors": "train_arm",
    "train/sae/seed0.curve.parquet": "train_arm",
    "fidelity/sae/seed0.parquet": "fidelity_arm",
    "fidelity/summary.csv": "fidelity_summary",
    "report/figures/norms.svg": "report_draw",
    "report/figures/norms.pdf": "report_draw",
}


def findings(caplog) -> tuple[int, list[str]]:
    """Exit code of verify, and its lines about files of commands that the small run has."""
    caplog.clear()
    code = main(["verify", RUN])
    lines = [record.getMessage() for record in caplog.records]
    return code, [line for line in lines if "no result of `" not in line and "note:" not in line]


@pytest.mark.usefixtures("small")
def test_an_untouched_run_has_nothing_but_what_was_never_made(caplog):
    _, lines = findings(caplog)
    kinds = {line.split()[0] for line in lines if not line.startswith("error")}
    assert not kinds & {"changed", "stale", "unknown"}
    assert not [line for line in lines if line.startswith("missing")]


@pytest.mark.parametrize("alter", [flip, truncate])
@pytest.mark.parametrize("name", KINDS)
def test_an_altered_artefact_is_named_with_its_rule(small, caplog, name, alter):
    alter(small.file(name))
    code, lines = findings(caplog)
    assert code == 1
    changed = [line for line in lines if line.startswith("changed")]
    assert len(changed) == 1 and f"results/{RUN}/{name}" in changed[0]
    assert KINDS[name] in lines[-1] and "snakemake --cores all" in lines[-1]


@pytest.mark.parametrize("name", KINDS)
def test_a_deleted_artefact_is_named_with_its_rule(small, caplog, name):
    small.file(name).unlink()
    code, lines = findings(caplog)
    assert code == 1
    missing = [line for line in lines if line.startswith("missing")]
    assert any(f"results/{RUN}/{name}" in line for line in missing)
    assert KINDS[name] in lines[-1]


def test_swapped_shards_are_both_named(small, caplog):
    one, two = (small.file(f"extract/train/shard-{i}-of-2.parquet") for i in (1, 2))
    one.rename(small.path / "x")
    two.rename(one)
    (small.path / "x").rename(two)
    _, lines = findings(caplog)
    assert len([line for line in lines if line.startswith("changed")]) == 2


@pytest.mark.parametrize("name", KINDS)
def test_what_another_command_altered_is_never_silently_used(small, caplog, name):
    flip(small.file(name))
    at = f"results/{RUN}"
    store = {"manifest": f"{at}/extract/manifest.json"}
    both = store | {"standardiser": f"{at}/extract/standardiser.safetensors"}
    reads = {
        "extract/": lambda: small.call("train", "candidate", lr=0.01, seed=0, **both,
                                         scratch="scratch/c", checkpoint_seconds=60, curve="c.parquet"),
        "train/sae/seed0.s": lambda: small.call(
            "geometry", "arm", arm="sae", seed=0, weights=f"{at}/{name}", **both,
            latents="a", spectrum="b", table="c"),
        "fidelity/sae": lambda: small.call(
            "fidelity", "summary", documents=f"{at}/{name}",
            latents=f"{at}/fidelity/sae/seed0.latents.parquet",
            bounds=f"{at}/fidelity/bounds.parquet", summary="s", table="t"),
    }  # fmt: skip
    for start, read in reads.items():
        if name.startswith(start):
            caplog.clear()
            assert read() == 1
            assert Path(name).name in caplog.text
            assert KINDS[name] in caplog.text


@pytest.mark.parametrize("lost", ["standardiser.safetensors.json", ""])
def test_an_input_without_the_record_of_its_command_is_refused(small, caplog, lost):
    records = small.file("extract") / FOLDER
    (records / lost).unlink() if lost else shutil.rmtree(records)
    at = f"results/{RUN}/extract"
    code = small.call("train", "candidate", lr=0.01, seed=0, manifest=f"{at}/manifest.json",
                      standardiser=f"{at}/standardiser.safetensors", scratch="scratch/c",
                      checkpoint_seconds=60, curve="c.parquet")  # fmt: skip
    assert code == 1
    first = "standardiser.safetensors" if lost else "manifest.json"
    said = caplog.records[-1].getMessage()
    assert f"{at}/{first} has no record of the command that made it" in said
    assert "python workflow/sync.py" in said and f"snakemake --cores all {at}/{first}" in said
    assert not (small.path / "c.parquet").exists()


def test_a_users_own_file_needs_no_record(small):
    table = Path("norms.csv")
    assert table.is_file() and not (small.path / FOLDER).exists()
    drawn = {kind: f"results/{RUN}/report/figures/again.{kind}" for kind in ("svg", "pdf")}
    assert small.call("report", "draw", figure="norms", table=table, **drawn) == 0


def test_a_file_that_no_command_wrote_is_named(small, caplog):
    small.file("train/sae/seed9.safetensors").write_bytes(b"x")
    assert any(line.startswith("unknown") and "seed9" in line for line in findings(caplog)[1])


def test_a_changed_parameter_makes_exactly_its_dependants_stale(small, caplog):
    overlay = small.path / "params/small.yaml"
    overlay.write_text(overlay.read_text().replace("n_bootstrap: 40", "n_bootstrap: 41"))
    stale = [line for line in findings(caplog)[1] if line.startswith("stale")]
    assert stale and all("fidelity/summary" in line for line in stale)
    assert "n_bootstrap was 40, is 41 today" in stale[0]


def test_another_row_of_an_arm_makes_its_training_stale(small, caplog):
    overlay = small.path / "params/small.yaml"
    text = overlay.read_text().replace("train:\n", "train:\n  arms: {sae: {parts: [sae, bias]}}\n")
    overlay.write_text(text)
    stale = [line for line in findings(caplog)[1] if line.startswith("stale")]
    assert stale and all("train/sae" in line and "train.arms.sae" in line for line in stale)


@pytest.mark.usefixtures("small")
def test_another_version_of_an_input_makes_what_was_made_from_it_stale(caplog):
    main(["train", "choose-lr", "--params", '{"lr_candidates": [0.02]}', "--curves",
          "--lr", f"results/{RUN}/train/lr.json"])  # fmt: skip
    stale = [line for line in findings(caplog)[1] if line.startswith("stale")]
    assert any("train/sae/seed0.safetensors" in line and "lr.json" in line for line in stale)


@pytest.mark.usefixtures("small")
def test_changed_code_makes_what_it_made_stale(caplog, monkeypatch):
    monkeypatch.setattr("fispace.provenance.verify.code_digest", lambda _: "0" * 64)
    assert any("the code of" in line for line in findings(caplog)[1])


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"outputs": {"../../x": "1"}}'])
def test_a_damaged_record_is_a_finding_not_a_crash(small, caplog, content):
    record = next(small.file("train").rglob(f"{FOLDER}/*.json"))
    record.write_text(content)
    code, lines = findings(caplog)
    assert code == 1
    assert any(line.startswith("changed") and FOLDER in line for line in lines)


@pytest.mark.parametrize("row", ["{", "[]", "9" * 5000, "NaN"])
def test_a_recorded_row_that_is_none_is_stale_not_a_crash(small, caplog, row):
    record = next(small.file("train/sae").rglob(f"{FOLDER}/*.json"))
    content = json.loads(record.read_text())
    content["options"]["row"] = row
    record.write_text(json.dumps(content))
    code, lines = findings(caplog)
    assert code == 1
    assert any("train.arms.sae has changed" in line for line in lines)


@pytest.mark.parametrize(
    "content", ["{", "[]", "3", '{"promised": 3}', '{"promised": [3]}', '{"config": [1]}']
)
def test_a_damaged_note_of_the_workflow_is_said_and_no_crash(small, caplog, content):
    log = small.path / f"logs/{RUN}/run.json"
    log.parent.mkdir(parents=True)
    log.write_text(content)
    _, lines = findings(caplog)
    assert len([line for line in lines if "run.json is damaged" in line]) == 1
    assert not [line for line in lines if line.split()[0] in ("changed", "stale", "unknown")]


def test_a_promised_file_that_never_was_is_missing(small, caplog):
    log = small.path / f"logs/{RUN}/run.json"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"promised": [f"results/{RUN}/report/claims.csv"]}))
    assert any("claims.csv: the workflow promises it" in line for line in findings(caplog)[1])


@pytest.mark.parametrize("name", ["../small", "/tmp", ".", "..", "", "no-such-run", ".hidden"])
@pytest.mark.usefixtures("small")
def test_a_run_that_is_none_is_one_clear_paragraph(caplog, name):
    assert main(["verify", name]) == 1
    assert "there is no such run" in caplog.text


def test_records_say_what_made_the_bytes_and_hold_nothing_of_this_machine(small):
    paths = sorted(small.file(".").rglob(f"{FOLDER}/*.json"))
    assert len(paths) == 8
    for path in paths:
        record = read_record(path)
        made_on = {DEVICE: "cpu"} if "device" in (record.params or {}) else {}
        assert len(record.code) == 64 and record.versions == versions() | made_on
        assert record.outputs
        text = path.read_text()
        assert str(small.path.parent) not in text and str(small.model) not in text
    extraction = read_record(small.file("extract") / FOLDER / "manifest.json.json")
    assert "extract" not in extraction.inputs and "corpus.jsonl" in str(extraction.inputs)


def test_equal_runs_in_two_folders_leave_equal_records(small, tmp_path, monkeypatch):
    again = tmp_path / "elsewhere"
    shutil.copytree(small.path, again, ignore=shutil.ignore_patterns("results", "logs"))
    monkeypatch.chdir(again)
    make(SmallRun(again, small.model))
    for path in small.file(".").rglob("*"):
        if path.is_file():
            twin = again / path.relative_to(small.path)
            assert twin.read_bytes() == path.read_bytes(), path


def test_every_command_declares_what_it_writes_as_its_rule_does():
    text = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    for command in all_commands():
        rule = re.search(rf"^rule {command.rule}:\n(?:    .*\n|\n)*", text, re.MULTILINE)
        assert rule is not None
        output = re.search(r"^    output:\n((?:        .*\n)+)", rule[0], re.MULTILINE)
        assert output is not None
        assert set(re.findall(r"^        (\w+)=", output[1], re.M)) == set(command.writes), command


def test_verify_takes_seconds_and_no_torch(small):
    code = (
        f"import sys; from fispace.cli import main; main(['verify', '{RUN}'])\n"
        "sys.exit('torch' in sys.modules)"
    )
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=small.path, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 20

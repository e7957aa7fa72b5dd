"""`fispace explain`: the chain of a number, of rows, figures and files, and what it says of bad input."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from report.made_run import QUANTITY, RUN, SHARD, make_run, record, write_bytes

from fispace.cli import main
from fispace.provenance.functions import find_definition

ROOT = Path(__file__).parents[2]
CLAIMS = f"{RUN}/report/claims.csv"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_run(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["explain", *arguments]) == code
    return capsys.readouterr().out


def refused(caplog: pytest.LogCaptureFixture, *arguments: str) -> str:
    caplog.clear()
    assert main(["explain", *arguments]) == 1
    (message,) = [each.getMessage() for each in caplog.records]
    return message


@pytest.mark.usefixtures("run")
def test_a_claim_is_followed_to_shards_parameters_and_the_users_text(capsys):
    chain = json.loads(said(capsys, CLAIMS, "N5.gain", "--json"))
    commands = [step["command"] for step in chain["steps"]]
    assert commands == [
        "report claims", "report quantities", "fidelity summary", "fidelity arm", "train arm",
        "extract activations",
    ]  # fmt: skip
    assert chain["given"] == ["./workflow/claims.yaml", "./text.jsonl"]
    assert chain["unrecorded"] == []
    claims, quantities, summary, arm, train, extract = chain["steps"]
    (answer, *_) = claims["derivations"][0]["reads"]
    assert answer["where"] == {"quantity": QUANTITY} and answer["column"] == "value"
    assert [row["line"] for row in answer["rows"]] == [2, 3]
    (gain,) = quantities["derivations"]
    assert gain["function"]["name"] == "fispace.stats.gains:gain"
    cells = {read["argument"]: read for read in gain["reads"]}
    assert {read["where"]["arm"] for read in gain["reads"]} == {"sae", "joint"}
    assert [row["cells"]["value"] for row in cells["baseline"]["rows"]] == [4.0, 4.0]
    assert [row["cells"]["value"] for row in cells["value"]["rows"]] == [3.0, 3.0]
    for derivation in summary["derivations"]:
        error, dimensions = derivation["reads"]
        assert (error["column"], dimensions["column"]) == ("error", "n_dimensions")
        level = derivation["rows"][0]["cells"]["value"]
        assert all(row["cells"]["error"] == 5 * level for row in error["rows"])
    assert {call["options"]["arm"] for call in arm["calls"]} == {"sae", "joint"}
    assert train["calls"][0]["params"] == {"k": 4}
    assert SHARD in extract["calls"][0]["outputs"]
    assert extract["calls"][0]["params"] == {"window_tokens": 16}


@pytest.mark.usefixtures("run")
def test_the_text_names_place_formula_cells_hashes_and_parameters(capsys):
    text = said(capsys, CLAIMS, "N5.gain")
    gain = find_definition("fispace.stats.gains:gain")
    assert text.startswith(f"{CLAIMS}, line 2\n")
    assert f"by gain, {gain.place}" in text
    assert "1 - value / baseline" in text
    assert "(seeds 0-1, lines 2-3)" in text and "4, 4" in text and "3, 3" in text
    assert re.search(r"read --manifest extract/manifest.json \([0-9a-f]{12}\)", text)
    assert "window_tokens 16" in text and "k 4" in text
    assert "train_arm, src/fispace/chapters/train/arm.py:" in text
    assert SHARD in text and "./text.jsonl" in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("row", ["N5.gain", "2", "item=gain", "id=N5,item=gain,target=all"])
@pytest.mark.usefixtures("run")
def test_a_row_is_named_by_its_name_its_line_or_its_cells(capsys, row):
    assert json.loads(said(capsys, CLAIMS, row, "--json"))["rows"][0]["line"] == 2


@pytest.mark.usefixtures("run")
def test_a_row_of_one_seed_is_followed_through_the_files_of_that_seed_alone(capsys):
    file = f"{RUN}/fidelity/summary.csv"
    chain = json.loads(said(capsys, file, "arm=joint,seed=1,metric=mse", "--json"))
    assert chain["steps"][0]["read"] == {"documents": ["fidelity/joint/seed1.parquet"]}
    trained = next(step for step in chain["steps"] if step["command"] == "train arm")
    assert trained["wrote"] == ["train/joint/seed1.safetensors"]


@pytest.mark.usefixtures("run")
def test_a_file_without_a_row_is_followed_through_everything_behind_it(capsys):
    chain = json.loads(said(capsys, f"{RUN}/fidelity/summary.csv", "--json"))
    assert set(chain["steps"][0]["read"]) == {"documents", "latents", "bounds"}
    assert len(chain["steps"][0]["read"]["documents"]) == 4


@pytest.mark.usefixtures("run")
def test_the_tree_names_every_file_once_with_its_hash(capsys):
    lines = said(capsys, CLAIMS, "--tree").splitlines()
    assert re.match(r"report/claims\.csv [0-9a-f]{12} <- report claims target=all", lines[0])
    for name in ("./text.jsonl", "./workflow/claims.yaml", "fidelity/bounds.parquet"):
        assert sum(name in line for line in lines) == 1, name
    opened = [line for line in lines if "extract/manifest.json" in line and "(above)" not in line]
    assert len(opened) == 1


@pytest.mark.usefixtures("run")
def test_a_table_that_is_kept_as_csv_alone_is_read_as_that(run, capsys):
    for name in ("report/quantities.parquet", "fidelity/summary.parquet"):
        (run / name).unlink()
    chain = json.loads(said(capsys, CLAIMS, "N5.gain", "--json"))
    reads = chain["steps"][1]["derivations"][0]["reads"]
    assert {row["file"] for read in reads for row in read["rows"]} == {"fidelity/summary.csv"}
    assert chain["steps"][-1]["command"] == "extract activations"


@pytest.mark.usefixtures("run")
def test_a_figure_names_the_function_that_draws_it(run, capsys):
    for name in ("kl.csv", "kl.svg"):
        write_bytes(run / "report/figures" / name, "x\n1\n")
    record(run / "report/figures", "report draw", {"table": ["kl.csv"]}, {"svg": ["kl.svg"]},
           figure="kl")  # fmt: skip
    record(run / "report/figures", "fidelity plots", {"fidelity": ["../../fidelity/summary.parquet"]},
           {"kl": ["kl.csv"]})  # fmt: skip
    text = said(capsys, f"{RUN}/report/figures/kl.svg")
    assert f"kl, {find_definition('fispace.chapters.fidelity.figures:kl').place}" in text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("N5.gian", "no row of this name. Near it: N5.gain"),
        ("N99", "no row of this name"),
        ("item=gian", "no row has item=gian. Near it: gain"),
        ("itme=gain", "no column 'itme'; did you mean 'item'"),
        ("item=gain,test=below", "no row has test=below"),
        ("item=gain,id=N5,printed=0", "no row has printed=0"),
        ("1", "no row begins on this line; its rows are on lines 2 to 3"),
        ("999999999", "no row begins on this line"),
        ("", "no row of this name"),
        ("{0}%s\x1b[2J", "no row of this name"),
    ],
)
@pytest.mark.usefixtures("run")
def test_a_row_that_is_not_there_is_one_paragraph_with_what_is_near(caplog, row, message):
    assert message in refused(caplog, CLAIMS, row)


@pytest.mark.usefixtures("run")
def test_a_row_of_the_full_ledger_alone_is_named_with_its_file(caplog):
    header, row, *_ = Path(CLAIMS).read_text().splitlines()
    full = Path(f"{RUN}/report/full/claims.csv")
    full.parent.mkdir()
    full.write_text(f"{header}\n{row.replace('N5', 'N77', 1)}\n")
    assert f"but {full} has one: `fispace explain {full} N77`" in refused(caplog, CLAIMS, "N77")
    assert "Near it" in refused(caplog, CLAIMS, "N78")


@pytest.mark.parametrize(
    "path",
    [
        "params.yaml", "/etc/passwd", "results/../text.jsonl", "results/made/../../text.jsonl",
        "results", "results/made", "results/made/report", "results/made/nothing.csv",
        "results/no-such-run/claims.csv", "", ".", "results/reference", "results/made/../made",
    ],
)  # fmt: skip
@pytest.mark.usefixtures("run")
def test_what_is_no_file_of_a_run_is_refused(caplog, path):
    assert refused(caplog, path).startswith(f"error: explain {Path(path)}: ")


def test_a_link_out_of_results_is_refused(run, caplog):
    (run / "report/link.csv").symlink_to(run.parents[1] / "text.jsonl")
    assert "not below results/" in refused(caplog, f"{RUN}/report/link.csv")


def test_a_file_that_no_command_recorded_is_said_so(run, caplog):
    write_bytes(run / "report/note.csv", "a\n1\n")
    assert "no command recorded it" in refused(caplog, f"{RUN}/report/note.csv")
    write_bytes(run.parent / "other/report/note.csv", "a\n1\n")
    assert "holds no records" in refused(caplog, "results/other/report/note.csv")


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"outputs": {"../../x": "1"}}', "\udcff", "9" * 5000]
)
def test_a_damaged_record_ends_the_chain_and_is_named(run, caplog, capsys, content):
    damaged = run / "train/joint/.provenance/seed0.safetensors.json"
    damaged.write_bytes(content.encode(errors="surrogateescape"))
    caplog.clear()
    text = said(capsys, CLAIMS, "N5.gain", code=1)
    assert f"The chain ends at {RUN}/train/joint/seed0.safetensors" in text
    assert str(damaged.relative_to(run)) in caplog.text and len(caplog.records) == 1
    own = refused(caplog, f"{RUN}/train/joint/seed0.safetensors")
    assert str(damaged.relative_to(run)) in own


def test_a_record_that_was_deleted_ends_the_chain(run, caplog, capsys):
    (run / "extract/.provenance/manifest.json.json").unlink()
    caplog.clear()
    text = said(capsys, CLAIMS, "N5.gain", code=1)
    assert f"The chain ends at {RUN}/extract/manifest.json: no command recorded it" in text
    assert "the chain ends there" in caplog.records[-1].getMessage()


@pytest.mark.parametrize("name", ["report/claims.csv", "fidelity/summary.parquet"])
def test_rows_of_an_altered_table_are_not_believed(run, caplog, name):
    path = run / name
    path.write_bytes(path.read_bytes().replace(b"joint", b"JOINT"))
    message = refused(caplog, CLAIMS, "N5.gain") if name.endswith("csv") else None
    if message is None:
        caplog.clear()
        assert main(["explain", CLAIMS, "N5.gain"]) == 1
        message = caplog.records[-1].getMessage()
    assert name in message and "altered since" in message


def test_records_that_name_each_other_end(run, capsys):
    for one, other in (("a", "b"), ("b", "a")):
        write_bytes(run / "loop" / one, one)
        write_bytes(run / "loop" / other, other)
        record(run / "loop", "train arm", {"manifest": [other]}, {"weights": [one]})
    text = said(capsys, f"{RUN}/loop/a")
    assert text.count("train arm: train_arm") == 1
    assert "loop/b" in said(capsys, f"{RUN}/loop/a", "--tree")


def test_a_record_cannot_have_a_file_outside_the_working_folder_read(run, capsys):
    path = run / "report/.provenance/claims.csv.json"
    content = json.loads(path.read_text())
    content["inputs"] = {name: "0" * 64 for name in ("../../../../../../etc/passwd", "/etc/passwd")}
    content["files"] = {"ledger": content["files"]["ledger"], "quantities": list(content["inputs"])}
    path.write_text(json.dumps(content))
    assert "root:" not in said(capsys, CLAIMS, "N5.gain")


def test_a_command_that_is_no_more_is_said_so(run, capsys):
    path = run / "report/.provenance/claims.csv.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"command": "report oracle"}))
    assert "`report oracle`, which this version of the code does not have" in said(capsys, CLAIMS)


def test_records_of_an_earlier_version_still_give_the_files(run, capsys):
    for path in run.rglob(".provenance/*.json"):
        content = json.loads(path.read_text())
        del content["files"]
        path.write_text(json.dumps(content))
    chain = json.loads(said(capsys, CLAIMS, "N5.gain", "--json"))
    assert chain["steps"][-1]["command"] == "extract activations"
    assert not any(step["derivations"] for step in chain["steps"])


def test_no_cell_reaches_the_terminal_as_a_command(run, capsys):
    path = run / "train/joint/.provenance/seed0.safetensors.json"
    content = json.loads(path.read_text())
    content["options"]["arm"] = "joint\x1b[2J\r{0}%s"
    path.write_text(json.dumps(content))
    text = said(capsys, f"{RUN}/train/joint/seed0.safetensors")
    assert "\x1b" not in text and "\r" not in text and "{0}%s" in text


def test_nothing_heavy_is_loaded_and_it_takes_little_more_than_pandas():
    code = (
        "import sys, time, pandas; begin = time.process_time()\n"
        "from fispace.cli import main\n"
        "code = main(['explain', 'results/reference/testbed/report/full/claims.csv', "
        "'N5.gain_over_matched'])\n"
        "heavy = {'torch', 'transformers', 'scipy', 'sklearn', 'statsmodels', 'matplotlib', 'snakemake'}\n"
        "print(code, sorted(heavy & set(sys.modules)), time.process_time() - begin, begin)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    last = done.stdout.splitlines()[-1]
    assert last.startswith("0 [] ")
    own, pandas = map(float, last.split()[-2:])
    assert own < 4 * pandas  # two seconds where pandas takes half a second

"""Mutated parameter, claims and stimuli files: refused with file and key, or valid; never a crash."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from guard.conftest import MOST_BYTES, peak_bytes
from guard.mutants import HOSTILE_LINES, HOSTILE_VALUES, mutant, places
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workflow.conftest import Folder, working_copy

from fispace.chapters.factorial.stimuli import read_battery, read_prompts, read_words
from fispace.errors import FispaceError, ParamsError
from fispace.report.claims import read_claims
from fispace.study import params
from fispace.study.config.factorial import FactorConfig
from fispace.study.params import load_study

ROOT = Path(__file__).parents[2]
STUDIES = (
    "params.yaml", "params/tiny.yaml", "params/pythia-70m.yaml", "params/local.yaml",
    "params/openllama-3b.yaml",
)  # fmt: skip
GIVEN = {"model": "some-folder", "text": "some.jsonl"}
ENGLISH = ROOT / "data/stimuli/english"
FACTORS = [
    FactorConfig(name="formality", levels=("formal", "casual")),
    FactorConfig(name="emotion", levels=("low", "high")),
]
MOST_SECONDS, LONGEST_MESSAGE = 5.0, 3100
SECONDS_OF_A_START, MOST_ADDRESS_SPACE = 60.0, 4 * 2**30
HOSTILE_CELLS = ("", "NaN", "é", "../x", "\x00", '"', "a" * 10_000, "=1+1", "$(id)", "<script>")


@pytest.fixture
def repository_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, default = params.read_yaml_mapping, params.read_yaml_mapping(ROOT / "params.yaml")
    monkeypatch.setattr(
        params, "read_yaml_mapping", lambda p: default if p == ROOT / "params.yaml" else read(p)
    )


def outcome(read: Callable[[Path], object], path: Path, text: str) -> str:
    """What reading the text says: empty if it is valid. Anything but a clear refusal fails."""
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    begin = time.monotonic()
    try:
        read(path)
        said = ""
    except FispaceError as error:
        said = str(error)
        assert "\n" not in said and len(said) < LONGEST_MESSAGE, said
    assert time.monotonic() - begin < MOST_SECONDS
    return said


@pytest.mark.usefixtures("repository_read_once")
@pytest.mark.parametrize("study", STUDIES)
def test_a_mutated_study_is_refused_with_its_file_or_valid(study, tmp_path):
    rng, before = random.Random(STUDIES.index(study)), peak_bytes()
    text, given = (ROOT / study).read_text(), GIVEN if "local" in study else {}
    refused = 0
    for _ in range(70):
        said = outcome(
            lambda path: load_study(ROOT, [path], given), tmp_path / "mine.yaml", mutant(text, rng)
        )
        refused += said != ""
        if said:
            assert "mine.yaml" in said or "the command line" in said, said
    assert refused > 40
    assert peak_bytes() - before < MOST_BYTES


@pytest.mark.usefixtures("repository_read_once")
def test_one_hostile_value_is_refused_with_file_and_key(tmp_path):
    rng = random.Random(7)
    for _ in range(70):
        tree = yaml.safe_load((ROOT / "params/tiny.yaml").read_text())
        holder, key = rng.choice([(h, k) for h, k in places(tree) if isinstance(h, dict)])
        holder[key] = rng.choice(HOSTILE_VALUES)
        said = outcome(
            lambda path: load_study(ROOT, [path]), tmp_path / "mine.yaml",
            yaml.safe_dump(tree, allow_unicode=True),
        )  # fmt: skip
        if said:
            assert "mine.yaml" in said
            assert str(key) in said or "line" in said, (key, holder[key], said)


KEYS = [
    "run",
    "lm",
    "train",
    "arms",
    "k",
    "extract",
    "text",
    "factorial",
    "factors",
    "report",
    "seeds",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates()
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), SCALARS), inner, max_size=4),
    ),
    max_leaves=20,
)


@pytest.mark.usefixtures("repository_read_once")
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=st.one_of(TREES, st.dictionaries(st.sampled_from(KEYS), TREES, max_size=4)))
def test_whatever_yaml_can_say_is_refused_with_its_file_or_valid(tree, tmp_path):
    text = yaml.safe_dump(tree, allow_unicode=True)
    said = outcome(lambda path: load_study(ROOT, [path]), tmp_path / "mine.yaml", text)
    assert not said or "mine.yaml" in said, said


@pytest.mark.usefixtures("repository_read_once")
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_whatever_text_a_parameter_file_holds_is_refused_with_its_file_or_valid(text, tmp_path):
    said = outcome(lambda path: load_study(ROOT, [path]), tmp_path / "mine.yaml", text)
    assert not said or "mine.yaml" in said, said


def test_mutated_claims_are_refused_with_their_file_or_valid(tmp_path):
    rng = random.Random(3)
    claims = yaml.safe_load((ROOT / "workflow/claims.yaml").read_text())
    claims["claims"] = claims["claims"][:3]
    text = yaml.safe_dump(claims, allow_unicode=True, sort_keys=False)
    said = [outcome(read_claims, tmp_path / "mine.yaml", mutant(text, rng)) for _ in range(60)]
    assert all("mine.yaml" in message for message in said if message)
    assert sum(map(bool, said)) > 30


def mutated_csv(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    cells = lines[at].split(",")
    cells[rng.randrange(len(cells))] = rng.choice(HOSTILE_CELLS)
    point = rng.randrange(len(lines[at]) + 1)
    torn = lines[at][:point] + rng.choice('",\r\n\x00;\t\x07\u2028') + lines[at][point:]
    odd = rng.choice((*HOSTILE_LINES, '"', "a," * 3000, "\x00", ",,,,", "=cmd|x"))
    lines[at : at + 1] = rng.choice(
        ([",".join(cells)], [torn], [odd], [], [lines[at], rng.choice(lines)])
    )
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("stimuli", lambda path: read_battery(path, FACTORS, "keyword")),
        ("responses", lambda path: read_words(path, FACTORS)),
        ("prompts", read_prompts),
    ],
)
def test_mutated_stimuli_are_refused_with_their_file_or_valid(name, read, tmp_path):
    rng = random.Random(11)
    text = (ENGLISH / f"{name}.csv").read_text()
    for _ in range(50):
        said = outcome(read, tmp_path / "mine.csv", mutated_csv(text, rng))
        assert not said or "mine.csv" in said


def test_rows_with_more_cells_than_the_header_are_refused(tmp_path):
    # pandas takes the surplus for row names; the message once crashed on them
    path = tmp_path / "mine.csv"
    path.write_text("prompt\nOnce, there was\nSo, he said\n ,x\n")
    with pytest.raises(FispaceError, match="more cells than the header"):
        read_prompts(path)


def test_a_section_that_is_no_mapping_does_not_crash_the_shorthands(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extract: 0\n")
    with pytest.raises(ParamsError, match=r"extract"):
        load_study(ROOT, [path, ROOT / "params/local.yaml"], {**GIVEN, "transfer": "x.txt"})


def test_a_value_that_contradicts_another_names_its_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("train: {k: 4096}\n")
    with pytest.raises(ParamsError, match=r"mine\.yaml: train\.k=4096"):
        load_study(ROOT, [path])


def test_a_bad_key_of_a_text_is_not_blamed_on_the_command_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extract: {text: {colour: 1}}\n")
    with pytest.raises(ParamsError, match=r"mine\.yaml: extract\.text\.colour"):
        load_study(ROOT, [ROOT / "params/local.yaml", path], GIVEN)


@pytest.mark.parametrize("name", ["../x", "/etc", "a\n", "a/b", "$(id)", "-x", "", "a b"])
def test_a_battery_is_a_plain_folder_name(name, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"factorial": {"battery": name}}))
    with pytest.raises(ParamsError, match=r"mine\.yaml: factorial\.battery"):
        load_study(ROOT, [path])


TEMPLATE = '__use_yte__: true\nroot_seed: ?__import__("os").system("touch pwned")\n'
MAPPINGS = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}\n" for i in range(1, 12)
)
BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}]\n" for i in range(1, 12))
COMMAND_LINE_CASES = [
    BOMB, "a: &a [*a]\n", "x: !!python/object/apply:os.system [touch pwned]\n", "train: {k: 3",
    "a: " + "[" * 2000 + "\n", "- 1\n", "1: one\n", "run: ../../x\n", "run: reference\n",
    "run: $(touch pwned)\n", "run: 2001-01-01\n", "train: {k: .nan}\n", "train:\n  k: 1\n  k: 2\n",
    "train: {arms: {../x: {target: all, parts: [sae], frozen_sae_from: null, pooling: null, "
    "matched_to: null}}}\n", "factorial: {battery: ../x}\n",
    "\tx: 1\n", "x: \x07\n", "<<: {run: x}\n", f"root_seed: {'9' * 50}\n", "extract: 0\n",
    f"zzz: {'9' * 5000}\n", MAPPINGS, TEMPLATE,
]  # fmt: skip


@pytest.fixture(scope="module")
def copy_of_repository(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return working_copy(tmp_path_factory.mktemp("hostile") / "study")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(COMMAND_LINE_CASES)))
def test_a_hostile_overlay_stops_the_workflow_with_one_paragraph(number, copy_of_repository):
    folder, text = copy_of_repository, COMMAND_LINE_CASES[number]
    (folder.path / "mine.yaml").write_text(text)
    begin = time.monotonic()
    output = folder.snakemake(
        "-n", "--config", "overlay=mine.yaml", ok=False, most_bytes=MOST_ADDRESS_SPACE
    )
    assert time.monotonic() - begin < SECONDS_OF_A_START
    assert "Traceback" not in output
    assert "mine.yaml" in output, output[-500:]
    assert not list(folder.path.rglob("pwned"))
    assert not (folder.path / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize("text", [BOMB, MAPPINGS, TEMPLATE, *COMMAND_LINE_CASES[1:3]])
def test_a_hostile_default_file_stops_the_workflow_with_one_paragraph(text, copy_of_repository):
    folder, default = copy_of_repository, (ROOT / "params.yaml").read_text()
    (folder.path / "params.yaml").write_text(default + text)
    output = folder.snakemake("-n", ok=False, most_bytes=MOST_ADDRESS_SPACE)
    (folder.path / "params.yaml").write_text(default)
    assert "Traceback" not in output
    assert "params.yaml" in output, output[-500:]
    assert not list(folder.path.rglob("pwned"))

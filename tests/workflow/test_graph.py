import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml
from workflow.conftest import working_copy

from fispace.study.chapters import BESIDE, CHAPTERS
from fispace.study.commands import ALIASES, Command, all_commands, find_command, rule_of
from fispace.study.config.study import StudyConfig
from fispace.study.declarations import OptionKind

ROOT = Path(__file__).parents[2]
SHARED_DEPS = {"Snakefile", "workflow", "src/fispace"}
NEVER_HUB = ["model=absent-folder", "text=absent.jsonl", "transfer=absent.txt"]
STUDIES = {
    "testbed": [],
    "tiny": ["--config", "overlay=params/tiny.yaml"],
    "pythia-70m": ["--config", "overlay=params/pythia-70m.yaml"],
    "openllama-3b": ["--config", "overlay=params/openllama-3b.yaml"],
    "local": ["--config", "overlay=params/local.yaml", *NEVER_HUB],
}


def tool(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=cwd, text=True, check=False, capture_output=True)


@pytest.fixture(scope="module")
def dry_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """What Snakemake says of a dry run in a fresh working copy; each is made once."""
    folder = working_copy(tmp_path_factory.mktemp("dry") / "study")
    return cache(lambda *arguments: folder.snakemake("--dry-run", *arguments))


def stages() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def rule_texts() -> dict[str, str]:
    """Source of every rule, by name."""
    paths = [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
    text = "\n\n".join(path.read_text() for path in paths)
    found = re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", text, re.MULTILINE)
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


def command_of(text: str) -> tuple[str, str] | None:
    found = re.search(r'\bcall_of\(\s*"([\w-]+)",\s*"([\w-]+)"', text)
    return (found[1], found[2]) if found else None


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_has_a_complete_graph(study, dry_run):
    output = dry_run("--quiet", "rules", *STUDIES[study])
    assert ("testbed_lm" in output) == (study in ("testbed", "tiny"))
    assert "report" in output


def test_every_chapter_and_alias_is_a_target(dry_run):
    targets = [*CHAPTERS, *BESIDE, *ALIASES]
    planned = dry_run(*targets, "--quiet", "rules")
    assert set(targets) <= set(re.findall(r"^(\w+) +1$", planned, re.MULTILINE))


def test_only_the_target_full_calibrates_and_plants(dry_run):
    full = dry_run("full", "--forceall")
    everything = dry_run("--forceall")
    of_full, of_all = rules_in(full), rules_in(everything)
    assert not [rule for rule in of_all if "calibrat" in rule or "planted" in rule]
    unused = {"train import"}  # this study imports no SAE
    assert not {rule_of(name) for name in unused} & {*of_full, *of_all}
    for command in (each for each in all_commands() if each.name not in unused):
        assert command.rule in of_full, command
        assert (command.rule in of_all) == (command.target == "all"), command


def test_the_ledger_of_the_target_full_is_made_from_all_arms_seeds_and_tables(dry_run):
    full = dry_run("full", "--forceall")
    (claims,) = of_target_full(full, "report_claims")
    assert "results/testbed/report/full/claims.csv" in paths("output", claims)
    (quantities,) = of_target_full(full, "report_quantities")
    read = {path.removeprefix("results/testbed/") for path in paths("input", quantities)}
    assert {"fidelity/full/summary.parquet", "fidelity/full/gain_curve.parquet"} < read
    assert "testbed/planted.parquet" in read
    (documents,) = of_target_full(full, "report_documents")
    read = {path.removeprefix("results/testbed/fidelity/") for path in paths("input", documents)}
    assert {"joint/seed4.parquet", "sae_matched/seed3.parquet", "mlp_probe/seed2.parquet"} < read
    assert not of_target_full(dry_run("--forceall"), "report_claims")


def rules_in(output: str) -> set[str]:
    """The rules of which a dry run shows a job."""
    return set(re.findall(r"^(?:local)?rule (\w+):$", output, re.MULTILINE))


def of_target_full(output: str, rule: str) -> list[str]:
    """Those jobs of the rule that write a table of the target full's own."""
    return [block for block in blocks(output, rule) if "full=full/" in block]


def blocks(output: str, rule: str) -> list[str]:
    """What a dry run says of every job of a rule."""
    found = re.split(r"^(?:local)?rule (\w+):$", output, flags=re.MULTILINE)
    return [text for name, text in zip(found[1::2], found[2::2], strict=True) if name == rule]


def test_the_baseline_needs_no_other_arm(dry_run):
    output = dry_run("baseline", "--quiet", "progress")
    arms = set(re.findall(r"wildcards: .*arm=(\w+)", output))
    assert arms == {"sae"}


def test_snakemake_lint_finds_nothing_but_the_missing_conda_directive():
    said = tool("snakemake", "--lint").stderr
    findings = set(re.findall(r"^    \* (.*?):", said, re.MULTILINE))
    assert findings <= {"Specify a conda environment or container for each rule."}, said


def test_every_rule_says_which_question_it_answers_and_what_it_costs():
    for name, text in rule_texts().items():
        assert text.lstrip().startswith('"""'), name
        if command_of(text):
            doc = text.split('"""')[1]
            assert "?" in doc, name
            assert "Cost:" in doc, name


def test_every_rule_calls_the_command_line_and_is_logged_measured_and_tracked():
    called = set()
    for name, text in rule_texts().items():
        command = command_of(text)
        if command is None:
            assert "shell:" not in text, name
            continue
        called.add(command)
        chapter, verb = command
        assert name == f"{chapter}_{verb.replace('-', '_')}"
        assert re.search(r"^    params:\n        \*\*call_of\(", text, re.MULTILINE), name
        assert text.rstrip().endswith("    shell:\n        CALL"), name
        assert f'"logs/{{run}}/{chapter}/' in text, name
        assert "benchmark:" in text, name
    assert called == {(command.chapter, command.verb) for command in all_commands()}


def test_the_files_of_a_rule_have_the_names_of_its_commands_options():
    for name, text in rule_texts().items():
        if command_of(text) is None or name == "factorial_battery":  # by battery_files
            continue
        command = find_command(*command_of(text))
        for part, kind in (("input", OptionKind.READS), ("output", OptionKind.WRITES)):
            found = re.search(rf"^    {part}:\n((?:        .*\n)+)", text, re.MULTILINE)
            names = set(re.findall(r"^        (\w+)=", found[1], re.MULTILINE) if found else [])
            assert names - {"svgs"} == set(command.names_of(kind)), (name, part)  # on the page


def test_rules_hold_no_logic():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        text = path.read_text()
        assert len(text.splitlines()) <= 120, path.name
        if path.name not in ("common.smk", "inputs.smk", "targets.smk", "resources.smk"):
            assert not re.search(
                r"^(if|for|def|import|from)\b|^ +(run|script):", text, re.MULTILINE
            )
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 50


def test_the_workflow_includes_the_rules_of_every_chapter():
    text = (ROOT / "Snakefile").read_text()
    assert 'for chapter in CHAPTERS:\n\n    include: f"workflow/rules/{chapter}.smk"\n' in text


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_one_name_everywhere(chapter):
    assert chapter in yaml.safe_load((ROOT / "params.yaml").read_text())
    assert chapter in StudyConfig.model_fields
    assert (ROOT / f"workflow/rules/{chapter}.smk").is_file()
    assert (ROOT / f"docs/method/{chapter}.md").is_file()
    package = ROOT / "src/fispace"
    home = package / "report" if chapter == "report" else package / "chapters" / chapter
    assert (home / "__init__.py").is_file()
    assert list((ROOT / "tests" / chapter).glob("test_*.py"))
    assert any(command.chapter == chapter for command in all_commands())
    assert chapter in rule_texts()
    stage = stages()[chapter]
    assert stage["cmd"] == f"python workflow/sync.py {chapter} {chapter}"
    assert stage["outs"] == [{f"results/testbed/{chapter}": {"persist": True}}]


@pytest.mark.parametrize("name", BESIDE)
def test_what_stands_beside_the_chapters_has_all_of_theirs_but_a_stage(name):
    assert name in yaml.safe_load((ROOT / "params.yaml").read_text())
    assert name in StudyConfig.model_fields
    assert f'include: "workflow/rules/{name}.smk"' in (ROOT / "Snakefile").read_text()
    assert (ROOT / f"src/fispace/chapters/{name}/__init__.py").is_file()
    assert list((ROOT / "tests" / name).glob("test_*.py"))
    own = [command for command in all_commands() if command.chapter == name]
    assert own and {command.target for command in own} == {"full"}
    assert name in rule_texts() and name not in stages()


def test_every_alias_is_a_rule():
    assert set(ALIASES) <= set(rule_texts())


def jobs(output: str) -> list[tuple[list[str], list[str]]]:
    """Inputs and outputs of every job that a dry run shows."""
    blocks = re.split(r"^(?:local)?rule \w+:$", output, flags=re.MULTILINE)[1:]
    return [(paths("input", block), paths("output", block)) for block in blocks]


def paths(kind: str, block: str) -> list[str]:
    found = re.search(rf"^    {kind}: (.*)$", block, re.MULTILINE)
    return found[1].split(", ") if found else []


def owner(path: str, folders: dict[str, str]) -> str | None:
    found = [stage for stage, out in folders.items() if path.startswith(f"{out}/")]
    assert len(found) <= 1
    return found[0] if found else None


def test_dvc_and_snakemake_describe_the_same_graph(dry_run):
    outs = {name: next(iter(stage["outs"][0])) for name, stage in stages().items()}
    read: dict[str, set[str]] = {name: set() for name in outs}
    for inputs, outputs in jobs(dry_run("--forceall")):
        for stage in {owner(path, outs) for path in outputs}:
            assert stage is not None, f"no stage holds {outputs}"
            read[stage] |= {path for path in inputs if owner(path, outs) != stage}
    for name, stage in stages().items():
        needed, deps = read[name], set(stage["deps"])
        assert deps >= SHARED_DEPS
        undeclared = {path for path in needed if not any(lies_in(path, dep) for dep in deps)}
        assert not undeclared, f"{name}: not in deps: {sorted(undeclared)}"
        optional = SHARED_DEPS | {"data/stimuli"}  # the default study reads its own battery
        unread = {dep for dep in deps - optional if not any(lies_in(path, dep) for path in needed)}
        assert not unread, f"{name}: in deps but not read: {sorted(unread)}"
    assert all(read[name] for name in outs if name != "testbed")


def lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def test_in_a_fresh_clone_dvc_shows_the_reference_and_says_how_to_get_the_rest(copy):
    shutil.copytree(ROOT / "results/reference", copy.path / "results/reference")
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        copy.git(*arguments)
    copy.dvc("status")
    assert "`dvc pull` and `make sync` fetch them" in copy.dvc("metrics", "show")
    assert "index.html" in copy.dvc("plots", "show")
    left = ["git", "status", "--porcelain"]
    assert subprocess.run(left, cwd=copy.path, check=True, capture_output=True).stdout == b""


def test_a_stage_tracks_every_parameter_section_that_its_rules_use():
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, stage in stages().items():
        assert {"run", "root_seed", "threads", name} <= set(stage["params"]) <= set(raw)
    checked = set()
    for name, text in rule_texts().items():
        if command_of(text) is None:
            continue
        used = keys(find_command(*command_of(text)), raw)
        used |= {section for section, names in NAMES_OF.items() if re.search(names, text)}
        output = text[text.index("    output:") : text.index("    log:")]
        made = set(re.findall(r"results/\{+run\}+/(\w+)/", output)) or {"report"}  # drawn()
        assert not made & set(BESIDE) or made <= set(BESIDE), name
        for stage in made - set(BESIDE):
            tracked = set(stages()[stage]["params"])
            assert used <= tracked, (name, stage, used - tracked)
            checked.add(stage)
    assert checked == set(CHAPTERS)


NAMES_OF = {
    "train": r"\b(ARMS|SEEDS|RATES|MORE|AUDIT|SWITCHES|CURVE_\w+|CHECKPOINT_SECONDS|per_seed"
    r"|of_target|of_full|row|frozen_sae|candidate_curves)\b",
    "extract": r"extract/manifest\.json|\bshards\(|=testbed_corpus,",
    "lm": r"=testbed_lm,",
}
"""What rule files and common.smk take from sections of params.yaml."""


def keys(command: Command, raw: dict) -> set[str]:
    """Top-level keys of params that the command's slice is taken from."""
    found = set()
    for field in command.config.model_fields if command.config else ():
        holders = [name for name in command.sections if name and field in section(raw, name)]
        found.add(holders[0].split(".")[0] if holders else field)
    return found


def section(raw: dict, dotted: str) -> dict:
    for key in dotted.split("."):
        raw = raw[key]
    return raw


def test_layers_are_kept():
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command], cwd=ROOT, text=True, check=False, capture_output=True)
    assert done.returncode == 0, done.stdout


def test_a_wrong_parameter_stops_the_workflow_with_one_paragraph(copy):
    (copy.path / "mine.yaml").write_text("train: {kk: 3}\n")
    output = copy.snakemake("-n", "--config", "overlay=mine.yaml", ok=False)
    assert "mine.yaml: train.kk: unknown parameter" in output
    assert "Traceback" not in output


def test_a_configfile_is_refused_because_snakemake_executes_what_stands_in_it(copy):
    (copy.path / "mine.yaml").write_text("root_seed: 1\n")
    output = copy.snakemake("-n", "--configfile", "mine.yaml", ok=False)
    assert "--config overlay=FILE" in output
    assert "Traceback" not in output


def test_the_params_of_a_rule_are_canonical(dry_run):
    one = dry_run("train", "--printshellcmds")
    other = dry_run("train", "--printshellcmds", "--config", "overlay=params.yaml")
    slices = [re.findall(r"--params '(\{.*?\})'", output) for output in (one, other)]
    assert slices[0] == slices[1] != []
    assert all(list(json.loads(text)) == sorted(json.loads(text)) for text in slices[0])

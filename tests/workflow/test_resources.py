"""What every job reserves of a machine, and what is refused before anything is submitted."""

import json
import re
import struct
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser
from workflow.test_graph import blocks, command_of, rule_texts

from engine import cluster, sizes
from engine.cluster import Wanted, refusal
from engine.resources import KINDS, resources_of
from engine.sizes import UNKNOWN_LM, LmSizes, gpus_of, lm_sizes, sizes_of
from fispace.study.params import load_study

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "profiles").glob("*/config.yaml"))
STATED = ("mem_mb", "runtime", "disk_mb", "gpu")
HERE_OR_THERE = {"cores", "latency-wait", "shared-fs-usage"}
"""Settings that a machine and a scheduler need differently."""


@pytest.fixture
def study():
    return load_study(ROOT, overrides={})


def reserved(size, rule: str, *, threads: int = 1, attempt: int = 1) -> dict[str, int]:
    stated = resources_of(size, rule)
    return {
        "mem_mb": stated["mem_mb"](None, attempt),
        "runtime": stated["runtime"](None, threads, attempt),
        "disk_mb": stated["disk_mb"],
        "gpu": stated["gpu"],
    }


def with_commands() -> dict[str, str]:
    return {name: text for name, text in rule_texts().items() if command_of(text)}


def test_every_job_states_threads_memory_time_disk_and_gpus(copy):
    tuned = (
        "train={tuned: true, lr_candidates: [3.0e-3, 1.0e-2, 3.0e-2]}"  # so that there are tries
    )
    said = copy.snakemake("full", "browser", "--dry-run", "--forceall", "--config", tuned)
    for name in with_commands():
        if name == "train_import":
            continue  # this study imports no SAE
        found = blocks(said, name)
        assert found, name
        for block in found:
            line = re.search(r"^    resources: (.*)$", block, re.MULTILINE)
            values = dict(word.split("=", 1) for word in line[1].split(", "))
            assert set(STATED) <= set(values), name
            assert values["gpu"] == "0"
            assert all(int(values[key]) > 0 for key in STATED[:3]), name


def test_the_command_line_replaces_what_the_table_says(copy):
    own = ("--set-resources", "train_arm:mem_mb=12345", "train_arm:runtime=7 * attempt")
    (block, *_) = blocks(copy.snakemake("joint", "-n", *own), "train_arm")
    assert "mem_mb=12345" in block and "runtime=7" in block and "disk_mb=" in block


def test_the_table_names_rules_that_exist_once_and_each_that_computes():
    named = [rule for rules in KINDS.values() for rule in rules]
    further = re.findall(
        r"^use rule \w+ as (\w+)",
        "".join(p.read_text() for p in ROOT.glob("workflow/rules/*.smk")),
        re.M,
    )
    assert len(named) == len(set(named))
    assert set(named) <= set(with_commands()) | set(further)
    computing = {name for name, text in with_commands().items() if "    threads:" in text}
    assert computing <= set(named), computing - set(named)


GROWING = {
    "n_latents and memory of a training": ("train", "n_latents", "train_arm", "mem_mb"),
    "n_latents and disk of a training": ("train", "n_latents", "train_arm", "disk_mb"),
    "tokens and time of a training": ("train", "n_tokens", "train_arm", "runtime"),
    "batch and memory of a training": ("train", "batch_tokens", "train_candidate", "mem_mb"),
    "windows and memory of a pass": ("fidelity", "batch_windows", "fidelity_arm", "mem_mb"),
    "tested tokens and memory": ("interactions", "max_tokens", "interactions_pairs", "mem_mb"),
}


@pytest.mark.parametrize("law", GROWING)
def test_resources_grow_with_the_study(study, law):
    section, key, rule, resource = GROWING[law]
    before = reserved(sizes_of(study), rule)
    larger = {**study, section: {**study[section], key: study[section][key] * 10}}
    after = reserved(sizes_of(larger), rule)
    assert after[resource] > before[resource]
    assert all(after[name] >= before[name] for name in STATED)


def test_resources_grow_with_tokens_and_with_the_language_model(study):
    tokens = {name: 10 * count for name, count in study["extract"]["max_tokens"].items()}
    more = {**study, "extract": {**study["extract"], "max_tokens": tokens}}
    before, after = (reserved(sizes_of(each), "extract_activations") for each in (study, more))
    assert all(after[name] > before[name] for name in STATED[:3])
    small, large = sizes_of(study), sizes_of(study)._replace(lm=UNKNOWN_LM)
    for rule in ("extract_activations", "fidelity_arm", "train_arm", "interactions_pairs"):
        assert reserved(large, rule)["mem_mb"] > 2 * reserved(small, rule)["mem_mb"]
    assert reserved(large, "report_page") == reserved(small, "report_page")
    assert reserved(large, "testbed_planted") == reserved(small, "testbed_planted")


def test_a_killed_job_gets_twice_the_memory_and_time(study):
    for rule in with_commands():
        tries = [reserved(sizes_of(study), rule, attempt=attempt) for attempt in (1, 2, 3)]
        for name in ("mem_mb", "runtime"):
            assert [each[name] // tries[0][name] for each in tries] == [1, 2, 4]
        assert len({each["disk_mb"] for each in tries}) == 1


def test_more_threads_take_less_time_and_no_first_attempt_more_than_a_day(study):
    size = sizes_of(study)
    one, four = (reserved(size, "train_arm", threads=n)["runtime"] for n in (1, 4))
    assert four < one
    assert reserved(size._replace(presented_tokens=10**15), "train_arm")["runtime"] == 24 * 60


@pytest.mark.parametrize(
    ("device", "count"), [("cuda", 1), ("cuda:1", 1), ("cpu", 0), ("auto", 0), (None, 0)]
)
def test_only_a_study_on_cuda_asks_for_a_gpu_and_only_where_tensors_are(study, device, count):
    asked = study if device is None else {**study, "device": device}
    assert gpus_of(asked) == count
    size = sizes_of(asked)
    assert reserved(size, "train_arm")["gpu"] == reserved(size, "fidelity_arm")["gpu"] == count
    assert reserved(size, "fidelity_arm_more_seeds")["gpu"] == count
    on_the_processor = (
        "report_page",
        "factorial_infer",
        "testbed_lm",
        "testbed_planted",
        "browser_data",
    )
    assert not any(reserved(size, rule)["gpu"] for rule in on_the_processor)


def test_a_folder_tells_the_sizes_of_its_model(tmp_path, study):
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "w": {"dtype": "F32", "shape": [3, 5], "data_offsets": [0, 60]},
        }
    ).encode()
    (tmp_path / "model.safetensors").write_bytes(
        struct.pack("<Q", len(header)) + header + bytes(60)
    )
    (tmp_path / "config.json").write_text(
        json.dumps({"text_config": {"hidden_size": 5}, "vocab_size": 9})
    )
    of_folder = {**study, "lm": {**study["lm"], "name": str(tmp_path)}}
    assert lm_sizes(of_folder) == LmSizes(weights=15, width=5, vocabulary=9)
    (tmp_path / "config.json").write_text("[1]")
    assert lm_sizes(of_folder) == UNKNOWN_LM


def test_a_name_on_a_hub_is_assumed_large_until_it_was_fetched(study, monkeypatch, tmp_path):
    of_hub = {**study, "lm": {**study["lm"], "name": "some/never-fetched-model"}}
    assert lm_sizes(of_hub) == UNKNOWN_LM
    monkeypatch.setattr(sizes, "_folder_of", lambda *_: tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"n_embd": 7, "vocab_size": 9}))
    assert lm_sizes(of_hub).width == 7


def options() -> set[str]:
    """Options of Snakemake itself."""
    return {
        word.removeprefix("--") for action in get_argument_parser()._actions for word in action.option_strings
    }  # fmt: skip


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_a_profile_holds_options_of_snakemake_and_of_its_own_plugin(path):
    content = yaml.safe_load(path.read_text())
    executor = content.get("executor", "local")
    assert path.parent.name in {executor, "default"}
    own = {key for key in content if not key.startswith(f"{executor}-")}
    assert own <= options(), own - options()


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_a_profile_says_what_the_default_profile_says_and_retries_are_bounded(path):
    default = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    content = yaml.safe_load(path.read_text())
    assert {key: content.get(key) for key in default.keys() - HERE_OR_THERE} == {
        key: default[key] for key in default.keys() - HERE_OR_THERE
    }
    if path.parent.name != "default":
        assert "jobs" in content and 1 <= content["retries"] <= 3
        assert "cores" not in content  # those of the login node would bound the whole cluster


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_snakemake_plans_the_study_with_every_profile(path, copy):
    """Without the plugin's own settings, which only an environment with the plugin knows."""
    content = yaml.safe_load(path.read_text())
    executor = content.pop("executor", "local")
    own = {key: value for key, value in content.items() if not key.startswith(executor)}
    if executor == "kubernetes":  # its results go to a bucket, which is not here
        del own["default-storage-provider"], own["shared-fs-usage"]
    (copy.path / "mine").mkdir()
    (copy.path / "mine/config.yaml").write_text(yaml.safe_dump(own))
    said = copy.snakemake("train", "-n", "--workflow-profile", "mine", "--cores", "2")
    assert "train_arm" in said


NODES = "debug|8|16000|(null)\nbig|128+|500000+|gpu:a100:4(S:0-1)\n"
FITS = Wanted("train_arm", None, 4, 8000, 0)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A PATH with an sbatch that must not be called, and an sinfo that says this."""

    def says(text: str, code: int = 0) -> None:
        for name in ("sbatch", "sinfo"):
            tool = tmp_path / name
            stream = ">&2" if code else ""
            tool.write_text(f"#!/bin/sh\n/bin/cat {stream} <<'END'\n{text}END\nexit {code}\n")
            tool.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return says


def test_jobs_that_fit_a_node_are_not_refused(tools):
    tools(NODES)
    assert refusal("slurm", [FITS, FITS._replace(partition="big", gpus=1, mem_mb=400_000)]) is None
    assert refusal("local", [FITS._replace(partition="nowhere")]) is None


REFUSED = {
    "partition": (FITS._replace(partition="nowhere"), "no partition 'nowhere'; it has big, debug"),
    "gpu": (FITS._replace(partition="debug", gpus=1), "Rule train_arm asks for a GPU"),
    "memory": (FITS._replace(mem_mb=600_000), "600,000 MB, but the largest node of SLURM has 128"),
    "cores": (FITS._replace(partition="debug", threads=9), "9 cores"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_cluster_has_not_is_refused_before_the_first_job(tools, what):
    tools(NODES)
    job, said = REFUSED[what]
    message = refusal("slurm", [FITS, job])
    assert message is not None and said in message and "No job was submitted" in message


def test_a_scheduler_that_is_not_there_or_does_not_answer_is_named(tools, tmp_path, monkeypatch):
    missing = refusal("slurm", [FITS])
    assert missing is not None and "no sbatch" in missing and "login node" in missing
    tools("Unable to contact slurm controller\n", code=1)
    silent = refusal("slurm", [FITS])
    assert silent is not None and "Unable to contact" in silent
    (tmp_path / "sinfo").write_text("#!/bin/sh\nexec /bin/sleep 20\n")
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0.2)
    hanging = refusal("slurm", [FITS])
    assert hanging is not None and "does not answer" in hanging and "timed out" in hanging

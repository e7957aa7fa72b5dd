import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from snakemake.cli import parse_config

from engine.given import as_typed
from fispace.errors import ParamsError
from fispace.study.chapters import BESIDE, CHAPTERS
from fispace.study.commands import all_commands, find_command
from fispace.study.config.arms import arms_of
from fispace.study.config.base import Config, meaning
from fispace.study.config.study import StudyConfig
from fispace.study.config.train import ArmModel
from fispace.study.params import load_study, merged, slice_of, uses_testbed
from fispace.study.reference import SCHEMA, schema_text
from fispace.study.strict_yaml import MAX_BYTES, read_yaml_mapping

ROOT = Path(__file__).parents[2]
NOTHING_COMPARED = "fidelity: {full: {compared_with: [], controls_of: {sequential: null}}}"
ROW = "{target: all, parts: [sae], pooling: null, matched_to: null"
LOCAL = {"model": "some/folder", "text": "stories.jsonl", "transfer": "wiki.txt"}


def study(text: str = "", tmp_path: Path | None = None, **overrides: object) -> dict:
    overlays = []
    if tmp_path is not None:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        overlays = [path]
    return load_study(ROOT, overlays, overrides)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("train: {kk: 3}", ["mine.yaml", "train.kk", "unknown", "n_latents"]),
        ("trian: {k: 3}", ["mine.yaml", "trian", "unknown"]),
        ("train:\n  k: 3\n  k: 4", ["mine.yaml", "line 3", "'k'", "twice"]),
        ("train: {k: many}", ["mine.yaml", "train.k", "'many'"]),
        ("train: {k: 0}", ["mine.yaml", "train.k", "minimum"]),
        ("train: {k: 2.5}", ["mine.yaml", "train.k", "2.5"]),
        ("train: {k: true}", ["mine.yaml", "train.k", "True"]),
        ("train: {lr_candidates: [1e-3]}", ["mine.yaml", "lr_candidates[0]", "decimal point"]),
        ("train: {lr_candidates: [.nan]}", ["mine.yaml", "train.lr_candidates[0]", "finite"]),
        ("train: {dropout: .inf}", ["mine.yaml", "train.dropout", "finite"]),
        ("train: {adam_eps: 1.0e+999}", ["mine.yaml", "train.adam_eps", "finite"]),
        ("root_seed: -1", ["mine.yaml", "root_seed", "minimum"]),
        (f"root_seed: 1{'0' * 5000}", ["mine.yaml"]),
        ("run: Bad Name", ["mine.yaml", "run", "Bad Name"]),
        ("run: ../../elsewhere", ["mine.yaml", "run"]),
        ("run: reference", ["run", "reserved"]),
        ("run: bench", ["run", "reserved"]),
        ("run: 2025-07-01", ["mine.yaml", "run", "date", "quote it"]),
        ("1: one", ["mine.yaml", "line 1", "not plain text"]),
        ("train: [1]", ["mine.yaml", "train"]),
        ("train: null", ["mine.yaml", "train"]),
        ("just text", ["mine.yaml", "top level"]),
        ("train: {k: 3", ["mine.yaml", "YAML"]),
        ("train: {k: !!python/object/apply:os.system [ls]}", ["mine.yaml", "YAML"]),
        ("a: &x [1]\nb: *x", ["mine.yaml", "line 2", "aliases"]),
        ("<<: {run: other}", ["mine.yaml", "not plain text"]),
        ("a: " + "[" * 500 + "]" * 500, ["mine.yaml", "nested deeper"]),
        ("train: {arms: {../x: {parts: [sae], frozen_sae_from: null}}}", ["mine.yaml", "../x"]),
        ("train: {arms: {sae: {parts: [linear]}}}", ["train.arms.sae.parts", "'sae'"]),
        ("train: {arms: {sae: null, sequential: null}}", ["train.arms", "'sae'", "missing"]),
        ("train: {arms: {sae: {target: full}}}", ["train.arms", "'sae'", "missing"]),
        (f"train: {{arms: {{x: {ROW}, frozen_sae_from: y}}}}}}", ["train.arms.x", "'y'"]),
        (f"train: {{arms: {{x: {ROW}, frozen_sae_from: x}}}}}}", ["train.arms.x", "'x'"]),
        (f"train: {{arms: {{x: {ROW}, frozen_sae_from: null, shuffle: true}}}}}}", ["x.shuffle", "pooling"]),
        ("train: {arms: {x: {parts: [sae], frozen_sae_from: null}}}", ["train.arms.x", "missing"]),
        ("train: {arms: {bias_only: {target: some}}}", ["mine.yaml", "train.arms.bias_only.target"]),
        ("train: {arms: {sae_matched: {matched_to: nobody}}}", ["matched_to", "'nobody'"]),
        ("train: {arms: {bias_only: {matched_to: joint}}}", ["bias_only.matched_to"]),
        ("train: {arms: {bias_only: {frozen_sae_from: sae_matched}}}", ["'sae_matched'"]),
        ("train: {arms: {bias_only: {pooling: sum}}}", ["train.arms", "pooling"]),
        ("train: {arms: {mlp_probe: {pooling: null}}}", ["train.arms", "pooling"]),
        ("train: {arms: {sequential: {frozen_sae_from: bias_only}}}", ["sequential.frozen", "'bias_only'"]),
        ("train: {control_arms: {x: {parts: [sae]}}}", ["mine.yaml: train.control_arms", "train.arms"]),
        ("train: {select_in: auto}", ["mine.yaml: train.select_in", "train.topk_dtype"]),
        ("train: {mean_tokens: 5}", ["mine.yaml: train.mean_tokens", "train.interaction_mean_tokens"]),
        ("train: {more_seeds: {seeds: [0]}}", ["mine.yaml", "train.more_seeds.seeds: 0"]),
        ("train: {more_seeds: {arms: [nobody]}}", ["train.more_seeds.arms", "nobody"]),
        ("train: {arms: {sequential: {frozen_sae_from: sae_matched}}}", ["'sae_matched'"]),
        ("train: {k: 4096}", ["train.k=4096", "n_latents=448"]),
        ("fidelity: {matched_errors: [louder]}", ["mine.yaml", "fidelity.matched_errors", "louder"]),
        ("fidelity: {matched_errors: [cosine_noise]}", ["mine.yaml", "fidelity.matched_errors"]),
        ("fidelity: {compared_with: [nobody]}", ["fidelity.compared_with", "nobody"]),
        ("train: {gain_curve: {arm: joint}}", ["train.gain_curve.arm", "'joint'"]),
        ("train: {gain_curve: {k_shares: [1.0]}}", ["mine.yaml", "train.gain_curve.k_shares[0]"]),
        ("fidelity: {full: {compared_with: [nobody]}}", ["fidelity.full.compared_with", "nobody"]),
        ("fidelity: {full: {controls_of: {joint: [nobody]}}}", ["full.controls_of.joint", "nobody"]),
        ("fidelity: {full: {controls_of: {nobody: [sae]}}}", ["full.controls_of", "nobody"]),
        ("train: {arms: {mlp_probe: null}}", ["fidelity.full", "'mlp_probe'"]),
        ("train: {audit: {arm: nobody}}", ["train.audit.arm", "nobody"]),
        ("train: {audit: {arm: sae}}", ["train.audit.arm", "'sae'", "interaction"]),
        ("train: {audit: {baseline: joint}}", ["train.audit.baseline", "another"]),
        ("train: {audit: {switches: {train_split: {dropout: 0.1}}}}", ["switches.train_split"]),
        ("train: {audit: {switches: {x: {k: 1}}}}", ["mine.yaml", "train.audit.switches.x.k"]),
        ("train: {audit: {switches: {x: {dropout: 1.5}}}}", ["train.audit.switches.x.dropout"]),
        ("train: {audit: {switches: {x: {}}}}", ["train.audit.switches.x"]),
        ("train: {audit: {arm: sequential}}", ["train.audit.arm", "'sequential'", "copies an SAE"]),
        ("train: {audit: {switches: {x: {optimiser: half_precision_adam}}}}", ["x.adam_eps", "float16"]),
        ("train: {optimiser: half_precision_adam}", ["train.adam_eps", "float16"]),
        ("train: {standardise_per: row_group}", ["train.standardise_per", "train.audit.switches"]),
        ("factorial: {arm: nobody}", ["factorial.arm", "nobody"]),
        ("extract: {text: {source: txt}}", ["extract.text.path", "text=PATH"]),
        ("extract: {transfer: {source: jsonl}}", ["mine.yaml", "extract.transfer.path", "missing"]),
        ("lm: {name: null}", ["lm.name", "model=FOLDER"]),
        ("report: {health: {sae_kl: {at_least: null}}}", ["mine.yaml: report.health.sae_kl", "needs a bound"]),
        ("report: {health: {lm_gap: null}}", ["mine.yaml: report.health.lm_gap"]),
        ("report: {health: {lm_gap: {at_most: low}}}", ["mine.yaml: report.health.lm_gap.at_most", "'low'"]),
        ("report: {health: {sae_fvu: {at_least: 0.3}}}", ["report.health.sae_fvu.at_least=0.3", "no value"]),
        ("report: {health: {speed: {at_least: 1.0, at_most: null}}}", ["mine.yaml: report.health.speed"]),
    ],
)  # fmt: skip
def test_a_bad_parameter_is_refused_naming_file_and_key(text, names, tmp_path):
    with pytest.raises(ParamsError) as caught:
        study(text, tmp_path)
    for name in names:
        assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_text_are_refused(tmp_path):
    for content in (b"\xff\xfe\x00", b"run: \xc3\x28", b"a: \x07", b"#" * (MAX_BYTES + 1)):
        path = tmp_path / "mine.yaml"
        path.write_bytes(content)
        with pytest.raises(ParamsError, match=r"mine\.yaml"):
            read_yaml_mapping(path)
    with pytest.raises(ParamsError, match="cannot be read"):
        read_yaml_mapping(tmp_path / "absent.yaml")


def test_an_empty_overlay_changes_nothing(tmp_path):
    assert study("", tmp_path) == study()


def test_overlays_merge_mappings_and_replace_lists():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merged(base, {"a": {"c": [3]}, "e": 2}) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": 2}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_the_command_line_names_overlays_and_its_own_values_win(tmp_path):
    for name, k in (("a", 3), ("b", 5)):
        (tmp_path / f"{name}.yaml").write_text(f"train: {{k: {k}}}\n")
    a, b = (str(tmp_path / f"{name}.yaml") for name in "ab")
    assert study(overlay=a)["train"]["k"] == 3
    assert study(overlay=[a, b])["train"]["k"] == 5
    assert study(overlay=a, train={"k": 7})["train"]["k"] == 7
    assert study(overlay=a) == load_study(ROOT, [Path(a)])


@pytest.mark.parametrize("given", [None, 3, "", {"a": "b"}, ["a.yaml", 3], True])
def test_an_overlay_that_names_no_file_is_refused(given):
    with pytest.raises(ParamsError, match="must be a parameter file"):
        study(overlay=given)


def test_a_null_arm_drops_the_row(tmp_path):
    train = "{arms: {sequential: null}, gain_curve: {arm: bias_only}, more_seeds: {arms: [joint]}}"
    text = f"train: {train}\n" + NOTHING_COMPARED
    arms = study(text, tmp_path)["train"]["arms"]
    assert set(arms) == set(study()["train"]["arms"]) - {"sequential"}


def test_a_null_switch_of_the_audit_drops_the_row(tmp_path):
    text = "train: {adam_eps: 1.0e-2, audit: {switches: {large_eps: null}}}"
    left = set(study()["train"]["audit"]["switches"]) - {"large_eps"}
    assert set(study(text, tmp_path)["train"]["audit"]["switches"]) == left


def test_a_null_control_arm_drops_the_row(tmp_path):
    rows = study("train: {arms: {residual_sae: null}}\n" + NOTHING_COMPARED, tmp_path)
    left = set(study()["train"]["arms"]) - {"residual_sae"}
    assert set(rows["train"]["arms"]) == left


def test_arms_of_every_run_come_before_those_of_full_each_by_name(tmp_path):
    train = study(
        f"train: {{arms: {{a: {ROW}, frozen_sae_from: null}}}}}}".replace("all", "full"), tmp_path
    )["train"]
    of_all, of_full = list(arms_of(train, "all")), list(arms_of(train, "full"))
    assert of_full[: len(of_all)] == of_all == sorted(of_all)
    assert of_full[len(of_all) :] == sorted(set(train["arms"]) - set(of_all))
    assert "a" in of_full[len(of_all) :]
    assert set(arms_of(train, "all")["sae"]) == set(ArmModel.model_fields)


def test_the_study_does_not_depend_on_the_order_of_keys(tmp_path):
    one = study("train: {k: 8, n_latents: 64}\nrun: other", tmp_path)
    two = study("run: other\ntrain: {n_latents: 64, k: 8}", tmp_path)
    assert repr(one) == repr(two)


@pytest.mark.parametrize("name", ["tiny", "pythia-70m", "openllama-3b"])
def test_an_overlay_is_a_valid_study_of_its_own_name(name):
    assert load_study(ROOT, [ROOT / f"params/{name}.yaml"])["run"] == name


def test_the_local_study_takes_model_and_texts_from_the_command_line():
    local = load_study(ROOT, [ROOT / "params/local.yaml"], LOCAL)
    assert local["lm"]["name"] == "some/folder"
    text, transfer = local["extract"]["text"], local["extract"]["transfer"]
    assert (text["source"], text["path"]) == ("jsonl", "stories.jsonl")
    assert (transfer["source"], transfer["path"]) == ("txt", "wiki.txt")
    assert transfer["delimiter"] == text["delimiter"]
    assert not uses_testbed(local)
    assert uses_testbed(study())


@pytest.mark.parametrize(("left_out", "said"), [("model", "model=FOLDER"), ("text", "text=PATH")])
def test_the_local_study_says_what_the_command_line_must_give(left_out, said):
    given = {key: value for key, value in LOCAL.items() if key not in (left_out, "transfer")}
    with pytest.raises(ParamsError, match=said):
        load_study(ROOT, [ROOT / "params/local.yaml"], given)


def test_a_text_of_an_unknown_kind_is_refused():
    with pytest.raises(ParamsError, match=r"\.txt, \.jsonl, \.parquet"):
        load_study(ROOT, [ROOT / "params/local.yaml"], {**LOCAL, "text": "book.pdf"})


def test_an_unknown_value_on_the_command_line_is_refused():
    with pytest.raises(ParamsError, match="the command line: modle: unknown parameter"):
        study(modle="x")


def typed(*arguments: str) -> dict:
    return load_study(ROOT, overrides=as_typed(parse_config(arguments), arguments))


def test_numbers_inside_a_mapping_on_the_command_line_are_numbers():
    # Snakemake hands every value inside {...} on as a text
    given = "{log_every: 10, grad_clip: null, lr_candidates: [3.0e-3, 1.0e-2, 3.0e-2]}"
    train = typed(f"train={given}")["train"]
    assert (train["log_every"], train["grad_clip"]) == (10, None)
    assert train["lr_candidates"] == [0.003, 0.01, 0.03]
    delimiter = "^(?= ?= [^=]+ = ?$)"
    assert (
        typed(f"extract={{text: {{delimiter: '{delimiter}'}}}}")["extract"]["text"]["delimiter"]
        == delimiter
    )
    with pytest.raises(ParamsError, match=r"train\.log_every: 'often' is not of type 'integer'"):
        typed("train={log_every: often}")


@pytest.mark.parametrize(
    "name", ["2024_11", "1e5", "3.0", "true", "null", "007", "2025-07-01", "~"]
)
@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quoted_name_inside_a_mapping_stays_a_text(name, quote):
    assert typed(f"lm={{name: {quote}{name}{quote}}}")["lm"]["name"] == name


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("lm={name: 2024_11}", "the command line: lm.name: 202411 "),
        ("lm={name: 2025-07-01}", "the command line: lm.name: a value of kind date .* quote it"),
        ("train={k: '7'}", "the command line: train.k: '7' is not of type 'integer'"),
        ("train={k: 3, k: 4}", "the command line: train: .*'k' is given twice"),
        ("train={k: &a 3, n_latents: *a}", "the command line: train: .*aliases"),
        ("train={lr_candidates: [.inf]}", r"the command line: train.lr_candidates\[0\]: inf is not a finite"),
    ],
)  # fmt: skip
def test_an_odd_value_inside_a_mapping_is_refused_by_its_key(argument, said):
    with pytest.raises(ParamsError, match=said):
        typed(argument)


BY_WORKFLOW = {
    "interactions": {"n_null_worlds"},
    "train": {
        "gain_curve", "arms", "seeds", "more_seeds", "lr_search_seed",
        "checkpoint_seconds",
    },
    "factorial": {"arm", "battery", "secondary"},
    "fidelity": {"full"},
    "testbed": {"threads"},
    "browser": {"arm", "seed"},
}  # fmt: skip
"""Parameters that no command has under this name: the workflow reads them, or commands read below them."""


def section(dotted: str) -> type[Config]:
    """The group that a section of params.yaml is read as."""
    found: type[Config] = StudyConfig
    for key in filter(None, dotted.split(".")):
        found = found.model_fields[key].annotation
    return found


def declaring(group: type[Config], name: str) -> type[Config]:
    """The group in whose body a parameter stands."""
    return next(each for each in group.__mro__ if name in vars(each).get("__annotations__", {}))


def test_every_parameter_is_declared_once_for_its_section_and_all_commands():
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    for command in all_commands():
        for name in fields_of(command.config):
            place = next(s for s in command.sections if name in at(raw, s))
            of_section, of_command = section(place), command.config
            assert of_command is not None
            assert declaring(of_section, name) is declaring(of_command, name), (command, name)


def test_params_sections_and_commands_have_the_same_keys():
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    used: dict[str, set[str]] = {}
    for command in all_commands():
        for name in fields_of(command.config):
            place = next(s for s in command.sections if name in at(raw, s))
            used.setdefault(place, set()).add(name)
    for chapter in (*CHAPTERS, *BESIDE):
        known = set(section(chapter).model_fields)
        assert set(raw[chapter]) | {"threads"} == known | {"threads"}
        reached = used[chapter] | BY_WORKFLOW.get(chapter, set()) | {"threads"}
        assert {name for name in known if f"{chapter}.{name}" not in used} <= reached


def groups() -> set[type[Config]]:
    """All groups of parameters that there are."""
    found, waiting = set(), [Config]
    while waiting:
        below = waiting.pop().__subclasses__()
        found |= set(below)
        waiting += below
    return {group for group in found if group.__module__.startswith("fispace.study.")}


def test_every_parameter_says_what_it_means():
    for group in groups():
        for name in group.model_fields:
            assert meaning(group, name), (group, name)


def test_no_parameter_has_a_default():
    for group in groups():
        for name, field in group.model_fields.items():
            assert field.is_required(), (group, name)


def test_the_schema_for_editors_is_that_of_the_declarations():
    assert (ROOT / SCHEMA).read_text() == schema_text(), "run `make schema`"


@pytest.mark.parametrize(
    "path", ["params.yaml", *sorted(p.name for p in ROOT.glob("params/*.yaml"))]
)
def test_the_schema_for_editors_knows_every_parameter_file(path):
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    at_root = ROOT / path if path == "params.yaml" else ROOT / "params" / path
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(at_root.read_text()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({"train": {"k": 0}})


def test_a_group_read_from_its_plain_values_is_the_same_group():
    plain = study()
    for command in all_commands():
        if command.config is not None:
            group = command.config.read(slice_of(plain, command), command.chapter)
            assert command.config.read(group.plain(), command.chapter) == group


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"n_latents": True}, "train.n_latents: True is not of type 'integer'"),
        ({"n_latents": 8.0}, "train.n_latents: 8.0 is not of type 'integer'"),
        ({"dropout": False}, "train.dropout: False is not of type 'number'"),
        ({"dropout": "0.1"}, "train.dropout: '0.1' is not of type 'number'; write numbers without"),
        ({"dropout": float("nan")}, "train.dropout: nan: Input should be a finite number"),
        ({"subtract_bias": 1}, "train.subtract_bias: 1 is not of type 'boolean'"),
        ({"adam_betas": [0.9]}, "train.adam_betas: [0.9] has fewer than 2 elements (Decay rates"),
        ({"adam_betas": 3}, "train.adam_betas: expected a list, got 3"),
        ({"init": 3}, "train.init: expected a mapping, got 3"),
        ({"init": {"factors": 1, "mlp": 1}}, "train.init.linear: missing parameter (Linear part)"),
        ({"k": 10**5000}, "train.k: a number of thousands of digits is greater than the maximum"),
        ({"optimiser": "sgd"}, "train.optimiser: expected one of 'adam', 'row_sparse_adam'"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused_in_one_sentence(values, says):
    command = find_command("train", "arm")
    own = slice_of(study(), command)
    assert command.config is not None
    with pytest.raises(ParamsError) as caught:
        command.config.read(own | values, "train")
    assert str(caught.value).startswith(says)


def test_a_whole_number_may_stand_where_a_number_belongs():
    command = find_command("train", "arm")
    assert command.config is not None
    read = command.config.read(slice_of(study(), command) | {"dropout": 0}, "train")
    assert read.dropout == 0.0 and isinstance(read.dropout, float)  # pyright: ignore


def test_a_changed_group_is_checked_like_the_first():
    command = find_command("train", "arm")
    assert command.config is not None
    group = command.config.read(slice_of(study(), command), "train")
    assert group.changed(k=16).plain() == group.plain() | {"k": 16}
    with pytest.raises(ParamsError, match="k=4096 must be <= n_latents=448"):
        group.changed(k=4096)


def fields_of(config: type[Config] | None) -> list[str]:
    return [] if config is None else sorted(config.model_fields)


def at(values: dict, dotted: str) -> dict:
    for key in filter(None, dotted.split(".")):
        values = values[key]
    return values


def test_a_slice_holds_exactly_what_the_command_depends_on():
    plain = study()
    found = slice_of(plain, find_command("train", "arm"))
    assert list(found) == sorted(fields_of(find_command("train", "arm").config))
    assert found["threads"] == plain["threads"]
    assert "arms" not in found
    assert "seeds" not in found


def test_a_chapters_own_value_wins_over_the_top_level(tmp_path):
    text = "threads: 1\nextract: {threads: 3}"
    found = slice_of(study(text, tmp_path), find_command("extract", "activations"))
    assert found["threads"] == 3


def test_a_parameter_of_one_chapter_changes_no_slice_of_another(tmp_path):
    changed = study("fidelity: {n_bootstrap: 77}", tmp_path)
    for command in all_commands():
        same = slice_of(changed, command) == slice_of(study(), command)
        is_table = command.verb not in (
            "ablation-baselines",
            "arm",
            "reduced-k",
            "gain-curve",
            "audit",
        )
        is_table &= not command.verb.endswith("plots")
        assert same == (command.chapter != "fidelity" or not is_table)


@pytest.mark.parametrize(
    "name", ["a/b", "..", "-rf", "a b", "a;b", "$(x)", "a\n", "é", "", "A", "a" * 61]
)
def test_run_and_arm_names_never_leave_their_folder_nor_reach_a_shell(name, tmp_path):
    row = {"target": "all", "parts": ["sae"], "frozen_sae_from": None, "pooling": None}
    row |= {"matched_to": None}
    for values in ({"run": name}, {"train": {"arms": {name: row}}}):
        with pytest.raises(ParamsError):
            study(yaml.safe_dump(values), tmp_path)

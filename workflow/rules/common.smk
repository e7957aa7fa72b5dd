# The study, its names, and what every rule is built from. Holds no rule.
import os
import re
import sys
from functools import partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
# jobs and this file use the package in this folder, and this interpreter
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "workflow")]
search_path = os.pathsep.join([os.path.dirname(sys.executable), os.getenv("PATH", "")])
os.environ.update(PYTHONPATH=sys.path[0], PATH=search_path)

from fispace.study.chapters import CHAPTERS
from fispace.study.commands import all_commands
from fispace.study.config.arms import arms_of, gain_ks, imports_of
from fispace.errors import ParamsError
from fispace.study.params import load_study, uses_testbed
from engine.calls import CALL, call_of
from engine.console import speak_briefly
from engine.foreign import bring_to_now, foreign_message
from engine.given import as_typed, files_of_import
from engine.run_record import write_ended, write_started
from engine.shown import shown_place, shown_text

if workflow.config_settings.configfiles:
    raise WorkflowError(
        "Give a parameter file as `--config overlay=FILE`. Snakemake reads a --configfile before this "
        "workflow can check it, and executes the templates that it finds there (`__use_yte__`)."
    )
SETTINGS = workflow.config_settings
try:  # strictly: Snakemake's own reader lets duplicate keys and the like pass
    GIVEN = as_typed(SETTINGS.config or {}, SETTINGS.config_args or [])
    STUDY = load_study(ROOT, overrides=GIVEN)
except ParamsError as error:
    raise WorkflowError(str(error)) from None
call_of = partial(call_of, STUDY)

RUN, OWN_LM = STUDY["run"], STUDY["lm"]["name"] == "testbed"
TEXTS = list(filter(None, [STUDY["extract"]["text"], STUDY["extract"]["transfer"]]))
ARMS, ALL_ARMS = (arms_of(STUDY["train"], target) for target in ["all", "full"])
SEEDS, RATES, MORE = (STUDY["train"][key] for key in ["seeds", "lr_candidates", "more_seeds"])
SEARCH_SEED = STUDY["train"]["lr_search_seed"]
CURVE_ARM, CURVE_KS = STUDY["train"]["gain_curve"]["arm"], gain_ks(STUDY["train"])
AUDIT, SWITCHES = STUDY["train"]["audit"], list(STUDY["train"]["audit"]["switches"])
VARIANTS = {"": None} | {f"at_k{k}/": {"k": k} for k in CURVE_KS}
VARIANTS |= {f"audit/{name}/": changed for name, changed in AUDIT["switches"].items()}
WORLDS = STUDY["testbed"]["planted"]["worlds"]
TESTED, SPIKE = (STUDY["interactions"][key] for key in ["arm", "spike"])
ALL_SEEDS = {*SEEDS, *MORE["seeds"], SEARCH_SEED, SPIKE["seed"], SPIKE["donor_seed"]}
NULL_WORLDS = [1000 + n for n in range(STUDY["interactions"]["n_null_worlds"])]
SPLITS = ["train", "val", "test", "transfer"][: 2 + len(TEXTS)]

speak_briefly()
if workflow.exec_mode == workflow.exec_mode.DEFAULT:
    bring_to_now(RUN)
    if message := foreign_message(RUN, GIVEN):
        raise WorkflowError(message)


def one_of(values):
    """A pattern that matches the values and nothing else."""
    return "|".join(re.escape(str(value)) for value in values)


wildcard_constraints:
    run=one_of([RUN]),
    arm=one_of(ALL_ARMS),
    seed=one_of(ALL_SEEDS),
    lr=one_of(RATES),
    variant=one_of(VARIANTS),
    world=one_of(WORLDS + NULL_WORLDS),
    full="(full/)?",  # where the target full has a table of its own beside that of all
    tag="(_full)?",


def threads_of(chapter):
    """Threads of a chapter's jobs: a parameter, never the machine's number of cores."""
    return STUDY[chapter].get("threads", STUDY["threads"])


def of_run(path, **values):
    """The path in this run, once per combination of the values."""
    return expand(path, run=RUN, **values)


def of_full(path):
    """The path in this run, once per arm and seed of the target full."""
    more = of_run(path, arm=MORE["arms"], seed=MORE["seeds"])
    return of_run(path, arm=ALL_ARMS, seed=SEEDS) + more


def of_target(path):
    """An input function: the path for each arm and seed of the target that the wildcard `full` names."""
    of_all = of_run(path, arm=ARMS, seed=SEEDS)
    return lambda wildcards: of_full(path) if wildcards.full else of_all


def per_seed(path, seeds=SEEDS):
    """The path once per seed, its other wildcards kept: one job serves all seeds, in turn."""
    return expand(path, seed=seeds, allow_missing=True)


def per(path, **values):
    """The path once per combination of the values, its other wildcards kept."""
    return expand(path, **values, allow_missing=True)


def drawn(figures, suffix):
    """The figures' files of one kind, the wildcard of the run kept."""
    return expand(f"results/{{{{run}}}}/report/figures/{{figure}}.{suffix}", figure=figures)


def shards(split):
    """All activation shards of a split; none of a split that the study does not have."""
    n = STUDY["extract"]["shards"][split] if split in SPLITS else 0
    path = f"results/{{{{run}}}}/extract/{split}/shard-{{i}}-of-{n}.parquet"
    return expand(path, i=range(1, n + 1))

# The study, rule by rule. `snakemake --list-rules` says what each rule answers and costs.
#
# results/{run}/{chapter}/...            what a rule promises; {run} is params.yaml's `run`
#   extract/{split}/shard-{i}-of-{n}.parquet    split: train val test transfer
#   {train,fidelity,geometry}/{arm}/seed{seed}.*    arm: a row of train.arms, of its target
# scratch/{run}/...                      unfinished work that a restarted job continues
# logs/{run}/...                         what a job said (.log) and cost (.tsv); run.json, timing.html: in no hash
#
# Another study, own data: snakemake --config overlay=params/local.yaml model=FOLDER text=FILE
from snakemake.utils import min_version

min_version("9.18")


include: "workflow/rules/common.smk"


configfile: "params.yaml"  # read strictly by common.smk before


include: "workflow/rules/inputs.smk"
include: "workflow/rules/targets.smk"


for chapter in CHAPTERS:

    include: f"workflow/rules/{chapter}.smk"


include: "workflow/rules/browser.smk"


for part in FURTHER:

    include: f"workflow/rules/{part}.smk"


rule all:
    """Every chapter of the study, figures and claims last."""
    input:
        study_files,


rule full:
    """All of it, control arms and further seeds, the factorial tests' calibration, planted pairs."""
    input:
        study_files,
        full_files,

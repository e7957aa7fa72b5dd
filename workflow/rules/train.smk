# Every arm and seed: one model class, one training loop, one learning rate.

# a resource and no param: another value must not rerun what it cannot change
CHECKPOINT_SECONDS = STUDY["train"]["checkpoint_seconds"]


rule train:
    """Weights and training curve of every arm and seed."""
    input:
        of_run("results/{run}/train/{arm}/seed{seed}.safetensors", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/train/{arm}/seed{seed}.curve.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/train/{arm}/seed{seed}.lifecycle.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/train/lr.json"),


rule train_candidate:
    """How well does arm `sae` do at one peak learning rate? Cost: one training, a minute."""
    input:
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
    output:
        curve="results/{run}/train/lr/{lr}.curve.parquet",
    log:
        "logs/{run}/train/lr/{lr}.log",
    benchmark:
        "logs/{run}/train/lr/{lr}.tsv"
    threads: threads_of("train")
    resources:
        checkpoint_seconds=CHECKPOINT_SECONDS,
    params:
        slice=slice_json("train", "candidate"),
        seed=STUDY["train"]["lr_search_seed"],
        code=code_of("train", "candidate"),
        scratch="scratch/{run}/train/lr/{lr}",
    shell:
        "python -m fispace train candidate --params {params.slice:q}"
        " --lr {wildcards.lr} --seed {params.seed}"
        " --manifest {input.manifest} --standardiser {input.standardiser}"
        " --scratch {params.scratch} --checkpoint-seconds {resources.checkpoint_seconds}"
        " --curve {output.curve}"
        " 2> {log}"


rule train_choose_lr:
    """Which peak learning rate gives arm `sae` the lowest validation FVU? Cost: seconds."""
    input:
        curves=candidate_curves,
    output:
        lr="results/{run}/train/lr.json",
    log:
        "logs/{run}/train/choose_lr.log",
    benchmark:
        "logs/{run}/train/choose_lr.tsv"
    params:
        slice=slice_json("train", "choose-lr"),
        code=code_of("train", "choose-lr"),
    shell:
        "python -m fispace train choose-lr --params {params.slice:q}"
        " --curves {input.curves} --lr {output.lr}"
        " 2> {log}"


rule train_arm:
    """What does one arm learn from the standardised activations? Cost: one training, a minute."""
    input:
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lr="results/{run}/train/lr.json",
        frozen=frozen_sae,
    output:
        weights="results/{run}/train/{arm}/seed{seed}.safetensors",
        curve="results/{run}/train/{arm}/seed{seed}.curve.parquet",
        lifecycle="results/{run}/train/{arm}/seed{seed}.lifecycle.parquet",
    log:
        "logs/{run}/train/{arm}/seed{seed}.log",
    benchmark:
        "logs/{run}/train/{arm}/seed{seed}.tsv"
    threads: threads_of("train")
    resources:
        checkpoint_seconds=CHECKPOINT_SECONDS,
    params:
        slice=slice_json("train", "arm"),
        row=lambda wildcards: json.dumps(ALL_ARMS[wildcards.arm]),
        options=matched_row,
        code=code_of("train", "arm"),
        frozen=option("--frozen", "frozen"),
        scratch="scratch/{run}/train/{arm}/seed{seed}",
    shell:
        "python -m fispace train arm --params {params.slice:q}"
        " --arm {wildcards.arm} --row {params.row:q} {params.options} --seed {wildcards.seed}"
        " --lr {input.lr} --manifest {input.manifest} --standardiser {input.standardiser}"
        " {params.frozen}"
        " --scratch {params.scratch} --checkpoint-seconds {resources.checkpoint_seconds}"
        " --weights {output.weights} --curve {output.curve} --lifecycle {output.lifecycle}"
        " 2> {log}"

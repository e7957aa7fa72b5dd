# Every arm and seed: one model class, one training loop.


rule train:
    """Weights and training curve of every arm and seed; an imported arm has no curve."""
    input:
        of_run("results/{run}/train/{arm}/seed{seed}.safetensors", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/train/{arm}/seed{seed}.curve.parquet", arm=TRAINED, seed=SEEDS),
        of_run("results/{run}/train/{arm}/seed{seed}.lifecycle.parquet", arm=TRAINED, seed=SEEDS),
        of_run("results/{run}/train/lr.json"),
        of_run("results/{run}/train/validation.csv"),
        of_run("results/{run}/train/tuning.csv") if STUDY["train"]["tuned"] else [],


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
    params:
        **call_of(
            "train",
            "candidate",
            seed=SEARCH_SEED,
            scratch="scratch/{run}/train/lr/{lr}",
            checkpoint_seconds=CHECKPOINT_SECONDS,
        ),
    shell:
        CALL


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
        **call_of("train", "choose-lr"),
    shell:
        CALL


# {variant} is empty, or names a training of the target full with other parameters
rule train_arm:
    """What does one arm learn from the standardised activations? Cost: one training, a minute."""
    input:
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        chosen=chosen_settings,
        frozen=frozen_sae,
    output:
        weights="results/{run}/train/{variant}{arm}/seed{seed}.safetensors",
        curve="results/{run}/train/{variant}{arm}/seed{seed}.curve.parquet",
        lifecycle="results/{run}/train/{variant}{arm}/seed{seed}.lifecycle.parquet",
    log:
        "logs/{run}/train/{variant}{arm}/seed{seed}.log",
    benchmark:
        "logs/{run}/train/{variant}{arm}/seed{seed}.tsv"
    wildcard_constraints:
        arm=one_of(ALL_TRAINED),
    threads: threads_of("train")
    params:
        **call_of(
            "train",
            "arm",
            row=row,
            matched_row=matched_row,
            changed=changed,
            scratch="scratch/{run}/train/{variant}{arm}/seed{seed}",
            checkpoint_seconds=CHECKPOINT_SECONDS,
        ),
    shell:
        CALL


rule train_validation:
    """Do the trainings still gain when they end? Cost: seconds."""
    input:
        curves=curves_of_target,
    output:
        table="results/{run}/train/{full}validation.csv",
    log:
        "logs/{run}/train/{full}validation.log",
    benchmark:
        "logs/{run}/train/{full}validation.tsv"
    params:
        **call_of("train", "validation"),
    shell:
        CALL

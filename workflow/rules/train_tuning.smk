# The settings of each arm, chosen among as many tries for every arm.


rule train_try:
    """How well does an arm do with one of the settings that are tried? Cost: a part of a training."""
    input:
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lr="results/{run}/train/lr.json",
        frozen=frozen_sae,
    output:
        curve="results/{run}/train/tries/{arm}/{number}.curve.parquet",
    log:
        "logs/{run}/train/tries/{arm}/{number}.log",
    benchmark:
        "logs/{run}/train/tries/{arm}/{number}.tsv"
    wildcard_constraints:
        arm=one_of(ALL_TRAINED),
        number=one_of(range(len(RATES))),
    threads: threads_of("train")
    params:
        **call_of(
            "train",
            "try",
            row=row,
            matched_row=matched_row,
            seed=SEARCH_SEED,
            scratch="scratch/{run}/train/tries/{arm}/{number}",
            checkpoint_seconds=CHECKPOINT_SECONDS,
        ),
    shell:
        CALL


rule train_tune:
    """With which settings has an arm the lowest validation FVU? Cost: seconds."""
    input:
        lr="results/{run}/train/lr.json",
        curves=per(
            "results/{{run}}/train/tries/{{arm}}/{number}.curve.parquet", number=range(len(RATES))
        ),
    output:
        chosen="results/{run}/train/tuned/{arm}.json",
    log:
        "logs/{run}/train/tuned/{arm}.log",
    benchmark:
        "logs/{run}/train/tuned/{arm}.tsv"
    params:
        **call_of("train", "tune", row=row),
    shell:
        CALL


rule train_tabulate_tuning:
    """Which settings were tried for every arm, and which were chosen? Cost: seconds."""
    input:
        chosen=tuned_arms,
    output:
        table="results/{run}/train/{full}tuning.csv",
    log:
        "logs/{run}/train/{full}tuning.log",
    benchmark:
        "logs/{run}/train/{full}tuning.tsv"
    params:
        **call_of("train", "tabulate-tuning"),
    shell:
        CALL

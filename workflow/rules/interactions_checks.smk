# How much the test of pairs finds, where the truth is known. Rules of the chapter `interactions`.


rule interactions_recovery:
    """Does the test find the planted pairs of a world, and no others? Target full. Cost: 20 seconds
    for each share."""
    output:
        metrics="results/{run}/interactions/recovery/world{world}.parquet",
    log:
        "logs/{run}/interactions/recovery/world{world}.log",
    benchmark:
        "logs/{run}/interactions/recovery/world{world}.tsv"
    threads: threads_of("interactions")
    params:
        **call_of("interactions", "recovery", shares=shares_of_world),
    shell:
        CALL


rule interactions_recovery_summary:
    """What is found over worlds, and claimed where nothing is planted? Target full. Cost: seconds."""
    input:
        metrics=per(
            "results/{run}/interactions/recovery/world{world}.parquet",
            world=WORLDS + NULL_WORLDS,
        ),
    output:
        table="results/{run}/interactions/recovery.csv",
    log:
        "logs/{run}/interactions/recovery_summary.log",
    benchmark:
        "logs/{run}/interactions/recovery_summary.tsv"
    params:
        **call_of("interactions", "recovery-summary"),
    shell:
        CALL


rule interactions_power:
    """How small an interaction would have been found in these activations? Target full.
    Cost: a test of all pairs for each share."""
    input:
        weights=f"results/{{run}}/train/{TESTED}/seed{SPIKE['seed']}.safetensors",
        donor=f"results/{{run}}/train/{TESTED}/seed{SPIKE['donor_seed']}.safetensors",
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
    output:
        pairs="results/{run}/interactions/power.parquet",
        table="results/{run}/interactions/power.csv",
    log:
        "logs/{run}/interactions/power.log",
    benchmark:
        "logs/{run}/interactions/power.tsv"
    threads: threads_of("interactions")
    params:
        **call_of("interactions", "power"),
    shell:
        CALL

# Reconstruction by arm and parts, and the LM run on the reconstruction: the measurements.


rule fidelity:
    """Fidelity of every arm, parts, seed and split, with document-level intervals."""
    input:
        of_run("results/{run}/fidelity/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/fidelity/{arm}/seed{seed}.positions.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/fidelity/{arm}/seed{seed}.latents.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/fidelity/{name}.parquet", name=["bounds", "positions"]),
        of_run("results/{run}/fidelity/summary.{suffix}", suffix=["parquet", "csv"]),
        of_run("results/{run}/fidelity/differences.{suffix}", suffix=["parquet", "csv"]),
        of_run("results/{run}/fidelity/shapley.{suffix}", suffix=["parquet", "csv"]),


rule fidelity_ablation_baselines:
    """What does the LM lose with zeros, or the mean, at the hook point? Cost: a few LM passes."""
    input:
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lm_folder=testbed_lm,
    output:
        bounds="results/{run}/fidelity/bounds.parquet",
    log:
        "logs/{run}/fidelity/ablation_baselines.log",
    benchmark:
        "logs/{run}/fidelity/ablation_baselines.tsv"
    threads: threads_of("fidelity")
    params:
        **call_of("fidelity", "ablation-baselines"),
    shell:
        CALL


rule fidelity_arm:
    """What do activations and predictions lose, by parts kept? Cost: LM passes over the test split."""
    input:
        weights=per_seed("results/{run}/train/{arm}/seed{seed}.safetensors"),
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lm_folder=testbed_lm,
    output:
        documents=per_seed("results/{run}/fidelity/{arm}/seed{seed}.parquet"),
        positions=per_seed("results/{run}/fidelity/{arm}/seed{seed}.positions.parquet"),
        latents=per_seed("results/{run}/fidelity/{arm}/seed{seed}.latents.parquet"),
    log:
        "logs/{run}/fidelity/{arm}.log",
    benchmark:
        "logs/{run}/fidelity/{arm}.tsv"
    threads: threads_of("fidelity")
    params:
        **call_of("fidelity", "arm", seed=SEEDS),
    shell:
        CALL


# the seeds of one job are the rule's; those of the target full are another job
use rule fidelity_arm as fidelity_arm_more_seeds with:
    input:
        weights=per_seed("results/{run}/train/{arm}/seed{seed}.safetensors", MORE["seeds"]),
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lm_folder=testbed_lm,
    output:
        documents=per_seed("results/{run}/fidelity/{arm}/seed{seed}.parquet", MORE["seeds"]),
        positions=per_seed(
            "results/{run}/fidelity/{arm}/seed{seed}.positions.parquet", MORE["seeds"]
        ),
        latents=per_seed("results/{run}/fidelity/{arm}/seed{seed}.latents.parquet", MORE["seeds"]),
    log:
        "logs/{run}/fidelity/{arm}_more_seeds.log",
    benchmark:
        "logs/{run}/fidelity/{arm}_more_seeds.tsv"
    params:
        **call_of("fidelity", "arm", seed=MORE["seeds"]),


rule fidelity_audit:
    """What do the headline arms lose with one published weakness switched on? Target full.
    Cost: LM passes over the test split."""
    input:
        arm_weights=f"results/{{run}}/train/{AUDIT['arm']}/seed{{seed}}.safetensors",
        arm_switched=per(
            f"results/{{run}}/train/audit/{{switch}}/{AUDIT['arm']}/seed{{seed}}.safetensors",
            switch=SWITCHES,
        ),
        baseline_weights=f"results/{{run}}/train/{AUDIT['baseline']}/seed{{seed}}.safetensors",
        baseline_switched=per(
            f"results/{{run}}/train/audit/{{switch}}/{AUDIT['baseline']}/seed{{seed}}.safetensors",
            switch=SWITCHES,
        ),
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lm_folder=testbed_lm,
    output:
        documents="results/{run}/fidelity/full/audit/seed{seed}.parquet",
    log:
        "logs/{run}/fidelity/audit/seed{seed}.log",
    benchmark:
        "logs/{run}/fidelity/audit/seed{seed}.tsv"
    threads: threads_of("fidelity")
    params:
        **call_of("fidelity", "audit", audit=AUDIT),
    shell:
        CALL

# Norms, Gram matrix, spectra and contributions of every arm, beside their nulls.


rule geometry:
    """Geometry of every arm and seed."""
    input:
        of_run("results/{run}/geometry/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/geometry/{arm}/seed{seed}.latents.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/geometry/{arm}/seed{seed}.spectrum.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/geometry/summary.{suffix}", suffix=["parquet", "csv"]),
        of_run("results/{run}/geometry/history.{suffix}", suffix=["parquet", "csv"]),


rule geometry_arm:
    """How are an arm's directions and norms arranged, what does each latent do in each part, and
    what of it was there at initialisation? Cost: seconds."""
    input:
        weights=per_seed("results/{run}/train/{arm}/seed{seed}.safetensors"),
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
    output:
        latents=per_seed("results/{run}/geometry/{arm}/seed{seed}.latents.parquet"),
        spectrum=per_seed("results/{run}/geometry/{arm}/seed{seed}.spectrum.parquet"),
        table=per_seed("results/{run}/geometry/{arm}/seed{seed}.parquet"),
    log:
        "logs/{run}/geometry/{arm}.log",
    benchmark:
        "logs/{run}/geometry/{arm}.tsv"
    threads: threads_of("geometry")
    params:
        **call_of("geometry", "arm", seed=SEEDS),
    shell:
        CALL


rule geometry_summary:
    """What are the numbers of all arms and seeds, side by side? Cost: seconds."""
    input:
        documents=of_run("results/{run}/geometry/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
    output:
        summary="results/{run}/geometry/summary.parquet",
        table="results/{run}/geometry/summary.csv",
    log:
        "logs/{run}/geometry/summary.log",
    benchmark:
        "logs/{run}/geometry/summary.tsv"
    params:
        **call_of("geometry", "summary"),
    shell:
        CALL


rule geometry_history:
    """Are latents of low norm still being learned when training ends? Cost: seconds."""
    input:
        histories=of_run(
            "results/{run}/train/{arm}/seed{seed}.lifecycle.parquet",
            arm=[arm for arm in TRAINED if ARMS[arm]["frozen_sae_from"] is None],
            seed=SEEDS,
        ),
    output:
        summary="results/{run}/geometry/history.parquet",
        table="results/{run}/geometry/history.csv",
    log:
        "logs/{run}/geometry/history.log",
    benchmark:
        "logs/{run}/geometry/history.tsv"
    params:
        **call_of("geometry", "history"),
    shell:
        CALL


rule geometry_plots:
    """Which numbers do the norm, ratio and spectrum figures show? Cost: seconds."""
    input:
        latents=of_run(
            "results/{run}/geometry/{arm}/seed{seed}.latents.parquet", arm=ARMS, seed=SEEDS
        ),
        spectra=of_run(
            "results/{run}/geometry/{arm}/seed{seed}.spectrum.parquet", arm=ARMS, seed=SEEDS
        ),
    output:
        norms="results/{run}/report/figures/norms.csv",
        norm_ratios="results/{run}/report/figures/norm_ratios.csv",
        ratio_scatter="results/{run}/report/figures/ratio_scatter.csv",
        spectrum="results/{run}/report/figures/spectrum.csv",
    log:
        "logs/{run}/geometry/plots.log",
    benchmark:
        "logs/{run}/geometry/plots.tsv"
    params:
        **call_of("geometry", "plots"),
    shell:
        CALL


rule geometry_heads:
    """How many hidden units of every interaction are alive, control arms included? Target full.
    Cost: seconds."""
    input:
        weights=interactions,
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
    output:
        table="results/{run}/geometry/full/heads.csv",
    log:
        "logs/{run}/geometry/heads.log",
    benchmark:
        "logs/{run}/geometry/heads.tsv"
    threads: threads_of("geometry")
    params:
        **call_of("geometry", "heads"),
    shell:
        CALL

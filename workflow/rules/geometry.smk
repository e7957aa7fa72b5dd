# Norms, Gram matrix, spectra and contributions of every arm, beside their nulls.


rule geometry:
    """Geometry of every arm and seed."""
    input:
        of_run("results/{run}/geometry/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/geometry/{arm}/seed{seed}.latents.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/geometry/{arm}/seed{seed}.spectrum.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/geometry/summary.{suffix}", suffix=["parquet", "csv"]),


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
        slice=slice_json("geometry", "arm"),
        code=code_of("geometry", "arm"),
        seeds=SEEDS,
    shell:
        "python -m fispace geometry arm --params {params.slice:q}"
        " --arm {wildcards.arm} --seed {params.seeds}"
        " --weights {input.weights} --manifest {input.manifest}"
        " --standardiser {input.standardiser}"
        " --latents {output.latents} --spectrum {output.spectrum} --table {output.table}"
        " 2> {log}"


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
        code=code_of("geometry", "summary"),
    shell:
        "python -m fispace geometry summary"
        " --documents {input.documents} --summary {output.summary} --table {output.table}"
        " 2> {log}"

# Reconstruction by arm and parts, and the LM run on the reconstruction.


rule fidelity:
    """Fidelity of every arm, parts, seed and split, with document-level intervals."""
    input:
        of_run("results/{run}/fidelity/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/fidelity/{arm}/seed{seed}.positions.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/fidelity/{arm}/seed{seed}.latents.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/fidelity/bounds.parquet"),
        of_run("results/{run}/fidelity/summary.{suffix}", suffix=["parquet", "csv"]),
        of_run("results/{run}/fidelity/differences.{suffix}", suffix=["parquet", "csv"]),
        of_run("results/{run}/fidelity/shapley.{suffix}", suffix=["parquet", "csv"]),
        of_run("results/{run}/fidelity/positions.parquet"),


rule fidelity_bounds:
    """What does the LM lose with zeros, or the mean, at the hook point? Cost: a few LM passes."""
    input:
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lm=testbed_lm,
        given=given_model,
    output:
        bounds="results/{run}/fidelity/bounds.parquet",
    log:
        "logs/{run}/fidelity/bounds.log",
    benchmark:
        "logs/{run}/fidelity/bounds.tsv"
    threads: threads_of("fidelity")
    params:
        slice=slice_json("fidelity", "bounds"),
        code=code_of("fidelity", "bounds"),
        lm=LM_OPTION,
    shell:
        "python -m fispace fidelity bounds --params {params.slice:q}"
        " --manifest {input.manifest} --standardiser {input.standardiser} {params.lm}"
        " --bounds {output.bounds}"
        " 2> {log}"


rule fidelity_arm:
    """What do activations and predictions lose, by parts kept? Cost: LM passes over the test split."""
    input:
        weights=per_seed("results/{run}/train/{arm}/seed{seed}.safetensors"),
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lm=testbed_lm,
        given=given_model,
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
        slice=slice_json("fidelity", "arm"),
        code=code_of("fidelity", "arm"),
        seeds=SEEDS,
        lm=LM_OPTION,
    shell:
        "python -m fispace fidelity arm --params {params.slice:q}"
        " --arm {wildcards.arm} --seed {params.seeds}"
        " --weights {input.weights} --manifest {input.manifest}"
        " --standardiser {input.standardiser} {params.lm}"
        " --documents {output.documents} --positions {output.positions}"
        " --latents {output.latents}"
        " 2> {log}"


rule fidelity_summary:
    """How large is each loss, and how sure is it? Cost: seconds."""
    input:
        documents=of_run("results/{run}/fidelity/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
        latents=of_run(
            "results/{run}/fidelity/{arm}/seed{seed}.latents.parquet", arm=ARMS, seed=SEEDS
        ),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        summary="results/{run}/fidelity/summary.parquet",
        table="results/{run}/fidelity/summary.csv",
    log:
        "logs/{run}/fidelity/summary.log",
    benchmark:
        "logs/{run}/fidelity/summary.tsv"
    params:
        slice=slice_json("fidelity", "summary"),
        code=code_of("fidelity", "summary"),
    shell:
        "python -m fispace fidelity summary --params {params.slice:q}"
        " --documents {input.documents} --latents {input.latents}"
        " --bounds {input.bounds}"
        " --summary {output.summary} --table {output.table}"
        " 2> {log}"


rule fidelity_differences:
    """By how much does an arm differ from another, and from its controls? Cost: seconds."""
    input:
        documents=of_run("results/{run}/fidelity/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        differences="results/{run}/fidelity/differences.parquet",
        table="results/{run}/fidelity/differences.csv",
    log:
        "logs/{run}/fidelity/differences.log",
    benchmark:
        "logs/{run}/fidelity/differences.tsv"
    params:
        slice=slice_json("fidelity", "differences"),
        code=code_of("fidelity", "differences"),
    shell:
        "python -m fispace fidelity differences --params {params.slice:q}"
        " --documents {input.documents} --bounds {input.bounds}"
        " --differences {output.differences} --table {output.table}"
        " 2> {log}"


rule fidelity_shapley:
    """What does each part of an arm contribute, however its decoder is divided? Cost: seconds."""
    input:
        documents=of_run("results/{run}/fidelity/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        shapley="results/{run}/fidelity/shapley.parquet",
        table="results/{run}/fidelity/shapley.csv",
    log:
        "logs/{run}/fidelity/shapley.log",
    benchmark:
        "logs/{run}/fidelity/shapley.tsv"
    params:
        slice=slice_json("fidelity", "shapley"),
        code=code_of("fidelity", "shapley"),
    shell:
        "python -m fispace fidelity shapley --params {params.slice:q}"
        " --documents {input.documents} --bounds {input.bounds}"
        " --shapley {output.shapley} --table {output.table}"
        " 2> {log}"


rule fidelity_positions:
    """Where in the window is the LM disturbed? Cost: seconds."""
    input:
        positions=of_run(
            "results/{run}/fidelity/{arm}/seed{seed}.positions.parquet", arm=ARMS, seed=SEEDS
        ),
    output:
        curves="results/{run}/fidelity/positions.parquet",
    log:
        "logs/{run}/fidelity/positions.log",
    benchmark:
        "logs/{run}/fidelity/positions.tsv"
    params:
        slice=slice_json("fidelity", "positions"),
        code=code_of("fidelity", "positions"),
    shell:
        "python -m fispace fidelity positions --params {params.slice:q}"
        " --positions {input.positions} --curves {output.curves}"
        " 2> {log}"

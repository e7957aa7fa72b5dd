# Reconstruction by arm and parts, and the LM run on the reconstruction.


rule fidelity:
    """Fidelity of every arm, parts, seed and split, with document-level intervals."""
    input:
        of_run("results/{run}/fidelity/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/fidelity/{arm}/seed{seed}.latents.parquet", arm=ARMS, seed=SEEDS),
        of_run("results/{run}/fidelity/summary.{suffix}", suffix=["parquet", "csv"]),


rule fidelity_arm:
    """What do activations and predictions lose, by parts kept? Cost: LM passes over the test split."""
    input:
        weights="results/{run}/train/{arm}/seed{seed}.safetensors",
        manifest="results/{run}/extract/manifest.json",
        shards=shards("test") + shards("transfer"),
        standardiser="results/{run}/extract/standardiser.safetensors",
        lm=testbed_lm,
        given=given_model,
    output:
        documents="results/{run}/fidelity/{arm}/seed{seed}.parquet",
        latents="results/{run}/fidelity/{arm}/seed{seed}.latents.parquet",
    log:
        "logs/{run}/fidelity/{arm}/seed{seed}.log",
    benchmark:
        "logs/{run}/fidelity/{arm}/seed{seed}.tsv"
    threads: threads_of("fidelity")
    params:
        slice=slice_json("fidelity", "arm"),
        code=code_of("fidelity"),
        lm=LM_OPTION,
    shell:
        "python -m fispace fidelity arm --params {params.slice:q}"
        " --arm {wildcards.arm} --seed {wildcards.seed}"
        " --weights {input.weights} --manifest {input.manifest}"
        " --standardiser {input.standardiser} {params.lm}"
        " --documents {output.documents} --latents {output.latents}"
        " 2> {log}"


rule fidelity_summary:
    """How large is each loss, and how sure is it? Cost: seconds."""
    input:
        documents=of_run("results/{run}/fidelity/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
        latents=of_run(
            "results/{run}/fidelity/{arm}/seed{seed}.latents.parquet", arm=ARMS, seed=SEEDS
        ),
    output:
        summary="results/{run}/fidelity/summary.parquet",
        table="results/{run}/fidelity/summary.csv",
    log:
        "logs/{run}/fidelity/summary.log",
    benchmark:
        "logs/{run}/fidelity/summary.tsv"
    params:
        slice=slice_json("fidelity", "summary"),
        code=code_of("fidelity"),
    shell:
        "python -m fispace fidelity summary --params {params.slice:q}"
        " --documents {input.documents} --latents {input.latents}"
        " --summary {output.summary} --table {output.table}"
        " 2> {log}"

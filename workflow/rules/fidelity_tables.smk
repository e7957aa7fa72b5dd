# Tables over arms and seeds. {full} is empty, or says the target full: more arms, more seeds.


rule fidelity_summary:
    """How large is each loss, and how sure is it? Cost: seconds."""
    input:
        documents=of_target("results/{run}/fidelity/{arm}/seed{seed}.parquet"),
        latents=of_target("results/{run}/fidelity/{arm}/seed{seed}.latents.parquet"),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        summary="results/{run}/fidelity/{full}summary.parquet",
        table="results/{run}/fidelity/{full}summary.csv",
    log:
        "logs/{run}/fidelity/{full}summary.log",
    benchmark:
        "logs/{run}/fidelity/{full}summary.tsv"
    params:
        **call_of("fidelity", "summary"),
    shell:
        CALL


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
        **call_of("fidelity", "differences"),
    shell:
        CALL


rule fidelity_full_differences:
    """By how much do control arms differ from their arms, over all seeds? Target full. Cost: seconds."""
    input:
        documents=of_full("results/{run}/fidelity/{arm}/seed{seed}.parquet"),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        differences="results/{run}/fidelity/full/differences.parquet",
        table="results/{run}/fidelity/full/differences.csv",
    log:
        "logs/{run}/fidelity/full/differences.log",
    benchmark:
        "logs/{run}/fidelity/full/differences.tsv"
    params:
        **call_of("fidelity", "full-differences"),
    shell:
        CALL


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
        **call_of("fidelity", "shapley"),
    shell:
        CALL


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
        **call_of("fidelity", "positions"),
    shell:
        CALL

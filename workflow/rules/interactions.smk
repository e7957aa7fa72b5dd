# Which pairs of latents combine: a test on what the SAE leaves unexplained.


rule interactions:
    """Pairs of latents with their verdicts, and the text on which they fire."""
    input:
        of_run("results/{run}/interactions/seed{seed}.pairs.parquet", seed=SEEDS),
        of_run("results/{run}/interactions/seed{seed}.summary.parquet", seed=SEEDS),
        of_run(
            "results/{run}/interactions/{name}.csv",
            name=["pairs", "summary", "latents", "contexts"],
        ),


rule interactions_pairs:
    """Which pairs of latents combine, and which only look as if they did? Cost: seconds to minutes."""
    input:
        weights=per_seed(f"results/{{run}}/train/{TESTED}/seed{{seed}}.safetensors"),
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
    output:
        pairs=per_seed("results/{run}/interactions/seed{seed}.pairs.parquet"),
        summary=per_seed("results/{run}/interactions/seed{seed}.summary.parquet"),
    log:
        "logs/{run}/interactions/pairs.log",
    benchmark:
        "logs/{run}/interactions/pairs.tsv"
    threads: threads_of("interactions")
    params:
        **call_of("interactions", "pairs", seed=SEEDS),
    shell:
        CALL


rule interactions_table:
    """Which pairs come first, and do other seeds find them again? Cost: seconds."""
    input:
        pairs=of_run("results/{run}/interactions/seed{seed}.pairs.parquet", seed=SEEDS),
        summaries=of_run("results/{run}/interactions/seed{seed}.summary.parquet", seed=SEEDS),
        weights=of_run(f"results/{{run}}/train/{TESTED}/seed{{seed}}.safetensors", seed=SEEDS),
    output:
        table="results/{run}/interactions/pairs.csv",
        summary="results/{run}/interactions/summary.csv",
    log:
        "logs/{run}/interactions/table.log",
    benchmark:
        "logs/{run}/interactions/table.tsv"
    params:
        **call_of("interactions", "table"),
    shell:
        CALL


rule interactions_contexts:
    """In which text do the latents of the first pairs fire, together and apart? Cost: seconds."""
    input:
        lm_folder=testbed_lm,
        table="results/{run}/interactions/pairs.csv",
        weights=of_run(f"results/{{run}}/train/{TESTED}/seed{{seed}}.safetensors", seed=SEEDS),
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
    output:
        latents="results/{run}/interactions/latents.csv",
        contexts="results/{run}/interactions/contexts.csv",
    log:
        "logs/{run}/interactions/contexts.log",
    benchmark:
        "logs/{run}/interactions/contexts.tsv"
    threads: threads_of("interactions")
    params:
        **call_of("interactions", "contexts"),
    shell:
        CALL


rule interactions_plots:
    """Which numbers does the figure of the pairs show? Cost: seconds."""
    input:
        table="results/{run}/interactions/pairs.csv",
        latents="results/{run}/interactions/latents.csv",
    output:
        volcano="results/{run}/report/figures/volcano.csv",
    log:
        "logs/{run}/interactions/plots.log",
    benchmark:
        "logs/{run}/interactions/plots.tsv"
    params:
        **call_of("interactions", "plots"),
    shell:
        CALL

# Activations of one hook point, as sharded Parquet, and their standardiser.


rule extract:
    """Activations of all splits, their manifest, and the standardiser."""
    input:
        of_run("results/{run}/extract/{name}", name=["manifest.json", "standardiser.safetensors"]),
        [path.format(run=RUN) for split in SPLITS for path in shards(split)],


# Rules that read shards have the manifest as input, and not the shards: it holds their checksums, which
# the commands compare. Snakemake would hash every input once more for each output of each job.
rule extract_activations:
    """What does the LM hold at the hook point, token by token? Cost: a forward pass over the text."""
    input:
        lm_folder=testbed_lm,
        corpus=testbed_corpus,
    output:
        out=["results/{run}/extract/manifest.json", *(p for s in SPLITS for p in shards(s))],
    log:
        "logs/{run}/extract/activations.log",
    benchmark:
        "logs/{run}/extract/activations.tsv"
    threads: threads_of("extract")
    params:
        **call_of("extract", "activations", scratch="scratch/{run}/extract"),
    shell:
        CALL


rule extract_standardiser:
    """What are mean and spread of each dimension over the train tokens? Cost: one read of the shards."""
    input:
        manifest="results/{run}/extract/manifest.json",
    output:
        standardiser="results/{run}/extract/standardiser.safetensors",
    log:
        "logs/{run}/extract/standardiser.log",
    benchmark:
        "logs/{run}/extract/standardiser.tsv"
    params:
        **call_of("extract", "standardiser"),
    shell:
        CALL

# Activations of one hook point, as sharded Parquet, and their standardiser.


rule extract:
    """Activations of all splits, their manifest, and the standardiser."""
    input:
        of_run(
            "results/{run}/extract/{name}",
            name=["manifest.json", "standardiser.safetensors"],
        ),
        [path.format(run=RUN) for split in SPLITS for path in shards(split)],


# Rules that read shards have the manifest as input, and not the shards: it holds their checksums, which
# the commands compare. Snakemake would hash every input once more for each output of each job.
rule extract_activations:
    """What does the LM hold at the hook point, token by token? Cost: a forward pass over the text."""
    input:
        lm=testbed_lm,
        corpus=testbed_corpus,
        given=given_files,
    output:
        train=shards("train"),
        val=shards("val"),
        test=shards("test"),
        transfer=shards("transfer"),
        manifest="results/{run}/extract/manifest.json",
    log:
        "logs/{run}/extract/activations.log",
    benchmark:
        "logs/{run}/extract/activations.tsv"
    threads: threads_of("extract")
    params:
        slice=slice_json("extract", "activations"),
        code=code_of("extract", "activations"),
        lm=LM_OPTION,
        corpus=option("--corpus", "corpus"),
        scratch="scratch/{run}/extract",
        out="results/{run}/extract",
    shell:
        "python -m fispace extract activations --params {params.slice:q}"
        " {params.lm} {params.corpus}"
        " --scratch {params.scratch} --out {params.out}"
        " 2> {log}"


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
        slice=slice_json("extract", "standardiser"),
        code=code_of("extract", "standardiser"),
    shell:
        "python -m fispace extract standardiser --params {params.slice:q}"
        " --manifest {input.manifest} --standardiser {output.standardiser}"
        " 2> {log}"

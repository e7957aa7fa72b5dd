# Latents of the secondary code: discovery and pairs on the select half, clamps, generated texts.


rule factorial_discover:
    """Which latents respond to a factor, or to the conjunction? Select half only. Cost: seconds."""
    input:
        responses=per_seed("results/{run}/factorial/seed{seed}.responses.select.parquet"),
    output:
        discovery=per_seed("results/{run}/factorial/seed{seed}.discovery.parquet"),
        candidates=per_seed("results/{run}/factorial/seed{seed}.candidates.csv"),
    log:
        "logs/{run}/factorial/discover.log",
    benchmark:
        "logs/{run}/factorial/discover.tsv"
    params:
        **call_of("factorial", "discover"),
    shell:
        CALL


rule factorial_clamp:
    """What do clamps and their controls do to the LM's next words? Cost: many short LM passes."""
    input:
        weights=ARM_WEIGHTS,
        standardiser="results/{run}/extract/standardiser.safetensors",
        secondary=per_seed("results/{run}/factorial/seed{seed}.secondary.safetensors"),
        candidates=per_seed("results/{run}/factorial/seed{seed}.candidates.csv"),
        words="results/{run}/factorial/words.csv",
        contexts="results/{run}/factorial/contexts.csv",
        select="results/{run}/factorial/activations.select.parquet",
        lm_folder=testbed_lm,
    output:
        effects=per_seed("results/{run}/factorial/seed{seed}.effects.parquet"),
        planted=per_seed("results/{run}/factorial/seed{seed}.planted.parquet"),
        checks=per_seed("results/{run}/factorial/seed{seed}.checks.parquet"),
    log:
        "logs/{run}/factorial/clamp.log",
    benchmark:
        "logs/{run}/factorial/clamp.tsv"
    threads: threads_of("factorial")
    params:
        **call_of("factorial", "clamp"),
    shell:
        CALL


rule factorial_single_latent_response:
    """What does a single primary latent do to the secondary ones? Cost: seconds."""
    input:
        item_table="results/{run}/factorial/items.csv",
        weights=ARM_WEIGHTS,
        standardiser="results/{run}/extract/standardiser.safetensors",
        secondary=per_seed("results/{run}/factorial/seed{seed}.secondary.safetensors"),
        discovery=per_seed("results/{run}/factorial/seed{seed}.discovery.parquet"),
        confirm="results/{run}/factorial/activations.confirm.parquet",
    output:
        singles="results/{run}/factorial/singles.csv",
        histogram="results/{run}/factorial/singles_histogram.csv",
    log:
        "logs/{run}/factorial/single_latent_response.log",
    benchmark:
        "logs/{run}/factorial/single_latent_response.tsv"
    threads: threads_of("factorial")
    params:
        **call_of("factorial", "single-latent-response"),
    shell:
        CALL


rule factorial_pairs:
    """Which pairs of primary latents drive a secondary one? Select half only. Cost: seconds."""
    input:
        weights=ARM_WEIGHTS,
        standardiser="results/{run}/extract/standardiser.safetensors",
        secondary=per_seed("results/{run}/factorial/seed{seed}.secondary.safetensors"),
        candidates=per_seed("results/{run}/factorial/seed{seed}.candidates.csv"),
        select="results/{run}/factorial/activations.select.parquet",
    output:
        pairs=per_seed("results/{run}/factorial/seed{seed}.pairs.csv"),
    log:
        "logs/{run}/factorial/pairs.log",
    benchmark:
        "logs/{run}/factorial/pairs.tsv"
    threads: threads_of("factorial")
    params:
        **call_of("factorial", "pairs"),
    shell:
        CALL


rule factorial_generate:
    """Does a clamp change what the LM writes, and which words? Cost: some LM passes per token."""
    input:
        weights=ARM_WEIGHTS,
        standardiser="results/{run}/extract/standardiser.safetensors",
        secondary=per_seed("results/{run}/factorial/seed{seed}.secondary.safetensors"),
        candidates=per_seed("results/{run}/factorial/seed{seed}.candidates.csv"),
        words="results/{run}/factorial/words.csv",
        contexts="results/{run}/factorial/contexts.csv",
        lm_folder=testbed_lm,
    output:
        texts=per_seed("results/{run}/factorial/seed{seed}.generations.parquet"),
        counts=per_seed("results/{run}/factorial/seed{seed}.generation_counts.csv"),
    log:
        "logs/{run}/factorial/generate.log",
    benchmark:
        "logs/{run}/factorial/generate.tsv"
    threads: threads_of("factorial")
    params:
        **call_of("factorial", "generate"),
    shell:
        CALL

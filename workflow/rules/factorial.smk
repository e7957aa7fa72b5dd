# 2x2 stimuli: discovery on one half of the items, clamping and inference on the other.
SEED_FILES = ["discovery.parquet", "candidates.csv", "pairs.csv", "generations.parquet"]
SEED_FILES += ["generation_counts.csv", "secondary.curve.parquet", "residual.curve.parquet"]
CONTINUED = {name: STUDY["factorial"]["generation"][name] for name in ["n_contexts", "n_tokens"]}


rule factorial:
    """Battery, discovery, the declared family of tests, and the tables that F3 and F4 plot."""
    input:
        of_run("results/{run}/factorial/{name}.csv", name=["items", "words", "contexts"]),
        of_run("results/{run}/factorial/{name}.csv", name=["singles", "singles_histogram"]),
        of_run("results/{run}/factorial/{name}.csv", name=["infer", "hypotheses", "secondary"]),
        of_run("results/{run}/factorial/clamp_{name}.csv", name=["cells", "items", "fits"]),
        of_run("results/{run}/factorial/activation_cells.csv"),
        of_run("results/{run}/factorial/infer.parquet"),
        of_run("results/{run}/factorial/seed{seed}.{name}", seed=SEEDS, name=SEED_FILES),
        of_run("results/{run}/factorial/{name}", name=TRUTH_FILES),


rule factorial_battery:
    """Is the battery balanced, and which items are for selecting, which for confirming? Cost: seconds."""
    input:
        unpack(battery_files),
    output:
        item_table="results/{run}/factorial/items.csv",
        words="results/{run}/factorial/words.csv",
        contexts="results/{run}/factorial/contexts.csv",
    log:
        "logs/{run}/factorial/battery.log",
    benchmark:
        "logs/{run}/factorial/battery.tsv"
    params:
        **call_of("factorial", "battery"),
    shell:
        CALL


rule factorial_activations:
    """What does the LM hold at the hook point on every text? Cost: seconds, one LM pass."""
    input:
        item_table="results/{run}/factorial/items.csv",
        contexts="results/{run}/factorial/contexts.csv",
        lm_folder=testbed_lm,
    output:
        select="results/{run}/factorial/activations.select.parquet",
        confirm="results/{run}/factorial/activations.confirm.parquet",
    log:
        "logs/{run}/factorial/activations.log",
    benchmark:
        "logs/{run}/factorial/activations.tsv"
    priority: 1  # before the trainings, since it may refuse the LM
    threads: threads_of("factorial")
    params:
        **call_of("factorial", "activations", **CONTINUED),
    shell:
        CALL


rule factorial_secondary:
    """How well does a sparse code describe the interaction's first layer, and, as a control, the
    raw residuals? Cost: a quarter of a minute."""
    input:
        weights=ARM_WEIGHTS,
        lr="results/{run}/train/lr.json",
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
    output:
        secondary=per_seed("results/{run}/factorial/seed{seed}.{site}.safetensors"),
        curve=per_seed("results/{run}/factorial/seed{seed}.{site}.curve.parquet"),
        quality=per_seed("results/{run}/factorial/seed{seed}.{site}.quality.parquet"),
    log:
        "logs/{run}/factorial/{site}.log",
    benchmark:
        "logs/{run}/factorial/{site}.tsv"
    wildcard_constraints:
        site="secondary|residual",
    threads: threads_of("factorial")
    params:
        **call_of(
            "factorial",
            "secondary",
            scratch=per_seed("scratch/{run}/factorial/seed{seed}.{site}"),
            checkpoint_seconds=CHECKPOINT_SECONDS,
        ),
    shell:
        CALL


rule factorial_responses:
    """How strongly does every latent respond to every text? Cost: seconds."""
    input:
        item_table="results/{run}/factorial/items.csv",
        weights=ARM_WEIGHTS,
        standardiser="results/{run}/extract/standardiser.safetensors",
        secondary=per_seed("results/{run}/factorial/seed{seed}.secondary.safetensors"),
        residual=per_seed("results/{run}/factorial/seed{seed}.residual.safetensors"),
        select="results/{run}/factorial/activations.select.parquet",
        confirm="results/{run}/factorial/activations.confirm.parquet",
    output:
        select_responses=per_seed("results/{run}/factorial/seed{seed}.responses.select.parquet"),
        confirm_responses=per_seed("results/{run}/factorial/seed{seed}.responses.confirm.parquet"),
    log:
        "logs/{run}/factorial/responses.log",
    benchmark:
        "logs/{run}/factorial/responses.tsv"
    threads: threads_of("factorial")
    params:
        **call_of("factorial", "responses"),
    shell:
        CALL

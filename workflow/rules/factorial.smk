# 2x2 stimuli: discovery on one half of the items, clamping and inference on the other.
SEED_FILES = ["discovery.parquet", "candidates.csv", "pairs.csv", "generations.parquet"]
SEED_FILES += ["generation_counts.csv", "secondary.curve.parquet", "residual.curve.parquet"]


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
    """Is the battery balanced, and which items select, which confirm? Cost: seconds."""
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
        slice=slice_json("factorial", "battery"),
        code=code_of("factorial", "battery"),
        prompts=option("--prompts", "prompts"),
    shell:
        "python -m fispace factorial battery --params {params.slice:q}"
        " --stimuli {input.stimuli} --responses {input.responses} {params.prompts}"
        " --items {output.item_table} --words {output.words} --contexts {output.contexts}"
        " 2> {log}"


rule factorial_activations:
    """What does the LM hold at the hook point on every text? Cost: seconds, one LM pass."""
    input:
        item_table="results/{run}/factorial/items.csv",
        lm=testbed_lm,
        given=given_model,
    output:
        select="results/{run}/factorial/activations.select.parquet",
        confirm="results/{run}/factorial/activations.confirm.parquet",
    log:
        "logs/{run}/factorial/activations.log",
    benchmark:
        "logs/{run}/factorial/activations.tsv"
    threads: threads_of("factorial")
    params:
        slice=slice_json("factorial", "activations"),
        code=code_of("factorial", "activations"),
        lm=LM_OPTION,
    shell:
        "python -m fispace factorial activations --params {params.slice:q}"
        " --items {input.item_table} {params.lm}"
        " --select {output.select} --confirm {output.confirm}"
        " 2> {log}"


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
    resources:
        checkpoint_seconds=CHECKPOINT_SECONDS,
    params:
        slice=slice_json("factorial", "secondary"),
        code=code_of("factorial", "secondary"),
        scratch=per_seed("scratch/{run}/factorial/seed{seed}.{site}"),
    shell:
        "python -m fispace factorial secondary --params {params.slice:q} --site {wildcards.site}"
        " --weights {input.weights} --lr {input.lr} --manifest {input.manifest}"
        " --standardiser {input.standardiser}"
        " --scratch {params.scratch} --checkpoint-seconds {resources.checkpoint_seconds}"
        " --secondary {output.secondary} --curve {output.curve} --quality {output.quality}"
        " 2> {log}"


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
        select=per_seed("results/{run}/factorial/seed{seed}.responses.select.parquet"),
        confirm=per_seed("results/{run}/factorial/seed{seed}.responses.confirm.parquet"),
    log:
        "logs/{run}/factorial/responses.log",
    benchmark:
        "logs/{run}/factorial/responses.tsv"
    threads: threads_of("factorial")
    params:
        slice=slice_json("factorial", "responses"),
        code=code_of("factorial", "responses"),
    shell:
        "python -m fispace factorial responses --params {params.slice:q}"
        " --items {input.item_table} --weights {input.weights} --standardiser {input.standardiser}"
        " --secondary {input.secondary} --residual {input.residual}"
        " --select {input.select} --confirm {input.confirm}"
        " --select-responses {output.select} --confirm-responses {output.confirm}"
        " 2> {log}"


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
        slice=slice_json("factorial", "discover"),
        code=code_of("factorial", "discover"),
    shell:
        "python -m fispace factorial discover --params {params.slice:q}"
        " --responses {input.responses}"
        " --discovery {output.discovery} --candidates {output.candidates}"
        " 2> {log}"


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
        lm=testbed_lm,
        given=given_model,
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
        slice=slice_json("factorial", "clamp"),
        code=code_of("factorial", "clamp"),
        lm=LM_OPTION,
    shell:
        "python -m fispace factorial clamp --params {params.slice:q} {params.lm}"
        " --weights {input.weights} --standardiser {input.standardiser}"
        " --secondary {input.secondary} --candidates {input.candidates}"
        " --words {input.words} --contexts {input.contexts} --select {input.select}"
        " --effects {output.effects} --planted {output.planted} --checks {output.checks}"
        " 2> {log}"


rule factorial_singles:
    """What does one primary latent do to the secondary ones, alone? Nothing. Cost: seconds."""
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
        "logs/{run}/factorial/singles.log",
    benchmark:
        "logs/{run}/factorial/singles.tsv"
    threads: threads_of("factorial")
    params:
        slice=slice_json("factorial", "singles"),
        code=code_of("factorial", "singles"),
    shell:
        "python -m fispace factorial singles --params {params.slice:q}"
        " --items {input.item_table} --weights {input.weights} --standardiser {input.standardiser}"
        " --secondary {input.secondary} --discovery {input.discovery} --confirm {input.confirm}"
        " --singles {output.singles} --histogram {output.histogram}"
        " 2> {log}"

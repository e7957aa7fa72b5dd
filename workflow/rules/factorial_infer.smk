# The rest of the chapter: pairs, texts, inference, ground truth, and (target full) calibration.


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
        slice=slice_json("factorial", "pairs"),
        code=code_of("factorial", "pairs"),
    shell:
        "python -m fispace factorial pairs --params {params.slice:q}"
        " --weights {input.weights} --standardiser {input.standardiser}"
        " --secondary {input.secondary} --candidates {input.candidates}"
        " --select {input.select} --pairs {output.pairs}"
        " 2> {log}"


rule factorial_generate:
    """Does a clamp change what the LM writes, and which words? Cost: some LM passes a token."""
    input:
        weights=ARM_WEIGHTS,
        standardiser="results/{run}/extract/standardiser.safetensors",
        secondary=per_seed("results/{run}/factorial/seed{seed}.secondary.safetensors"),
        candidates=per_seed("results/{run}/factorial/seed{seed}.candidates.csv"),
        words="results/{run}/factorial/words.csv",
        contexts="results/{run}/factorial/contexts.csv",
        lm=testbed_lm,
        given=given_model,
    output:
        texts=per_seed("results/{run}/factorial/seed{seed}.generations.parquet"),
        counts=per_seed("results/{run}/factorial/seed{seed}.generation_counts.csv"),
    log:
        "logs/{run}/factorial/generate.log",
    benchmark:
        "logs/{run}/factorial/generate.tsv"
    threads: threads_of("factorial")
    params:
        slice=slice_json("factorial", "generate"),
        code=code_of("factorial", "generate"),
        lm=LM_OPTION,
    shell:
        "python -m fispace factorial generate --params {params.slice:q} {params.lm}"
        " --weights {input.weights} --standardiser {input.standardiser}"
        " --secondary {input.secondary} --candidates {input.candidates}"
        " --words {input.words} --contexts {input.contexts}"
        " --texts {output.texts} --counts {output.counts}"
        " 2> {log}"


rule factorial_infer:
    """Does the conjunction hold on the confirm half, and does clamping move it? Cost: a minute,
    most of it mixed models."""
    input:
        candidates=per_seed("results/{run}/factorial/seed{seed}.candidates.csv"),
        responses=per_seed("results/{run}/factorial/seed{seed}.responses.confirm.parquet"),
        effects=per_seed("results/{run}/factorial/seed{seed}.effects.parquet"),
        planted=per_seed("results/{run}/factorial/seed{seed}.planted.parquet"),
        quality=per_seed("results/{run}/factorial/seed{seed}.secondary.quality.parquet")
        + per_seed("results/{run}/factorial/seed{seed}.residual.quality.parquet"),
        checks=per_seed("results/{run}/factorial/seed{seed}.checks.parquet"),
    output:
        family="results/{run}/factorial/infer.parquet",
        table="results/{run}/factorial/infer.csv",
        hypotheses="results/{run}/factorial/hypotheses.csv",
        activation_cells="results/{run}/factorial/activation_cells.csv",
        cells="results/{run}/factorial/clamp_cells.csv",
        points="results/{run}/factorial/clamp_items.csv",
        fits="results/{run}/factorial/clamp_fits.csv",
        secondary="results/{run}/factorial/secondary.csv",
    log:
        "logs/{run}/factorial/infer.log",
    benchmark:
        "logs/{run}/factorial/infer.tsv"
    params:
        slice=slice_json("factorial", "infer"),
        code=code_of("factorial", "infer"),
    shell:
        "python -m fispace factorial infer --params {params.slice:q}"
        " --candidates {input.candidates} --responses {input.responses}"
        " --effects {input.effects} --planted {input.planted}"
        " --quality {input.quality} --checks {input.checks}"
        " --family {output.family} --table {output.table} --hypotheses {output.hypotheses}"
        " --activation-cells {output.activation_cells} --cells {output.cells}"
        " --points {output.points} --fits {output.fits} --secondary {output.secondary}"
        " 2> {log}"


rule factorial_truth:
    """Does the LM carry what the grammar planted, do latents, do clamps move it? Cost: seconds."""
    input:
        grammar="results/{run}/testbed/grammar.json",
        words="results/{run}/factorial/words.csv",
        contexts="results/{run}/factorial/contexts.csv",
        family="results/{run}/factorial/infer.parquet",
        planted=per_seed("results/{run}/factorial/seed{seed}.planted.parquet"),
        lm=testbed_lm,
        given=given_model,
    output:
        by_word="results/{run}/factorial/truth_words.parquet",
        answers="results/{run}/factorial/truth.csv",
    log:
        "logs/{run}/factorial/truth.log",
    benchmark:
        "logs/{run}/factorial/truth.tsv"
    threads: threads_of("factorial")
    params:
        slice=slice_json("factorial", "truth"),
        code=code_of("factorial", "truth"),
        lm=LM_OPTION,
    shell:
        "python -m fispace factorial truth --params {params.slice:q} {params.lm}"
        " --grammar {input.grammar} --words {input.words} --contexts {input.contexts}"
        " --family {input.family} --planted {input.planted} --by-word {output.by_word} --answers {output.answers}"
        " 2> {log}"


rule factorial_calibrate:
    """How often does the procedure find what is not there, and what is? Cost: some minutes."""
    input:
        select=per_seed("results/{run}/factorial/seed{seed}.responses.select.parquet"),
        confirm=per_seed("results/{run}/factorial/seed{seed}.responses.confirm.parquet"),
    output:
        calibration="results/{run}/factorial/calibration.csv",
        power="results/{run}/factorial/power.csv",
        table="results/{run}/factorial/calibration.parquet",
    log:
        "logs/{run}/factorial/calibrate.log",
    benchmark:
        "logs/{run}/factorial/calibrate.tsv"
    params:
        slice=slice_json("factorial", "calibrate"),
        code=code_of("factorial", "calibrate"),
    shell:
        "python -m fispace factorial calibrate --params {params.slice:q}"
        " --select {input.select} --confirm {input.confirm}"
        " --calibration {output.calibration} --power {output.power} --table {output.table}"
        " 2> {log}"

# Inference on the confirm half, ground truth, (target full) calibration, and the plotted tables.


rule factorial_infer:
    """Does the conjunction hold on the confirm half, and do clamps change it? Cost: a minute, mostly for
    mixed models."""
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
        **call_of("factorial", "infer"),
    shell:
        CALL


rule factorial_ground_truth:
    """Do the LM and the latents carry what the grammar planted, and do clamps change it? Cost: seconds."""
    input:
        grammar="results/{run}/testbed/grammar.json",
        words="results/{run}/factorial/words.csv",
        contexts="results/{run}/factorial/contexts.csv",
        family="results/{run}/factorial/infer.parquet",
        planted=per_seed("results/{run}/factorial/seed{seed}.planted.parquet"),
        lm_folder=testbed_lm,
    output:
        by_word="results/{run}/factorial/truth_words.parquet",
        answers="results/{run}/factorial/truth.csv",
    log:
        "logs/{run}/factorial/ground_truth.log",
    benchmark:
        "logs/{run}/factorial/ground_truth.tsv"
    threads: threads_of("factorial")
    params:
        **call_of("factorial", "ground-truth"),
    shell:
        CALL


rule factorial_calibrate:
    """How often does the procedure find an interaction that is absent, and one that is present?
    Cost: some minutes."""
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
        **call_of("factorial", "calibrate"),
    shell:
        CALL


rule factorial_plots:
    """Which numbers do the factorial chapter's figures show? Cost: seconds."""
    input:
        cells="results/{run}/factorial/clamp_cells.csv",
        points="results/{run}/factorial/clamp_items.csv",
        fits="results/{run}/factorial/clamp_fits.csv",
        histogram="results/{run}/factorial/singles_histogram.csv",
        activation="results/{run}/factorial/activation_cells.csv",
        family="results/{run}/factorial/infer.parquet",
        counts=per_seed("results/{run}/factorial/seed{seed}.generation_counts.csv"),
    output:
        clamping="results/{run}/report/figures/clamping.csv",
        secondary_activations="results/{run}/report/figures/secondary_activations.csv",
        interaction="results/{run}/report/figures/interaction.csv",
        forest="results/{run}/report/figures/family.csv",
        generations="results/{run}/report/figures/generations.csv",
    log:
        "logs/{run}/factorial/plots.log",
    benchmark:
        "logs/{run}/factorial/plots.tsv"
    params:
        **call_of("factorial", "plots"),
    shell:
        CALL


rule factorial_calibration_plots:
    """Which numbers does the calibration figure show? Target full. Cost: seconds."""
    input:
        table="results/{run}/factorial/calibration.parquet",
    output:
        calibration="results/{run}/report/figures/calibration.csv",
    log:
        "logs/{run}/factorial/calibration_plots.log",
    benchmark:
        "logs/{run}/factorial/calibration_plots.tsv"
    params:
        **call_of("factorial", "calibration-plots"),
    shell:
        CALL

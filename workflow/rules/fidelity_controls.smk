# Controls of the gain over the SAE, and the plotted tables of the chapter.


rule fidelity_controls:
    """What do the sequential and the joint arm gain over each control? Target full. Cost: seconds."""
    input:
        documents=of_full("results/{run}/fidelity/{arm}/seed{seed}.parquet"),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        controls="results/{run}/fidelity/full/controls.parquet",
        table="results/{run}/fidelity/full/controls.csv",
    log:
        "logs/{run}/fidelity/full/controls.log",
    benchmark:
        "logs/{run}/fidelity/full/controls.tsv"
    params:
        **call_of("fidelity", "controls"),
    shell:
        CALL


rule fidelity_reduced_k:
    """What does the SAE lose if k is cut at test time, and how much of it do training at that k, a refitted
    decoder and the arm recover? Target full. Cost: a pass over the train tokens."""
    input:
        sae=f"results/{{run}}/train/{CURVE_SAE}/seed{{seed}}.safetensors",
        arm=f"results/{{run}}/train/{CURVE_ARM}/seed{{seed}}.safetensors",
        saes=per(
            f"results/{{run}}/train/at_k{{k}}/{CURVE_SAE}/seed{{seed}}.safetensors", k=CURVE_KS
        ),
        arms=per(
            f"results/{{run}}/train/at_k{{k}}/{CURVE_ARM}/seed{{seed}}.safetensors", k=CURVE_KS
        ),
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
    output:
        cut="results/{run}/fidelity/full/cut/seed{seed}.parquet",
    log:
        "logs/{run}/fidelity/reduced_k/seed{seed}.log",
    benchmark:
        "logs/{run}/fidelity/reduced_k/seed{seed}.tsv"
    threads: threads_of("fidelity")
    params:
        **call_of("fidelity", "reduced-k"),
    shell:
        CALL


rule fidelity_gain_curve:
    """How does the gain over the cut SAE depend on k, over seeds? Target full. Cost: seconds."""
    input:
        cut=of_run("results/{run}/fidelity/full/cut/seed{seed}.parquet", seed=SEEDS),
    output:
        curve="results/{run}/fidelity/full/gain_curve.parquet",
        table="results/{run}/fidelity/full/gain_curve.csv",
    log:
        "logs/{run}/fidelity/gain_curve.log",
    benchmark:
        "logs/{run}/fidelity/gain_curve.tsv"
    params:
        **call_of("fidelity", "gain-curve"),
    shell:
        CALL


rule fidelity_plots:
    """Which numbers do the reconstruction and the KL figure show? Cost: seconds."""
    input:
        fidelity="results/{run}/fidelity/summary.parquet",
    output:
        reconstruction="results/{run}/report/figures/reconstruction.csv",
        kl="results/{run}/report/figures/kl.csv",
    log:
        "logs/{run}/fidelity/plots.log",
    benchmark:
        "logs/{run}/fidelity/plots.tsv"
    params:
        **call_of("fidelity", "plots"),
    shell:
        CALL


rule fidelity_control_plots:
    """Which numbers do the control, the Shapley and the position figure show? Cost: seconds."""
    input:
        fidelity="results/{run}/fidelity/summary.parquet",
        contributions="results/{run}/fidelity/shapley.parquet",
        curves="results/{run}/fidelity/positions.parquet",
    output:
        controls="results/{run}/report/figures/controls.csv",
        shapley="results/{run}/report/figures/shapley.csv",
        positions="results/{run}/report/figures/positions.csv",
    log:
        "logs/{run}/fidelity/control_plots.log",
    benchmark:
        "logs/{run}/fidelity/control_plots.tsv"
    params:
        **call_of("fidelity", "control-plots"),
    shell:
        CALL


rule fidelity_gain_plots:
    """Which numbers do the gain curve and the forest of controls show? Target full. Cost: seconds."""
    input:
        curve="results/{run}/fidelity/full/gain_curve.parquet",
        controls="results/{run}/fidelity/full/controls.parquet",
    output:
        gain_curve="results/{run}/report/figures/gain_curve.csv",
        arm_controls="results/{run}/report/figures/arm_controls.csv",
    log:
        "logs/{run}/fidelity/gain_plots.log",
    benchmark:
        "logs/{run}/fidelity/gain_plots.tsv"
    params:
        **call_of("fidelity", "gain-plots"),
    shell:
        CALL

# Plotted tables and the summary; the ledger is in claims.smk, the drawing in draw.smk. No job here
# imports torch.
OF_CLAIMS = ["claims"]
OF_MODULES = ["pipeline", "architecture"]
OF_FIDELITY = ["reconstruction", "kl", "controls", "shapley", "positions"]
OF_GEOMETRY = ["norms", "norm_ratios", "ratio_scatter", "spectrum"]
OF_FACTORIAL = ["clamping", "secondary_activations", "interaction", "family", "generations"]
OF_FULL = ["calibration", "planted", "gain_curve", "arm_controls", "claims_full", "audit"]
FIGURES = [*OF_CLAIMS, *OF_MODULES, *OF_FIDELITY, *OF_GEOMETRY, *OF_FACTORIAL]
DRAWN = ["csv", "svg", "pdf"]


rule report:
    """Claims, quantities, figures and a summary in Markdown."""
    input:
        of_run("results/{run}/report/claims.{suffix}", suffix=["csv", "json"]),
        of_run("results/{run}/report/quantities.{suffix}", suffix=["csv", "parquet"]),
        of_run("results/{run}/report/documents.csv"),
        of_run("results/{run}/report/summary.md"),
        of_run("results/{run}/report/figures/{figure}.{suffix}", figure=FIGURES, suffix=DRAWN),


rule figures:
    """Every figure as SVG and PDF, with exactly the plotted numbers as CSV."""
    input:
        of_run("results/{run}/report/figures/{figure}.{suffix}", figure=FIGURES, suffix=DRAWN),


rule report_fidelity_plots:
    """Which numbers do the reconstruction and the KL figure show? Cost: seconds."""
    input:
        fidelity="results/{run}/fidelity/summary.parquet",
    output:
        reconstruction="results/{run}/report/figures/reconstruction.csv",
        kl="results/{run}/report/figures/kl.csv",
    log:
        "logs/{run}/report/fidelity_plots.log",
    benchmark:
        "logs/{run}/report/fidelity_plots.tsv"
    params:
        code=code_of("report", "fidelity-plots"),
    shell:
        "python -m fispace report fidelity-plots --fidelity {input.fidelity}"
        " --reconstruction {output.reconstruction} --kl {output.kl}"
        " 2> {log}"


rule report_control_plots:
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
        "logs/{run}/report/control_plots.log",
    benchmark:
        "logs/{run}/report/control_plots.tsv"
    params:
        code=code_of("report", "control-plots"),
    shell:
        "python -m fispace report control-plots --fidelity {input.fidelity}"
        " --contributions {input.contributions} --curves {input.curves}"
        " --controls {output.controls} --shapley {output.shapley} --positions {output.positions}"
        " 2> {log}"


rule report_geometry_plots:
    """Which numbers do the norm, ratio and spectrum figures show? Cost: seconds."""
    input:
        latents=of_run(
            "results/{run}/geometry/{arm}/seed{seed}.latents.parquet", arm=ARMS, seed=SEEDS
        ),
        spectra=of_run(
            "results/{run}/geometry/{arm}/seed{seed}.spectrum.parquet", arm=ARMS, seed=SEEDS
        ),
    output:
        norms="results/{run}/report/figures/norms.csv",
        norm_ratios="results/{run}/report/figures/norm_ratios.csv",
        ratio_scatter="results/{run}/report/figures/ratio_scatter.csv",
        spectrum="results/{run}/report/figures/spectrum.csv",
    log:
        "logs/{run}/report/geometry_plots.log",
    benchmark:
        "logs/{run}/report/geometry_plots.tsv"
    params:
        slice=slice_json("report", "geometry-plots"),
        code=code_of("report", "geometry-plots"),
    shell:
        "python -m fispace report geometry-plots --params {params.slice:q}"
        " --latents {input.latents} --spectra {input.spectra} --norms {output.norms}"
        " --norm-ratios {output.norm_ratios} --ratio-scatter {output.ratio_scatter}"
        " --spectrum {output.spectrum}"
        " 2> {log}"


rule report_factorial_plots:
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
        secondary="results/{run}/report/figures/secondary_activations.csv",
        interaction="results/{run}/report/figures/interaction.csv",
        forest="results/{run}/report/figures/family.csv",
        generations="results/{run}/report/figures/generations.csv",
    log:
        "logs/{run}/report/factorial_plots.log",
    benchmark:
        "logs/{run}/report/factorial_plots.tsv"
    params:
        code=code_of("report", "factorial-plots"),
    shell:
        "python -m fispace report factorial-plots --cells {input.cells}"
        " --points {input.points} --fits {input.fits} --histogram {input.histogram}"
        " --activation {input.activation} --family {input.family} --counts {input.counts}"
        " --clamping {output.clamping} --secondary-activations {output.secondary}"
        " --interaction {output.interaction} --forest {output.forest}"
        " --generations {output.generations}"
        " 2> {log}"


rule report_diagrams:
    """Which modules, of which sizes, make up the study and its model? Cost: seconds."""
    output:
        pipeline="results/{run}/report/figures/pipeline.csv",
        architecture="results/{run}/report/figures/architecture.csv",
    log:
        "logs/{run}/report/diagrams.log",
    benchmark:
        "logs/{run}/report/diagrams.tsv"
    params:
        slice=slice_json("report", "diagrams"),
        code=code_of("report", "diagrams"),
    shell:
        "python -m fispace report diagrams --params {params.slice:q}"
        " --pipeline {output.pipeline} --architecture {output.architecture}"
        " 2> {log}"


rule report_summary:
    """What came out, on one page? Cost: seconds."""
    input:
        ledger="results/{run}/report/claims.csv",
        weaknesses="workflow/weaknesses.yaml",
        family="results/{run}/factorial/infer.csv",
        truth=of_run("results/{run}/factorial/{name}", name=TRUTH_FILES[:1]),
        svgs=of_run("results/{run}/report/figures/{figure}.svg", figure=FIGURES),
    output:
        summary="results/{run}/report/summary.md",
    log:
        "logs/{run}/report/summary.log",
    benchmark:
        "logs/{run}/report/summary.tsv"
    params:
        code=code_of("report", "summary"),
        target="all",
        figures=FIGURES,
        figure_folder="figures",
        truth=option("--truth", "truth"),
    shell:
        "python -m fispace report summary --run {wildcards.run} --target {params.target}"
        " --ledger {input.ledger} --weaknesses {input.weaknesses} --family {input.family} {params.truth}"
        " --figures {params.figures} --figure-folder {params.figure_folder} --summary {output.summary}"
        " 2> {log}"

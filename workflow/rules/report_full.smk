# Plotted tables, figures and the ledger that only the target full makes.
# its page shows its own overview of the claims in place of that of `all`
PAGE = [figure for figure in FIGURES + OF_FULL if figure not in OF_CLAIMS]


rule report_calibration_plots:
    """Which numbers does the calibration figure show? Target full. Cost: seconds."""
    input:
        table="results/{run}/factorial/calibration.parquet",
    output:
        calibration="results/{run}/report/figures/calibration.csv",
    log:
        "logs/{run}/report/calibration_plots.log",
    benchmark:
        "logs/{run}/report/calibration_plots.tsv"
    params:
        code=code_of("report", "calibration-plots"),
    shell:
        "python -m fispace report calibration-plots --table {input.table}"
        " --calibration {output.calibration}"
        " 2> {log}"


rule report_planted_plots:
    """Which numbers does the figure of the planted pairs show? Target full. Cost: seconds."""
    input:
        table="results/{run}/testbed/planted.parquet",
    output:
        planted="results/{run}/report/figures/planted.csv",
    log:
        "logs/{run}/report/planted_plots.log",
    benchmark:
        "logs/{run}/report/planted_plots.tsv"
    params:
        code=code_of("report", "planted-plots"),
    shell:
        "python -m fispace report planted-plots --table {input.table} --planted {output.planted}"
        " 2> {log}"


rule report_audit:
    """How far does each weakness of the published study alone move a headline number? Target full.
    Cost: seconds."""
    input:
        documents=of_run("results/{run}/fidelity/full/audit/seed{seed}.parquet", seed=SEEDS),
        quantities="results/{run}/report/quantities.parquet",
        weaknesses="workflow/weaknesses.yaml",
    output:
        audit="results/{run}/report/full/audit.parquet",
        table="results/{run}/report/full/audit.csv",
    log:
        "logs/{run}/report/audit.log",
    benchmark:
        "logs/{run}/report/audit.tsv"
    params:
        slice=slice_json("report", "audit"),
        code=code_of("report", "audit"),
    shell:
        "python -m fispace report audit --params {params.slice:q}"
        " --documents {input.documents} --quantities {input.quantities}"
        " --weaknesses {input.weaknesses} --audit {output.audit} --table {output.table}"
        " 2> {log}"


rule report_audit_plots:
    """Which numbers does the figure of the audit show? Target full. Cost: seconds."""
    input:
        table="results/{run}/report/full/audit.csv",
    output:
        audit="results/{run}/report/figures/audit.csv",
    log:
        "logs/{run}/report/audit_plots.log",
    benchmark:
        "logs/{run}/report/audit_plots.tsv"
    params:
        code=code_of("report", "audit-plots"),
    shell:
        "python -m fispace report audit-plots --table {input.table} --audit {output.audit}"
        " 2> {log}"


rule report_gain_plots:
    """Which numbers do the gain curve and the forest of controls show? Target full. Cost: seconds."""
    input:
        curve="results/{run}/fidelity/full/gain_curve.parquet",
        controls="results/{run}/fidelity/full/controls.parquet",
    output:
        gain_curve="results/{run}/report/figures/gain_curve.csv",
        arm_controls="results/{run}/report/figures/arm_controls.csv",
    log:
        "logs/{run}/report/gain_plots.log",
    benchmark:
        "logs/{run}/report/gain_plots.tsv"
    params:
        code=code_of("report", "gain-plots"),
    shell:
        "python -m fispace report gain-plots --curve {input.curve} --controls {input.controls}"
        " --gain-curve {output.gain_curve} --arm-controls {output.arm_controls}"
        " 2> {log}"


use rule report_quantities as report_quantities_full with:
    input:
        fidelity="results/{run}/fidelity/full/summary.parquet",
        geometry="results/{run}/geometry/summary.parquet",
        family="results/{run}/factorial/infer.parquet",
        secondary="results/{run}/factorial/secondary.csv",
        curve="results/{run}/fidelity/full/gain_curve.parquet",
        planted="results/{run}/testbed/planted.parquet",
    output:
        quantities="results/{run}/report/full/quantities.parquet",
        table="results/{run}/report/full/quantities.csv",
    log:
        "logs/{run}/report/full/quantities.log",
    benchmark:
        "logs/{run}/report/full/quantities.tsv"


use rule report_documents as report_documents_full with:
    input:
        sums=of_full("results/{run}/fidelity/{arm}/seed{seed}.parquet"),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        table="results/{run}/report/full/documents.csv",
    log:
        "logs/{run}/report/full/documents.log",
    benchmark:
        "logs/{run}/report/full/documents.tsv"


use rule report_claims as report_claims_full with:
    input:
        claims="workflow/claims.yaml",
        quantities="results/{run}/report/full/quantities.parquet",
        documents="results/{run}/report/full/documents.csv",
    output:
        ledger="results/{run}/report/full/claims.csv",
        metrics="results/{run}/report/full/claims.json",
    log:
        "logs/{run}/report/full/claims.log",
    benchmark:
        "logs/{run}/report/full/claims.tsv"
    params:
        slice=slice_json("report", "claims"),
        code=code_of("report", "claims"),
        target="full",


use rule report_claims_plot as report_claims_plot_full with:
    input:
        ledger="results/{run}/report/full/claims.csv",
    output:
        claims="results/{run}/report/figures/claims_full.csv",
    log:
        "logs/{run}/report/full/claims_plot.log",
    benchmark:
        "logs/{run}/report/full/claims_plot.tsv"


use rule report_summary as report_summary_full with:
    input:
        ledger="results/{run}/report/full/claims.csv",
        weaknesses="workflow/weaknesses.yaml",
        family="results/{run}/factorial/infer.csv",
        truth=of_run("results/{run}/factorial/{name}", name=TRUTH_FILES[:1]),
        svgs=of_run("results/{run}/report/figures/{figure}.svg", figure=PAGE),
    output:
        summary="results/{run}/report/full/summary.md",
    log:
        "logs/{run}/report/full/summary.log",
    benchmark:
        "logs/{run}/report/full/summary.tsv"
    params:
        code=code_of("report", "summary"),
        target="full",
        figures=PAGE,
        figure_folder="../figures",
        truth=option("--truth", "truth"),


use rule report_draw as report_draw_full with:
    input:
        tables=drawn(OF_FULL, "csv"),
    output:
        svgs=drawn(OF_FULL, "svg"),
        pdfs=drawn(OF_FULL, "pdf"),
    log:
        "logs/{run}/report/draw_full.log",
    benchmark:
        "logs/{run}/report/draw_full.tsv"
    params:
        code=code_of("report", "draw"),
        figures=OF_FULL,

# Plotted tables and figures that only the target full makes.


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
        code=code_of("report", "calibration_plots"),
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
        code=code_of("report", "planted_plots"),
    shell:
        "python -m fispace report planted-plots --table {input.table} --planted {output.planted}"
        " 2> {log}"


rule report_audit:
    """How far does each weakness of the published study alone move a headline number? Target full.
    Cost: seconds."""
    input:
        documents=of_run("results/{run}/fidelity/full/audit/seed{seed}.parquet", seed=SEEDS),
        quantities="results/{run}/report/quantities.parquet",
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
        " --audit {output.audit} --table {output.table}"
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
        code=code_of("report", "audit"),
    shell:
        "python -m fispace report audit-plots --table {input.table} --audit {output.audit}"
        " 2> {log}"


use rule report_draw as report_draw_calibration with:
    input:
        tables=drawn(OF_CALIBRATION, "csv"),
    output:
        svgs=drawn(OF_CALIBRATION, "svg"),
        pdfs=drawn(OF_CALIBRATION, "pdf"),
    log:
        "logs/{run}/report/draw_calibration.log",
    benchmark:
        "logs/{run}/report/draw_calibration.tsv"
    params:
        code=code_of("report", "draw"),
        figures=OF_CALIBRATION,


use rule report_draw as report_draw_planted with:
    input:
        tables=drawn(OF_PLANTED, "csv"),
    output:
        svgs=drawn(OF_PLANTED, "svg"),
        pdfs=drawn(OF_PLANTED, "pdf"),
    log:
        "logs/{run}/report/draw_planted.log",
    benchmark:
        "logs/{run}/report/draw_planted.tsv"
    params:
        code=code_of("report", "draw"),
        figures=OF_PLANTED,


use rule report_draw as report_draw_audit with:
    input:
        tables=drawn(OF_AUDIT, "csv"),
    output:
        svgs=drawn(OF_AUDIT, "svg"),
        pdfs=drawn(OF_AUDIT, "pdf"),
    log:
        "logs/{run}/report/draw_audit.log",
    benchmark:
        "logs/{run}/report/draw_audit.tsv"
    params:
        code=code_of("report", "draw"),
        figures=OF_AUDIT,

# The audit of the published study, and the plotted tables of the chapter `report` itself.


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
        **call_of("report", "audit"),
    shell:
        CALL


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
        **call_of("report", "audit-plots"),
    shell:
        CALL


rule report_claims_plot:
    """Which numbers does the claims overview show? Cost: seconds."""
    input:
        ledger=ledger_of_figure,
    output:
        claims="results/{run}/report/figures/claims{tag}.csv",
    log:
        "logs/{run}/report/claims_plot{tag}.log",
    benchmark:
        "logs/{run}/report/claims_plot{tag}.tsv"
    params:
        **call_of("report", "claims-plot"),
    shell:
        CALL


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
        **call_of("report", "diagrams"),
    shell:
        CALL

# The pages of a ledger: what came out, and where its numbers come from. {full} as in report.smk.


rule report_explanations:
    """Where does each number of the ledger come from? Cost: seconds."""
    input:
        ledger="results/{run}/report/{full}claims.csv",
        health="results/{run}/report/{full}health.csv",
        quantities="results/{run}/report/{full}quantities.parquet",
        family="results/{run}/factorial/infer.csv",
        truth=of_run("results/{run}/factorial/{name}", name=TRUTH_FILES[:1]),
    output:
        explanations="results/{run}/report/{full}explanations.md",
    log:
        "logs/{run}/report/{full}explanations.log",
    benchmark:
        "logs/{run}/report/{full}explanations.tsv"
    params:
        **call_of("report", "explanations"),
    shell:
        CALL


rule report_summary:
    """What came out, on one page? Cost: seconds."""
    input:
        ledger="results/{run}/report/{full}claims.csv",
        health="results/{run}/report/{full}health.csv",
        weaknesses="workflow/weaknesses.yaml",
        family="results/{run}/factorial/infer.csv",
        truth=of_run("results/{run}/factorial/{name}", name=TRUTH_FILES[:1]),
        svgs=drawings_of_page,
    output:
        summary="results/{run}/report/{full}summary.md",
    log:
        "logs/{run}/report/{full}summary.log",
    benchmark:
        "logs/{run}/report/{full}summary.tsv"
    params:
        **call_of(
            "report",
            "summary",
            target=target,
            figures=page,
            figure_folder=lambda wildcards: "../figures" if wildcards.full else "figures",
            explanations="explanations.md",
        ),
    shell:
        CALL

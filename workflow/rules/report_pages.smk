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


rule report_arms:
    """What does each arm lose with all its parts? Cost: seconds."""
    input:
        quantities="results/{run}/report/{full}quantities.parquet",
    output:
        table="results/{run}/report/{full}arms.csv",
    log:
        "logs/{run}/report/{full}arms.log",
    benchmark:
        "logs/{run}/report/{full}arms.tsv"
    params:
        **call_of("report", "arms"),
    shell:
        CALL


rule report_page:
    """What was studied, what came out, and where does it come from, on one page to open? Cost: seconds."""
    input:
        ledger="results/{run}/report/{full}claims.csv",
        arms="results/{run}/report/{full}arms.csv",
        explanations="results/{run}/report/{full}explanations.md",
        manifest="results/{run}/extract/manifest.json",
        health="results/{run}/report/{full}health.csv",
        drawings=drawings_of_page,
    output:
        page="results/{run}/report/{full}index.html",
    log:
        "logs/{run}/report/{full}page.log",
    benchmark:
        "logs/{run}/report/{full}page.tsv"
    params:
        **call_of(
            "report",
            "page",
            target=target,
            model=shown_place(STUDY["lm"]["name"]),
            text=shown_text(STUDY["extract"]["text"]),
            transfer=shown_text(STUDY["extract"]["transfer"]),
            seeds=" ".join(map(str, SEEDS)),
            more_seeds=lambda wildcards: " ".join(
                map(str, MORE["seeds"] if wildcards.full else [])
            ),
            figure_folder=lambda wildcards: "../figures" if wildcards.full else "figures",
            logs=lambda wildcards: ("../" if wildcards.full else "") + f"../../../logs/{RUN}",
            browser=lambda wildcards: ("../" if wildcards.full else "") + "../browser/index.html",
        ),
    shell:
        CALL

# The ledger of the claims, the page, and the diagrams. No job here imports torch. {full} is empty, or
# says the target full, whose ledger answers every claim.
OF_CLAIMS = ["claims"]
OF_MODULES = ["pipeline", "architecture"]
OF_FIDELITY = ["reconstruction", "kl", "controls", "shapley", "positions"]
OF_GEOMETRY = ["norms", "norm_ratios", "ratio_scatter", "spectrum"]
OF_INTERACTIONS = ["volcano"]
OF_FACTORIAL = ["clamping", "secondary_activations", "interaction", "family", "generations"]
OF_FULL = ["calibration", "planted", "gain_curve", "arm_controls", "claims_full", "audit"]
FIGURES = [*OF_CLAIMS, *OF_MODULES, *OF_FIDELITY, *OF_GEOMETRY, *OF_INTERACTIONS, *OF_FACTORIAL]
FULL_PAGE = [figure for figure in FIGURES + OF_FULL if figure not in OF_CLAIMS]
DRAWN = ["csv", "svg", "pdf"]
LEDGER = ["claims.csv", "claims.json", "quantities.csv", "documents.csv"]
LEDGER += ["health.csv", "explanations.md", "summary.md", "arms.csv", "index.html"]


rule report:
    """Claims, quantities and figures on one page: open results/<run>/report/index.html."""
    input:
        of_run("results/{run}/report/{name}", name=[*LEDGER, "quantities.parquet"]),
        of_run("results/{run}/report/figures/{figure}.{suffix}", figure=FIGURES, suffix=DRAWN),


rule figures:
    """Every figure as SVG and PDF, with exactly the plotted numbers as CSV."""
    input:
        of_run("results/{run}/report/figures/{figure}.{suffix}", figure=FIGURES, suffix=DRAWN),


rule report_quantities:
    """Which numbers can a claim point to, by name and seed? Cost: seconds."""
    input:
        fidelity="results/{run}/fidelity/{full}summary.parquet",
        geometry="results/{run}/geometry/summary.parquet",
        family="results/{run}/factorial/infer.parquet",
        secondary="results/{run}/factorial/secondary.csv",
        curve=only_full("results/{run}/fidelity/full/gain_curve.parquet"),
        planted=only_full("results/{run}/testbed/planted.parquet"),
    output:
        quantities="results/{run}/report/{full}quantities.parquet",
        table="results/{run}/report/{full}quantities.csv",
    log:
        "logs/{run}/report/{full}quantities.log",
    benchmark:
        "logs/{run}/report/{full}quantities.tsv"
    params:
        **call_of("report", "quantities"),
    shell:
        CALL


rule report_documents:
    """How far do the fidelity quantities vary over documents? Cost: seconds."""
    input:
        sums=of_target("results/{run}/fidelity/{arm}/seed{seed}.parquet"),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        table="results/{run}/report/{full}documents.csv",
    log:
        "logs/{run}/report/{full}documents.log",
    benchmark:
        "logs/{run}/report/{full}documents.tsv"
    params:
        **call_of("report", "documents"),
    shell:
        CALL


rule report_health:
    """Is the study healthy enough for its verdicts to be read? Cost: seconds."""
    input:
        fidelity="results/{run}/fidelity/{full}summary.csv",
        heads=live_units,
        curves="results/{run}/train/{full}validation.csv",
        floor=floor,
    output:
        health="results/{run}/report/{full}health.csv",
    log:
        "logs/{run}/report/{full}health.log",
    benchmark:
        "logs/{run}/report/{full}health.tsv"
    params:
        **call_of("report", "health"),
    shell:
        CALL


rule report_claims:
    """What did the paper print, what do we get by its definition, what under control, and what is
    the verdict? Cost: seconds."""
    input:
        claims="workflow/claims.yaml",
        quantities="results/{run}/report/{full}quantities.parquet",
        documents="results/{run}/report/{full}documents.csv",
    output:
        ledger="results/{run}/report/{full}claims.csv",
        metrics="results/{run}/report/{full}claims.json",
    log:
        "logs/{run}/report/{full}claims.log",
    benchmark:
        "logs/{run}/report/{full}claims.tsv"
    params:
        **call_of("report", "claims", target=target),
    shell:
        CALL

# The ledger: what a claim can point to, and what becomes of it. Rules of the chapter `report`.


rule report_quantities:
    """Which numbers can a claim point to, by name and seed? Cost: seconds."""
    input:
        fidelity="results/{run}/fidelity/summary.parquet",
        geometry="results/{run}/geometry/summary.parquet",
        family="results/{run}/factorial/infer.parquet",
        secondary="results/{run}/factorial/secondary.csv",
    output:
        quantities="results/{run}/report/quantities.parquet",
        table="results/{run}/report/quantities.csv",
    log:
        "logs/{run}/report/quantities.log",
    benchmark:
        "logs/{run}/report/quantities.tsv"
    params:
        slice=slice_json("report", "quantities"),
        code=code_of("report", "quantities"),
        curve=option("--curve", "curve"),
        planted=option("--planted", "planted"),
    shell:
        "python -m fispace report quantities --params {params.slice:q}"
        " --fidelity {input.fidelity} --geometry {input.geometry}"
        " --family {input.family} --secondary {input.secondary} {params.curve} {params.planted}"
        " --quantities {output.quantities} --table {output.table}"
        " 2> {log}"


rule report_documents:
    """How far do the fidelity quantities vary over documents? Cost: seconds."""
    input:
        sums=of_run("results/{run}/fidelity/{arm}/seed{seed}.parquet", arm=ARMS, seed=SEEDS),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        table="results/{run}/report/documents.csv",
    log:
        "logs/{run}/report/documents.log",
    benchmark:
        "logs/{run}/report/documents.tsv"
    params:
        slice=slice_json("report", "documents"),
        code=code_of("report", "documents"),
    shell:
        "python -m fispace report documents --params {params.slice:q}"
        " --sums {input.sums} --bounds {input.bounds} --table {output.table}"
        " 2> {log}"


rule report_claims:
    """What did the paper print, what do we get by its definition, what under control, and what is
    the verdict? Cost: seconds."""
    input:
        claims="workflow/claims.yaml",
        quantities="results/{run}/report/quantities.parquet",
        documents="results/{run}/report/documents.csv",
    output:
        ledger="results/{run}/report/claims.csv",
        metrics="results/{run}/report/claims.json",
    log:
        "logs/{run}/report/claims.log",
    benchmark:
        "logs/{run}/report/claims.tsv"
    params:
        slice=slice_json("report", "claims"),
        code=code_of("report", "claims"),
        target="all",
    shell:
        "python -m fispace report claims --params {params.slice:q} --target {params.target}"
        " --claims {input.claims} --quantities {input.quantities}"
        " --documents {input.documents}"
        " --ledger {output.ledger} --metrics {output.metrics}"
        " 2> {log}"


rule report_claims_plot:
    """Which numbers does the claims overview show? Cost: seconds."""
    input:
        ledger="results/{run}/report/claims.csv",
    output:
        claims="results/{run}/report/figures/claims.csv",
    log:
        "logs/{run}/report/claims_plot.log",
    benchmark:
        "logs/{run}/report/claims_plot.tsv"
    params:
        code=code_of("report", "claims-plot"),
    shell:
        "python -m fispace report claims-plot --ledger {input.ledger} --claims {output.claims}"
        " 2> {log}"

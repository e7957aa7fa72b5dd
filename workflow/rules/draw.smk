# Figures from their plotted tables, a job for each chapter. Rules of the chapter `report`.


rule report_draw:
    """What does the overview of the claims look like? Cost: seconds."""
    input:
        tables=drawn(OF_CLAIMS, "csv"),
    output:
        svgs=drawn(OF_CLAIMS, "svg"),
        pdfs=drawn(OF_CLAIMS, "pdf"),
    log:
        "logs/{run}/report/draw.log",
    benchmark:
        "logs/{run}/report/draw.tsv"
    params:
        code=code_of("report", "draw"),
        figures=OF_CLAIMS,
    shell:
        "python -m fispace report draw --figure {params.figures}"
        " --table {input.tables} --svg {output.svgs} --pdf {output.pdfs}"
        " 2> {log}"


use rule report_draw as report_draw_modules with:
    input:
        tables=drawn(OF_MODULES, "csv"),
    output:
        svgs=drawn(OF_MODULES, "svg"),
        pdfs=drawn(OF_MODULES, "pdf"),
    log:
        "logs/{run}/report/draw_modules.log",
    benchmark:
        "logs/{run}/report/draw_modules.tsv"
    params:
        code=code_of("report", "draw"),
        figures=OF_MODULES,


use rule report_draw as report_draw_fidelity with:
    input:
        tables=drawn(OF_FIDELITY, "csv"),
    output:
        svgs=drawn(OF_FIDELITY, "svg"),
        pdfs=drawn(OF_FIDELITY, "pdf"),
    log:
        "logs/{run}/report/draw_fidelity.log",
    benchmark:
        "logs/{run}/report/draw_fidelity.tsv"
    params:
        code=code_of("report", "draw"),
        figures=OF_FIDELITY,


use rule report_draw as report_draw_geometry with:
    input:
        tables=drawn(OF_GEOMETRY, "csv"),
    output:
        svgs=drawn(OF_GEOMETRY, "svg"),
        pdfs=drawn(OF_GEOMETRY, "pdf"),
    log:
        "logs/{run}/report/draw_geometry.log",
    benchmark:
        "logs/{run}/report/draw_geometry.tsv"
    params:
        code=code_of("report", "draw"),
        figures=OF_GEOMETRY,


use rule report_draw as report_draw_factorial with:
    input:
        tables=drawn(OF_FACTORIAL, "csv"),
    output:
        svgs=drawn(OF_FACTORIAL, "svg"),
        pdfs=drawn(OF_FACTORIAL, "pdf"),
    log:
        "logs/{run}/report/draw_factorial.log",
    benchmark:
        "logs/{run}/report/draw_factorial.tsv"
    params:
        code=code_of("report", "draw"),
        figures=OF_FACTORIAL,

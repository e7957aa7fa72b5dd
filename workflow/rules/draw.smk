# Figures from their plotted tables, a job for each chapter. Rules of the chapter `report`.


rule report_draw:
    """What does the overview of the claims look like? Cost: seconds."""
    input:
        table=drawn(OF_CLAIMS, "csv"),
    output:
        svg=drawn(OF_CLAIMS, "svg"),
        pdf=drawn(OF_CLAIMS, "pdf"),
    log:
        "logs/{run}/report/draw.log",
    benchmark:
        "logs/{run}/report/draw.tsv"
    params:
        **call_of("report", "draw", figure=OF_CLAIMS),
    shell:
        CALL


use rule report_draw as report_draw_modules with:
    input:
        table=drawn(OF_MODULES, "csv"),
    output:
        svg=drawn(OF_MODULES, "svg"),
        pdf=drawn(OF_MODULES, "pdf"),
    log:
        "logs/{run}/report/draw_modules.log",
    benchmark:
        "logs/{run}/report/draw_modules.tsv"
    params:
        **call_of("report", "draw", figure=OF_MODULES),


use rule report_draw as report_draw_fidelity with:
    input:
        table=drawn(OF_FIDELITY, "csv"),
    output:
        svg=drawn(OF_FIDELITY, "svg"),
        pdf=drawn(OF_FIDELITY, "pdf"),
    log:
        "logs/{run}/report/draw_fidelity.log",
    benchmark:
        "logs/{run}/report/draw_fidelity.tsv"
    params:
        **call_of("report", "draw", figure=OF_FIDELITY),


use rule report_draw as report_draw_geometry with:
    input:
        table=drawn(OF_GEOMETRY, "csv"),
    output:
        svg=drawn(OF_GEOMETRY, "svg"),
        pdf=drawn(OF_GEOMETRY, "pdf"),
    log:
        "logs/{run}/report/draw_geometry.log",
    benchmark:
        "logs/{run}/report/draw_geometry.tsv"
    params:
        **call_of("report", "draw", figure=OF_GEOMETRY),


use rule report_draw as report_draw_interactions with:
    input:
        table=drawn(OF_INTERACTIONS, "csv"),
    output:
        svg=drawn(OF_INTERACTIONS, "svg"),
        pdf=drawn(OF_INTERACTIONS, "pdf"),
    log:
        "logs/{run}/report/draw_interactions.log",
    benchmark:
        "logs/{run}/report/draw_interactions.tsv"
    params:
        **call_of("report", "draw", figure=OF_INTERACTIONS),


use rule report_draw as report_draw_factorial with:
    input:
        table=drawn(OF_FACTORIAL, "csv"),
    output:
        svg=drawn(OF_FACTORIAL, "svg"),
        pdf=drawn(OF_FACTORIAL, "pdf"),
    log:
        "logs/{run}/report/draw_factorial.log",
    benchmark:
        "logs/{run}/report/draw_factorial.tsv"
    params:
        **call_of("report", "draw", figure=OF_FACTORIAL),


use rule report_draw as report_draw_full with:
    input:
        table=drawn(OF_FULL, "csv"),
    output:
        svg=drawn(OF_FULL, "svg"),
        pdf=drawn(OF_FULL, "pdf"),
    log:
        "logs/{run}/report/draw_full.log",
    benchmark:
        "logs/{run}/report/draw_full.tsv"
    params:
        **call_of("report", "draw", figure=OF_FULL),

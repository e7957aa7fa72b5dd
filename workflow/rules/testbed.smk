# The built-in language with ground truth, and the LM that learns it.


rule testbed:
    """The testbed: grammar, corpus, stimuli, and the LM with its distance from the Bayes floor."""
    input:
        of_run("results/{run}/testbed/{name}", name=["grammar.json", "stimuli.csv", "floor.json"]),
        of_run("results/{run}/testbed/{name}.parquet", name=["corpus", "lm_curve"]),
        of_run("results/{run}/testbed/lm/{name}", name=LM_FILES),


rule testbed_corpus:
    """Which documents, labels and stimuli does the planted grammar write? Cost: seconds."""
    output:
        grammar="results/{run}/testbed/grammar.json",
        corpus="results/{run}/testbed/corpus.parquet",
        stimuli="results/{run}/testbed/stimuli.csv",
    log:
        "logs/{run}/testbed/corpus.log",
    benchmark:
        "logs/{run}/testbed/corpus.tsv"
    params:
        **call_of("testbed", "corpus"),
    shell:
        CALL


rule testbed_lm:
    """How close to the Bayes floor does a small LM come? Cost: a minute on two cores."""
    input:
        corpus="results/{run}/testbed/corpus.parquet",
    output:
        lm_folder=expand("results/{{run}}/testbed/lm/{name}", name=LM_FILES),
        curve="results/{run}/testbed/lm_curve.parquet",
        floor="results/{run}/testbed/floor.json",
    log:
        "logs/{run}/testbed/lm.log",
    benchmark:
        "logs/{run}/testbed/lm.tsv"
    threads: STUDY["testbed"]["lm"]["threads"]
    params:
        **call_of("testbed", "lm"),
    shell:
        CALL


rule testbed_planted:
    """Which planted pairs do oracle, sequential and joint arms find in a world? Target full.
    Cost: 90 seconds."""
    output:
        metrics="results/{run}/testbed/planted/world{world}.metrics.parquet",
        pairs="results/{run}/testbed/planted/world{world}.pairs.parquet",
    log:
        "logs/{run}/testbed/planted/world{world}.log",
    benchmark:
        "logs/{run}/testbed/planted/world{world}.tsv"
    threads: threads_of("testbed")
    params:
        **call_of("testbed", "planted"),
    shell:
        CALL


rule testbed_planted_summary:
    """What is found over worlds, beyond the world without pairs? Target full. Cost: seconds."""
    input:
        metrics=per("results/{run}/testbed/planted/world{world}.metrics.parquet", world=WORLDS),
        pairs=per("results/{run}/testbed/planted/world{world}.pairs.parquet", world=WORLDS),
    output:
        summary="results/{run}/testbed/planted.csv",
        table="results/{run}/testbed/planted.parquet",
    log:
        "logs/{run}/testbed/planted_summary.log",
    benchmark:
        "logs/{run}/testbed/planted_summary.tsv"
    params:
        **call_of("testbed", "planted-summary"),
    shell:
        CALL


rule testbed_planted_plots:
    """Which numbers does the figure of the planted pairs show? Target full. Cost: seconds."""
    input:
        table="results/{run}/testbed/planted.parquet",
    output:
        planted="results/{run}/report/figures/planted.csv",
    log:
        "logs/{run}/testbed/planted_plots.log",
    benchmark:
        "logs/{run}/testbed/planted_plots.tsv"
    params:
        **call_of("testbed", "planted-plots"),
    shell:
        CALL

# Pages on which the latents of one model are looked at. Not in the target all: nothing reads them.
BROWSED, OF_BROWSED = STUDY["browser"], ["index", "pairs", "search", "tokens"]
OF_BROWSED += [f"latents-{i}" for i in range(BROWSED["latent_files"])]
OF_BROWSED += [f"text-{i}" for i in range(BROWSED["text_files"])]
BROWSED_MODEL = f"{BROWSED['arm']}/seed{BROWSED['seed']}"


rule browser:
    """The latents of one model: open results/<run>/browser/index.html."""
    input:
        of_run("results/{run}/browser/index.html"),
        of_run("results/{run}/browser/data/{name}.js", name=OF_BROWSED),


rule browser_data:
    """When is each latent active, and what does it do? Cost: three passes of the encoder over the test
    split, one of the head over the active latents; seconds for the default study."""
    input:
        weights=f"results/{{run}}/train/{BROWSED_MODEL}.safetensors",
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lm_folder=testbed_lm,
        history=f"results/{{run}}/train/{BROWSED_MODEL}.lifecycle.parquet",
        geometry=browsed_geometry,
        responses=browsed_responses,
    output:
        out=[
            "results/{run}/browser/index.html",
            *per("results/{run}/browser/data/{name}.js", name=OF_BROWSED),
        ],
    log:
        "logs/{run}/browser/data.log",
    benchmark:
        "logs/{run}/browser/data.tsv"
    threads: threads_of("browser")
    params:
        **call_of("browser", "data", arm=BROWSED["arm"], seed=BROWSED["seed"]),
    shell:
        CALL

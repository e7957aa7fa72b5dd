# Pages on which the latents of one model are looked at. Not in the target all: nothing reads them.
BROWSED, OF_BROWSED = STUDY["browser"], ["index", "pairs", "search", "tokens"]
OF_BROWSED += [f"latents-{i}" for i in range(BROWSED["latent_files"])]
OF_BROWSED += [f"text-{i}" for i in range(BROWSED["text_files"])]
BROWSED_MODEL = f"{BROWSED['arm']}/seed{BROWSED['seed']}"
# what only some arms have: a history if it was trained here, measures, responses to the battery
BROWSED_TRAINED, BROWSED_MEASURED = (
    [BROWSED_MODEL] if BROWSED["arm"] in arms else [] for arms in [ALL_TRAINED, ARMS]
)
BROWSED_HALVES = ["select", "confirm"] if BROWSED["arm"] == ARM else []


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
        history=per("results/{run}/train/{model}.lifecycle.parquet", model=BROWSED_TRAINED),
        geometry=per("results/{run}/geometry/{model}.latents.parquet", model=BROWSED_MEASURED),
        responses=per(
            "results/{run}/factorial/seed{seed}.responses.{half}.parquet",
            seed=BROWSED["seed"],
            half=BROWSED_HALVES,
        ),
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

# SAEs that were trained elsewhere, as arms; and what only arms have that are trained here.
IMPORTS, NOTHING = imports_of(STUDY["train"]), "(?!)"  # the second matches no name
try:
    IMPORTED_FILES = {arm: files_of_import(arm, folder) for arm, folder in IMPORTS.items()}
except ParamsError as error:
    raise WorkflowError(str(error)) from None
TRAINED, ALL_TRAINED = ([arm for arm in of if arm not in IMPORTS] for of in [ARMS, ALL_ARMS])


def imported_files(wildcards):
    """Files of the SAE that this arm imports."""
    return IMPORTED_FILES[wildcards.arm]


def curves_of_target(wildcards):
    """Training curves of the target that the wildcard `full` names; an imported arm has none."""
    path = "results/{run}/train/{arm}/seed{seed}.curve.parquet"
    own = of_run(path, arm=ALL_TRAINED if wildcards.full else TRAINED, seed=SEEDS)
    more = [arm for arm in MORE["arms"] if arm in ALL_TRAINED] if wildcards.full else []
    return own + of_run(path, arm=more, seed=MORE["seeds"])


rule train_import:
    """What is an SAE that was trained elsewhere, on standardised activations? Cost: seconds."""
    input:
        folder=imported_files,
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
    output:
        weights="results/{run}/train/{arm}/seed{seed}.safetensors",
    log:
        "logs/{run}/train/{arm}/seed{seed}.log",
    benchmark:
        "logs/{run}/train/{arm}/seed{seed}.tsv"
    wildcard_constraints:
        arm=one_of(IMPORTS) or NOTHING,
    params:
        **call_of("train", "import"),
    shell:
        CALL

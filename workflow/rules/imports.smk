# SAEs that were trained elsewhere, as arms. Rules of the chapter `train`.


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

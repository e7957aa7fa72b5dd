# Trainings of the target full with other parameters; control arms and further seeds are jobs of
# train_arm.


use rule train_arm as train_arm_at_k with:
    input:
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lr="results/{run}/train/lr.json",
        frozen=frozen_sae,
    output:
        weights="results/{run}/train/at_k{k}/{arm}/seed{seed}.safetensors",
        curve="results/{run}/train/at_k{k}/{arm}/seed{seed}.curve.parquet",
        lifecycle="results/{run}/train/at_k{k}/{arm}/seed{seed}.lifecycle.parquet",
    log:
        "logs/{run}/train/at_k{k}/{arm}/seed{seed}.log",
    benchmark:
        "logs/{run}/train/at_k{k}/{arm}/seed{seed}.tsv"
    params:
        slice=slice_json("train", "arm"),
        row=lambda wildcards: json.dumps(ALL_ARMS[wildcards.arm]),
        options=lambda wildcards: f"--changed '{json.dumps({'k': int(wildcards.k)})}'",
        code=code_of("train", "arm"),
        frozen=option("--frozen", "frozen"),
        scratch="scratch/{run}/train/at_k{k}/{arm}/seed{seed}",


use rule train_arm as train_arm_switched with:
    input:
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lr="results/{run}/train/lr.json",
        frozen=frozen_sae,
    output:
        weights="results/{run}/train/audit/{switch}/{arm}/seed{seed}.safetensors",
        curve="results/{run}/train/audit/{switch}/{arm}/seed{seed}.curve.parquet",
        lifecycle="results/{run}/train/audit/{switch}/{arm}/seed{seed}.lifecycle.parquet",
    log:
        "logs/{run}/train/audit/{switch}/{arm}/seed{seed}.log",
    benchmark:
        "logs/{run}/train/audit/{switch}/{arm}/seed{seed}.tsv"
    params:
        slice=slice_json("train", "arm"),
        row=lambda wildcards: json.dumps(ALL_ARMS[wildcards.arm]),
        options=lambda wildcards: f"--changed '{json.dumps(AUDIT['switches'][wildcards.switch])}'",
        code=code_of("train", "arm"),
        frozen=option("--frozen", "frozen"),
        scratch="scratch/{run}/train/audit/{switch}/{arm}/seed{seed}",

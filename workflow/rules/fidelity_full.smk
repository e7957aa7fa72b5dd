# Fidelity of the target full: control arms, further seeds, and tables over all of them.


use rule fidelity_arm as fidelity_arm_more_seeds with:
    input:
        weights=per_seed("results/{run}/train/{arm}/seed{seed}.safetensors", MORE["seeds"]),
        manifest="results/{run}/extract/manifest.json",
        shards=shards("test") + shards("transfer"),
        standardiser="results/{run}/extract/standardiser.safetensors",
        lm=testbed_lm,
        given=given_model,
    output:
        documents=per_seed("results/{run}/fidelity/{arm}/seed{seed}.parquet", MORE["seeds"]),
        positions=per_seed(
            "results/{run}/fidelity/{arm}/seed{seed}.positions.parquet", MORE["seeds"]
        ),
        latents=per_seed("results/{run}/fidelity/{arm}/seed{seed}.latents.parquet", MORE["seeds"]),
    log:
        "logs/{run}/fidelity/{arm}_more_seeds.log",
    benchmark:
        "logs/{run}/fidelity/{arm}_more_seeds.tsv"
    params:
        slice=slice_json("fidelity", "arm"),
        code=code_of("fidelity", "arm"),
        seeds=MORE["seeds"],
        lm=LM_OPTION,


use rule fidelity_summary as fidelity_summary_full with:
    input:
        documents=of_full("results/{run}/fidelity/{arm}/seed{seed}.parquet"),
        latents=of_full("results/{run}/fidelity/{arm}/seed{seed}.latents.parquet"),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        summary="results/{run}/fidelity/full/summary.parquet",
        table="results/{run}/fidelity/full/summary.csv",
    log:
        "logs/{run}/fidelity/summary_full.log",
    benchmark:
        "logs/{run}/fidelity/summary_full.tsv"


rule fidelity_full_differences:
    """By how much do control arms differ from their arms, over all seeds? Target full. Cost: seconds."""
    input:
        documents=of_full("results/{run}/fidelity/{arm}/seed{seed}.parquet"),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        differences="results/{run}/fidelity/full/differences.parquet",
        table="results/{run}/fidelity/full/differences.csv",
    log:
        "logs/{run}/fidelity/full_differences.log",
    benchmark:
        "logs/{run}/fidelity/full_differences.tsv"
    params:
        slice=slice_json("fidelity", "full-differences"),
        code=code_of("fidelity", "differences"),
    shell:
        "python -m fispace fidelity full-differences --params {params.slice:q}"
        " --documents {input.documents} --bounds {input.bounds}"
        " --differences {output.differences} --table {output.table}"
        " 2> {log}"


rule fidelity_controls:
    """What do the sequential and the joint arm gain over each control? Target full. Cost: seconds."""
    input:
        documents=of_full("results/{run}/fidelity/{arm}/seed{seed}.parquet"),
        bounds="results/{run}/fidelity/bounds.parquet",
    output:
        controls="results/{run}/fidelity/full/controls.parquet",
        table="results/{run}/fidelity/full/controls.csv",
    log:
        "logs/{run}/fidelity/controls.log",
    benchmark:
        "logs/{run}/fidelity/controls.tsv"
    params:
        slice=slice_json("fidelity", "controls"),
        code=code_of("fidelity", "controls"),
    shell:
        "python -m fispace fidelity controls --params {params.slice:q}"
        " --documents {input.documents} --bounds {input.bounds}"
        " --controls {output.controls} --table {output.table}"
        " 2> {log}"

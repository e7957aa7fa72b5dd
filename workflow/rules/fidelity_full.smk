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

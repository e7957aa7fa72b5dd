# Fidelity of the target full: control arms, further seeds, and tables over all of them.


use rule fidelity_arm as fidelity_arm_more_seeds with:
    input:
        weights=per_seed("results/{run}/train/{arm}/seed{seed}.safetensors", MORE["seeds"]),
        manifest="results/{run}/extract/manifest.json",
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
        code=code_of("fidelity", "full-differences"),
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


rule fidelity_cut:
    """What does the SAE lose where k is cut at test time, and what do training at that k, a refitted
    decoder and the arm on it win back? Target full. Cost: a pass over the train tokens."""
    input:
        sae=f"results/{{run}}/train/{CURVE_SAE}/seed{{seed}}.safetensors",
        arm=f"results/{{run}}/train/{CURVE_ARM}/seed{{seed}}.safetensors",
        saes=per(
            f"results/{{run}}/train/at_k{{k}}/{CURVE_SAE}/seed{{seed}}.safetensors", k=CURVE_KS
        ),
        arms=per(
            f"results/{{run}}/train/at_k{{k}}/{CURVE_ARM}/seed{{seed}}.safetensors", k=CURVE_KS
        ),
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
    output:
        cut="results/{run}/fidelity/full/cut/seed{seed}.parquet",
    log:
        "logs/{run}/fidelity/cut/seed{seed}.log",
    benchmark:
        "logs/{run}/fidelity/cut/seed{seed}.tsv"
    threads: threads_of("fidelity")
    params:
        slice=slice_json("fidelity", "cut"),
        code=code_of("fidelity", "cut"),
    shell:
        "python -m fispace fidelity cut --params {params.slice:q} --seed {wildcards.seed}"
        " --sae {input.sae} --arm {input.arm} --saes {input.saes} --arms {input.arms}"
        " --manifest {input.manifest} --standardiser {input.standardiser} --cut {output.cut}"
        " 2> {log}"


rule fidelity_gain_curve:
    """How does the gain over the cut SAE depend on k, over seeds? Target full. Cost: seconds."""
    input:
        cut=of_run("results/{run}/fidelity/full/cut/seed{seed}.parquet", seed=SEEDS),
    output:
        curve="results/{run}/fidelity/full/gain_curve.parquet",
        table="results/{run}/fidelity/full/gain_curve.csv",
    log:
        "logs/{run}/fidelity/gain_curve.log",
    benchmark:
        "logs/{run}/fidelity/gain_curve.tsv"
    params:
        slice=slice_json("fidelity", "gain-curve"),
        code=code_of("fidelity", "gain-curve"),
    shell:
        "python -m fispace fidelity gain-curve --params {params.slice:q}"
        " --cut {input.cut} --curve {output.curve} --table {output.table}"
        " 2> {log}"


rule fidelity_audit:
    """What do the headline arms lose with one published weakness switched on? Target full.
    Cost: LM passes over the test split."""
    input:
        arm=f"results/{{run}}/train/{AUDIT['arm']}/seed{{seed}}.safetensors",
        arm_switched=per(
            f"results/{{run}}/train/audit/{{switch}}/{AUDIT['arm']}/seed{{seed}}.safetensors",
            switch=SWITCHES,
        ),
        baseline=f"results/{{run}}/train/{AUDIT['baseline']}/seed{{seed}}.safetensors",
        baseline_switched=per(
            f"results/{{run}}/train/audit/{{switch}}/{AUDIT['baseline']}/seed{{seed}}.safetensors",
            switch=SWITCHES,
        ),
        manifest="results/{run}/extract/manifest.json",
        standardiser="results/{run}/extract/standardiser.safetensors",
        lm=testbed_lm,
        given=given_model,
    output:
        documents="results/{run}/fidelity/full/audit/seed{seed}.parquet",
    log:
        "logs/{run}/fidelity/audit/seed{seed}.log",
    benchmark:
        "logs/{run}/fidelity/audit/seed{seed}.tsv"
    threads: threads_of("fidelity")
    params:
        slice=slice_json("fidelity", "audit"),
        code=code_of("fidelity", "audit"),
        audit=json.dumps(AUDIT),
        lm=LM_OPTION,
    shell:
        "python -m fispace fidelity audit --params {params.slice:q} --audit {params.audit:q}"
        " --seed {wildcards.seed} --arm-weights {input.arm} --arm-switched {input.arm_switched}"
        " --baseline-weights {input.baseline} --baseline-switched {input.baseline_switched}"
        " --manifest {input.manifest} --standardiser {input.standardiser} {params.lm}"
        " --documents {output.documents}"
        " 2> {log}"

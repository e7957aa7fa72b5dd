# Targets in the study's own words; the chapters behind them: fispace.study.commands.ALIASES.


rule baseline:
    """The TopK SAE alone: arm `sae`, every seed."""
    input:
        of_run("results/{run}/train/sae/seed{seed}.safetensors", seed=SEEDS),


rule joint:
    """SAE, linear and interaction part trained together: arm `joint`, every seed."""
    input:
        of_run("results/{run}/train/joint/seed{seed}.safetensors", seed=SEEDS),


rule ablation:
    """Every arm with parts dropped after training, beside the arms trained without them."""
    input:
        rules.fidelity.input,


rule interventions:
    """The factorial chapter: discovery, clamping, inference."""
    input:
        rules.factorial.input,


onstart:
    require_resources(workflow)
    write_started(RUN, study_files(None), GIVEN)


onsuccess:
    write_ended(RUN)


onerror:
    write_ended(RUN)

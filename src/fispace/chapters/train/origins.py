"""The functions and classes with the chapter's equations.

Must not: compute.
"""

MODEL = (
    "fispace.models.integrated:IntegratedModel", "fispace.models.interaction:Interaction",
    "fispace.models.objective:ArmObjective", "fispace.models.objective:aux_k_loss",
)  # fmt: skip
EQUATIONS = {"train_arm": MODEL, "train_candidate": MODEL}
"""Functions and classes with the equations of a step, by the function of the command."""

"""Where the chapter's equations are.

Must not: compute.
"""

MODEL = (
    "fispace.models.integrated:IntegratedModel", "fispace.models.interaction:Interaction",
    "fispace.models.objective:ArmObjective", "fispace.models.objective:aux_k_loss",
)  # fmt: skip
EQUATIONS = {"train_arm": MODEL, "train_candidate": MODEL}
"""Functions and classes that hold a step's equations, by the function of the command."""

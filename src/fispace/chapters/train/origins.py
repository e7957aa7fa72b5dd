"""Which rows of its inputs each row of the chapter's tables was computed from, and its equations.

Must not: compute.
"""

from fispace.store.origins import Inputs, Origin, Origins, Row, Rows

MODEL = (
    "fispace.models.integrated:IntegratedModel", "fispace.models.interaction:Interaction",
    "fispace.models.objective:ArmObjective", "fispace.models.objective:aux_k_loss",
)  # fmt: skip
EQUATIONS = {"train_arm": MODEL, "train_try": MODEL, "train_candidate": MODEL}
"""Functions and classes with the equations of a step, by the function of the command."""


def of_validation(row: Row, _: Inputs) -> Origin:
    """The curve of its arm and seed."""
    read = {"val_fvu": Rows("curves", {name: row[name] for name in ("arm", "seed")})}
    return Origin("fispace.chapters.train.validation:tabulate_validation", read)


ORIGINS: Origins = {"tabulate_validation": {"table": of_validation}}
"""By the function of the command and the option that names the table."""

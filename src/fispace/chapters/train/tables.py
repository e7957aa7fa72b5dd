"""CSV tables of the chapter `train`.

Must not: hold anything but declarations.
"""

from fispace.store.columns import INTEGER, NUMBER, TEXT, Table

VALIDATION = Table(
    "train/validation.csv",
    {"arm": TEXT, "seed": INTEGER, "step": INTEGER, "n_tokens": INTEGER, "val_fvu": NUMBER},
    key=("arm", "seed", "step"),
)

"""CSV tables of the chapter `train`.

Must not: hold anything but declarations.
"""

from fispace.store.columns import BOOLEAN, INTEGER, NUMBER, TEXT, Table, optional

VALIDATION = Table(
    "train/validation.csv",
    {"arm": TEXT, "seed": INTEGER, "step": INTEGER, "n_tokens": INTEGER, "val_fvu": NUMBER},
    key=("arm", "seed", "step"),
)

TUNING = Table(
    "train/tuning.csv",
    {
        "arm": TEXT, "try": INTEGER, "is_chosen": BOOLEAN, "val_fvu": optional(NUMBER),
        "lr_sae": NUMBER, "lr_linear": NUMBER, "lr_interaction": NUMBER, "dropout": NUMBER,
        "init_factors": NUMBER, "init_linear": NUMBER, "init_mlp": NUMBER,
    },
    key=("arm", "try"),
)  # fmt: skip

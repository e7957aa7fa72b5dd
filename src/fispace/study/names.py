"""Rules for names that a user chooses, since they become parts of file names and table columns.

Every rule raises ValueError with the reason; the loader of the parameters adds the key. Must not: know a
table or a file.
"""

import re
import unicodedata

DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)))
)
"""File names that Windows reserves; a folder with such a name cannot be copied there."""

TAKEN_RUNS = frozenset(("reference", "bench", "bench-gpu"))
"""Folders below results/ that are not runs."""

TAKEN_ARMS = frozenset(
    (
        "ablation_baselines", "audit", "bounds", "choose_lr", "control_plots", "differences", "full",
        "gain_curve", "gain_plots", "heads", "history", "lr", "plots", "positions", "reduced_k", "shapley",
        "summary", "tabulate_tuning", "tries", "tune", "tuned", "tuning", "validation",
    )
)  # fmt: skip
"""Other files and folders in the places where the arms have theirs: results, logs and scratch."""
TAKEN_ARM_FORMS = re.compile(r"at_k\d+|.*_more_seeds")

TAKEN_COLUMNS = frozenset(
    (
        "arm", "cell", "clamp", "condition", "contrast", "converged", "count", "decoding", "effect",
        "first", "frame", "half", "high", "index", "interaction", "item", "kind", "latent", "low",
        "mean", "metric", "mode", "n", "n_changed", "n_texts", "observer", "order", "p", "place",
        "planted", "primary", "prompt", "rank", "residual", "row", "second", "secondary", "seed",
        "space", "text", "unit", "value", "variant", "word",
    )
)  # fmt: skip
"""Columns that tables have besides the factors', and the name of the test of the interaction."""

TAKEN_HYPOTHESES = frozenset(("none",))
"""Family that the table of tests gives to tests outside every declared family."""

CELL_MARK = ", "
"""Separates the two levels in the name of a cell."""
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of invisible characters: control, format, lone surrogates, line and paragraph ends."""
JOINERS = "\u200c\u200d"
"""Invisible characters that are allowed, since they change how their neighbours are drawn."""


def file_name(name: str) -> str:
    """The name, if a file may have it on every operating system."""
    if name in DEVICES:
        raise ValueError(f"{name!r} is the name of a device on Windows; choose another name")
    return name


def run_name(name: str) -> str:
    """The name, if it is free for a run's folder below results/."""
    if name in TAKEN_RUNS:
        raise ValueError(f"'{name}' is reserved below results/; choose another name")
    return file_name(name)


def arm_name(name: str) -> str:
    """The name, if it is free for an arm's files."""
    if name in TAKEN_ARMS or TAKEN_ARM_FORMS.fullmatch(name):
        raise ValueError(
            f"{name!r} is the name of a file or folder that stands beside those of the arms; choose another "
            "name"
        )
    return file_name(name)


def factor_name(name: str) -> str:
    """The name, if it is free for a column of a factor."""
    if name in TAKEN_COLUMNS:
        raise ValueError(
            f"{name!r} is a column of the program's own tables; choose another name for the factor, "
            f"for example {name}_level, here and in the battery's files"
        )
    return name


def hypothesis_name(name: str) -> str:
    """The name, if it is free for a family of hypotheses."""
    if name in TAKEN_HYPOTHESES:
        raise ValueError(f"{name!r} marks tests of no declared family; choose another name")
    return name


def plain_text(text: str) -> str:
    """The text, if it is not empty, has no space at either end, and all its characters are visible."""
    unseen = [sign for sign in text if unicodedata.category(sign) in UNSEEN and sign not in JOINERS]
    if unseen:
        raise ValueError(f"{text!a} holds {unseen[0]!a}, which is not seen in print; leave it out")
    if text != text.strip() or not text:
        raise ValueError(f"{text!r} is empty, or begins or ends with a space; leave it out")
    return text


def require_different(first: str, second: str) -> None:
    """Refuse two texts that look the same in print: equal after Unicode compatibility normalisation."""
    if unicodedata.normalize("NFKC", first) == unicodedata.normalize("NFKC", second):
        raise ValueError(f"{first!r} and {second!r} look the same in print")


def require_distinct_cells(cells: list[tuple[str, ...]]) -> None:
    """Refuse levels that would give two cells the same name."""
    names = [CELL_MARK.join(cell) for cell in cells]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"two cells of the levels would have the name {twice[0]!r}; use levels without commas"
        )

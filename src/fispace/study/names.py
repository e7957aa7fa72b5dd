"""Names that a user chooses, and why some are refused: they stand in file names and tables of the program.

Every rule raises ValueError with the reason, which the parameters' loader shows with the key. Must not:
know a table or a file.
"""

import re
import unicodedata

DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)))
)
"""File names that Windows keeps for itself: a folder of this name cannot be copied there."""

TAKEN_RUNS = frozenset(("reference", "bench"))
"""Folders below results/ that hold no run."""

TAKEN_ARMS = frozenset(
    (
        "audit", "bounds", "choose_lr", "control_plots", "cut", "differences", "full", "gain_curve",
        "gain_plots", "history", "lr", "plots", "positions", "shapley", "summary",
    )
)  # fmt: skip
"""Files and folders beside those of the arms, in results, logs and scratch."""
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
"""Columns that tables have beside those of the factors, and the test that stands beside theirs."""

TAKEN_HYPOTHESES = frozenset(("none",))
"""What the table of tests calls those that belong to no declared family."""

CELL_MARK = ", "
"""Between the two levels of a cell in the names that tables and figures give it."""
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of what is not seen in print: controls, marks of direction, halves, line ends."""
JOINERS = "\u200c\u200d"
"""Seen in what they join."""


def file_name(name: str) -> str:
    """The name, where a file or folder may have it on every system."""
    if name in DEVICES:
        raise ValueError(f"{name!r} is the name of a device on Windows; choose another name")
    return name


def run_name(name: str) -> str:
    """The name, where no other folder below results/ has it."""
    if name in TAKEN_RUNS:
        raise ValueError(f"'{name}' is reserved below results/; choose another name")
    return file_name(name)


def arm_name(name: str) -> str:
    """The name, where no file beside those of the arms has it."""
    if name in TAKEN_ARMS or TAKEN_ARM_FORMS.fullmatch(name):
        raise ValueError(
            f"{name!r} is the name of a file or folder that stands beside those of the arms; choose another "
            "name"
        )
    return file_name(name)


def factor_name(name: str) -> str:
    """The name, where no table has a column of its own by it."""
    if name in TAKEN_COLUMNS:
        raise ValueError(
            f"{name!r} is a column of the program's own tables; name the factor otherwise, for example "
            f"{name}_level, here and in the battery's files"
        )
    return name


def hypothesis_name(name: str) -> str:
    """The name, where it does not say that a test belongs to no family."""
    if name in TAKEN_HYPOTHESES:
        raise ValueError(f"{name!r} marks tests of no declared family; choose another name")
    return name


def plain_text(text: str) -> str:
    """The text, where everything in it is seen in print, and nothing is before or after it."""
    unseen = [sign for sign in text if unicodedata.category(sign) in UNSEEN and sign not in JOINERS]
    if unseen:
        raise ValueError(f"{text!a} holds {unseen[0]!a}, which is not seen in print; leave it out")
    if text != text.strip() or not text:
        raise ValueError(f"{text!r} is empty, or begins or ends with a space; leave it out")
    return text


def require_different(first: str, second: str) -> None:
    """Refuse two texts that are the same letters in another form, and so look the same in print."""
    if unicodedata.normalize("NFKC", first) == unicodedata.normalize("NFKC", second):
        raise ValueError(f"{first!r} and {second!r} look the same in print")


def require_distinct_cells(cells: list[tuple[str, ...]]) -> None:
    """Refuse levels of which two cells get the same name."""
    names = [CELL_MARK.join(cell) for cell in cells]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"two cells of the levels would have the name {twice[0]!r}; use levels without commas"
        )

"""What the HTML page says in words and cells: the answer in five sentences, the ledger, the arms.

Must not: compute or judge; every number is a cell of a table, or a count of its rows.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from fispace.plotting.style import arm_label
from fispace.report.markdown import (
    ABSENT,
    anchor,
    claim_title,
    interval_text,
    value_text,
    verdict_text,
)
from fispace.report.tables import ARM_METRICS
from fispace.report.verdicts import (
    EXPLAINED,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    UNDECIDED,
    UNDERPOWERED,
    VERDICTS,
)
from fispace.store.quantities import Frame

Cells = Mapping[str, Any]

QUESTION = (
    "Does training a sparse autoencoder together with an interaction part reconstruct activations "
    "better, and is the interaction the reason?"
)
IN_WORDS = {
    REPRODUCED: "this holds, also beyond its nulls and controls",
    EXPLAINED: "this holds, but a null or a control explains it",
    NOT_REPRODUCED: "this does not hold here",
    UNDECIDED: "the intervals are too wide to tell whether it holds",
    UNDERPOWERED: "too few seeds or documents stand behind it to tell",
    NOT_TESTABLE: "it cannot be tested in this study",
}
"""What a verdict says at the end of a sentence."""
KINDS = {
    REPRODUCED: "good", EXPLAINED: "explained", NOT_REPRODUCED: "bad", UNDECIDED: "open",
    UNDERPOWERED: "open", NOT_TESTABLE: "none",
}  # fmt: skip
"""Look of a verdict on the page; its words are beside it."""
ARM_HEADERS = {
    "fvu": "FVU", "kl": "KL (nats)", "excess_ce": "excess CE (nats)", "l0": "active latents",
    "n_parameters": "parameters",
}  # fmt: skip


class Number(NamedTuple):
    """A number as it is shown, and by what it is sorted."""

    text: str
    value: float | None
    """None if there is no number."""
    interval: str = ""
    """Shown below it."""


class LedgerRow(NamedTuple):
    """One claim, as the page shows it."""

    id: str
    item: str
    statement: str
    where: str
    definition: str
    explained_at: str
    """Anchor of the section that says where the numbers come from."""
    printed: Number
    published: Number
    controlled: Number
    against: str
    null: Number
    verdict: str
    verdict_words: str
    kind: str
    reason: str
    detectable: Number
    smallest: Number
    remark: str


class Sentence(NamedTuple):
    """One sentence of the answer, and the section of the page that it rests on."""

    text: str
    explained_at: str


def anchor_of(title: str) -> str:
    """Anchor on the page of the section of explanations with this title."""
    return f"why-{anchor(title)}"


def answer(ledger: Frame) -> list[Sentence]:
    """The answer in five sentences, those left out whose claims the ledger lacks."""
    rows = {claim_title(row): row for row in ledger.to_dict("records")}
    return [*_headlines(rows), Sentence(_tally(ledger), "ledger")]


def _headlines(rows: Mapping[str, Cells]) -> Iterator[Sentence]:
    for title, sentence in SENTENCES.items():
        if title in rows:
            row = rows[title]
            alone = {**row, **{f"{name}_same_as": None for name in ANSWERED}}
            words = {name: interval_text(alone, name) for name in ANSWERED}
            words["printed"] = value_text(row["printed"], row["unit"])
            words["against"] = _text(row["controlled_against"]) or "its control"
            words["verdict"] = IN_WORDS[str(row["verdict"])]
            yield Sentence(sentence.format(**words), anchor_of(title))


ANSWERED = ("published", "controlled", "null")
SENTENCES = {
    "N5.gain": (
        "By the paper's definition, against its own SAE part, the joint model gains {published} in squared "
        "error (printed: {printed}), and a joint model without interaction gains {null}; against {against}, "
        "the joint model gains {controlled}: {verdict}."
    ),
    "N9.kl_full": (
        "In KL to the original language model it gains {published} by the same definition (printed: "
        "{printed}), without interaction {null}, and against {against} {controlled}: {verdict}."
    ),
    "N5.interaction": (
        "Of the gain in squared error, {published} is the interaction's by the paper's definition (printed: "
        "{printed}); adding the interaction last removes {controlled} of the error of an SAE with bias: "
        "{verdict}."
    ),
    "N20.interaction_share": (
        "Of the improvement in KL, {published} is non-linear by the paper's definition (printed: {printed}), "
        "and so is {null} with nothing but a bias in the interaction's place: {verdict}."
    ),
}
"""Sentence on each headline claim, in this order."""


def _tally(ledger: Frame) -> str:
    of_printed = ledger[ledger["printed"].notna()]
    counts = of_printed["verdict"].value_counts()
    listed = [f"{counts[name]} {name}" for name in VERDICTS if name in counts]
    return f"Of {len(of_printed)} printed numbers, the verdicts are: {'; '.join(listed)}."


def ledger_rows(ledger: Frame) -> list[LedgerRow]:
    """Every claim of the ledger, in order."""
    return [_ledger_row(row) for row in ledger.to_dict("records")]


def _ledger_row(row: dict[Any, Any]) -> LedgerRow:
    answers = {
        name: Number(interval_text(row, name), _number(row[f"{name}_mean"])) for name in ANSWERED
    }
    unit = _text(row["judged_unit"]) or row["unit"]
    return LedgerRow(
        id=row["id"], item=row["item"], statement=row["statement"], where=row["where"],
        definition=row["definition"], explained_at=anchor_of(claim_title(row)),
        printed=_shown(row["printed"], row["unit"]), against=_text(row["controlled_against"]), **answers,
        verdict=row["verdict"], verdict_words=verdict_text(row), kind=KINDS[row["verdict"]],
        reason=row["because"], detectable=_shown(row["detectable"], unit),
        smallest=_shown(row["smallest_effect"], unit), remark=_text(row["remark"]),
    )  # fmt: skip


def arm_rows(numbers: Frame) -> list[tuple[str, str, list[Number], int]]:
    """Name, label, numbers in the order of `ARM_HEADERS`, and number of seeds of every arm."""
    return [
        (str(arm), arm_label(str(arm)), list(_of_arm(own)), int(own["n_seeds"].max()))
        for arm, own in numbers.groupby("arm", sort=False)
    ]


def _of_arm(own: Frame) -> Iterable[Number]:
    by_metric = {row["metric"]: row for row in own.to_dict("records")}
    for metric in ARM_METRICS:
        row = by_metric.get(metric)
        if row is None or pd.isna(row["mean"]):
            yield Number(ABSENT, None)
            continue
        mean, low, high = (plain_text(row[end], row["unit"]) for end in ("mean", "low", "high"))
        is_exact = ABSENT in (low, high) or low == high
        yield Number(mean, float(row["mean"]), "" if is_exact else f"[{low}, {high}]")


def plain_text(value: float, unit: str) -> str:
    """A number with three significant digits and without a percent sign, since losses are compared as such."""
    return value_text(value, unit if unit == "parameters" else "1")


def _shown(value: float, unit: str) -> Number:
    return Number(value_text(value, unit), _number(value))


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _text(cell: Any) -> str:
    return cell if isinstance(cell, str) else ""

"""The declared families of tests on the confirm half, over all responses, latents, ranks and seeds.

Must not: choose a latent, a clamp or a test; read a file.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from fispace.chapters.factorial.design import Frame
from fispace.chapters.factorial.tables import FAMILY, UNDECLARED
from fispace.seeds import numpy_stream
from fispace.stats.anova import TwoWay, paper_anova, two_way_anova
from fispace.stats.mixed import MixedFit
from fispace.stats.two_by_two import (
    benjamini_hochberg,
    interaction_contrasts,
    one_sample_t,
    sign_flip_test,
    sign_flips,
    tost,
)
from fispace.study.config.factorial import InferStep

ACTIVATION, SLOPE, PLANTED_SLOPE = "activation", "clamp_slope", "planted_slope"
PER_CLAMP, PER_QUANTILE = "clamp", "set"
"""Responses. Single clamps (as published) and quantiles to which a latent is set are reported too, but
belong to no declared family. They move along one direction, whose slope is the declared hypothesis."""

RESPONSES = (ACTIVATION, SLOPE, PLANTED_SLOPE, PER_CLAMP, PER_QUANTILE)

KEPT, INACTIVE = "no", "active in too few contexts"


class Question(NamedTuple):
    """One null hypothesis: these values have no interaction."""

    key: dict[str, Any]
    """arm, seed, kind, rank, latent."""
    response: str
    clamp: float
    """Multiplier; NaN where the response has none."""
    unit: str
    contrasts: Float[np.ndarray, " items"]
    """Per item; the same items in every question of a response."""
    replicates: Float[np.ndarray, "items 2 2 words"] | None
    """By item, cell and word. The published analysis treats items and words alike as replicates."""
    bound: float
    """Bound of the equivalence test, in the unit of the contrasts."""
    active_share: float
    """Share of the contexts in which the latent is active; NaN where nothing is clamped."""
    mixed: MixedFit | None
    """Mixed model of the replicates; only for a clamping slope."""


def family_table(params: InferStep, questions: Sequence[Question]) -> pd.DataFrame:
    """One row per question, corrected over its family, with the analyses of variance for comparison.

    p          Student's t of the per-item contrasts          p_sign_flip   the same by sign flips
    p_max      sign flips against the family's largest F      q             Benjamini-Hochberg over p
    p_equivalence   two one-sided tests that the effect is inside the bound
    mixed_*    crossed item and word effects (clamping slopes only)
    published_*, two_way_*   rows treated as replicates: the paper's test, and the textbook's
    """
    named = [(question, _hypothesis(params, question)) for question in questions]
    found: list[pd.DataFrame] = []
    for name in (*params.hypotheses, UNDECLARED):
        for response in RESPONSES:
            own = [q for q, label in named if label == name and q.response == response]
            if own:
                found.append(_family(params, name, own))
    if not found:
        return FAMILY.frame([])
    table = pd.concat(found, ignore_index=True)
    FAMILY.require_finite(table)
    return table


def _hypothesis(params: InferStep, question: Question) -> str:
    for name, row in params.hypotheses.items():
        if row.response == question.response and question.key["kind"] in row.kinds:
            return name
    return UNDECLARED


def _family(params: InferStep, name: str, questions: list[Question]) -> pd.DataFrame:
    """Tests of all questions of one family; in the arrays, columns are hypotheses and rows items."""
    contrasts = np.stack([question.contrasts for question in questions], axis=1)
    test = one_sample_t(contrasts, 1 - params.alpha)
    excluded = np.array([_is_excluded(params, question) for question in questions])
    rows = pd.DataFrame([_head(question) for question in questions])
    frame = rows.assign(
        hypothesis=name,
        expected=params.hypotheses[name].expected if name in params.hypotheses else UNDECLARED,
        value=test.estimate, low=test.low, high=test.high, t=test.t, df=test.df, p=test.p,
        partial_eta2=test.partial_eta2, n=len(contrasts), alpha=params.alpha,
        excluded=np.where(excluded, INACTIVE, KEPT),
        bound=[question.bound for question in questions],
        p_equivalence=tost(contrasts, np.array([question.bound for question in questions])),
    )  # fmt: skip
    frame = pd.concat([frame, pd.DataFrame([_beside(q) for q in questions])], axis=1)
    return _corrected(params, name, frame, contrasts, ~excluded)


def _corrected(
    params: InferStep, name: str, frame: Frame, contrasts: np.ndarray, kept: np.ndarray
) -> pd.DataFrame:
    """Family-wise and false-discovery corrections over the rows that are not excluded.

    A sign pattern flips an item in every column, which preserves the dependence between latents and
    seeds. Items are sorted by name, so no p-value depends on the order of rows in a file.
    """
    stream = numpy_stream(params.root_seed, "factorial", "infer", name, frame["family"].iloc[0])
    flips = sign_flips(len(contrasts), params.n_permutations, stream)
    p_max, q = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    if kept.any():
        p_max[kept] = sign_flip_test(contrasts[:, kept], flips).p_max
        q[kept] = benjamini_hochberg(frame["p"].to_numpy()[kept])
    return frame.assign(
        p_sign_flip=sign_flip_test(contrasts, flips).p, p_max=p_max, q=q,
        n_family=int(kept.sum()), is_significant=q <= params.alpha,
        is_significant_max=p_max <= params.alpha,
        is_equivalent=frame["p_equivalence"] <= params.alpha,
    )  # fmt: skip


def _is_excluded(params: InferStep, question: Question) -> bool:
    return bool(question.active_share < params.exclusions.min_active_share)  # NaN: nothing clamped


def _head(question: Question) -> dict[str, Any]:
    return question.key | {
        "family": question.response, "clamp": question.clamp, "metric": "interaction_contrast",
        "unit": question.unit, "active_share": question.active_share,
    }  # fmt: skip


def _beside(question: Question) -> dict[str, Any]:
    """The analyses reported with the contrast; missing where there are no replicates."""
    values: dict[str, Any] = {}
    rows = question.replicates
    if rows is not None:
        table = np.moveaxis(rows, 3, 1).reshape(-1, 2, 2)
        values |= _anova("published", paper_anova(table)) | _anova("two_way", two_way_anova(table))
    if question.mixed is not None:
        contrast = question.mixed.contrast._asdict()
        values |= {f"mixed_{name}": value for name, value in contrast.items()}
        values["mixed_converged"] = float(question.mixed.converged)
    return values


def _anova(name: str, tests: TwoWay) -> dict[str, float]:
    effect = tests.interaction
    return {
        f"{name}_f": effect.f, f"{name}_p": effect.p, f"{name}_df_error": effect.df_error,
        f"{name}_partial_eta2": effect.partial_eta2,
    }  # fmt: skip


def contrasts_of(cells: Float[np.ndarray, "items 2 2 words"]) -> Float[np.ndarray, " items"]:
    """Interaction contrast of each item, averaged over the words of a cell."""
    return interaction_contrasts(cells.mean(3, keepdims=True))[:, 0]


def declared(params: InferStep) -> Iterator[dict[str, Any]]:
    """The hypotheses as declared, one row each."""
    for name, row in params.hypotheses.items():
        bound = getattr(params.equivalence, row.response)
        yield {
            "hypothesis": name, "response": row.response, "kinds": " ".join(row.kinds),
            "expected": row.expected, "null": "y11 - y10 - y01 + y00 = 0", "alpha": params.alpha,
            "n_permutations": params.n_permutations, "equivalence_bound": bound,
            "min_active_share": params.exclusions.min_active_share,
        }  # fmt: skip

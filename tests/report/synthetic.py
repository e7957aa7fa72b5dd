"""Summary tables with round numbers, from which every quantity can be worked out by hand."""

from typing import Any

import pandas as pd

from fispace.store.columns import FACTORS, Table

JOINT_PARTS = (
    "sae",
    "sae+bias",
    "sae+linear+bias",
    "sae+bias+interaction",
    "sae+linear+bias+interaction",
)
ERRORS = {  # mse by arm and parts, seed 0; seed 1 has twice as much of everything
    ("sae", "sae"): 0.20,
    ("sae_bias", "sae"): 0.25,
    ("sae_bias", "sae+bias"): 0.16,
    ("joint", "sae"): 0.40,
    ("joint", "sae+bias"): 0.36,
    ("joint", "sae+linear+bias"): 0.14,
    ("joint", "sae+bias+interaction"): 0.30,
    ("joint", "sae+linear+bias+interaction"): 0.12,
}
CLEAN_CE = 3.0


def fidelity_summary() -> pd.DataFrame:
    """KL is ten times the MSE, excess CE its half, random errors cost a quarter of the KL."""
    rows: list[dict[str, Any]] = []
    for (arm, parts), mse in ERRORS.items():
        for seed in (0, 1):
            error = mse * (1 + seed)
            excess = 5 * error
            real = {"mse": error, "fvu": error, "kl": 10 * error, "ce": CLEAN_CE + excess}
            for metric, value in (real | {"excess_ce": excess}).items():
                rows.append(_row(arm, parts, seed, "reconstruction", metric, value))
            rows.append(_row(arm, parts, seed, "epsilon_random", "kl", 2.5 * error))
    rows += [_row("sae", "sae", seed, "reconstruction", "dead_fraction", 0.1) for seed in (0, 1)]
    rows += [_row("sae", "", seed, "original", "ce", CLEAN_CE) for seed in (0, 1)]
    for name, kl in (("shuffled_error", 8.0), ("covariance_noise", 6.0), ("cosine_noise", 3.0)):
        rows += [_row("joint", JOINT_PARTS[-1], seed, name, "kl", kl) for seed in (0, 1)]
    for arm, parts, special in (
        ("", "", "masked"),
        ("joint", "bias", "masked"),
        ("joint", "sae", "included"),
    ):
        other = _row(arm, parts, 0, "reconstruction", "mse", 7.0)  # rows that no claim is about
        rows.append(other | {"special_tokens": special, "seed": 0 if arm else -1})
    elsewhere = _row("sae", "sae", 0, "reconstruction", "mse", 9.0) | {"split": "transfer"}
    return pd.DataFrame([*rows, elsewhere])


def _row(
    arm: str, parts: str, seed: int, condition: str, metric: str, value: float
) -> dict[str, Any]:
    return {
        "arm": arm, "parts": parts, "seed": seed, "split": "test",
        "special_tokens": "masked", "condition": condition,
        "metric": metric, "unit": "1", "value": value, "low": 0.9 * value, "high": 1.1 * value,
        "n_documents": 10, "n_tokens": 500,
    }  # fmt: skip


def geometry_summary() -> pd.DataFrame:
    """Two metrics of the arm joint, and its parameter counts."""
    metrics = {
        ("mean_abs_cosine", "trained"): 0.2,
        ("mean_abs_cosine", "initial"): 0.1,
        ("n_parameters_sae", "trained"): 60.0,
        ("n_parameters_linear", "trained"): 30.0,
        ("n_parameters_interaction", "trained"): 10.0,
    }
    return pd.DataFrame(
        [
            {
                "arm": "joint",
                "seed": seed,
                "state": state,
                "metric": metric,
                "unit": "1",
                "value": value,
                "n": 9,
            }
            for (metric, state), value in metrics.items()
            for seed in (0, 1)
        ]
    )


def family_table() -> pd.DataFrame:
    """Confirm-half tests of one candidate and one random latent; no insensitive one was found."""
    numbers = {
        "value": 0.5, "t": 3.0, "p": 0.01, "p_sign_flip": 0.02, "partial_eta2": 0.3, "two_way_f": 4.0,
        "two_way_p": 0.05, "n": 20, "unit": "nats", "arm": "joint", "rank": 1, "latent": 7,
    }  # fmt: skip
    questions = (("activation", None), ("clamp_slope", None), ("clamp", -4.0), ("clamp", 0.0))
    return pd.DataFrame(
        [
            numbers
            | {"kind": kind, "seed": seed, "family": family, "clamp": clamp}
            | {"published_f": 2.0 + number, "published_p": 0.2 - 0.05 * number}
            for kind in ("candidate", "random")
            for seed in (0, 1)
            for number, (family, clamp) in enumerate(questions)
        ]
    )


def secondary_table() -> pd.DataFrame:
    """Test FVU of the secondary SAE."""
    rows = [
        {
            "arm": "joint",
            "seed": s,
            "site": "secondary",
            "split": "test",
            "metric": "fvu",
            "unit": "fraction",
        }
        for s in (0, 1)
    ]
    return pd.DataFrame([row | {"value": 0.25, "n": 100} for row in rows])


def contributions_table() -> pd.DataFrame:
    """Shares of two parts of the arm joint in both forms, and of an arm with one part."""
    players = {
        ("joint", "published"): ("linear", "interaction"),
        ("sae", "canonical"): ("decoder",),
    }
    players["joint", "canonical"] = ("decoder", "interaction")
    return pd.DataFrame(
        [
            {
                "arm": arm, "seed": seed, "split": "test", "form": form, "part": part,
                "metric": metric, "measure": measure, "unit": "fraction", "value": 0.5 + 0.2 * seed,
                "low": 0.4, "high": 0.8, "n_documents": 10, "n_tokens": 500,
            }
            for (arm, form), parts in players.items()
            for part in parts
            for seed in (0, 1)
            for metric in ("fvu", "kl", "excess_ce")
            for measure in ("shapley_share", "leave_one_out_share", "shapley")
        ]
    )  # fmt: skip


def curves_table() -> pd.DataFrame:
    """KL at three positions, twice as large for seed 1."""
    return pd.DataFrame(
        [
            {
                "arm": arm, "seed": seed, "split": "test", "special_tokens": special,
                "condition": condition, "position": position, "metric": metric, "unit": "nats",
                "value": (1.0 + position) * (1 + seed), "low": 0.5, "high": 9.0,
                "n_documents": 10 - position, "n_tokens": 50,
            }
            for arm in ("sae", "sae_bias", "joint")
            for seed in (0, 1)
            for special in ("masked", "included")
            for condition in ("reconstruction", "epsilon_random")
            for position in (0, 1, 2)[special == "masked" :]
            for metric in ("kl", "excess_ce")
        ]
    )  # fmt: skip


CUT_FVUS = {  # by model and k, seed 0; the trained k is 8; seed 1 has twice as much of everything
    "sae_cut": {2: 0.80, 4: 0.50, 8: 0.20},
    "decoder_refit": {2: 0.48, 4: 0.40, 8: 0.19},
    "sae_trained": {2: 0.50, 4: 0.35, 8: 0.20},
    "arm_cut": {2: 0.90, 4: 0.55, 8: 0.18},
    "arm_trained": {2: 0.40, 4: 0.30, 8: 0.18},
}


def gain_curve_table() -> pd.DataFrame:
    """FVU and gain over `sae_cut` of every model on both splits, each seed and the mean."""
    rows = []
    for model, fvus in CUT_FVUS.items():
        for k, fvu in fvus.items():
            row = {"k": k, "model": model, "low": None, "high": None, "n_seeds": 1, "n_tokens": 500}
            values = {"fvu": fvu} | (
                {} if model == "sae_cut" else {"gain": 1 - fvu / CUT_FVUS["sae_cut"][k]}
            )
            for metric, value in values.items():
                more = row | {"metric": metric, "unit": "1", "split": "test"}
                size = (1, 2) if metric == "fvu" else (1, 1)
                rows += [more | {"seed": seed, "value": size[seed] * value} for seed in (0, 1)]
                ends = {"low": 0.9 * value, "high": 1.1 * value, "n_seeds": 2}
                rows.append(more | {"seed": -1, "value": value} | ends)
                rows.append(more | {"seed": 0, "value": 9.0, "split": "transfer"})
    return pd.DataFrame(rows)


def controls_table() -> pd.DataFrame:
    """Gains and differences of two arms over their controls, each seed and the mean."""
    pairs = {
        ("sequential", "sae"): 0.1,
        ("sequential", "mlp_probe"): 0.0,
        ("joint", "sae_matched"): -0.2,
    }
    return pd.DataFrame(
        [
            {
                "arm": arm, "control": control, "split": split, "metric": metric,
                "contrast": contrast, "interval_over": "seeds" if seed < 0 else "documents",
                "seed": seed, "unit": "1", "value": gain + 0.01 * max(seed, 0),
                "low": gain - 0.05, "high": gain + 0.05, "n_seeds": 2 if seed < 0 else 1,
                "n_documents": 10, "n_tokens": 500,
            }
            for (arm, control), gain in pairs.items()
            for split in ("test", "transfer")
            for metric in ("fvu", "kl")
            for contrast in ("difference", "gain")
            for seed in (0, 1, -1)
        ]
    )  # fmt: skip


def worlds_table() -> pd.DataFrame:
    """AUC, gain and false positives of one arm in two worlds at three shares, and means over worlds."""
    rows = []
    for share, auc in ((0.0, None), (0.1, 0.6), (0.3, 0.9)):
        values = {"auc_functional": auc, "gain": 0.02 + share, "false_functional": 0.04}
        for metric, value in values.items():
            if value is not None:
                row = {"share": share, "arm": "joint", "metric": metric}
                rows += [row | {"world": world, "mean": value + 0.01 * world} for world in (0, 1)]
                ends = {"low": value, "high": value + 0.01, "n": 2}
                rows.append(row | {"world": None, "mean": value + 0.005} | ends)
    return pd.DataFrame(rows)


PLAIN = {"text": "x", "boolean": False, "whole number": 0, "count": 0, "number": 0.0}


def completed(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The rows with every column that the table must have: missing where it may be, else plain."""
    absent = {
        name: None if column.may_miss else PLAIN[column.kind.name]
        for name, column in table.columns.items()
        if name not in (*rows, *table.may_lack, FACTORS)
    }
    return rows.assign(**absent)

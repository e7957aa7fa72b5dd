"""Summary tables with round numbers, from which every quantity can be worked out by hand."""

from typing import Any

import pandas as pd

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

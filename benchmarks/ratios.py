"""The ratios that the benchmark is about, from its tables. Must not: measure or format."""

from typing import NamedTuple

import pandas as pd

from benchmarks.job import CONTESTANTS, MIDDLE, Size
from benchmarks.tables import Tables


class Ratio(NamedTuple):
    """One ratio and what it compares."""

    what: str
    value: float
    is_speedup: bool
    """Whether it says how many times faster the package is, so that more is better."""


STEP_RATIOS = (
    ("SAELens's step over our SAE step", "saelens", "fispace_sae", True),
    ("SAELens's step over ours chosen in float32", "saelens", "fispace_sae_float32", True),
    ("SAELens's step over ours set like it", "saelens", "fispace_like_saelens", True),
    ("SAELens's with sparse activations over our SAE step", "saelens_sparse", "fispace_sae", True),
    ("sparsify's step over our SAE step", "sparsify", "fispace_sae", True),
    ("sparsify's step over ours chosen in float32", "sparsify", "fispace_sae_float32", True),
    ("dense SAE step over our SAE step", "dense_sae", "fispace_sae", True),
    ("dense joint step over our joint step", "dense_joint", "fispace_joint", True),
    ("our SAE step over the float32 encoder product", "fispace_sae", "encoder_product", False),
    ("ours chosen in float32 over that product", "fispace_sae_float32", "encoder_product", False),
    ("our joint step over our SAE step", "fispace_joint", "fispace_sae", False),
)
OURS, SUBTRACTED, LIKE_SAELENS = (
    "fispace_sae_bias", "fispace_sae_bias_subtracted", "fispace_like_saelens",
)  # fmt: skip
COMPARED = (
    (LIKE_SAELENS, "saelens"),
    (SUBTRACTED, "saelens_sparse"),
    (SUBTRACTED, "sparsify"),
    (OURS, "saelens"),
    ("fispace_sae_bias_bfloat16", "fispace_sae_bias_float32"),
    ("fispace_sae_bias_row_sparse", OURS),
)
"""Pairs of trainings whose quality is compared; the first three are set alike."""


def all_ratios(tables: Tables) -> list[Ratio]:
    """Every ratio that the tables hold the numbers for."""
    return [
        *step_ratios(tables["steps"], MIDDLE),
        *scaling_ratios(tables["scaling"]),
        *quality_ratios(tables["quality"]),
        *data_ratios(tables["data"]),
    ]


def step_ratios(steps: pd.DataFrame, size: Size) -> list[Ratio]:
    """Ratios of median step times at one size on the CPU."""
    is_size = (steps["device"] == "cpu") & (steps["n_latents"] == size.n_latents)
    median = steps[is_size].set_index("contestant")["median_s"]
    return [
        Ratio(what, float(median[above] / median[below]), is_speedup)
        for what, above, below, is_speedup in STEP_RATIOS
        if above in median and below in median
    ]


def scaling_ratios(scaling: pd.DataFrame) -> list[Ratio]:
    """Growth of the NFM parts' time a token from each number of latents to the largest."""
    ratios = []
    for contestant, rows in scaling.groupby("contestant", sort=False):
        cost = rows.set_index("n_latents")["us_per_token"].sort_index()
        label, largest = CONTESTANTS[str(contestant)].label, cost.index[-1]
        ratios += [
            Ratio(
                f"NFM parts, {label}: {n:,} to {largest:,} latents",
                float(cost[largest] / cost[n]),
                False,
            )
            for n in cost.index[:-1]
        ]
    return ratios


def quality_ratios(quality: pd.DataFrame) -> list[Ratio]:
    """Held-out FVU of one over that of another: at each learning rate, and each at its best one."""
    ratios = []
    for (run, n_latents), rows in quality.groupby(["run", "n_latents"], sort=False):
        fvu = rows.groupby(["lr", "contestant"])["fvu"].mean().unstack()
        for one, other in (pair for pair in COMPARED if set(pair) <= set(fvu.columns)):
            labels = CONTESTANTS[one].label, CONTESTANTS[other].label
            what = f"{run}, {n_latents:,} latents: FVU of {labels[0]}, over {labels[1]}"
            by_lr = fvu[one] / fvu[other]
            ratios += [
                Ratio(f"{what}, at lr {lr:g}", float(ratio), False) for lr, ratio in by_lr.items()
            ]
            best = float(fvu[one].min() / fvu[other].min())
            ratios.append(Ratio(f"{what}, each at its best lr", best, False))
    return ratios


def data_ratios(data: pd.DataFrame) -> list[Ratio]:
    """How much faster the loader is than training, and the extraction than the forward pass."""
    rate = data[data["quantity"] == "tokens_per_s"].set_index("what")["value"]
    pairs = (("loader", "fastest arm"), ("extraction", "bare forward pass"))
    return [
        Ratio(f"tokens a second, {ours} over {other}", float(rate[ours] / rate[other]), True)
        for ours, other in pairs
        if ours in rate and other in rate
    ]

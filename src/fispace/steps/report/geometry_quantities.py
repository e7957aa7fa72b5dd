"""Named quantities from the geometry summary, and the two that need only the paper's own sizes.

Must not: know a claim.
"""

from collections.abc import Iterator

import numpy as np

from fispace.config.report import QuantitiesStep
from fispace.measure import published
from fispace.seeds import numpy_stream
from fispace.steps.report.long_table import NO_SEED, Frame, Quantity

NFM_PARTS = ("linear", "bias", "interaction")
PAPER_THRESHOLD = 0.2


def geometry_quantities(summary: Frame) -> Iterator[Quantity]:
    """`metric.arm.state` for every row, and `parameter_share.arm.part` of the trained arms."""
    for row in summary.to_dict("records"):
        name = f"{row['metric']}.{row['arm']}.{row['state']}"
        yield Quantity(name, int(row["seed"]), float(row["value"]), str(row["unit"]), int(row["n"]))
    yield from _parameter_shares(summary)


def paper_quantities(params: QuantitiesStep) -> Iterator[Quantity]:
    """Parameter accounting and the norm-mixture null at the paper's scale; no seed of ours enters.

    `paper.parameters.*` is arithmetic on d_model 3,200, n_latents 50,000 and d_embed 300.
    `paper.mixture_null.*` are the published ratio statistics of decoder norms drawn from the two
    printed modes, with the NFM's norms as initialised.
    """
    counts = published.parameter_counts(
        published.PAPER_D_MODEL, published.PAPER_N_LATENTS, published.PAPER_D_EMBED
    )
    values = {
        "total": counts.total,
        "share_linear": counts.linear / counts.total,
        "share_nfm": (counts.linear + counts.interaction) / counts.total,
        "share_interaction": counts.interaction / counts.total,
        "interaction_mlp": counts.interaction_mlp,
        "mlp_share_of_nfm": counts.interaction_mlp / (counts.linear + counts.interaction),
        "interaction_share_of_nfm": counts.interaction / (counts.linear + counts.interaction),
    }
    for name, value in values.items():
        unit = "fraction" if "share" in name else "parameters"
        yield Quantity(f"paper.parameters.{name}", NO_SEED, float(value), unit, 1)
    yield from _mixture_null(params)


def _mixture_null(params: QuantitiesStep) -> Iterator[Quantity]:
    stream = numpy_stream(params.root_seed, "report", "mixture null")
    squared, ratios = published.norm_mixture_null(
        params.mixture_latents, params.mixture_spread, stream
    )
    correlations = published.ratio_correlations(ratios, squared)
    n = len(squared)
    for name in published.RATIOS:
        low, high = published.group_means(getattr(ratios, name), squared, PAPER_THRESHOLD)
        stem = f"paper.mixture_null.ratio_{name}"
        yield Quantity(f"{stem}_spearman", NO_SEED, correlations[name], "1", n)
        yield Quantity(
            f"{stem}_low", NO_SEED, low, "fraction", int(np.sum(squared < PAPER_THRESHOLD))
        )
        yield Quantity(
            f"{stem}_high", NO_SEED, high, "fraction", int(np.sum(squared >= PAPER_THRESHOLD))
        )


def _parameter_shares(summary: Frame) -> Iterator[Quantity]:
    is_count = summary["metric"].str.startswith("n_parameters_")
    for (arm, seed), rows in summary[is_count].groupby(["arm", "seed"]):
        counts = {
            str(metric).removeprefix("n_parameters_"): float(value)
            for metric, value in zip(rows["metric"], rows["value"], strict=True)
        }
        total = sum(counts.values())
        nfm = sum(counts.get(part, 0.0) for part in NFM_PARTS)
        shares = {part: count / total for part, count in counts.items()} | {"nfm": nfm / total}
        yield Quantity(f"n_parameters.{arm}", int(seed), total, "parameters", 1)
        for part, share in shares.items():
            yield Quantity(f"parameter_share.{arm}.{part}", int(seed), share, "fraction", 1)

"""Plotted tables of every figure, made by the steps from small inputs."""

from pathlib import Path

import numpy as np
import pandas as pd
from report.synthetic import contributions_table, curves_table, fidelity_summary

from fispace.config.report import DiagramsStep, GeometryPlotsStep
from fispace.measure.published import RATIOS
from fispace.measure.verdicts import VERDICTS
from fispace.seeds import numpy_stream
from fispace.steps.report.claims_plot import write_claims_plot
from fispace.steps.report.control_plots import write_control_plots
from fispace.steps.report.diagrams import write_diagrams
from fispace.steps.report.factorial_plots import write_factorial_plots
from fispace.steps.report.fidelity_plots import write_fidelity_plots
from fispace.steps.report.geometry_plots import write_geometry_plots
from fispace.store.tables import write_csv, write_table

PARAMS = GeometryPlotsStep(
    histogram_bins=10, density_points=16, scatter_latents=15, spectrum_components=4, root_seed=0
)
N_LATENTS = 40


def latent_table(arm: str, seed: int) -> pd.DataFrame:
    """Latents with random norms and ratios, half of them in the low group."""
    stream = numpy_stream(0, "tests", arm, seed)
    columns = {"latent": np.arange(N_LATENTS), "is_low": np.arange(N_LATENTS) % 2 == 0}
    columns["firings"] = np.where(np.arange(N_LATENTS) % 4 == 0, 0, 1 + np.arange(N_LATENTS))
    columns["n_tokens"] = 100
    for state in ("trained", "initial"):
        columns[f"squared_norm_decoder_{state}"] = np.exp(stream.standard_normal(N_LATENTS))
    if arm == "joint":
        for state in ("trained", "initial", "decoder_trained"):
            for ratio in RATIOS:
                columns[f"ratio_{ratio}_{state}"] = stream.random(N_LATENTS)
    return pd.DataFrame(columns).assign(arm=arm, seed=seed)


def spectrum_table(arm: str, seed: int) -> pd.DataFrame:
    """Spectra of six components that sum to one."""
    keys = [
        (s, c) for s in ("trained", "initial", "random", "marchenko_pastur") for c in (True, False)
    ]
    share = np.arange(6, 0, -1) / 21
    rows = [
        pd.DataFrame({"state": s, "centred": c, "component": range(1, 7), "share": share})
        for s, c in keys
    ]
    return pd.concat(rows).assign(arm=arm, seed=seed)


def ledger_table() -> pd.DataFrame:
    """One claim of each verdict; the first is printed as zero, the last far from the printed number."""
    rows = []
    for number, verdict in enumerate(VERDICTS):
        row = {"id": f"N{number + 1}", "item": "gain", "printed": 0.5 * number, "unit": "fraction"}
        for answer, mean in (("published", 1.0), ("controlled", 900.0), ("null", None)):
            row |= {f"{answer}_mean": mean, f"{answer}_low": mean and mean - 0.5}
            row |= {f"{answer}_high": mean and mean + 0.5}
        rows.append(row | {"verdict": verdict})
    return pd.DataFrame(rows)


def clamp_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means by kind, clamp and cell, and items of the first candidate."""
    means, items = [], []
    for seed in (0, 1):
        for kind in ("candidate", "insensitive", "random"):
            for clamp in (-4.0, 1.0, 4.0):
                for cell in (("formal", "neutral"), ("formal", "emotional"), ("casual", "neutral")):
                    key = {
                        "arm": "joint",
                        "seed": seed,
                        "latent": 3,
                        "clamp": clamp,
                        "unit": "nats",
                    }
                    key |= {"register": cell[0], "affect": cell[1], "value": 0.1 * (clamp - 1)}
                    means.append(key | {"kind": kind, "rank": 1, "low": -1.0, "high": 1.0, "n": 2})
                    if kind == "candidate":
                        items += [key | {"item": item} for item in (0, 1)]
    return pd.DataFrame(means), pd.DataFrame(items)


def write_all(folder: Path) -> dict[str, Path]:
    """The CSV of every figure, by figure."""
    controls = ("controls", "shapley", "positions")
    names = ("reconstruction", "kl", "norms", "norm_ratios", "ratio_scatter", "spectrum")
    drawn = (
        "claims",
        "pipeline",
        "architecture",
        *names,
        *controls,
        "clamping",
        "secondary_activations",
    )
    out = {name: folder / f"{name}.csv" for name in drawn}
    write_csv(folder / "ledger.csv", ledger_table())
    write_claims_plot(ledger=folder / "ledger.csv", claims=out["claims"])
    sizes = DiagramsStep(n_latents=1536, k=32, d_embed=24)
    write_diagrams(sizes, pipeline=out["pipeline"], architecture=out["architecture"])
    write_table(folder / "fidelity.parquet", fidelity_summary(), {})
    write_fidelity_plots(
        fidelity=folder / "fidelity.parquet", reconstruction=out["reconstruction"], kl=out["kl"]
    )
    write_table(folder / "shapley.parquet", contributions_table(), {})
    write_table(folder / "curves.parquet", curves_table(), {})
    write_control_plots(
        fidelity=folder / "fidelity.parquet", contributions=folder / "shapley.parquet",
        curves=folder / "curves.parquet", **{name: out[name] for name in controls},
    )  # fmt: skip
    latents, spectra = [], []
    for arm in ("sae", "joint", "other"):
        for seed in (0, 1):
            latents.append(folder / f"{arm}{seed}.latents.parquet")
            spectra.append(folder / f"{arm}{seed}.spectrum.parquet")
            write_table(latents[-1], latent_table(arm, seed), {})
            write_table(spectra[-1], spectrum_table(arm, seed), {})
    write_geometry_plots(
        PARAMS, latents=latents, spectra=spectra, **{name: out[name] for name in names[2:]}
    )
    means, items = clamp_tables()
    write_csv(folder / "cells.csv", means)
    write_csv(folder / "points.csv", items)
    bars = pd.DataFrame({"bin_low": [0.0, 1.0], "bin_high": [1.0, 2.0], "count": [5, 2]})
    write_csv(folder / "bars.csv", bars.assign(arm="joint", seed=0, primary_latent=7))
    write_factorial_plots(
        cells=folder / "cells.csv", points=folder / "points.csv", histogram=folder / "bars.csv",
        clamping=out["clamping"], secondary_activations=out["secondary_activations"],
    )  # fmt: skip
    return out

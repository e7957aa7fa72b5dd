"""Plotted tables of every figure, made by the steps from small inputs."""

from pathlib import Path

import numpy as np
import pandas as pd
from report.synthetic import (
    completed,
    contributions_table,
    controls_table,
    curves_table,
    fidelity_summary,
    gain_curve_table,
)

from fispace.chapters.factorial.plots import write_calibration_plots, write_factorial_plots
from fispace.chapters.factorial.tables import (
    ACTIVATION_CELLS,
    CLAMP_CELLS,
    CLAMP_FITS,
    CLAMP_ITEMS,
    GENERATION_COUNTS,
    HISTOGRAM,
)
from fispace.chapters.fidelity.plots import (
    write_control_plots,
    write_fidelity_plots,
    write_gain_plots,
)
from fispace.chapters.geometry.plots import write_geometry_plots
from fispace.chapters.interactions.plots import write_interaction_plots
from fispace.chapters.interactions.tables import LATENTS, PAIRS
from fispace.chapters.interactions.verdicts import LISTED_FIRST
from fispace.chapters.testbed.planted_summary import write_planted_plots
from fispace.report.audit import write_audit, write_audit_plots
from fispace.report.diagrams import write_diagrams
from fispace.report.ledger import write_claims_plot
from fispace.report.tables import LEDGER
from fispace.report.verdicts import VERDICTS
from fispace.seeds import numpy_stream
from fispace.stats.paper_formulas import RATIOS
from fispace.store.tables import write_csv, write_table
from fispace.study.config.audit import AuditConfig
from fispace.study.config.interactions import InteractionsPlotsStep
from fispace.study.config.report import AuditStep, DiagramsStep, GeometryPlotsStep

PARAMS = GeometryPlotsStep(
    histogram_bins=10, density_points=16, scatter_latents=15, spectrum_components=4, root_seed=0
)
N_LATENTS = 40
WEAKNESSES = Path(__file__).parents[2] / "workflow/weaknesses.yaml"


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
            row |= {f"{answer}_quantity": mean and "gain"}
        rows.append(row | {"verdict": verdict})
    return pd.DataFrame(rows)


FACTORIAL = ("clamping", "secondary_activations", "interaction", "family", "generations")
FACTORIAL += ("calibration", "planted", "audit")
GAINS = ("gain_curve", "arm_controls")


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
                    key |= {"kind": kind, "rank": 1}
                    means.append(key | {"mode": "multiply", "low": -1.0, "high": 1.0, "n": 2})
                    items += [key | {"item": item} for item in ("i0", "i1")]
    return pd.DataFrame(means), pd.DataFrame(items)


def fit_table(means: pd.DataFrame) -> pd.DataFrame:
    return means.drop(columns=["mode", "n"]).assign(p=0.5, converged=True)


def activation_table(means: pd.DataFrame) -> pd.DataFrame:
    return means[means["clamp"] == 1.0].drop(columns=["mode", "clamp"])


def family_rows() -> pd.DataFrame:
    row = {
        "hypothesis": "clamping", "expected": "effect", "latent": 3, "value": 0.2, "low": 0.1,
        "high": 0.3, "mixed_low": 0.0, "mixed_high": 0.4, "bound": 0.1, "p_max": 0.01, "q": 0.02,
        "is_significant_max": True, "is_equivalent": False, "n": 30, "rank": 1,
    }  # fmt: skip
    return pd.DataFrame(
        [
            row | {"family": family, "kind": kind, "seed": seed, "excluded": excluded}
            for family in ("activation", "clamp_slope")
            for kind, excluded in (("candidate", "no"), ("random", "active in too few contexts"))
            for seed in (0, 1)
        ]
    )


def count_table(seed: int) -> pd.DataFrame:
    row = {"arm": "joint", "seed": seed, "latent": 3, "n_texts": 10, "n_changed": 2, "count": 3}
    return pd.DataFrame(
        [
            row | {"kind": kind, "clamp": 1.0, "decoding": how, "register": "a", "affect": cell}
            for kind in ("unmoved", "candidate")
            for how in ("greedy", "sampled")
            for cell in ("b", "c")
        ]
    )


def calibration_table() -> pd.DataFrame:
    rate = {
        "table": "calibration", "null": "synthetic", "test": "max-F", "procedure": "search_max",
        "what": "search", "rate": 0.05, "low": 0.04, "high": 0.06, "n": 100, "band_low": 0.03,
        "band_high": 0.07, "in_band": "yes",
    }  # fmt: skip
    power = {"table": "power", "rate": 0.5, "low": 0.4, "high": 0.6, "n": 10}
    points = [
        power | {"size": size, "criterion": name}
        for size in (0.0, 1.0)
        for name in ("found", "selected", "known")
    ]
    return pd.DataFrame([rate, rate | {"test": "leak", "in_band": ""}, *points])


def planted_table() -> pd.DataFrame:
    rows = []
    for metric in ("auc_factor", "auc_functional", "found_functional", "captured_all", "gain"):
        for arm in ("oracle", "sequential", "sequential_first_order"):
            for share in (0.0, 0.3):
                row = {"metric": metric, "arm": arm, "share": share, "mean": 0.5}
                rows.append(row | {"low": 0.4, "high": 0.6, "n": 2, "world": None})
                rows += [row | {"world": world} for world in (0, 1)]
    return pd.DataFrame(rows)


SWITCHES = {"early_decay": {"lr_decay_fraction": 0.01}, "own": {"dropout": 0.5}}


def audit_tables(folder: Path) -> tuple[list[Path], Path]:
    """Sums of two seeds under some switches, and the quantities beside them."""
    paths = []
    for seed in (0, 1):
        rows = [
            {"switch": switch, "arm": arm, "parts": parts, "document_id": document, "kl": kl * level,
             "error": level, "n_dimensions": 8.0, "n_tokens": 4.0, "kl_squares": kl * level**2}
            for switch, level in (("fair", 1.0), ("no_standardiser", 90.0), ("early_decay", 1.5), ("own", 1.1))
            for arm, parts, kl in (
                ("joint", "sae+linear", 1.0), ("joint", "sae", 3.0), ("sae_bias", "sae", 1.2)
            )
            for document in range(5)
        ]  # fmt: skip
        frame = pd.DataFrame(rows).assign(seed=seed)
        frame["kl"] += frame["document_id"] * 0.1 * (frame["arm"] == "joint")
        paths.append(folder / f"audit{seed}.parquet")
        write_table(paths[-1], frame, {})
    norms = [
        {"quantity": f"ratio_total_spearman.joint.{state}", "seed": seed, "value": value + seed / 9}
        for state, value in (("trained", -0.5), ("decoder_trained", -0.9))
        for seed in (0, 1)
    ]
    write_table(folder / "quantities.parquet", pd.DataFrame(norms), {})
    return paths, folder / "quantities.parquet"


def _write_pairs(folder: Path, volcano: Path) -> None:
    """One pair of latents for each verdict of a tested pair, whose tokens are texts of a user."""
    pairs = pd.DataFrame(
        {name: [1.0] * len(LISTED_FIRST) for name in PAIRS.columns}
        | {"verdict": LISTED_FIRST, "arm": "sae", "stands_out": True, "second": 99}
    )
    for name in (
        "seed",
        "cofirings",
        "group_first",
        "group_second",
        "n_other_seeds",
        "n_found_again",
    ):
        pairs[name] = 1
    pairs["first"] = range(len(pairs))
    pairs["share_of_residual"] = [10.0**-place for place in range(len(pairs))]
    pairs["dose_p"] = [10.0 ** -(9 - place) for place in range(len(pairs))]
    write_csv(folder / "pairs.csv", pairs, PAIRS)
    tokens = [
        {"seed": 1, "latent": latent, "rank": 0, "token_id": 5, "token": token, "share": 0.5}
        for latent, token in ((0, "$x$"), (1, " the"), (99, "\n"))
    ]
    write_csv(folder / "latents.csv", LATENTS.frame(tokens), LATENTS)
    write_interaction_plots(
        InteractionsPlotsStep(n_labelled=2), table=folder / "pairs.csv",
        latents=folder / "latents.csv", volcano=volcano,
    )  # fmt: skip


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
        *FACTORIAL,
        *GAINS,
        "volcano",
        "claims_full",
    )
    out = {name: folder / f"{name}.csv" for name in drawn}
    write_csv(folder / "ledger.csv", completed(ledger_table(), LEDGER), LEDGER)
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
    write_csv(folder / "cells.csv", means, CLAMP_CELLS)
    write_csv(folder / "points.csv", items, CLAMP_ITEMS)
    bars = pd.DataFrame({"bin_low": [0.0, 1.0], "bin_high": [1.0, 2.0], "count": [5, 2]})
    write_csv(folder / "bars.csv", bars.assign(arm="joint", seed=0, primary_latent=7), HISTOGRAM)
    write_csv(folder / "fits.csv", fit_table(means), CLAMP_FITS)
    write_csv(folder / "activation.csv", activation_table(means), ACTIVATION_CELLS)
    write_table(folder / "family.parquet", family_rows(), {})
    counts = [folder / f"{seed}.counts.csv" for seed in (0, 1)]
    for seed, path in enumerate(counts):
        write_csv(path, count_table(seed), GENERATION_COUNTS)
    write_factorial_plots(
        cells=folder / "cells.csv", points=folder / "points.csv", fits=folder / "fits.csv",
        histogram=folder / "bars.csv", activation=folder / "activation.csv",
        family=folder / "family.parquet", counts=counts, clamping=out["clamping"],
        secondary_activations=out["secondary_activations"], interaction=out["interaction"],
        forest=out["family"], generations=out["generations"],
    )  # fmt: skip
    _write_pairs(folder, out["volcano"])
    write_table(folder / "calibration.parquet", calibration_table(), {})
    write_calibration_plots(table=folder / "calibration.parquet", calibration=out["calibration"])
    write_table(folder / "planted.parquet", planted_table(), {})
    write_planted_plots(table=folder / "planted.parquet", planted=out["planted"])
    documents, quantities = audit_tables(folder)
    step = AuditStep(
        audit=AuditConfig(arm="joint", baseline="sae_bias", switches=SWITCHES), confidence=0.95
    )
    write_audit(
        step, documents=documents, quantities=quantities, weaknesses=WEAKNESSES,
        audit=folder / "audit.parquet", table=folder / "audit_table.csv",
    )  # fmt: skip
    write_audit_plots(table=folder / "audit_table.csv", audit=out["audit"])
    write_table(folder / "gains.parquet", gain_curve_table(), {})
    write_table(folder / "over.parquet", controls_table(), {})
    write_gain_plots(
        curve=folder / "gains.parquet", controls=folder / "over.parquet",
        **{name: out[name] for name in GAINS},
    )  # fmt: skip
    rows = pd.concat([ledger_table(), ledger_table().assign(id="P1", printed=None)])
    write_csv(folder / "full.csv", completed(rows, LEDGER), LEDGER)
    write_claims_plot(ledger=folder / "full.csv", claims=out["claims_full"])
    return out

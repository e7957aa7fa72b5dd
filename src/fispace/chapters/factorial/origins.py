"""The input rows behind each row of the chapter's tables and of its figures' tables.

Must not: compute.
"""

from typing import Any

from fispace.chapters.factorial.tables import FIRST_RANK, KEYS
from fispace.store.origins import Inputs, Origin, Origins, Row, Rows, is_missing

HERE = "fispace.chapters.factorial"
IN_TABLES = {*KEYS, "mode", "clamp", "unit", "value", "low", "high", "n", "p", "converged", "item"}
IN_TABLES |= {"decoding", "n_texts", "n_changed", "count"}
"""Columns that are not factors of the design."""


def _picked(row: Row, *columns: str) -> dict[str, Any]:
    return {column: row[column] for column in columns if column in row}


def of_test(row: Row, _: Inputs) -> Origin:
    """The latent's test on the select half, and its responses or effects on the confirm half."""
    latent = _picked(row, *KEYS)
    read = {"select": Rows("candidates", latent, "t")}
    family = row["family"]
    if family == "activation":
        read["confirm"] = Rows("responses", _picked(row, "seed"))
    elif family == "planted_slope":
        read = {"confirm": Rows("planted", latent, "value")}
    else:
        clamp = {"mode": "set" if family == "set" else "multiply"}
        clamp |= {"clamp": row["clamp"]} if family in ("set", "clamp") else {}
        read = {"confirm": Rows("effects", latent | clamp, "value")}
    if not is_missing(row["active_share"]):
        name = f"active_prompts_{row['kind']}_{row['rank']}"
        read["active_share"] = Rows("checks", {"metric": name, "seed": row["seed"]}, "value")
    return Origin(f"{HERE}.hypothesis_tests:family_table", read)


def of_activation_cell(row: Row, _: Inputs) -> Origin:
    """The latent's activations in one cell of the confirm half."""
    read = {"select": Rows("candidates", _picked(row, *KEYS), "t")}
    read["confirm"] = Rows("responses", _picked(row, "seed"))
    return Origin(f"{HERE}.infer:response_cells", read)


def _of_effects(function: str, row: Row, **more: object) -> Origin:
    factors = {name: row[name] for name in row if name not in IN_TABLES}
    place = _picked(row, *KEYS, "mode", "clamp", "item") | factors | more
    return Origin(f"{HERE}.infer:{function}", {"value": Rows("effects", place, "value")})


def of_clamp_cell(row: Row, _: Inputs) -> Origin:
    """Effects of one latent and clamp on the words of one cell, for all items."""
    return _of_effects("clamp_cells", row)


def of_clamp_item(row: Row, _: Inputs) -> Origin:
    """Effects of one latent and clamp on the words of one cell, for one item."""
    return _of_effects("clamp_items", row, mode="multiply")


def of_clamp_fit(row: Row, _: Inputs) -> Origin:
    """Effects of one latent at every clamp: the line is fitted to all of them."""
    place = _picked(row, *KEYS) | {"mode": "multiply"}
    return Origin(f"{HERE}.infer:clamp_fits", {"value": Rows("effects", place, "value")})


def of_secondary(row: Row, _: Inputs) -> Origin:
    """The same row in the quality table of an SAE, or in the checks of the clamps."""
    place = _picked(row, "arm", "seed", "site", "split", "metric")
    table = "checks" if row["site"] == "clamp" else "quality"
    return Origin(f"{HERE}.infer:infer", {"value": Rows(table, place, "value")})


def of_candidate(row: Row, _: Inputs) -> Origin:
    """The responses of the select half."""
    return Origin(
        f"{HERE}.discover:discovery_table", {"select": Rows("responses", _picked(row, "seed"))}
    )


def of_hypothesis(_row: Row, _: Inputs) -> Origin:
    """Declared in the parameters."""
    return Origin(f"{HERE}.hypothesis_tests:declared", {})


def of_answer(row: Row, _: Inputs) -> Origin:
    """Tests of one kind of latent, the effects of its clamps, or the scores of the LM and the observer."""
    question, kind = str(row["question"]), {"kind": row["subject"]}
    if question in ("planted", "carried", "share_of_bayes"):
        read = {name: Rows(name, {}) for name in ("lm_folder", "grammar", "words", "contexts")}
        return Origin(f"{HERE}.planted_contrast:planted_contrast", read)
    if question in ("share_of_movement", "share_over_direction"):
        read = {"moves": Rows("planted", kind | {"mode": "multiply"}, "value")}
    else:
        family = "planted_slope" if question == "over_direction" else question
        read = {"tests": Rows("family", kind | {"family": family}, "value")}
    return Origin(f"{HERE}.ground_truth:about_latents", read)


def _levels(inputs: Inputs, table: str, levels: list[Any]) -> dict[str, Any]:
    """Levels of a cell, by the factors' column names in an input table."""
    factors = [name for name in inputs.table(table).columns if name not in IN_TABLES]
    return dict(zip(factors, levels, strict=True))


def of_clamping_plot(row: Row, inputs: Inputs) -> Origin:
    """The same row of the cell means, the items, or the fitted lines."""
    table = {"mean": "cells", "item": "points", "fit": "fits"}[row["row"]]
    place = _picked(row, "seed", "kind", "latent", "clamp") | {"rank": FIRST_RANK}
    place |= {"mode": "multiply"} if table == "cells" else {}
    place |= _picked(row, "item") if table == "points" else {}
    place |= _levels(inputs, table, str(row["cell"]).split(", "))
    return _plotted(Rows(table, place, "value"))


def of_activations_plot(row: Row, _: Inputs) -> Origin:
    """The same row."""
    place = _picked(row, "arm", "seed", "primary_latent", "bin_low")
    return _plotted(Rows("histogram", place, "count"))


def of_interaction_plot(row: Row, inputs: Inputs) -> Origin:
    """The latent's row of the cell."""
    place = _picked(row, "seed", "kind", "latent") | {"rank": FIRST_RANK}
    place |= _levels(inputs, "activation", [row["first"], row["second"]])
    return _plotted(Rows("activation", place, "value"))


def of_forest(row: Row, _: Inputs) -> Origin:
    """The test's row."""
    place = _picked(row, "hypothesis", "family", "kind", "rank", "latent", "seed")
    return _plotted(Rows("family", place, "value"))


def of_generations_plot(row: Row, inputs: Inputs) -> Origin:
    """The counts of every seed."""
    place = _picked(row, "kind", "clamp", "decoding")
    place |= _levels(inputs, "counts", str(row["cell"]).split(", "))
    return _plotted(Rows("counts", place, "count"))


def _plotted(rows: Rows) -> Origin:
    return Origin(f"{HERE}.plots:write_factorial_plots", {str(rows.column): rows})


def of_calibration_plot(row: Row, _: Inputs) -> Origin:
    """The row of the calibration, or of the power curve."""
    columns = ("table", "null", "test", "procedure", "what", "size", "criterion")
    rows = Rows("table", _picked(row, *columns), "rate")
    return Origin(f"{HERE}.plots:write_calibration_plots", {"rate": rows})


ORIGINS: Origins = {
    "infer": {
        "family": of_test, "table": of_test, "activation_cells": of_activation_cell,
        "cells": of_clamp_cell, "points": of_clamp_item, "fits": of_clamp_fit,
        "secondary": of_secondary, "hypotheses": of_hypothesis,
    },
    "compare_truth": {"answers": of_answer},
    "discover": {"candidates": of_candidate, "discovery": of_candidate},
    "write_factorial_plots": {
        "clamping": of_clamping_plot, "secondary_activations": of_activations_plot,
        "interaction": of_interaction_plot, "forest": of_forest,
        "generations": of_generations_plot,
    },
    "write_calibration_plots": {"calibration": of_calibration_plot},
}  # fmt: skip
"""Function that finds a row's origin, by the command's function and the option that names the table."""

EQUATIONS = {
    "train_secondary": ("fispace.models.secondary:hidden_vectors", "fispace.models.sae:TopKSae"),
    "list_pairs": ("fispace.models.pairs:pair_readout",),
    "clamp_latents": ("fispace.models.interventions:movement",),
    "discover": ("fispace.stats.two_by_two:welch_t", "fispace.stats.two_by_two:sign_flip_test"),
    "infer": ("fispace.stats.two_by_two:one_sample_t",),
}
"""Functions and classes whose docstrings give a step's equations, by the command's function."""

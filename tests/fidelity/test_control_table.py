"""Gains over controls: their definition, their pairing, and what they do not depend on."""

import numpy as np
import pandas as pd
import pytest

from fispace.chapters.fidelity.controls import control_table
from fispace.chapters.fidelity.document_sums import Resampled

N = 6
ERRORS = {("joint", 0): 1.0, ("joint", 1): 3.0, ("sae", 0): 2.0, ("sae", 1): 4.0, ("sae", 2): 9.0}
WHOLE = {"joint": "sae+linear+bias+interaction", "sae": "sae"}


def sums(errors=ERRORS, noise=0.0):
    """Rows of full arms with constant error, and of one ablation, which must not be compared."""
    rng = np.random.default_rng(0)
    shared = rng.random(N) * noise  # an error that both arms share on the same document
    rows = []
    for (arm, seed), error in errors.items():
        for parts in dict.fromkeys((WHOLE[arm], "sae")):
            for document in range(N):
                own = error if parts == WHOLE[arm] else 100.0
                rows.append({
                    "arm": arm, "parts": parts, "seed": seed, "split": "test",
                    "special_tokens": "masked", "condition": "reconstruction",
                    "document_id": document, "error": own + shared[document], "deviation": 10.0,
                    "kl": 2 * own, "n_tokens": 4, "n_next": 3, "error_raw": 0.0,
                    "deviation_raw": 1.0, "n_dimensions": 1.0, "l0": 1.0, "ce": 1.0,
                })  # fmt: skip
    return pd.DataFrame(rows)


def table(rows, controls=None):
    weights = np.vstack([np.ones(N), np.random.default_rng(1).multinomial(N, [1 / N] * N, 50)])
    documents = {"test": Resampled(np.arange(N), weights.astype(float))}
    return control_table(rows, documents, controls or {"joint": ["sae"]}, 0.95)


def chosen(found, **values):
    for name, value in values.items():
        found = found[found[name] == value]
    return found


def test_difference_and_gain_over_a_control_by_hand():
    found = chosen(table(sums()), metric="fvu", interval_over="documents")
    by_seed = found.pivot(index="seed", columns="contrast", values="value")
    assert by_seed["difference"].to_dict() == pytest.approx({0: 0.1, 1: 0.1})
    assert by_seed["gain"].to_dict() == pytest.approx({0: 0.5, 1: 0.25})


def test_seeds_are_paired_and_a_seed_of_one_side_only_is_left_out():
    found = chosen(table(sums()), metric="kl", contrast="difference", interval_over="seeds")
    row = found.iloc[0]
    assert row["n_seeds"] == 2 and row["seed"] == -1
    # both seeds differ by 2 * 1 / 4 nats, though the arms vary by four times that between seeds
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.5, 0.5, 0.5))


def test_documents_are_paired_so_that_a_shared_error_cancels():
    found = chosen(table(sums(noise=5.0)), metric="fvu", contrast="difference")
    widths = chosen(found, interval_over="documents").eval("high - low")
    assert (widths < 1e-12).all()


def test_the_order_of_rows_changes_nothing():
    rows = sums(noise=1.0)
    pd.testing.assert_frame_equal(table(rows), table(rows.sample(frac=1.0, random_state=3)))


def test_every_declared_comparison_is_there_in_the_declared_order():
    found = table(sums(), {"sae": ["joint"], "joint": ["sae"]})
    pairs = list(dict.fromkeys(zip(found["arm"], found["control"], strict=True)))
    assert pairs == [("sae", "joint"), ("joint", "sae")]
    gains = chosen(found, metric="fvu", contrast="difference", interval_over="seeds")["value"]
    assert gains.iloc[0] == pytest.approx(-gains.iloc[1])

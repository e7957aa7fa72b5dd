"""The browser's data: what is shown of a latent is what the model computes, and text stays text."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from browser.small_run import (
    FACTORS,
    HOSTILE,
    N_WINDOWS,
    WINDOW,
    SmallRun,
    latents_of,
    read_value,
    windows_of,
)
from geometry.small_study import N_LATENTS
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from fispace.chapters.browser.firing import Largest
from fispace.chapters.browser.records import nearest_latents
from fispace.chapters.browser.shards import short
from fispace.errors import ArtifactMismatchError
from fispace.models.pair_scores import all_pairs, factor_scores
from fispace.models.sparse import Codes, to_dense
from fispace.store.activations import ActivationStore
from fispace.store.responses import Responses, write_responses
from fispace.store.standardiser import load_standardiser
from fispace.store.tables import write_table


@pytest.fixture(scope="module")
def dense(run: SmallRun) -> np.ndarray:
    """Activation of every latent at every position of every window; zero at special tokens."""
    (x,) = [np.concatenate(list(ActivationStore(run.manifest).groups("test")))]
    z = load_standardiser(run.standardiser).standardise(torch.from_numpy(x))
    with torch.no_grad():
        found = to_dense(run.model.sae.encode(z), N_LATENTS).numpy()
    whole = np.zeros((N_WINDOWS, WINDOW, N_LATENTS))
    whole[:, 1:] = found.reshape(N_WINDOWS, WINDOW - 1, N_LATENTS)
    return whole


def test_counts_mean_and_largest_activation_are_those_of_the_codes(pages, dense):
    index = read_value(pages, "index")
    fired = (dense > 0).sum((0, 1))
    assert index["fired"] == fired.tolist() and min(fired[fired > 0]) > 0 and (fired == 0).any()
    assert index["peak"] == [short(value) for value in dense.max((0, 1))]
    np.testing.assert_allclose(
        index["mean"], dense.sum((0, 1)) / np.maximum(fired, 1), rtol=6e-3, atol=1e-9
    )
    assert index["tokens"] == N_WINDOWS * (WINDOW - 1)


def test_the_strongest_windows_come_first_and_each_window_once(pages, dense):
    peaks = dense.max(1)
    for latent, record in enumerate(latents_of(pages)):
        best = [w for w in np.argsort(-peaks[:, latent], kind="stable")[:3] if peaks[w, latent] > 0]
        assert [context[0] for context in record["top"]] == best
        for window, begin, _, place, _ in record["top"]:
            assert begin + place == dense[window, :, latent].argmax()


def test_every_token_of_a_context_has_its_own_activation(pages, dense):
    for latent, record in enumerate(latents_of(pages)):
        for context in (*record["top"], *(one[1:] for one in record["at"])):
            window, begin, length, place, active = context
            position = begin + place
            assert (begin, begin + length) == (max(0, position - 3), min(WINDOW, position + 3))
            own = dense[window, begin : begin + length, latent]
            assert active == [[i, short(float(np.float32(own[i])))] for i in np.flatnonzero(own)]


def test_contexts_at_quantiles_lie_where_they_say_for_latents_whose_tokens_are_all_sampled(
    pages, dense
):
    seen = 0
    for latent, record in enumerate(latents_of(pages)):
        values = np.sort(dense[..., latent][dense[..., latent] > 0])
        if 1 <= len(values) <= 8:
            seen += 1
            for share, window, begin, _, place, _ in record["at"]:
                at = dense[window, begin + place, latent]
                assert at == values[round(share * (len(values) - 1))]
    assert seen > 3


def test_a_histogram_counts_every_active_token_once(pages, dense):
    for latent, record in enumerate(latents_of(pages)):
        values = dense[..., latent][dense[..., latent] > 0]
        if len(values):
            expected, _ = np.histogram(values, bins=5, range=(0, values.max()))
            assert record["bins"] == expected.tolist()
        else:
            assert "bins" not in record and record["top"] == [] and record["at"] == []


@settings(max_examples=60, deadline=None)
@given(
    entries=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=40),
    cut=st.integers(0, 40),
    size=st.integers(1, 4),
)
def test_the_largest_entries_of_two_batches_are_those_of_both_together(entries, cut, size):
    kept = Largest(4, size)
    for begin, end in ((0, cut), (cut, len(entries))):
        owners, keys = (np.array([e[i] for e in entries[begin:end]], int) for i in (0, 1))
        if len(owners):
            tokens = np.arange(begin, begin + len(owners))
            kept.update(owners, keys.astype(float), tokens, tokens * 2.0)
    for owner in range(4):
        own = [(-key, token) for token, (who, key) in enumerate(entries) if who == owner]
        expected = [token for _, token in sorted(own)[:size]]
        found = kept.tokens[owner][kept.tokens[owner] >= 0]
        assert found.tolist() == expected
        assert kept.values[owner][: len(found)].tolist() == [2.0 * token for token in expected]


def test_promoted_tokens_are_those_that_the_models_own_norm_and_head_prefer(pages, run, dense):
    lm = AutoModelForCausalLM.from_pretrained(run.params.lm.name)
    units, model, index = load_standardiser(run.standardiser), run.model, read_value(pages, "index")
    tokens = read_value(pages, "tokens")
    words = [" " + word for word in lm_words(run)]
    fired = (dense > 0).sum((0, 1))
    mean = dense.sum((0, 1)) / np.maximum(fired, 1)
    rows = (model.sae.W_dec + model.W_lin).detach()
    for latent, record in enumerate(latents_of(pages)):
        if not fired[latent]:
            assert "up" not in record
            continue
        step = rows[latent] * float(mean[latent]) * units.std
        with torch.no_grad():
            after, before = (lm.lm_head(lm.model.norm(x)) for x in (units.mean + step, units.mean))
        order = (after - before).argsort(descending=True)
        assert [tokens[name] for name, _ in record["up"]] == [words[i] for i in order[:4]]
        assert [tokens[name] for name, _ in record["down"]] == [words[i] for i in order.flip(0)[:4]]
        np.testing.assert_allclose(
            [value for _, value in record["up"]], (after - before)[order[:4]], rtol=6e-3, atol=1e-4
        )
    assert index["has_lens"]


def lm_words(run: SmallRun) -> list[str]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(run.params.lm.name)
    return tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))


def test_nearest_latents_are_those_of_the_full_matrix_of_cosines():
    rows = torch.randn(1100, 6, generator=torch.Generator().manual_seed(0))
    cosines = torch.nn.functional.cosine_similarity(rows[:, None], rows[None], dim=2)
    cosines.fill_diagonal_(-2)
    expected = cosines.topk(3, dim=1)
    found = list(nearest_latents(rows, 3))
    assert [one.latents for one in found] == expected.indices.tolist()
    np.testing.assert_allclose([one.cosines for one in found], expected.values, atol=1e-6)


def test_a_pair_has_its_weight_and_the_tokens_on_which_both_are_active(pages, run, dense):
    pairs = read_value(pages, "pairs")
    assert len(pairs) == 6
    flat = dense.reshape(-1, N_LATENTS)
    first = torch.from_numpy(dense[:, 1:].reshape(-1, N_LATENTS)[:100]).float()
    codes = Codes(*first.topk(4, dim=1))
    every = factor_scores(run.model, codes, all_pairs(np.arange(N_LATENTS)))
    assert pairs[0]["weight"] == pytest.approx(
        every.max(), rel=0.2
    )  # other means: those of 100 tokens
    for pair in pairs:
        i, j = pair["latents"]
        both = (flat[:, i] > 0) & (flat[:, j] > 0)
        assert i < j and pair["together"] == both.sum()
        assert pair["alone"] == [(flat[:, k] > 0).sum() - both.sum() for k in (i, j)]
        products = (dense[..., i] * dense[..., j]).max(1)
        expected = [w for w in np.argsort(-products, kind="stable")[:2] if products[w] > 0]
        assert [context[0] for context in pair["contexts"]] == expected
    assert [pair["weight"] for pair in pairs] == sorted((p["weight"] for p in pairs), reverse=True)


def test_pairs_are_left_out_where_the_model_has_no_weights_of_pairs(hostile_lm, tmp_path):
    folder = SmallRun(tmp_path, hostile_lm, parts=["sae", "bias"]).browse()
    assert read_value(folder, "pairs") == [] and read_value(folder, "index")["pairs"] == 0


def test_the_size_of_row_groups_changes_no_byte_and_neither_does_a_second_run(
    pages, hostile_lm, tmp_path
):
    small = SmallRun(tmp_path, hostile_lm, row_group=7).browse()
    files = sorted(path.relative_to(pages) for path in pages.rglob("*") if path.is_file())
    assert len(files) == 1 + 4 + 4 + 3
    for name in files:
        assert (small / name).read_bytes() == (pages / name).read_bytes(), name


def test_hostile_text_is_shown_whole_and_no_file_holds_a_mark_of_markup(pages):
    shown = {text.strip() for window in windows_of(pages) for text in window}
    assert set(HOSTILE) <= shown
    for path in (pages / "data").iterdir():
        assert "<" not in path.read_text(encoding="utf-8"), path.name
    page = (pages / "index.html").read_text(encoding="utf-8")
    assert "hacked" not in page and page.count("<script>") == page.count("</script>") == 1


def write_history(path: Path, n_latents: int) -> Path:
    rows = [
        {"step": step, "n_tokens": 100 * step, "latent": latent, "firings": latent * step * 10,
         "squared_norm": float((latent + 1) ** 2 * step**2)}
        for step in (2, 1) for latent in range(n_latents)
    ]  # fmt: skip
    write_table(path, pd.DataFrame(rows), {})
    return path


def write_cells(path: Path, n_latents: int) -> Path:
    levels = [(a, b) for a in FACTORS[0].levels for b in FACTORS[1].levels]
    texts = pd.DataFrame(
        [{"item": item, "register": a, "affect": b} for item in ("x", "y") for a, b in levels]
    )
    means = np.arange(8.0)[:, None] + np.arange(n_latents)
    empty = np.zeros((8, 1))
    activations = {"primary": means, "secondary": empty, "residual": empty}
    write_responses(path, Responses(texts, activations, {"step": "made"}))
    return path


def test_history_responses_and_shares_are_those_of_the_tables(run, tmp_path):
    shares: dict[str, Any] = {
        "latent": np.arange(N_LATENTS),
        "fvu_growth_decoder": np.arange(48) / 64,
    }
    write_table(tmp_path / "g.parquet", pd.DataFrame(shares), {})
    folder = run.browse(
        "more", history=write_history(tmp_path / "h.parquet", N_LATENTS),
        geometry=tmp_path / "g.parquet", responses=[write_cells(tmp_path / "c.parquet", N_LATENTS)],
    )  # fmt: skip
    index, record = read_value(folder, "index"), latents_of(folder)[5]
    assert index["history"] == [100, 200] and record["norm"] == [6, 12]
    assert record["fired"] == [0.5, 0.5]
    assert index["cells"][1] == "formal, emotional" and index["items"] == 2
    assert record["cells"] == [2 + 5, 3 + 5, 4 + 5, 5 + 5]
    assert index["shares"] == ["decoder"] and record["shares"] == [short(5 / 64)]


@pytest.mark.parametrize("kind", ["history", "responses"])
def test_a_table_of_another_model_is_refused_in_words_and_nothing_is_written(run, tmp_path, kind):
    path = tmp_path / "other.parquet"
    given = write_history(path, 47) if kind == "history" else [write_cells(path, 47)]
    with pytest.raises(ArtifactMismatchError, match=r"about 47 latents, the model has 48"):
        run.browse(f"never-{kind}", **{kind: given})
    assert not (run.folder / f"never-{kind}").exists()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, 0), (-0.0, 0), (12.0, 12), (0.12345, 0.123), (1234.5, 1230), (float("nan"), None)],
)
def test_numbers_are_shortened_to_three_digits(value, shown):
    assert short(value) == shown

"""Contexts of pairs in the activations of a language model: text and magnitudes are those of the token."""

import numpy as np
import pytest
import torch
from interactions.planted_study import PARAMS

import fispace
from fispace.chapters.interactions.codes import encode_split
from fispace.chapters.interactions.contexts import BOTH, ONLY_FIRST, ONLY_SECOND, write_contexts
from fispace.chapters.interactions.pairs import measure_pairs
from fispace.chapters.interactions.table import tabulate_pairs
from fispace.chapters.interactions.tables import CONTEXTS, LATENTS, PAIRS
from fispace.lm.pieces import TokenTexts
from fispace.store.split_text import read_text
from fispace.store.tables import read_csv
from fispace.study.config.interactions import (
    InteractionsContextsStep,
    InteractionsPairsStep,
    InteractionsTableStep,
)

WIDTH = 3


@pytest.fixture(scope="module")
def study(lm_folders, tmp_path_factory):
    """Contexts of an SAE on a tiny LM whose documents have several windows, and what they are made from."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("contexts")
    lm = fispace.load_lm(lm_folders["llama"], 1)
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 60, 40)) for _ in range(80)]
    x = fispace.activations(
        lm, texts, folder=folder / "extract", window_tokens=16, min_window_tokens=4
    )
    sae = fispace.train(
        x,
        n_latents=24,
        k=6,
        parts=["sae", "bias"],
        name="sae",
        batch_tokens=64,
        n_tokens=1280,
        d_embed=4,
    )
    sae.save(folder / "sae")
    small = {"n_blocks": 8, "min_cofirings": 20, "min_reliability": 0.0, "max_tokens": 10**6}
    pairs = InteractionsPairsStep.read(PARAMS.plain() | small, "")
    data = {"manifest": x.manifest, "standardiser": x.standardiser}
    weights = folder / "sae" / "weights.safetensors"
    measure_pairs(
        pairs, seed=0, weights=weights, **data,
        pairs=folder / "pairs.parquet", summary=folder / "summary.parquet",
    )  # fmt: skip
    tabulate_pairs(
        InteractionsTableStep(n_listed=20, match_cosine=0.7), pairs=[folder / "pairs.parquet"],
        summaries=[folder / "summary.parquet"], weights=[weights], table=folder / "pairs.csv",
        summary=folder / "summary.csv",
    )  # fmt: skip
    shown = {
        "n_shown": 4, "n_contexts": 3, "context_tokens": WIDTH, "n_tokens": 5, "lm": lm.config.plain(),
    }  # fmt: skip
    of_pairs = {
        name: value
        for name, value in pairs.plain().items()
        if name in InteractionsContextsStep.model_fields
    }
    write_contexts(
        InteractionsContextsStep.read(of_pairs | shown, ""), lm_folder=None, table=folder / "pairs.csv",
        weights=[weights], **data, latents=folder / "latents.csv", contexts=folder / "contexts.csv",
    )  # fmt: skip
    tested = encode_split(pairs, sae.trained.model, x.manifest, x.standardiser)
    text = read_text(x.store, "train")
    return folder, tested, text, TokenTexts(lm.tokenizer)


def test_every_context_is_the_text_of_its_own_window_around_its_token(study):
    folder, _, text, texts = study
    contexts = read_csv(folder / "contexts.csv", CONTEXTS)
    assert len(contexts) > 20
    assert contexts["document"].nunique() > 5
    for context in contexts.to_dict("records"):
        row, window = context["row"], int(text.windows[context["row"]])
        assert text.document_ids[window] == context["document"]
        assert context["token"] == texts.one(int(text.token_ids[row]))
        begin, end = int(text.starts[window]), int(text.starts[window + 1])
        own = [texts.one(int(token)) for token in text.token_ids[begin:end]]
        place = row - begin
        assert context["before"] == "".join(own[max(0, place - WIDTH) : place])
        assert context["after"] == "".join(own[place + 1 : place + 1 + WIDTH])


def test_the_magnitudes_of_a_context_are_the_codes_of_its_token_and_say_which_latents_fire(study):
    folder, tested, *_ = study
    contexts = read_csv(folder / "contexts.csv", CONTEXTS)
    codes = tested.codes.toarray()
    place = {row: token for token, row in enumerate(tested.rows.tolist())}
    for context in contexts.to_dict("records"):
        token = place[context["row"]]
        found = codes[token, context["first"]], codes[token, context["second"]]
        assert (context["magnitude_first"], context["magnitude_second"]) == pytest.approx(found)
        kind = {(True, True): BOTH, (True, False): ONLY_FIRST, (False, True): ONLY_SECOND}
        assert context["fires"] == kind[found[0] > 0, found[1] > 0]


def test_the_tokens_of_a_latent_hold_its_largest_shares(study):
    folder, tested, text, texts = study
    latents = read_csv(folder / "latents.csv", LATENTS)
    pairs = read_csv(folder / "pairs.csv", PAIRS).head(4)
    assert set(latents["latent"]) == set(pairs["first"]) | set(pairs["second"])
    ids = text.token_ids[tested.rows]
    codes = tested.codes.toarray()
    for latent, own in latents.groupby("latent"):
        sums = np.bincount(ids, codes[:, latent])
        shares = np.sort(sums / sums.sum())[::-1][: len(own)]
        np.testing.assert_allclose(own["share"], shares, rtol=1e-6)
        assert own["token"].tolist() == [texts.one(token) for token in own["token_id"]]


def test_rows_of_the_tested_tokens_are_those_that_are_not_special(study):
    _, tested, text, _ = study
    assert np.array_equal(tested.rows, np.flatnonzero(~text.is_special))
    assert np.array_equal(tested.documents, text.document_ids[text.windows[tested.rows]])

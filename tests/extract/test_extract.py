"""Extraction: the store holds the model's activations, split by document; it resumes and is checked."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from fispace.chapters.extract import activations as extract
from fispace.chapters.extract.activations import extract_activations
from fispace.chapters.extract.standardiser import fit_standardiser
from fispace.errors import (
    ArtifactError,
    CorpusError,
    HookPointError,
    ModelError,
    NonFiniteError,
    ParamsError,
)
from fispace.lm.load import load_lm
from fispace.store.activations import ActivationStore
from fispace.store.shards import activation_table, write_shard
from fispace.store.standardiser import load_standardiser
from fispace.study.config.extract import (
    ExtractStep,
    SpecialTokensConfig,
    StandardiserStep,
    TextConfig,
)
from fispace.study.config.lm import LmConfig

AS_MARKED = SpecialTokensConfig(add=(), exempt=())
TEXT = TextConfig(
    source="jsonl", path="x", field="text", delimiter=None, config=None, split=None, revision=None
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """120 documents of 3 to 40 words, one JSON object per line."""
    rng = np.random.default_rng(0)
    lines = [
        json.dumps({"text": " ".join(f"w{i}" for i in rng.integers(0, 60, rng.integers(3, 41)))})
        for _ in range(120)
    ]
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def params(lm_folders: dict[str, Path], corpus: Path) -> ExtractStep:
    return ExtractStep(
        lm=LmConfig(name=str(lm_folders["llama"]), revision=None, dtype="float32", hook_point=1),
        text=TEXT.changed(path=str(corpus)), transfer=None,
        window_tokens=16, min_window_tokens=4, add_bos=True, special_tokens=AS_MARKED,
        val_fraction=0.2, test_fraction=0.2,
        max_tokens={"train": 900, "val": 200, "test": 200, "transfer": 100},
        shards={"train": 3, "val": 1, "test": 1, "transfer": 1},
        store_dtype="float32", row_group_tokens=128, batch_windows=8, root_seed=3, threads=1, device="cpu",
    )  # fmt: skip


def run(
    params: ExtractStep, tmp_path: Path, name="out", corpus: Path | None = None
) -> ActivationStore:
    out = tmp_path / name
    extract_activations(
        params, lm_folder=None, corpus=corpus, scratch=tmp_path / f"scratch-{name}", out=out
    )
    return ActivationStore(out / "manifest.json")


def rows(store: ActivationStore, split: str) -> pd.DataFrame:
    return store.tokens(split).to_pandas()


def test_stored_activations_are_hidden_state_i_plus_1_of_a_plain_forward(params, tmp_path):
    store = run(params, tmp_path)
    model, _ = load_lm(params.lm, None)
    frame = rows(store, "test")
    stored = np.concatenate(
        [
            pq.read_table(s.path)["activation"].combine_chunks().flatten()
            for s in store.shards["test"]
        ]
    ).reshape(len(frame), -1)
    for _, window in list(frame.groupby(["document_id", "window_id"]))[:6]:
        ids = torch.tensor(window["token_id"].to_numpy())[None]
        states = model(input_ids=ids.long(), output_hidden_states=True).hidden_states
        np.testing.assert_allclose(stored[window.index], states[2][0].numpy(), atol=2e-5)


def test_concatenated_windows_are_the_documents(params, tmp_path, corpus):
    store = run(
        params.changed(max_tokens=dict.fromkeys(params.max_tokens.plain(), 10**6)), tmp_path
    )
    texts = [json.loads(line)["text"].split() for line in corpus.read_text().splitlines()]
    _, tokenizer = load_lm(params.lm, None)
    seen = set()
    for split in ("train", "val", "test"):
        for document_id, frame in rows(store, split).groupby("document_id"):
            words = tokenizer.convert_ids_to_tokens(frame[~frame["is_special"]]["token_id"])
            whole = texts[document_id]
            assert words == whole[: len(words)]
            assert (
                len(whole) - len(words) < params.min_window_tokens
            )  # only a short tail is dropped
            seen.add(document_id)
    assert len(seen) > 110


def test_no_document_is_in_two_splits_and_added_text_moves_none(params, tmp_path, corpus):
    few = run(params, tmp_path, "few")
    corpus.write_text(corpus.read_text() * 2)
    many = run(params, tmp_path, "many")
    documents = {s: set(rows(few, s)["document_id"]) for s in few.shards}
    assert not documents["train"] & documents["test"]
    assert not documents["train"] & documents["val"]
    assert not documents["val"] & documents["test"]
    for split, ids in documents.items():
        assert ids == set(rows(many, split)["document_id"])


def test_every_window_starts_with_bos_which_is_special(params, tmp_path):
    frame = rows(run(params, tmp_path), "train")
    assert frame[frame["position"] == 0]["is_special"].all()
    assert not frame[frame["position"] > 0]["is_special"].any()
    without = rows(run(params.changed(add_bos=False), tmp_path, "no-bos"), "train")
    assert not without["is_special"].any()


@pytest.mark.parametrize("add_bos", [True, False])
def test_the_longest_window_has_the_length_that_the_study_asks_for_bos_included(
    params, tmp_path, add_bos
):
    store = run(params.changed(add_bos=add_bos), tmp_path)
    for split in ("train", "val", "test"):
        lengths = rows(store, split).groupby(["document_id", "window_id"]).size()
        assert lengths.max() == params.window_tokens


def test_splits_stop_at_their_number_of_tokens(params, tmp_path):
    store = run(params, tmp_path)
    for split in ("train", "val", "test"):
        limit = params.max_tokens.of(split)
        assert limit <= store.n_tokens(split) < limit + 16


def test_manifest_holds_no_path(params, tmp_path):
    store = run(params, tmp_path)
    assert str(tmp_path) not in store.path.read_text()
    assert params.lm.name not in store.path.read_text()
    recipe = pq.read_schema(store.shards["train"][0].path).metadata[b"fispace"].decode()
    assert params.lm.name not in recipe


def test_the_same_text_gives_the_same_bytes(params, tmp_path):
    first, second = run(params, tmp_path, "a"), run(params, tmp_path, "b")
    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_killed_extraction_continues_after_its_last_whole_shard(params, tmp_path, monkeypatch):
    whole = run(params, tmp_path, "whole")
    made = []
    original = extract._run

    def dies_in_the_third_shard(job, windows, name):
        made.append(name)
        if len(made) == 3:
            raise KeyboardInterrupt
        return original(job, windows, name)

    monkeypatch.setattr(extract, "_run", dies_in_the_third_shard)
    with pytest.raises(KeyboardInterrupt):
        run(params, tmp_path, "killed")
    assert not (tmp_path / "killed").exists()
    resumed = run(params, tmp_path, "killed")
    assert made.count("train/shard-1-of-3.parquet") == made.count("train/shard-2-of-3.parquet") == 1
    assert resumed.path.read_bytes() == whole.path.read_bytes()
    assert not (tmp_path / "scratch-killed").exists()


def test_a_finished_shard_of_another_model_is_not_reused(params, tmp_path):
    other = params.changed(lm=params.lm.changed(hook_point=0))
    assert (
        run(params, tmp_path).manifest["shards"]["train"][0]["sha256"]
        != run(other, tmp_path, "other").manifest["shards"]["train"][0]["sha256"]
    )


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete"])
def test_a_damaged_shard_is_named(params, tmp_path, damage):
    store = run(params, tmp_path)
    path = store.shards["train"][1].path
    data = bytearray(path.read_bytes())
    if damage == "delete":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
    with pytest.raises(ArtifactError, match="shard-2-of-3"):
        store.verify("train")


def test_a_manifest_cannot_point_out_of_its_folder(params, tmp_path):
    store = run(params, tmp_path)
    manifest = json.loads(store.path.read_text())
    manifest["shards"]["train"][0]["file"] = "../../secret.parquet"
    store.path.write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="secret"):
        ActivationStore(store.path)


def test_shuffled_batches_visit_every_token_once_an_epoch_in_bounded_pools(params, tmp_path):
    store = run(params, tmp_path)
    n_tokens = store.n_tokens("train")
    batch = next(size for size in range(5, n_tokens + 1) if n_tokens % size == 0)
    batches = store.shuffled_batches("train", batch, 2, (0, "order"))
    seen = np.concatenate([next(batches) for _ in range(2 * n_tokens // batch)])
    stored = np.concatenate(list(store.groups("train")))

    def key(matrix):
        return sorted(map(tuple, matrix.round(6)))

    assert key(seen[:n_tokens]) == key(stored)
    assert not np.array_equal(seen[:n_tokens], stored)
    again = store.shuffled_batches("train", batch, 2, (0, "order"))
    assert np.array_equal(next(again), seen[:batch])


def test_labels_are_stored_with_their_words(params, tmp_path):
    words = [["w1", "w2", "w3", "w4", "w5"] * 4 for _ in range(60)]
    labels = [[int(word[1:]) for word in text] for text in words]
    table = pa.table({
        "text": [" ".join(text) for text in words],
        "label_number": pa.array(labels, pa.list_(pa.int8())),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "labelled.parquet")
    text = params.text.changed(source="testbed", path=None)
    store = run(params.changed(text=text), tmp_path, corpus=tmp_path / "labelled.parquet")
    frame = rows(store, "train")
    _, tokenizer = load_lm(params.lm, None)
    tokens = tokenizer.convert_ids_to_tokens(frame["token_id"])
    expected = [-1 if token == "<bos>" else int(token[1:]) for token in tokens]
    assert frame["label_number"].tolist() == expected


def test_label_columns_of_an_ordinary_text_are_not_stored(params, tmp_path):
    texts = [" ".join(["w1", "w2", "w3", "w4"] * 4) for _ in range(60)]
    table = pa.table({"text": texts, "label_text": ["neg"] * 60, "label_id": range(60)})
    pq.write_table(table, tmp_path / "reviews.parquet")
    text = params.text.changed(source="parquet", path=str(tmp_path / "reviews.parquet"))
    frame = rows(run(params.changed(text=text), tmp_path), "train")
    assert not [name for name in frame if name.startswith("label")]


def test_a_transfer_text_becomes_a_split_of_its_own(params, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("\n\n".join(" ".join(["w7"] * 20) for _ in range(12)))
    transfer = TEXT.changed(source="txt", path=str(path), delimiter=r"\n\n")
    frame = rows(run(params.changed(transfer=transfer), tmp_path), "transfer")
    assert frame["document_id"].nunique() >= 4
    assert frame[~frame["is_special"]]["token_id"].nunique() == 1


def test_a_hub_dataset_is_read_by_the_datasets_library(params, tmp_path, corpus):
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "train.jsonl").write_text(corpus.read_text())
    text = params.text.changed(source="hub", path=str(folder), split="train")
    hub = run(params.changed(text=text), tmp_path, "hub")
    assert hub.manifest["data"] == run(params, tmp_path, "file").manifest["data"]


def test_standardiser_is_mean_and_population_std_of_the_train_tokens(params, tmp_path):
    store = run(params, tmp_path)
    fit_standardiser(
        StandardiserStep(zero_variance="refuse"),
        manifest=store.path,
        standardiser=tmp_path / "s.safetensors",
    )
    units = load_standardiser(tmp_path / "s.safetensors")
    x = np.concatenate(list(store.groups("train"))).astype(np.float64)
    np.testing.assert_allclose(units.mean, x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(units.std, x.std(0, ddof=0), rtol=1e-6)


# Bad input: the message names the defect, its place and the remedy.


def test_missing_model_folder(params, tmp_path):
    lm = params.lm.changed(name=str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="nowhere"):
        run(params.changed(lm=lm), tmp_path)


def test_a_folder_without_weights(params, tmp_path, lm_folders):
    folder = tmp_path / "weightless"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((lm_folders["llama"] / name).read_bytes())
    with pytest.raises(ModelError, match="safetensors"):
        run(params.changed(lm=params.lm.changed(name=str(folder))), tmp_path)


def test_missing_text(params, tmp_path):
    text = params.text.changed(path=str(tmp_path / "nothing.jsonl"))
    with pytest.raises(CorpusError, match=r"nothing\.jsonl"):
        run(params.changed(text=text), tmp_path)


@pytest.mark.parametrize("content", ["", "\n\n\n", '{"text": "w1 w2 w3 w4 w5"}\n'])
def test_empty_or_too_short_corpus(params, tmp_path, corpus, content):
    corpus.write_text(content)
    with pytest.raises(CorpusError, match="empty or too short"):
        run(params, tmp_path)
    assert not (tmp_path / "out").exists()


def long_line(n_words: int) -> str:
    return " ".join(f"w{i % 60}" for i in range(n_words))


def test_for_one_long_document_the_message_asks_for_documents_and_says_how_to_cut_it(
    params, tmp_path
):
    path = tmp_path / "book.txt"
    path.write_text("\n".join(long_line(20) for _ in range(200)))
    text = params.text.changed(source="txt", path=str(path), delimiter=r"\n\n")
    with pytest.raises(CorpusError) as caught:
        run(params.changed(text=text), tmp_path)
    said = str(caught.value)
    assert "too few documents" in said and "none of its documents (1) goes" in said
    assert r"extract.text.delimiter to the regular expression between them (now '\n\n'" in said
    assert "more text" not in said
    run(params.changed(text=text.changed(delimiter=r"\n")), tmp_path)


def test_for_one_line_of_jsonl_the_message_asks_for_documents(params, tmp_path, corpus):
    corpus.write_text(json.dumps({"text": long_line(4000)}) + "\n")
    with pytest.raises(
        CorpusError, match=r"none of its documents \(1\) goes .* give each its own line"
    ):
        run(params, tmp_path)


def test_for_documents_below_the_shortest_window_the_message_asks_for_longer_ones(
    params, tmp_path, corpus
):
    corpus.write_text((json.dumps({"text": "w1 w2"}) + "\n") * 300)
    with pytest.raises(CorpusError, match=r"as many tokens as extract\.min_window_tokens=4"):
        run(params, tmp_path)


def test_a_short_transfer_text_is_named_in_the_message(params, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("w1")
    transfer = TEXT.changed(source="txt", path=str(path), delimiter=r"\n\n")
    with pytest.raises(
        CorpusError, match=r"'transfer' is empty or too short.*None of its documents"
    ):
        run(params.changed(transfer=transfer), tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{not json", "line 2 is not JSON"),
        ('{"body": "x"}', "no text in the field"),
        ("[1]", "no text"),
    ],
)
def test_a_bad_line_is_named(params, tmp_path, corpus, line, message):
    corpus.write_text(json.dumps({"text": "w1 w2"}) + "\n" + line + "\n")
    with pytest.raises(CorpusError, match=message):
        run(params, tmp_path)


def test_invalid_utf8_is_refused(params, tmp_path, corpus):
    corpus.write_bytes(b'{"text": "\xff\xfe"}\n')
    with pytest.raises(CorpusError, match="UTF-8"):
        run(params, tmp_path)


def test_a_hook_point_that_does_not_exist(params, tmp_path):
    with pytest.raises(HookPointError, match="0 to 2"):
        run(params.changed(lm=params.lm.changed(hook_point=3)), tmp_path)


def test_non_finite_activations_name_shard_and_row(tmp_path):
    x = np.ones((5, 3), np.float32)
    x[3, 1] = np.nan
    columns = {
        "document_id": np.arange(5),
        "position": np.arange(5),
        "is_special": np.zeros(5, bool),
    }
    path = tmp_path / "shard-1-of-1.parquet"
    with pytest.raises(
        NonFiniteError, match=r"shard-1-of-1\.parquet, row 3 \(document 3, position 3\)"
    ):
        write_shard(path, activation_table(x, columns, "float32"), 8, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_value_that_overflows_float16_is_refused(tmp_path):
    x = np.full((2, 3), 1e5, np.float32)
    columns = {
        "document_id": np.arange(2),
        "position": np.arange(2),
        "is_special": np.zeros(2, bool),
    }
    with pytest.raises(NonFiniteError, match="float32"):
        write_shard(tmp_path / "s.parquet", activation_table(x, columns, "float16"), 8, {})


def test_zero_variance_is_refused_or_kept_at_scale_one():
    from fispace.store.standardiser import fit_moments

    x = np.stack([np.arange(4.0), np.full(4, 7.0)], axis=1).astype(np.float32)
    with pytest.raises(ParamsError, match="zero_variance"):
        fit_moments([x], "refuse")
    assert fit_moments([x], "keep").std[1] == 1


def test_moments_do_not_cancel_far_from_zero():
    from fispace.store.standardiser import fit_moments

    x = np.random.default_rng(0).normal(1e4, 1.0, (6000, 2)).astype(np.float32)
    units = fit_moments(np.array_split(x, 7), "refuse")
    np.testing.assert_allclose(units.std, x.astype(np.float64).std(0), rtol=1e-6)

"""Corpora and models that nobody wants: refused in one paragraph, or read as what they are."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from guard.conftest import MOST_BYTES, peak_bytes
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from fispace.chapters.extract.activations import extract_activations
from fispace.errors import CorpusError, FispaceError, ModelError
from fispace.lm.load import load_lm
from fispace.store.activations import ActivationStore
from fispace.study.config.extract import ExtractStep, SpecialTokensConfig, TextConfig
from fispace.study.config.lm import LmConfig

AS_MARKED = SpecialTokensConfig(add=(), exempt=())
TEXT = TextConfig(
    source="jsonl", path="x", field="text", delimiter=None, config=None, split=None, revision=None
)
WORDS = " ".join(f"w{i % 60}" for i in range(12))


@pytest.fixture
def params(lm_folders: dict[str, Path]) -> ExtractStep:
    return ExtractStep(
        lm=LmConfig(name=str(lm_folders["llama"]), revision=None, dtype="float32", hook_point=1),
        text=TEXT,
        transfer=None,
        window_tokens=16,
        min_window_tokens=4,
        add_bos=True,
        special_tokens=AS_MARKED,
        val_fraction=0.3,
        test_fraction=0.3,
        max_tokens={"train": 300, "val": 100, "test": 100, "transfer": 100},
        shards={"train": 1, "val": 1, "test": 1, "transfer": 1},
        store_dtype="float32",
        row_group_tokens=128,
        batch_windows=8,
        root_seed=3,
        threads=1,
        device="cpu",
    )


def extract(
    params: ExtractStep, tmp_path: Path, content: bytes, suffix=".jsonl"
) -> ActivationStore:
    path = tmp_path / f"corpus{suffix}"
    path.write_bytes(content)
    text = TEXT.changed(path=str(path), source=suffix[1:], delimiter="\n\n")
    extract_activations(
        params.changed(text=text), lm_folder=None, corpus=None, scratch=tmp_path / "scratch",
        out=tmp_path / "out",
    )  # fmt: skip
    return ActivationStore(tmp_path / "out/manifest.json")


def lines(*texts: str) -> bytes:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty or too short"),
        (b"\n\n  \n", "empty or too short"),
        (lines(WORDS), "fewer than its 1 shards"),
        (lines(*["<bos> <pad> <bos> <unk>" * 4] * 40), "nothing but special tokens"),
        (lines(*["w1"] * 200), "empty or too short"),
        (b'{"text": "\xff\xfe"}\n', "UTF-8"),
        (b'{"text": "cut', "line 1 is not JSON"),
        (b'{"text": 3}\n', "no text in the field"),
        (b"[]\n", "no text in the field"),
        (b'{"other": "x"}\n', "no text in the field"),
        (b"[" * 100_000, "line 1 is not JSON"),
        (b'{"text": ' + b"9" * 5000 + b"}\n", "line 1 is not JSON"),
        (b"\xef\xbb\xbf" + lines(WORDS), "line 1 is not JSON"),
        (b'{"text": null}\n', "no text in the field"),
        (lines(*["", " \t", "\u00a0"] * 50), "empty or too short"),
    ],
)
def test_a_corpus_that_gives_no_study_is_refused(params, tmp_path, content, said):
    with pytest.raises(CorpusError, match=said):
        extract(params, tmp_path, content)
    assert not (tmp_path / "out").exists()


def test_control_characters_markup_and_shell_are_only_text(params, tmp_path):
    odd = ["\x01\x07", "<script>alert(1)</script>", "$(touch executed)", "\u202e\u2028", "w1"]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.permutation([*odd * 3, *WORDS.split()])) for _ in range(120)]
    store = extract(params, tmp_path, lines(*texts))
    assert store.n_tokens("train") > 0
    assert not list(tmp_path.rglob("executed"))


def test_text_of_invalid_utf8_is_refused_with_its_name(params, tmp_path):
    with pytest.raises(CorpusError, match=r"corpus\.txt is not UTF-8"):
        extract(params, tmp_path, b"good text\n\n\xc3\x28", ".txt")


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_one_line_of_a_hundred_megabytes_is_refused_before_it_is_tokenised(
    params, tmp_path, suffix, monkeypatch
):
    monkeypatch.setattr(AutoTokenizer, "__call__", None, raising=False)
    text = "word " * (20 << 20)
    content = text.encode() if suffix == ".txt" else lines(text)
    with pytest.raises(CorpusError, match=r"characters.*at most 10,000,000"):
        extract(params, tmp_path, content, suffix)


def test_a_damaged_parquet_corpus_is_refused(params, tmp_path):
    import pandas as pd

    pd.DataFrame({"text": [WORDS] * 500}).to_parquet(tmp_path / "good.parquet")
    content = (tmp_path / "good.parquet").read_bytes()
    for cut in (content[:-9], content[:40], b"PAR1" + content[4:200]):
        with pytest.raises(CorpusError, match=r"corpus\.parquet"):
            extract(params, tmp_path, cut, ".parquet")


@pytest.mark.parametrize(
    "column", [[None] * 9, [1] * 9, [b"\xff"] * 9, [["a"]] * 9, [{"text": "a"}] * 9]
)
def test_a_parquet_column_that_holds_no_text_is_refused(params, tmp_path, column):
    pq.write_table(pa.table({"text": column}), tmp_path / "made.parquet")
    with pytest.raises(CorpusError, match="no text in the field"):
        extract(params, tmp_path, (tmp_path / "made.parquet").read_bytes(), ".parquet")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_text_that_is_no_plain_file_is_refused_and_never_waited_for(params, tmp_path, make):
    make(tmp_path / "text")
    text = TEXT.changed(path=str(tmp_path / "text"))
    with pytest.raises(CorpusError, match="not a plain file"):
        extract_activations(
            params.changed(text=text), lm_folder=None, corpus=None,
            scratch=tmp_path / "scratch", out=tmp_path / "out",
        )  # fmt: skip


@pytest.mark.slow
def test_a_hundred_thousand_tiny_documents_are_read(params, tmp_path):
    tiny = lines(*[f"w{i % 60} w1 w2 w3" for i in range(100_000)])
    store = extract(params, tmp_path, tiny)
    assert store.n_tokens("train") >= 300


@pytest.fixture
def model(lm_folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(lm_folders["llama"], tmp_path / "model"))


def weights_of(folder: Path) -> dict:
    return load_file(folder / "model.safetensors")


def put(folder: Path, weights: dict) -> None:
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def load(folder: Path) -> None:
    load_lm(LmConfig(name=str(folder), revision=None, dtype="float32", hook_point=1), None)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff\xfe\x00", b'{"x": 1}'])
def test_a_missing_or_damaged_file_of_a_model_is_refused_or_not_needed(model, name, content):
    (model / name).unlink() if content is None else (model / name).write_bytes(content)
    try:
        load(model)
        assert name == "tokenizer_config.json"
    except FispaceError as error:
        assert "\n" not in str(error)
        assert "model" in str(error)


def test_weights_of_another_architecture_are_refused_not_drawn_at_random(model, lm_folders):
    shutil.copy(lm_folders["gpt2"] / "model.safetensors", model)
    with pytest.raises(ModelError, match="another architecture"):
        load(model)


def test_a_missing_layer_is_refused_not_drawn_at_random(model):
    weights = weights_of(model)
    weights.pop("model.layers.1.mlp.up_proj.weight")
    put(model, weights)
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        load(model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_with_their_name(model, value):
    weights = weights_of(model)
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = value
    put(model, weights)
    with pytest.raises(ModelError, match=r"layers\.0\.mlp\.up_proj\.weight.*NaN"):
        load(model)


def with_a_token_beyond_the_embedding(model: Path) -> Path:
    """As many tokens as before, the id of w59 beyond the model's 63 rows."""
    path = model / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["w59"] = 5000
    path.write_text(json.dumps(content))
    return model


def test_a_token_beyond_the_embedding_is_refused_where_it_occurs(params, model, tmp_path):
    with_a_token_beyond_the_embedding(model)
    texts = [" ".join(f"w{(i * j) % 59}" for i in range(20)) for j in range(1, 60)]
    own = params.changed(lm=params.lm.changed(name=str(model)))
    assert extract(own, tmp_path, lines(*texts)).n_tokens("train") > 0
    shutil.rmtree(tmp_path / "out")
    texts[7] += " w59"
    with pytest.raises(ModelError, match=r"corpus\.jsonl: document 7 .*'w59' \(id 5000\).*0 to 62"):
        extract(own, tmp_path, lines(*texts))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"vocab_size": 10**9}, {"hidden_size": 10**7}, {"intermediate_size": 10**9},
        {"num_attention_heads": 0}, {"vocab_size": -1}, {"num_hidden_layers": 7},
        {"pad_token_id": 5000}, {"hidden_size": "16"},
    ],
)  # fmt: skip
def test_a_config_of_absurd_sizes_is_refused_and_allocates_nothing(model, change):
    path = model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    before = peak_bytes()
    with pytest.raises(ModelError):
        load(model)
    assert peak_bytes() - before < MOST_BYTES


def test_a_window_longer_than_the_models_positions_is_refused(params, lm_folders, tmp_path):
    long = params.changed(lm=params.lm.changed(name=str(lm_folders["gpt2"])), window_tokens=100)
    texts = [" ".join(f"w{(i * j) % 60}" for i in range(150)) for j in range(1, 40)]
    with pytest.raises(ModelError, match=r"window_tokens=100.*64 positions"):
        extract(long, tmp_path, lines(*texts))


def test_code_that_comes_with_a_model_is_never_run(model, tmp_path):
    marker = tmp_path / "executed"
    (model / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Evil: pass\n")
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((model / name).read_text())
        content["auto_map"] = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil",
                               "AutoTokenizer": ["evil.Evil", None]}  # fmt: skip
        content |= {"model_type": "evil"} if name == "config.json" else {}
        (model / name).write_text(json.dumps(content))
    with pytest.raises(ModelError):
        load(model)
    assert not marker.exists()


def test_pickled_weights_are_never_read(model):
    import torch

    (model / "model.safetensors").unlink()
    torch.save({}, model / "pytorch_model.bin")
    with pytest.raises(ModelError):
        load(model)


def test_a_tokenizer_without_pad_token_serves(params, model, tmp_path):
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (model / name).exists():
            content = json.loads((model / name).read_text())
            content.pop("pad_token", None)
            (model / name).write_text(json.dumps(content))
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 60, 20)) for _ in range(80)]
    _, tokenizer = load_lm(
        LmConfig(name=str(model), revision=None, dtype="float32", hook_point=1), None
    )
    assert tokenizer.pad_token_id is None
    store = extract(params.changed(lm=params.lm.changed(name=str(model))), tmp_path, lines(*texts))
    assert store.n_tokens("train") > 0

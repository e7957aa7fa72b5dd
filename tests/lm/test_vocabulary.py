"""Tokens: which are special, and which the model embeds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fidelity.small_chapter import AS_MARKED
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from fispace.chapters.extract.activations import extract_activations
from fispace.errors import CorpusError, ModelError
from fispace.lm.hooks import logits
from fispace.lm.load import load_lm
from fispace.lm.score import plan_words, require_scorable
from fispace.lm.stimuli import stimulus_table
from fispace.lm.windows import cut_windows, special_tokens
from fispace.store.activations import ActivationStore
from fispace.store.documents import Document
from fispace.study.config.extract import ExtractStep, SpecialTokensConfig, TextConfig
from fispace.study.config.factorial import BatteryActivationsStep
from fispace.study.config.lm import LmConfig

WORDS = ["<bos>", "<unk>", *(f"w{i}" for i in range(60))]


def tokenizer_with(*special: str) -> Any:
    """Words of the tests, and template tokens that have no named role."""
    own = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    own.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    own.add_special_tokens([AddedToken(text, special=True) for text in special])
    own.add_tokens([AddedToken("<code>", special=False)])
    return PreTrainedTokenizerFast(tokenizer_object=own, bos_token="<bos>", unk_token="<unk>")


@pytest.fixture
def lm(tmp_path) -> LmConfig:
    """A folder whose model embeds the words alone, and whose tokenizer knows three tokens more."""
    folder = tmp_path / "lm"
    tokenizer_with("<|user|>", "<|end|>").save_pretrained(folder)
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
    )  # fmt: skip
    LlamaForCausalLM(shape).save_pretrained(folder)
    return LmConfig(name=str(folder), revision=None, dtype="float32", hook_point=1)


def extracted(
    lm: LmConfig, folder: Path, special: SpecialTokensConfig, odd: str = ""
) -> ActivationStore:
    """Activations of sixty texts, one of which holds something odd."""
    texts = [" ".join(f"w{(i * j) % 60}" for i in range(20)) for j in range(1, 61)]
    texts[7] = f"{texts[7]} {odd}"
    path = folder / "text.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    sizes = {"train": 300, "val": 50, "test": 50, "transfer": 1}
    params = ExtractStep(
        lm=lm,
        text=TextConfig(
            source="jsonl", path=str(path), field="text", delimiter=None, config=None, split=None,
            revision=None,
        ),
        transfer=None, window_tokens=16, min_window_tokens=4, add_bos=True, special_tokens=special,
        val_fraction=0.2, test_fraction=0.2, max_tokens=sizes, shards=dict.fromkeys(sizes, 1),
        store_dtype="float16", row_group_tokens=128, batch_windows=8, root_seed=1, threads=1, device="cpu",
    )  # fmt: skip
    out = folder / "out"
    extract_activations(params, lm_folder=None, corpus=None, scratch=folder / "scratch", out=out)
    return ActivationStore(out / "manifest.json")


# Special tokens: those of a named role, all that the tokenizer marks, and what the study changes.


def test_template_tokens_without_a_named_role_are_special():
    text = [(0, Document("<|user|> w1 <code> <|end|>", {}))]
    (window,) = cut_windows(tokenizer_with("<|user|>", "<|end|>"), text, 16, 2, True)
    assert window.is_special.tolist() == [True, True, False, False, True]


def test_they_stay_special_when_the_tokenizer_is_read_back(tmp_path):
    tokenizer_with("<|user|>").save_pretrained(tmp_path)
    found = special_tokens(AutoTokenizer.from_pretrained(tmp_path))
    assert found == {0: "<bos>", 1: "<unk>", 62: "<|user|>"}


def test_a_study_adds_and_exempts_special_tokens():
    own = tokenizer_with("<|user|>", "<|end|>")
    changes = SpecialTokensConfig(add=("w3", "<code>"), exempt=("<|user|>", "<unk>"))
    assert special_tokens(own, changes) == {0: "<bos>", 5: "w3", 63: "<|end|>", 64: "<code>"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"add": ("nowhere",), "exempt": ()}, r"special_tokens\.add.*no token 'nowhere'"),
        ({"add": (), "exempt": ("nowhere",)}, r"special_tokens\.exempt.*no token 'nowhere'"),
        ({"add": (), "exempt": ("w1",)}, r"'w1' is not a special token.*<bos>, <unk>, <\|user\|>"),
    ],
)
def test_a_change_of_a_token_that_does_not_exist_is_refused(changes, said):
    with pytest.raises(CorpusError, match=said):
        special_tokens(tokenizer_with("<|user|>"), SpecialTokensConfig(**changes))


def test_the_manifest_lists_them_and_no_shard_depends_on_the_list(lm, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    store = extracted(lm, tmp_path / "a", AS_MARKED)
    listed = {"<bos>": 0, "<unk>": 1, "<|user|>": 62, "<|end|>": 63}
    assert store.manifest["special_tokens"] == listed
    other = SpecialTokensConfig(add=(), exempt=("<|end|>",))  # occurs in no text
    again = extracted(lm, tmp_path / "b", other)
    assert again.manifest["special_tokens"] == {k: v for k, v in listed.items() if k != "<|end|>"}
    for split in ("train", "val", "test"):
        assert again.manifest["shards"][split] == store.manifest["shards"][split]


def test_an_added_special_token_is_neither_trained_on_nor_scored(lm, tmp_path):
    store = extracted(lm, tmp_path, SpecialTokensConfig(add=("w0", "w7"), exempt=()))
    tokens = store.tokens("train").to_pandas()
    own = tokens["token_id"].isin([WORDS.index("w0"), WORDS.index("w7")])
    assert own.any() and tokens.loc[own, "is_special"].all()
    assert store.n_tokens("train") == (~tokens["is_special"]).sum()


# A tokenizer may know more tokens than the model embeds, as long as none of them occurs.


def test_a_tokenizer_larger_than_the_embedding_is_accepted(lm, tmp_path):
    assert extracted(lm, tmp_path, AS_MARKED).n_tokens("train") >= 300


def test_a_token_beyond_the_embedding_is_refused_with_its_text_and_document(lm, tmp_path):
    said = r"text\.jsonl: document 7 .*'<\|end\|>' \(id 63\).*LlamaForCausalLM embeds only the ids 0 to 61"
    with pytest.raises(ModelError, match=said):
        extracted(lm, tmp_path, AS_MARKED, odd="<|end|>")
    assert not (tmp_path / "out").exists()


def test_one_in_a_battery_is_refused_with_its_text(lm):
    model, tokenizer = load_lm(lm, None)
    params = BatteryActivationsStep(
        lm=lm,
        window_tokens=16,
        add_bos=True,
        special_tokens=AS_MARKED,
        batch_windows=4,
        threads=1,
        device="cpu",
    )
    with pytest.raises(
        ModelError, match=r"'w1 <code>' of the battery holds the token '<code>' \(id 64\)"
    ):
        stimulus_table(params, model, tokenizer, ["w1 w2", "w1 <code>"])


@pytest.mark.parametrize(
    ("prompts", "words", "said"),
    [
        (["w1", "w1 <|user|> w2"], ["w3"], r"The prompt 'w1 <\|user\|> w2' holds"),
        (["w1"], ["w3", "w4 <code>"], r"The response word 'w4 <code>' holds"),
    ],
)
def test_one_in_a_prompt_or_word_is_refused_with_it(lm, prompts, words, said):
    model, tokenizer = load_lm(lm, None)
    plan = plan_words(tokenizer, prompts, words, True)
    with pytest.raises(ModelError, match=said):
        require_scorable(model, tokenizer, plan, prompts, words)


def test_padding_with_a_token_that_the_model_does_not_embed_changes_nothing(lm):
    model, _ = load_lm(lm, None)
    ids = torch.tensor([[0, 5, 9, 4], [0, 7, 62, 62]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    found = logits(model, ids, mask)
    np.testing.assert_allclose(found[1, :2], logits(model, ids[1:, :2], mask[1:, :2])[0], atol=1e-5)
    mask[1, 2] = 1
    with pytest.raises(ModelError, match=r"token id 62.*ids 0 to 61"):
        logits(model, ids, mask)

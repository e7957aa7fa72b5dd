"""What tokens are shown as: blanks kept, characters whole."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from fispace.errors import ModelError
from fispace.lm.pieces import TokenTexts


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Every byte is a token of its own."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(["<pad>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")


TOKENIZER = byte_tokenizer()


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=12))
def test_the_texts_of_a_window_make_up_the_text(text):
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    texts = TokenTexts(TOKENIZER).of_window(ids)
    assert len(texts) == len(ids) and "".join(texts) == text


def test_a_character_of_several_tokens_is_shown_at_the_first():
    ids = TOKENIZER("a 👍b", add_special_tokens=False)["input_ids"]
    assert TokenTexts(TOKENIZER).of_window(ids) == ["a", " ", "👍", "", "", "", "b"]


def test_a_tokenizer_without_a_plain_word_is_refused():
    class Odd:
        all_special_ids = ()

        def __len__(self) -> int:
            return 3

        def decode(self, *_: object, **__: object) -> str:
            return "\ufffd"

    with pytest.raises(ModelError, match="no token that is a plain word"):
        TokenTexts(Odd())

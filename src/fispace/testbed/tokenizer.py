"""The testbed's tokenizer: one word is one token. It adds no special tokens itself.

Must not: know probabilities or train anything.
"""

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from fispace.testbed.grammar import Grammar

UNKNOWN, BEGIN, FINISH, PADDING = "<unk>", "<bos>", "<eos>", "<pad>"
SPECIAL = (UNKNOWN, BEGIN, FINISH, PADDING)
BEGIN_ID, FINISH_ID, PADDING_ID = (SPECIAL.index(token) for token in (BEGIN, FINISH, PADDING))

FIRST_WORD_ID = len(SPECIAL)
"""Token id of word 0: token id = word id + FIRST_WORD_ID."""


def build_tokenizer(grammar: Grammar, n_positions: int) -> PreTrainedTokenizerFast:
    """Word-level tokenizer over whitespace for texts of the grammar."""
    vocabulary = {text: i for i, text in enumerate((*SPECIAL, *grammar.texts))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=FINISH,
        pad_token=PADDING,
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_max_length=n_positions,
        model_input_names=["input_ids", "attention_mask"],
    )

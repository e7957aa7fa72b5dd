"""`testbed corpus` and `testbed lm`: grammar, corpus and battery; the LM and its Bayes floor.

Must not: define probabilities, an architecture or a training loop.
"""

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from fispace.chapters.testbed.tables import STIMULI
from fispace.errors import ArtifactMismatchError, ParamsError
from fispace.store.files import atomic_path, write_json
from fispace.store.shards import LABEL_PREFIX
from fispace.store.tables import read_table, write_csv, write_table
from fispace.study.config.testbed import TestbedCorpusStep, TestbedLmStep
from fispace.study.step import Reads, Writes, WritesFolder, command
from fispace.testbed.battery import draw_battery
from fispace.testbed.bayes import floor_nats, pad, unigram_nats, word_ids_of
from fispace.testbed.grammar import Grammar, build_grammar, grammar_to_json
from fispace.testbed.sampling import Documents, draw_documents, longest_document, word_labels

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

log = logging.getLogger(__name__)

STUDY, TRAINING = "study", "lm-training"
"""Names of the two document streams, which share no document."""


@command("testbed", "corpus")
def write_corpus(
    params: TestbedCorpusStep, *, grammar: Writes, corpus: Writes, stimuli: Writes
) -> None:
    """Write the grammar, the labelled corpus of the study, and the factorial battery.

    Raises:
        StimuliError: if the lexicon is too small for the battery.
    """
    built = build_grammar(params.grammar)
    battery = draw_battery(built, params.battery, params.root_seed)
    size = params.corpus
    documents = draw_documents(
        built, size.n_documents, size.document_words, params.root_seed, STUDY
    )
    write_json(grammar, grammar_to_json(built))
    write_table(corpus, _corpus_table(built, documents), params.plain())
    write_csv(stimuli, battery, STIMULI)
    log.info("%d documents, %d words", size.n_documents, documents.lengths.sum())


@command("testbed", "lm")
def train_lm(
    params: TestbedLmStep, *, corpus: Reads, lm_folder: WritesFolder, curve: Writes, floor: Writes
) -> None:
    """Write the trained LM with its tokenizer, its training curve, and its loss with the Bayes floor.

    LM and grammar are both scored on every word of the first documents of the study corpus, given
    BOS and the preceding words. The LM is trained on documents of another stream.

    Raises:
        ParamsError: if a document can be longer than the LM's positions.
        ArtifactMismatchError: if the corpus has fewer documents than are to be scored.
        CorpusError: if the corpus was not drawn from this grammar.
        DivergedError: if the loss becomes non-finite.
    """
    from fispace.testbed import language_model as lm  # only this step needs torch and transformers
    from fispace.testbed.language_model import build_tokenizer

    grammar, config = build_grammar(params.grammar), params.lm
    _require_positions(params)
    heldout = _heldout(grammar, corpus, config.heldout_documents)
    words = draw_documents(
        grammar, config.n_documents, params.corpus.document_words, params.root_seed, TRAINING
    ).words
    with lm.deterministic_torch(config.threads):
        model = lm.build_lm(config, len(grammar.lexicon), params.root_seed)
        rows = lm.train(model, words, config)
        scores = lm.lm_log_probabilities(model, heldout, config.batch_documents)
    n_tokens = int((heldout >= 0).sum())
    lm_nats, bayes_nats = float(-scores.sum() / n_tokens), floor_nats(grammar, heldout)
    _save_lm(lm_folder, model, build_tokenizer(grammar, config.n_positions))
    write_table(curve, rows, params.plain())
    write_json(
        floor,
        {
            "lm_nats": lm_nats,
            "bayes_nats": bayes_nats,
            "gap_nats": lm_nats - bayes_nats,
            "unigram_nats": unigram_nats(grammar, words, heldout),
            "n_documents": len(heldout),
            "n_tokens": n_tokens,
        },
    )
    log.info("LM %.4f, Bayes floor %.4f nats per token", lm_nats, bayes_nats)


def _require_positions(params: TestbedLmStep) -> None:
    needed = 1 + longest_document(params.corpus.document_words)
    if params.lm.n_positions < needed:
        raise ParamsError(
            f"testbed.lm.n_positions={params.lm.n_positions} must be >= {needed}: BOS and the "
            f"longest document at testbed.corpus.document_words={params.corpus.document_words}."
        )


def _corpus_table(grammar: Grammar, documents: Documents) -> pd.DataFrame:
    lengths = documents.lengths
    spelled = np.array(grammar.texts, dtype=object)[documents.words]
    columns: dict[str, list[Any]] = {
        "text": [" ".join(row[:n]) for row, n in zip(spelled, lengths, strict=True)]
    }
    for name, levels in word_labels(documents, grammar):
        columns[LABEL_PREFIX + name] = [row[:n] for row, n in zip(levels, lengths, strict=True)]
    return pd.DataFrame(columns)


def _heldout(
    grammar: Grammar, corpus: Path, n_documents: int
) -> Int[np.ndarray, "documents width"]:
    texts = read_table(corpus)["text"].iloc[:n_documents]
    if len(texts) < n_documents:
        raise ArtifactMismatchError(
            f"{corpus} has {len(texts)} documents, but testbed.lm.heldout_documents={n_documents}."
        )
    return pad([word_ids_of(grammar, text) for text in texts])


def _save_lm(folder: Path, model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerFast") -> None:
    with tempfile.TemporaryDirectory() as name:
        model.save_pretrained(name)
        tokenizer.save_pretrained(name)
        for made in sorted(Path(name).iterdir()):
            with atomic_path(folder / made.name) as partial:
                partial.write_bytes(made.read_bytes())

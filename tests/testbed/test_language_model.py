"""The LM learns towards the floor, deterministically, and loads like any other LM."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fispace.chapters.testbed.language import train_lm, write_corpus
from fispace.chapters.testbed.tables import STIMULI
from fispace.errors import ArtifactMismatchError, DivergedError, ParamsError
from fispace.store.files import read_json
from fispace.store.tables import read_csv, read_recipe, read_table
from fispace.study.config import testbed as config
from fispace.testbed.bayes import bayes_log_probabilities, floor_nats, pad, word_ids_of
from fispace.testbed.grammar import Grammar, build_grammar, grammar_from_json
from fispace.testbed.language_model import (
    BEGIN_ID,
    FIRST_WORD_ID,
    PADDING_ID,
    build_lm,
    build_tokenizer,
    lm_log_probabilities,
    lr_factor,
    token_ids,
    train,
)
from fispace.testbed.sampling import draw_documents

LM = config.TestbedLmConfig(
    n_blocks=2, d_model=32, n_heads=2, d_mlp=64, n_positions=32, init_std=0.05, embedding_std=0.05,
    n_documents=480, batch_documents=8, lr=0.01, warmup_fraction=0.1, adam_betas=(0.9, 0.98),
    weight_decay=0.01, grad_clip=1.0, heldout_documents=40, log_every=20, threads=1,
)  # fmt: skip
CORPUS = config.CorpusConfig(n_documents=60, document_words=20)


def run_chapter(grammar: Grammar, folder: Path) -> Path:
    """Both commands of the chapter; the folder they wrote."""
    paths = {name: folder / name for name in ("grammar.json", "corpus.parquet", "stimuli.csv")}
    write_corpus(
        config.TestbedCorpusStep(
            grammar=grammar.config,
            corpus=CORPUS,
            battery=config.BatteryConfig(n_items=5, n_sentences=2),
            root_seed=0,
        ),
        grammar=paths["grammar.json"],
        corpus=paths["corpus.parquet"],
        stimuli=paths["stimuli.csv"],
    )
    train_lm(
        config.TestbedLmStep(grammar=grammar.config, corpus=CORPUS, lm=LM, root_seed=0),
        corpus=paths["corpus.parquet"], lm_folder=folder / "lm",
        curve=folder / "lm_curve.parquet", floor=folder / "floor.json",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def chapter(grammar: Grammar, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_chapter(grammar, tmp_path_factory.mktemp("chapter"))


def test_two_runs_write_the_same_bytes(grammar: Grammar, chapter: Path, tmp_path: Path) -> None:
    again = run_chapter(grammar, tmp_path / "elsewhere")
    files = sorted(path.relative_to(chapter) for path in chapter.rglob("*") if path.is_file())
    assert [str(path) for path in files] == [
        "corpus.parquet", "floor.json", "grammar.json", "lm/config.json",
        "lm/generation_config.json", "lm/model.safetensors", "lm/tokenizer.json",
        "lm/tokenizer_config.json", "lm_curve.parquet", "stimuli.csv",
    ]  # fmt: skip
    for file in files:
        assert (chapter / file).read_bytes() == (again / file).read_bytes(), file
    assert str(chapter) not in (chapter / "lm" / "config.json").read_text(encoding="utf-8")


def test_the_lm_learns_and_no_model_beats_the_floor(chapter: Path) -> None:
    floor = read_json(chapter / "floor.json")
    assert floor["gap_nats"] == floor["lm_nats"] - floor["bayes_nats"] > 0
    assert floor["lm_nats"] < floor["unigram_nats"] - 0.5
    assert floor["n_documents"] == 40
    curve = read_table(chapter / "lm_curve.parquet")
    assert list(curve.columns) == ["step", "n_tokens", "lr", "loss"]
    assert curve["step"].iloc[-1] == 60 and curve["loss"].iloc[-1] < curve["loss"].iloc[0] - 1


def test_the_reported_losses_are_those_of_the_saved_model_on_the_stored_corpus(
    grammar: Grammar, chapter: Path
) -> None:
    floor = read_json(chapter / "floor.json")
    texts = read_table(chapter / "corpus.parquet")["text"].iloc[:40]
    model = AutoModelForCausalLM.from_pretrained(chapter / "lm")
    tokenizer = AutoTokenizer.from_pretrained(chapter / "lm")
    total, n_tokens = 0.0, 0
    for text in texts:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text)["input_ids"]]])
        with torch.no_grad():
            scores = torch.log_softmax(model(ids).logits[0, :-1].double(), dim=-1)
        total -= float(scores.gather(1, ids[0, 1:, None]).sum())
        n_tokens += ids.shape[1] - 1
    assert n_tokens == floor["n_tokens"]
    assert math.isclose(total / n_tokens, floor["lm_nats"], abs_tol=1e-6)
    words = pad([word_ids_of(grammar, text) for text in texts])
    assert floor["bayes_nats"] == floor_nats(grammar, words)


def test_the_embeddings_have_their_own_deviation_and_all_other_weights_keep_their_values() -> None:
    usual, larger = (
        build_lm(LM.changed(embedding_std=std), 300, root_seed=0).state_dict()
        for std in (0.05, 2.0)
    )
    for name, weight in usual.items():
        if name == "model.embed_tokens.weight":
            assert larger[name].std().item() == pytest.approx(2.0, rel=0.02)
            torch.testing.assert_close(larger[name], 40 * weight)
        else:
            assert torch.equal(larger[name], weight), name


def test_the_corpus_file_holds_text_and_one_label_per_word(grammar: Grammar, chapter: Path) -> None:
    frame = read_table(chapter / "corpus.parquet")
    names = ["register", "affect", "topic", "number", "polarity", "class"]
    assert list(frame.columns) == ["text", *(f"label_{name}" for name in names)]
    assert len(frame) == 60
    for row in frame.to_dict("records"):
        words = row["text"].split()
        assert row["label_class"].dtype == np.int8
        classes = [grammar.word_classes[grammar.word_ids[word]] for word in words]
        assert list(row["label_class"]) == classes
        assert all(len(row[f"label_{name}"]) == len(words) for name in names)
    assert read_recipe(chapter / "corpus.parquet")["root_seed"] == 0


def test_the_stored_grammar_and_battery_belong_to_the_params(
    grammar: Grammar, chapter: Path
) -> None:
    assert grammar_from_json(read_json(chapter / "grammar.json")) == grammar
    assert len(read_csv(chapter / "stimuli.csv", STIMULI)) == 20


def test_one_word_is_one_token_and_no_bos_is_added(grammar: Grammar) -> None:
    tokenizer = build_tokenizer(grammar, 64)
    text = "perhaps ... ain't !!"
    expected = [grammar.word_ids[word] + FIRST_WORD_ID for word in text.split()]
    assert tokenizer(text)["input_ids"] == expected
    assert tokenizer.decode(expected) == text
    assert tokenizer("platypus")["input_ids"] == [tokenizer.unk_token_id]
    assert (tokenizer.bos_token_id, tokenizer.pad_token_id) == (BEGIN_ID, PADDING_ID)


def test_padding_does_not_change_a_score(grammar: Grammar) -> None:
    model = build_lm(LM, len(grammar.lexicon), 0)
    words = draw_documents(grammar, 4, 12, 0, "x").words
    together = lm_log_probabilities(model, words, 4)
    for row in range(4):
        n = int((words[row] >= 0).sum())
        alone = lm_log_probabilities(model, words[row : row + 1, :n], 1)[0]
        assert np.allclose(alone, together[row, :n], atol=1e-5)
        assert (together[row, n:] == 0).all()


def test_token_ids_have_bos_in_front_and_padding_behind() -> None:
    ids = token_ids(np.array([[0, 5, -1]], dtype=np.int16))
    assert ids.tolist() == [[BEGIN_ID, FIRST_WORD_ID, FIRST_WORD_ID + 5, PADDING_ID]]


def test_initial_weights_depend_on_the_seed_alone(grammar: Grammar) -> None:
    n_words = len(grammar.lexicon)
    torch.manual_seed(123)
    first = build_lm(LM, n_words, 0).state_dict()["lm_head.weight"]
    torch.manual_seed(321)
    assert torch.equal(first, build_lm(LM, n_words, 0).state_dict()["lm_head.weight"])
    assert not torch.equal(first, build_lm(LM, n_words, 1).state_dict()["lm_head.weight"])


def test_learning_rate_rises_to_its_peak_and_falls_towards_zero() -> None:
    factors = [lr_factor(step, 100, 0.1) for step in range(100)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert max(factors) == 1.0 and all(np.diff(factors[10:]) < 0)
    assert factors[-1] == pytest.approx(1 / 91)


def test_a_non_finite_loss_stops_the_training(grammar: Grammar) -> None:
    model = build_lm(LM, len(grammar.lexicon), 0)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    words = draw_documents(grammar, 16, 12, 0, "x").words
    with pytest.raises(DivergedError, match="at step 0; lower"):
        train(model, words, LM.changed(n_documents=16))


def test_a_corpus_with_too_few_documents_is_refused(
    grammar: Grammar, chapter: Path, tmp_path: Path
) -> None:
    size = CORPUS.changed(n_documents=100)
    params = config.TestbedLmStep(
        grammar=grammar.config, corpus=size, lm=LM.changed(heldout_documents=61), root_seed=0
    )
    with pytest.raises(ArtifactMismatchError, match="60 documents"):
        train_lm(
            params, corpus=chapter / "corpus.parquet", lm_folder=tmp_path / "lm",
            curve=tmp_path / "c.parquet", floor=tmp_path / "f.json",
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_a_document_longer_than_the_positions_is_refused(
    grammar: Grammar, chapter: Path, tmp_path: Path
) -> None:
    params = config.TestbedLmStep(
        grammar=grammar.config, corpus=CORPUS, lm=LM.changed(n_positions=30), root_seed=0
    )
    with pytest.raises(ParamsError, match="n_positions=30 must be >= 31"):
        train_lm(
            params, corpus=chapter / "corpus.parquet", lm_folder=tmp_path / "lm",
            curve=tmp_path / "c.parquet", floor=tmp_path / "f.json",
        )  # fmt: skip


def test_impossible_shapes_are_refused(grammar: Grammar) -> None:
    with pytest.raises(ParamsError, match="d_model=33"):
        LM.changed(d_model=33)
    with pytest.raises(ParamsError, match="less than one batch"):
        LM.changed(n_documents=7)
    with pytest.raises(ParamsError, match="heldout_documents=61"):
        values = {"lm": LM.changed(heldout_documents=61), "root_seed": 0}
        config.TestbedLmStep.read(values | {"grammar": grammar.config, "corpus": CORPUS}, "testbed")


def test_scores_of_a_perfect_model_would_equal_the_floor(grammar: Grammar) -> None:
    words = draw_documents(build_grammar(grammar.config), 5, 12, 0, "x").words
    assert bayes_log_probabilities(grammar, words).sum() < 0

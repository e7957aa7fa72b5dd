"""What the loader refuses, and that the English battery keeps its own rules."""

import re
from collections import Counter
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from fispace.chapters.factorial.battery import contexts_of, write_battery
from fispace.chapters.factorial.design import split_items
from fispace.chapters.factorial.stimuli import read_battery, read_prompts, read_words
from fispace.chapters.factorial.tables import CONTEXTS, ITEMS, WORDS
from fispace.errors import ParamsError, StimuliError
from fispace.store.files import write_json
from fispace.store.tables import read_csv
from fispace.study.config.factorial import BatteryStep, FactorConfig

ENGLISH = Path(__file__).parents[2] / "data/stimuli/english"
FORMALITY = FactorConfig(name="formality", levels=("formal", "casual"))
EMOTION = FactorConfig(name="emotion", levels=("low", "high"))
FACTORS = (FORMALITY, EMOTION)
CELLS = list(product(FORMALITY.levels, EMOTION.levels))
PAPER_WORDS = {
    ("formal", "low"): {"perhaps", "therefore", "consequently"},
    ("formal", "high"): {"profoundly", "devastated", "extraordinary"},
    ("casual", "low"): {"yeah", "basically", "whatever"},
    ("casual", "high"): {"totally", "literally", "absolutely"},
}
MAX_LENGTH_SPREAD = 2


def rows_of(n_items: int) -> list[tuple[str, ...]]:
    return [
        (f"i{item}", *cell, f"text {item} {'-'.join(cell)}")
        for item in range(n_items)
        for cell in CELLS
    ]


def battery(tmp_path: Path, rows: list[tuple[str, ...]], columns: str) -> Path:
    path = tmp_path / "stimuli.csv"
    pd.DataFrame(rows, columns=columns.split()).to_csv(path, index=False)
    return path


def refusal(path: Path, variant: str | None = None) -> str:
    with pytest.raises(StimuliError) as caught:
        read_battery(path, FACTORS, variant)
    return str(caught.value)


COLUMNS = "item formality emotion text"


def test_balanced_battery_loads_in_cell_order_whatever_its_row_order(tmp_path):
    rows = rows_of(3)
    frame = read_battery(battery(tmp_path, rows[::-1], COLUMNS), FACTORS, None)
    assert list(frame.itertuples(index=False, name=None)) == rows


def test_missing_column_is_named(tmp_path):
    message = refusal(battery(tmp_path, [row[:3] for row in rows_of(2)], "item formality emotion"))
    assert "stimuli.csv, row 1: missing column 'text'" in message


def test_item_missing_a_cell_is_named_with_row_and_cell(tmp_path):
    rows = rows_of(3)
    del rows[6]
    message = refusal(battery(tmp_path, rows, COLUMNS))
    assert "stimuli.csv, row 6: item 'i1' is missing the cell casual/low" in message


def test_cell_twice_in_an_item_is_unbalanced(tmp_path):
    rows = [*rows_of(2), ("i1", "formal", "low", "once more")]
    message = refusal(battery(tmp_path, rows, COLUMNS))
    assert "row 10: unbalanced cells: item 'i1' holds the cell formal/low more than once" in message


def test_duplicate_text_is_named_with_both_rows(tmp_path):
    rows = rows_of(2)
    rows[5] = (*rows[5][:3], rows[2][3].upper())
    assert "row 7: duplicate of row 4" in refusal(battery(tmp_path, rows, COLUMNS))


def test_unknown_level_is_named_with_those_declared(tmp_path):
    rows = rows_of(2)
    rows[4] = ("i1", "pompous", "low", "text")
    message = refusal(battery(tmp_path, rows, COLUMNS))
    assert "row 6: unknown level 'pompous' of 'formality'" in message
    assert "formal, casual" in message


def test_empty_text_and_missing_file_are_refused(tmp_path):
    rows = rows_of(2)
    rows[1] = (*rows[1][:3], " ")
    assert "row 3: the column 'text' is empty" in refusal(battery(tmp_path, rows, COLUMNS))
    assert "does not exist" in refusal(tmp_path / "absent.csv")


def test_variant_must_be_chosen_and_must_exist(tmp_path):
    rows = [(*row[:3], variant, f"{row[3]} {variant}") for row in rows_of(2) for variant in "ab"]
    path = battery(tmp_path, rows, "item formality emotion variant text")
    assert "variants a, b" in refusal(path)
    assert "no row of the variant 'c'" in refusal(path, "c")
    assert set(read_battery(path, FACTORS, "b")["text"].str[-1]) == {"b"}


def test_matched_pair_battery_loads(tmp_path):
    rows = [(f"i{i}", level, f"{level} {i}") for i in range(3) for level in FORMALITY.levels]
    frame = read_battery(battery(tmp_path, rows, "item formality text"), (FORMALITY,), None)
    assert list(frame.columns) == ["item", "formality", "text"] and len(frame) == 6


def test_matched_pair_words_load_and_unequal_ones_are_refused(tmp_path):
    path = tmp_path / "responses.csv"
    path.write_text("word,formality\nhence,formal\nyeah,casual\n")
    assert read_words(path, (FORMALITY,))["word"].tolist() == ["hence", "yeah"]
    path.write_text("word,formality\nhence,formal\nyeah,casual\nthus,formal\n")
    with pytest.raises(StimuliError, match="same number of response words"):
        read_words(path, (FORMALITY,))


def test_unequal_word_lists_and_words_in_two_cells_are_refused(tmp_path):
    words = [(f"{'-'.join(cell)}", *cell) for cell in CELLS]
    path = tmp_path / "responses.csv"
    pd.DataFrame([*words, ("extra", "formal", "low")]).to_csv(
        path, index=False, header=["word", "formality", "emotion"]
    )
    with pytest.raises(StimuliError, match="same number of response words"):
        read_words(path, FACTORS)
    pd.DataFrame([*words, words[0]]).to_csv(
        path, index=False, header=["word", "formality", "emotion"]
    )
    with pytest.raises(StimuliError, match="row 6: duplicate of row 2"):
        read_words(path, FACTORS)


def test_factors_need_two_levels_each_and_two_names():
    with pytest.raises(ParamsError, match="two different levels"):
        FactorConfig.read({"name": "formality", "levels": ["formal", "formal"]}, "factors[0]")
    with pytest.raises(ParamsError, match="two different factors"):
        values = {"variant": None, "select_fraction": 0.5, "clamp_items": None, "root_seed": 0}
        BatteryStep.read({"factors": [FORMALITY.plain()]} | values, "factorial")


def test_split_is_by_item_and_depends_on_the_seed_and_the_items_alone(tmp_path):
    rows = rows_of(20)
    frame = read_battery(battery(tmp_path, rows, COLUMNS), FACTORS, None)
    split = split_items(frame, 0.5, 7)
    halves = split.groupby("item")["half"].unique().map(tuple)
    assert Counter(halves) == {("select",): 10, ("confirm",): 10}
    other_texts = split_items(frame.assign(text="other"), 0.5, 7)
    assert split["half"].tolist() == other_texts["half"].tolist()
    assert split["half"].tolist() != split_items(frame, 0.5, 8)["half"].tolist()


def test_a_half_without_two_items_is_refused(tmp_path):
    frame = read_battery(battery(tmp_path, rows_of(4), COLUMNS), FACTORS, None)
    with pytest.raises(StimuliError, match=r"select_fraction=0\.9"):
        split_items(frame, 0.9, 0)


def test_testbed_words_come_from_the_grammar_and_confirm_texts_are_the_contexts(tmp_path):
    stimuli = battery(tmp_path, rows_of(6), COLUMNS)
    planted = [
        {"word": "-".join(cell), "formality": cell[0], "emotion": cell[1], "contrast": 2.0}
        for cell in CELLS
    ]
    write_json(tmp_path / "grammar.json", {"planted": planted})
    write_battery(
        BatteryStep(
            factors=FACTORS, variant=None, select_fraction=0.5, clamp_items=None, root_seed=0
        ),
        stimuli=stimuli,
        responses=tmp_path / "grammar.json",
        prompts=None,
        item_table=tmp_path / "items.csv",
        words=tmp_path / "words.csv",
        contexts=tmp_path / "contexts.csv",
    )
    items, contexts = (
        read_csv(tmp_path / "items.csv", ITEMS),
        read_csv(tmp_path / "contexts.csv", CONTEXTS),
    )
    confirm = items[items["half"] == "confirm"]
    assert contexts["prompt"].tolist() == confirm["text"].tolist() and len(contexts) == 12
    assert {"item", "formality", "emotion", "prompt"} == set(contexts.columns)
    words = read_csv(tmp_path / "words.csv", WORDS)
    assert words["word"].tolist() == ["-".join(cell) for cell in CELLS]
    assert set(words["contrast"]) == {2.0}


def write_english(folder: Path, clamp_items: int | None = None) -> None:
    write_battery(
        BatteryStep(
            factors=FACTORS,
            variant="keyword",
            select_fraction=0.5,
            clamp_items=clamp_items,
            root_seed=0,
        ),
        stimuli=ENGLISH / "stimuli.csv",
        responses=ENGLISH / "responses.csv",
        prompts=ENGLISH / "prompts.csv",
        item_table=folder / "items.csv",
        words=folder / "words.csv",
        contexts=folder / "contexts.csv",
    )


def test_clamps_act_after_every_neutral_prompt_and_every_confirm_text_and_no_other(tmp_path):
    write_english(tmp_path)
    items, contexts = (
        read_csv(tmp_path / "items.csv", ITEMS),
        read_csv(tmp_path / "contexts.csv", CONTEXTS),
    )
    prompts = pd.read_csv(ENGLISH / "prompts.csv")["prompt"].tolist()
    confirm = items[items["half"] == "confirm"]
    neutral, texts = contexts.iloc[: len(prompts)], contexts.iloc[len(prompts) :]
    assert sorted(neutral["prompt"]) == sorted(prompts)
    assert neutral[["formality", "emotion"]].isna().all(axis=None)
    assert neutral["item"].is_unique and not set(neutral["item"]) & set(items["item"])
    assert texts["prompt"].tolist() == confirm["text"].tolist()
    assert texts["item"].tolist() == confirm["item"].tolist()


def test_only_so_many_confirm_items_are_clamped_after_and_prompts_all(tmp_path):
    write_english(tmp_path, 5)
    few, items = (
        read_csv(tmp_path / "contexts.csv", CONTEXTS),
        read_csv(tmp_path / "items.csv", ITEMS),
    )
    write_english(tmp_path)
    every = read_csv(tmp_path / "contexts.csv", CONTEXTS)
    kept = few[few["formality"].notna()]
    confirm = sorted(set(items.loc[items["half"] == "confirm", "item"]))
    assert sorted(set(kept["item"])) == confirm[:5] and len(kept) == 5 * 4
    assert few["formality"].isna().sum() == every["formality"].isna().sum()


def test_a_prompt_and_an_item_of_the_same_name_are_refused(tmp_path):
    rows = [("prompt-001", *row[1:]) for row in rows_of(1)] + rows_of(5)[4:]
    pd.DataFrame({"prompt": ["I think that"]}).to_csv(tmp_path / "prompts.csv", index=False)
    table = read_battery(battery(tmp_path, rows, COLUMNS), FACTORS, None)
    with pytest.raises(StimuliError, match="prompt-001"):
        contexts_of(
            table, [read_prompts(tmp_path / "prompts.csv")],
            ["formality", "emotion"],
        )  # fmt: skip


def test_the_written_split_keeps_each_items_frame(tmp_path):
    write_english(tmp_path)
    given = pd.read_csv(ENGLISH / "stimuli.csv").set_index("text")["frame"]
    items = read_csv(tmp_path / "items.csv", ITEMS)
    assert items["frame"].tolist() == given[items["text"]].tolist()


@pytest.fixture(scope="module", params=["keyword", "keyword_free"])
def english(request) -> pd.DataFrame:
    return read_battery(ENGLISH / "stimuli.csv", FACTORS, request.param)


def word_list(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def test_english_has_60_frames_and_a_keyword_free_variant_of_a_third_of_them():
    keyword, free = (
        read_battery(ENGLISH / "stimuli.csv", FACTORS, variant)
        for variant in ("keyword", "keyword_free")
    )
    assert keyword["item"].nunique() >= 60
    assert 3 * free["item"].nunique() >= keyword["item"].nunique()
    assert set(free["item"]) <= set(keyword["item"])


def test_english_cells_of_a_frame_have_matched_length_and_punctuation(english):
    lengths = english["text"].str.split().str.len()
    spread = lengths.groupby(english["item"]).agg(lambda n: n.max() - n.min())
    assert spread.max() <= MAX_LENGTH_SPREAD, spread[spread > MAX_LENGTH_SPREAD]
    means = lengths.groupby([english["formality"], english["emotion"]]).mean()
    assert means.max() - means.min() < 1
    assert english["text"].str.fullmatch(r"[A-Z][A-Za-z',\- ]+\.").all()


def test_english_response_words_are_the_papers_and_more_and_never_in_a_stimulus_or_prompt(english):
    words = read_words(ENGLISH / "responses.csv", FACTORS)
    for cell, expected in PAPER_WORDS.items():
        own = words[(words["formality"] == cell[0]) & (words["emotion"] == cell[1])]
        assert expected <= set(own["word"]) and len(own) >= 12
    prompts = read_prompts(ENGLISH / "prompts.csv")["prompt"]
    used = {word for text in (*english["text"], *prompts) for word in word_list(text)}
    assert not used & set(words["word"])


def test_english_has_30_prompts():
    assert len(read_prompts(ENGLISH / "prompts.csv")) >= 30


def test_a_prompt_keeps_its_item_wherever_it_stands_in_the_file(tmp_path):
    """Sign flips go by item: with other items, p-values would depend on the order of rows."""
    prompts = read_prompts(ENGLISH / "prompts.csv")
    shuffled = prompts.sample(frac=1, random_state=0)
    shuffled[["prompt"]].to_csv(tmp_path / "prompts.csv", index=False)
    again = read_prompts(tmp_path / "prompts.csv")
    assert again["prompt"].tolist() == shuffled["prompt"].tolist() != prompts["prompt"].tolist()
    assert again["item"].tolist() == shuffled["item"].tolist()
    assert len(set(again["item"])) == len(again)


def test_english_sentences_do_not_open_alike(english):
    openings = Counter(" ".join(text.split()[:3]) for text in english["text"])
    assert openings.most_common(1)[0][1] <= 8, openings.most_common(5)

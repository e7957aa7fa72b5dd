"""A battery's names and texts are taken as they are written, and its files' faults are named."""

import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest

from fispace.chapters.factorial.battery import write_battery
from fispace.chapters.factorial.design import by_cell
from fispace.chapters.factorial.discover import discovery_table
from fispace.chapters.factorial.stimuli import read_battery, read_prompts, read_words
from fispace.chapters.factorial.tables import CONTEXTS, ITEMS, WORDS
from fispace.errors import NonFiniteError, StimuliError
from fispace.store.tables import read_csv
from fispace.study.config.factorial import BatteryStep, DiscoverStep, FactorConfig

EMOTION = ("low", "high")
N_ITEMS = 8
LOOKS_LIKE_ANOTHER_TYPE = (
    ("0", "1"), ("1", "0"), ("false", "true"), ("True", "False"), ("1.0", "2.0"), ("03", "3"),
    ("None", "some"), ("NA", "nan"), ("null", "NULL"), ("1e5", "100000"), ("inf", "-inf"),
)  # fmt: skip


def factors(levels: Sequence[str]) -> tuple[FactorConfig, FactorConfig]:
    return (
        FactorConfig(name="negated", levels=tuple(levels)),
        FactorConfig(name="emotion", levels=EMOTION),
    )


def discover_step(levels: Sequence[str]) -> DiscoverStep:
    return DiscoverStep(
        factors=factors(levels), alpha=0.05, n_candidates=2, n_permutations=99, root_seed=1
    )


def written(folder: Path, levels: Sequence[str], item="i{}", word="w{}") -> dict[str, Path]:
    """The three tables that the chapter reads of a battery with these levels."""
    cells = list(product(levels, EMOTION))
    rows = [
        (item.format(i), *c, f"text {i} {n}") for i in range(N_ITEMS) for n, c in enumerate(cells)
    ]
    pd.DataFrame(rows, columns=["item", "negated", "emotion", "text"]).to_csv(
        folder / "stimuli.csv", index=False
    )
    pd.DataFrame(
        [(word.format(n), *cell) for n, cell in enumerate(cells)],
        columns=["word", "negated", "emotion"],
    ).to_csv(folder / "responses.csv", index=False)
    out = {name: folder / f"{name}.csv" for name in ("item_table", "words", "contexts")}
    write_battery(
        BatteryStep(
            factors=factors(levels), variant=None, select_fraction=0.5, clamp_items=None, root_seed=1
        ), stimuli=folder / "stimuli.csv",
        responses=folder / "responses.csv", prompts=None, **out,
    )  # fmt: skip
    return out


def discovery(folder: Path, levels: Sequence[str], activations: np.ndarray) -> pd.DataFrame:
    table = read_csv(written(folder, levels)["item_table"], ITEMS)
    half = table[table["half"] == "select"].reset_index(drop=True)
    params = discover_step(levels)
    return discovery_table(params, half, {"primary": activations}, ("joint", 0))


@pytest.mark.parametrize("levels", LOOKS_LIKE_ANOTHER_TYPE, ids="/".join)
def test_levels_that_look_like_numbers_or_nothing_give_the_tests_of_any_others(levels, tmp_path):
    noise = np.random.default_rng(0).random((4 * N_ITEMS // 2, 6))
    found = discovery(tmp_path, levels, noise)
    pd.testing.assert_frame_equal(found, discovery(tmp_path, ("no", "yes"), noise))
    assert np.isfinite(found["t"]).all()
    assert found["p"].between(0.001, 1).all()


@pytest.mark.parametrize(("item", "word"), [("{}", "{}"), ("0{}", "1e{}"), ("{}.0", "0x{}")])
def test_items_and_words_that_look_like_numbers_stay_texts(item, word, tmp_path):
    paths = written(tmp_path, ("no", "yes"), item, word)
    items, words = read_csv(paths["item_table"], ITEMS), read_csv(paths["words"], WORDS)
    assert set(items["item"]) == {item.format(i) for i in range(N_ITEMS)}
    assert words["word"].tolist() == [word.format(n) for n in range(4)]
    confirm = items[items["half"] == "confirm"]
    assert read_csv(paths["contexts"], CONTEXTS)["item"].tolist() == confirm["item"].tolist()


def test_words_that_mean_missing_elsewhere_are_words(tmp_path):
    path, words = tmp_path / "responses.csv", ("nan", "None", "NULL", "n/a")
    path.write_text(
        "word,negated,emotion\n"
        + "".join(f"{w},{a},{b}\n" for w, (a, b) in zip(words, product("01", EMOTION), strict=True))
    )
    assert read_words(path, factors("01"))["word"].tolist() == list(words)


def texts(*levels: str) -> pd.DataFrame:
    cells = list(product(("no", "yes"), EMOTION))
    rows = [("i0", *cell) for cell in cells] + [("i1", *cell) for cell in cells]
    frame = pd.DataFrame(rows, columns=["item", "negated", "emotion"])
    return frame.assign(negated=[*levels, *frame["negated"][len(levels) :]])


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (texts("perhaps"), "'i0' has the value 'perhaps' of 'negated'"),
        (texts(cast(str, math.nan)), "'i0' has the value nan of 'negated'"),
        (texts().replace("i1", math.nan), "nan has the value nan of 'item'; expected a name"),
        (texts().replace("i1", None), "Item (nan|None) has the value (nan|None) of 'item'"),
        (texts().iloc[:-1], "'i1' does not hold each of the 4 cells"),
        (texts("yes"), "'i0' does not hold each of the 4 cells"),
        (pd.concat([texts(), texts()[:1]]), "'i0' does not hold each of the 4 cells"),
    ],
)
def test_an_unknown_level_or_an_incomplete_item_is_no_place_in_the_array(frame, said):
    with pytest.raises(StimuliError, match=said):
        by_cell(frame, np.ones((len(frame), 1)), factors(("no", "yes")))


def test_every_value_stands_at_its_own_levels():
    values = np.arange(8.0)[:, None]
    cells = by_cell(texts(), values, factors(("yes", "no")))
    assert cells[:, :, :, 0].tolist() == [[[2, 3], [0, 1]], [[6, 7], [4, 5]]]


def test_a_latent_without_spread_between_items_is_refused_with_space_factor_and_latent(tmp_path):
    items = read_csv(written(tmp_path, ("no", "yes"))["item_table"], ITEMS)
    half = items[items["half"] == "select"].reset_index(drop=True)
    values = np.random.default_rng(0).random((len(half), 5))
    values[:, 3] = (half["negated"] == "yes").to_numpy(float)
    params = discover_step(("no", "yes"))
    with pytest.raises(NonFiniteError) as caught:
        discovery_table(params, half, {"secondary": values}, ("joint", 1))
    said = str(caught.value)
    assert "t is inf for space secondary, effect negated, latent 3" in said
    assert "of joint, 1" in said and "1 such row" in said


GOOD = "item,negated,emotion,text\n" + "".join(
    f"i,{a},{b},text {a} {b}\n" for a, b in product(("no", "yes"), EMOTION)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD.encode("utf-16"), r"line 1 is not UTF-8 text .*UTF-16"),
        (GOOD.encode("utf-16-le"), "NUL.*UTF-16"),
        (GOOD.replace("yes,low", "\x00,low").encode(), "line 4 holds the character NUL"),
        (GOOD.encode().replace(b"text yes low", b"caf\xe9"), r"line 4 is not UTF-8 text \(byte 0xe9"),
        (GOOD.encode().replace(b"text yes", b"\xed\xa0\xbd"), "line 4 is not UTF-8"),
        (GOOD.replace("emotion,text", "emotion,emotion").encode(),
         "row 1: the column 'emotion' occurs twice"),
        (GOOD.replace("text no low", '"text\nno low"').replace("yes,low", "Yes,low").encode(),
         "row 5: unknown level 'Yes'"),
        (GOOD.replace("text no low", '"text no low').encode(), "row 2: "),
        (GOOD.replace("i,no,low", "\n\n,no,low").encode(), "row 4: the column 'item' is empty"),
        (GOOD.replace("yes,low", "у\u0435s,low").encode(), r"unknown level .*\\u0443\\u0435s"),
        (GOOD.replace("yes,low", "yes,low,").encode(), "row 4: the row holds 5 cells, more cells"),
        (GOOD.replace("yes,low,", "yes,low;").encode(), "row 4: the row holds 3 cells, fewer cells"),
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"item,negated,emotion,text\n", "a header but no row"),
    ],
)  # fmt: skip
def test_a_battery_file_that_is_not_text_or_not_a_table_is_refused_with_its_line(
    content, said, tmp_path
):
    (tmp_path / "stimuli.csv").write_bytes(content)
    with pytest.raises(StimuliError, match=said) as caught:
        read_battery(tmp_path / "stimuli.csv", factors(("no", "yes")), None)
    assert "stimuli.csv" in str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_are_no_part_of_a_battery(end, mark, tmp_path):
    (tmp_path / "stimuli.csv").write_bytes((mark + GOOD.replace("\n", end)).encode())
    frame = read_battery(tmp_path / "stimuli.csv", factors(("no", "yes")), None)
    assert frame["text"].tolist() == [f"text {a} {b}" for a, b in product(("no", "yes"), EMOTION)]


def test_a_text_of_several_lines_stays_one_text(tmp_path):
    (tmp_path / "prompts.csv").write_text('prompt\n"one\n\ntwo"\nthree\n')
    assert read_prompts(tmp_path / "prompts.csv")["prompt"].tolist() == ["one\n\ntwo", "three"]
    (tmp_path / "prompts.csv").write_text('prompt\n"one\n\ntwo"\nthree\nThree\n')
    with pytest.raises(StimuliError, match="row 6: duplicate of row 5"):
        read_prompts(tmp_path / "prompts.csv")


WORD_ROWS = "".join(f"w{a}{b},{a},{b}\n" for a, b in product(("no", "yes"), EMOTION))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("word,negated,emotion\n" + WORD_ROWS.replace("wyes", " wyes"), "row 4: the word ' wyeslow'"),
        ("word,negated,emotion\n" + WORD_ROWS.replace("wyeslow", "wyes\u200blow"),
         r"row 4: the word 'wyes\\u200blow' holds .*not seen in print"),
        ("word,negated,emotion\n" + WORD_ROWS.replace("wyeslow", "é").replace("wnolow", "e\u0301"),
         "row 4: duplicate of row 2"),
        ("word,negated,emotion,contrast\n" + WORD_ROWS.replace("\n", ",strong\n"),
         "row 2: contrast is 'strong', but must be a finite number"),
        ("word,negated,emotion,contrast\n" + WORD_ROWS.replace("\n", ",nan\n"), "contrast is 'nan'"),
        ("word,negated,emotion,contrast\n" + WORD_ROWS.replace("\n", ",1e999\n"),
         "responses.csv, row 2: contrast is '1e999', but must be a finite number"),
    ],
)  # fmt: skip
def test_a_word_that_would_be_scored_as_another_is_refused(content, said, tmp_path):
    (tmp_path / "responses.csv").write_text(content)
    with pytest.raises(StimuliError, match=said):
        read_words(tmp_path / "responses.csv", factors(("no", "yes")))

"""CSV tables come back as they were written: by what is declared, never by what a cell looks like."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import REFERENCE_TABLES, table_of_file

from fispace.errors import ArtifactError, NonFiniteError
from fispace.store.columns import (
    BOOLEAN,
    COUNT,
    FACTORS,
    INTEGER,
    NUMBER,
    TEXT,
    CellError,
    Column,
    Table,
    optional,
)
from fispace.store.tables import read_csv, write_csv

ROOT = Path(__file__).parents[2]
NASTY = (
    "None", "NA", "N/A", "null", "NULL", "nan", "NaN", "-inf", "inf", "True", "false", "0", "1", "03",
    "1e5", "1.0", "1_000", "٣", "0x1", " ", " a ", "a,b", '"', '""', "'", "#", "\t", "\r", "\n",
    "\r\n", "a\rb", "a\r\nb", "\ufeff", "\u2028", "\x85", "\u202e", "=1+1", "é", "e\u0301",
    "🙂", "__index__",
)  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
WHOLE = st.integers(-(2**53), 2**53)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = {"text": TEXTS, "boolean": st.booleans(), "number": FINITE, "whole number": WHOLE}
VALUES["count"] = st.integers(0, 2**53)
KINDS = (TEXT, BOOLEAN, INTEGER, NUMBER, COUNT, optional(TEXT), optional(INTEGER), optional(NUMBER))


def cells(column: Column, n_rows: int) -> st.SearchStrategy[pd.Series]:
    """Columns of the kind, as a frame holds them."""
    kind = column.kind
    # an empty cell of a text that may be missing is a missing one
    values = (
        VALUES[kind.name].filter(bool)
        if kind is TEXT.kind and column.may_miss
        else VALUES[kind.name]
    )
    each = st.one_of(values, st.just(math.nan)) if column.may_miss else values

    def series(found: list[object]) -> pd.Series:
        lacks = any(isinstance(value, float) and math.isnan(value) for value in found)
        dtype = "float64" if lacks and kind is not TEXT.kind else kind.dtype
        return pd.Series(found, dtype=dtype)

    return st.lists(each, min_size=n_rows, max_size=n_rows).map(series)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Table, pd.DataFrame]:
    """A declaration, and a frame that keeps it."""
    names = draw(
        st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), min_size=1, max_size=5, unique=True)
    )
    columns = {name: draw(st.sampled_from(KINDS)) for name in names}
    n_rows = draw(st.integers(0, 5))
    return (
        Table("drawn.csv", columns),
        pd.DataFrame({name: draw(cells(column, n_rows)) for name, column in columns.items()}),
    )


@settings(max_examples=60, deadline=None)
@given(drawn=tables())
def test_what_is_written_is_read_and_what_is_read_is_written(drawn, tmp_path_factory):
    table, frame = drawn
    path = tmp_path_factory.mktemp("law") / "drawn.csv"
    write_csv(path, frame, table)
    written = path.read_bytes()
    again = read_csv(path, table)
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    write_csv(path, again, table)
    assert path.read_bytes() == written


@pytest.mark.parametrize("path", REFERENCE_TABLES, ids=str)
def test_every_table_of_a_reference_is_written_as_it_was_read(path, tmp_path):
    table = table_of_file(path)
    write_csv(tmp_path / "again.csv", read_csv(ROOT / path, table), table)
    assert (tmp_path / "again.csv").read_bytes() == (ROOT / path).read_bytes()


LEVELS = Table("t.csv", {"item": TEXT, FACTORS: TEXT, "value": NUMBER}, key=("item",))


@pytest.mark.parametrize("level", [text for text in NASTY if text.strip()])
def test_a_level_is_a_text_whatever_it_looks_like(level, tmp_path):
    frame = pd.DataFrame({"item": ["1", "02"], "negated": [level, "x"], "value": [1.0, 2.0]})
    write_csv(tmp_path / "t.csv", frame, LEVELS)
    again = read_csv(tmp_path / "t.csv", LEVELS)
    assert again["negated"].tolist() == [level, "x"]
    assert again["item"].tolist() == ["1", "02"]
    assert LEVELS.factors(again) == ["negated"]


def test_columns_stand_in_the_declared_order_and_factors_in_theirs(tmp_path):
    frame = pd.DataFrame({"value": [1.0], "b": ["x"], "item": ["i"], "a": ["y"]})
    write_csv(tmp_path / "t.csv", frame, LEVELS)
    assert (tmp_path / "t.csv").read_text() == "item,b,a,value\ni,x,y,1.0\n"


def test_a_table_without_a_row_keeps_its_columns(tmp_path):
    write_csv(tmp_path / "t.csv", LEVELS.frame([], ["a", "b"]), LEVELS)
    again = read_csv(tmp_path / "t.csv", LEVELS)
    assert list(again) == ["item", "a", "b", "value"] and again.empty


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_statistic_that_is_no_number_is_refused_with_its_row_column_and_table(value, tmp_path):
    frame = pd.DataFrame({"item": ["i7", "i8"], "a": ["x", "y"], "value": [1.0, value]})
    with pytest.raises(NonFiniteError, match=r"t\.csv: value is .* for item i8"):
        write_csv(tmp_path / "t.csv", frame, LEVELS)
    assert not list(tmp_path.iterdir())


def test_a_declared_missing_value_is_an_empty_cell_and_an_infinity_is_not(tmp_path):
    table = Table("t.csv", {"name": TEXT, "value": optional(NUMBER), "n": optional(INTEGER)})
    frame = pd.DataFrame({"name": ["a", "b"], "value": [math.nan, 1.0], "n": [math.nan, 3]})
    write_csv(tmp_path / "t.csv", frame, table)
    assert (tmp_path / "t.csv").read_text() == "name,value,n\na,,\nb,1.0,3\n"
    with pytest.raises(NonFiniteError):
        write_csv(tmp_path / "t.csv", frame.assign(value=math.inf), table)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"item": [1], "value": [1.0]}),
        pd.DataFrame({"item": ["a"], "value": ["1.0"]}),
        pd.DataFrame({"item": ["a"], "value": [True]}),
        pd.DataFrame({"item": ["a"], "value": np.array([0.1], np.float32)}),
        pd.DataFrame({"item": [None], "value": [1.0]}),
        pd.DataFrame({"item": ["a\0"], "value": [1.0]}),
        pd.DataFrame({"item": pd.Series(["\ud83d"], dtype=object), "value": [1.0]}),
        pd.DataFrame({"item": ["a"]}),
    ],
)
def test_a_writer_cannot_put_another_type_into_a_column(frame, tmp_path):
    with pytest.raises(CellError):
        write_csv(tmp_path / "t.csv", frame, LEVELS)


def test_a_writer_cannot_add_a_column_that_is_not_declared(tmp_path):
    table = Table("t.csv", {"item": TEXT})
    with pytest.raises(CellError, match="'half'"):
        write_csv(tmp_path / "t.csv", pd.DataFrame({"item": ["a"], "half": ["b"]}), table)


NUMBERS = Table(
    "n.csv",
    {"name": TEXT, "n": INTEGER, "value": NUMBER, "is_full": BOOLEAN, "p": optional(NUMBER)},
)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,1.0,1.0,True,", "n should be a whole number and is '1.0'"),
        ("a,,1.0,True,", "n should be a whole number and is ''"),
        (f"a,{10**17},1.0,True,", "n should be a whole number"),
        (f"a,{'9' * 5000},1.0,True,", "n should be a whole number"),
        ("a,1,nan,True,", "value should be a number and is 'nan'"),
        ("a,1,inf,True,", "value should be a number and is 'inf'"),
        ("a,1,1e999,True,", "value should be a number and is '1e999'"),
        ("a,1, 1,True,", "value should be a number and is ' 1'"),
        ("a,1,1_0,True,", "value should be a number and is '1_0'"),
        ("a,1,٣,True,", "value should be a number"),
        ("a,1,1.0,1,", "is_full should be a boolean and is '1'"),
        ("a,1,1.0,true,", "is_full should be a boolean and is 'true'"),
        ("a,1,1.0,True,NA", "p should be a number and is 'NA'"),
    ],
)
def test_a_cell_of_another_type_is_refused_with_file_line_and_column(row, said, tmp_path):
    path = tmp_path / "n.csv"
    path.write_text(f"name,n,value,is_full,p\nb,1,0.5,False,0.1\n{row}\n")
    with pytest.raises(ArtifactError, match=re.escape(said)) as caught:
        read_csv(path, NUMBERS)
    assert "n.csv, row 3: " in str(caught.value) or "n.csv" in str(caught.value)
    assert "row 3" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"name,n\na,1\n", "no column 'value'"),
        (b"name,n,value,is_full,p,more\na,1,1.0,True,,x\n", "'more' is not one of n.csv"),
        (b"name,n,value,is_full,p,p\na,1,1.0,True,,\n", "'p' is there twice"),
        (b"name,n,value,is_full,p\na,1,1.0,True\n", "row 2: the row holds 4 cells, fewer cells"),
        (b"name,n,value,is_full,p\na,1,1.0,True,,\n", "row 2: the row holds 6 cells, more cells"),
        (b"name,n,value,is_full,p\n\xff,1,1.0,True,\n", "line 2 is not UTF-8"),
        (b"name,n,value,is_full,p\n\xed\xa0\xbd,1,1.0,True,\n", "line 2 is not UTF-8"),
        (b'name,n,value,is_full,p\n"a,1,1.0,True,\n', "row 2: "),
        (b'name,n,value,is_full,p\n"a\nb",1,1.0,True,\n"c"d,1,1.0,True,\n', "row 4: "),
    ],
)
def test_a_file_that_is_not_the_table_is_refused_with_its_line(content, said, tmp_path):
    (tmp_path / "n.csv").write_bytes(content)
    with pytest.raises(ArtifactError, match=said) as caught:
        read_csv(tmp_path / "n.csv", NUMBERS)
    assert "n.csv" in str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_change_nothing(end, mark, tmp_path):
    lines = ["name,n,value,is_full,p", "a,1,0.5,True,", "", "b,2,1.5,False,0.25"]
    (tmp_path / "n.csv").write_bytes((mark + end.join(lines) + end).encode())
    found = read_csv(tmp_path / "n.csv", NUMBERS)
    assert found["name"].tolist() == ["a", "b"] and found["n"].tolist() == [1, 2]
    assert found["p"].isna().tolist() == [True, False]


def test_no_csv_is_read_but_by_its_declaration():
    calls = re.compile(r"pd\.read_csv|pandas\.read_csv|\.to_csv\(|csv\.DictReader")
    found = [
        f"{path.relative_to(ROOT)}: {call}"
        for folder in ("src", "workflow", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for call in calls.findall(path.read_text())
    ]
    # Snakemake's benchmark files are tab-separated and of no study
    assert found == ["workflow/engine/run_record.py: csv.DictReader"]

"""Tables with categories and missing values: what each column is, inferred or given, and what a model gets of them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from artifact_pipeline.errors import DataRejected
from artifact_pipeline.rows.features import Column, Features
from artifact_pipeline.rows.labels import LabelColumn
from artifact_pipeline.rows.memory import batches_of
from artifact_pipeline.rows.table import read_table
from typedtables import answerable, joined, wanted, write

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.rows.matrix import Rows

LABELS = ["no", "yes"] * 20
DIGEST = "sha256:7395e09477378fb8a90c89a781eb52ef6f8ec88986fe3a337b2e98769a4b3a63"
NUMBERS = [0.5 * each for each in range(40)]


def learn(tmp_path: Path, suffix: str = "csv", *, columns: Any = None, **cells: list[Any]) -> Rows:
    """Write a table of forty rows with labels, and read it to learn from."""
    path = write(tmp_path / f"table.{suffix}", {**cells, "label": LABELS})
    return read_table(str(path), target="label", columns=columns)


def refusal(tmp_path: Path, suffix: str = "csv", *, columns: Any = None, **cells: list[Any]) -> DataRejected:
    """Return the refusal of such a table."""
    with pytest.raises(DataRejected) as caught:
        learn(tmp_path, suffix, columns=columns, **cells)
    return caught.value


def place(error: DataRejected) -> tuple[str, str]:
    """Return where a refusal's first problem is, without the folder, and its rule."""
    return error.problems[0].place.rpartition("/")[2], error.problems[0].rule


# What a column is


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "-2.5", "1e3", " 7 "], Column("a", "number")),
        (["1", "", "NA", "NaN"], Column("a", "number", nullable=True)),
        (["true", "False", "TRUE", "null"], Column("a", "boolean", nullable=True)),
        (["true", "False", "1", "0"], Column("a", "category", levels=("0", "1", "False", "true"))),
        (["007", "008", "12", "12"], Column("a", "category", levels=("007", "008", "12"))),
        (["007", "8", "1.5", "12"], Column("a", "number")),
        (["0.5", "0", "00.5", "-07"], Column("a", "number")),
        (["Rom", "Kiel", "", "Rom"], Column("a", "category", nullable=True, levels=("", "Kiel", "Rom"))),
        (["Rom", "Rom ", "Rom", "Rom"], Column("a", "category", levels=("Rom", "Rom "))),
        (["2", "1", "?", "2"], Column("a", "category", levels=("1", "2", "?"))),
        (["2", "1", "inf", "2"], Column("a", "category", levels=("1", "2", "inf"))),
    ],
)
def test_the_kind_of_a_column_of_a_csv(tmp_path: Path, cells: list[str], expected: Column) -> None:
    """The kind of a column is inferred from all cells of a CSV, by the stated rules."""
    assert learn(tmp_path, a=cells * 10).columns == (expected,)


@pytest.mark.parametrize("late", ["x", "007", "true", "1e999"])
@pytest.mark.parametrize("row", [0, 1, 99_999, 119_999])
def test_one_cell_decides_wherever_it_stands(tmp_path: Path, late: str, row: int) -> None:
    """A text in one row makes a column of digits a category, whatever was read before it, and every row is a level."""
    rows = 120_000
    texts = [str(each % 7) for each in range(rows)]
    cells = [*texts[:row], late, *texts[row + 1 :]]
    path = tmp_path / "table.csv"
    lines = "".join(f"{each / 2},{cell},{each % 2}\n" for each, cell in enumerate(cells))
    path.write_text(f"b,a,label\n{lines}")
    if late == "1e999":
        with pytest.raises(DataRejected, match="cannot be learned") as caught:
            read_table(str(path), target="label")
        assert place(caught.value) == (f"table.csv, row {row}, column 'a'", "not-finite")
        return
    read = read_table(str(path), target="label")
    assert read.columns == (
        Column("b", "number"),
        Column("a", "category", levels=tuple(sorted([*"0123456", late]))),
    )
    assert read.S is not None
    assert read.S[:, 0].tolist() == cells
    assert read.X[:, 0].tolist() == [each / 2 for each in range(rows)]


def test_a_column_that_is_empty_at_first_is_what_comes_later(tmp_path: Path) -> None:
    """A column whose first values are missing is read once: they are missing whatever it turns out to be."""
    rows = 100_000
    path = tmp_path / "table.csv"
    lines = ["," * 4 + str(each % 2) for each in range(rows)]
    lines[-3:] = ["2.5,true,Rom,,0", "3.5,false,Rom,,1", "4.5,true,Kiel,,1"]
    path.write_text("a,b,c,d,label\n" + "\n".join(lines))
    read = read_table(str(path), target="label")
    assert [(each.kind, each.nullable) for each in read.columns] == [
        ("number", True),
        ("boolean", True),
        ("category", True),
    ]
    assert read.X[-2:].tolist() == [[3.5, 0.0], [4.5, 1.0]]
    assert np.isnan(read.X[:-3]).all()
    assert read.S is not None
    assert [*read.S[-4:, 0]] == ["", "Rom", "Rom", "Kiel"]
    assert [(each.name, each.reason) for each in read.left_out] == [("d", "it has no value")]


@pytest.mark.parametrize("late", [0, 3, 21])
def test_rows_that_come_in_pieces_become_one_matrix(tmp_path: Path, late: int) -> None:
    """Numbers stand in their columns whatever is left out beside them, and wherever a column has its first value."""
    rows = 200
    b = [None] * late + [each / 3 for each in range(rows - late)]
    city = [("Rom", "Kiel", None)[each % 3] for each in range(rows)]
    table = pa.table(
        {
            "id": [*range(1, rows + 1)],
            "a": [each / 7 for each in range(rows)],
            "city": city,
            "b": b,
            "flag": [each % 4 == 0 for each in range(rows)],
            "label": ["no", "yes"] * (rows // 2),
        }
    )
    with pa.OSFile(str(tmp_path / "table.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    read = read_table(str(tmp_path / "table.arrow"), target="label")
    assert [each.name for each in read.left_out] == ["id"]
    expected = [table["a"].to_numpy(), table["b"].to_numpy(), table["flag"].to_numpy()]
    np.testing.assert_array_equal(read.X, np.stack(expected, axis=1).astype(float))
    assert read.X.flags.c_contiguous
    assert read.S is not None
    assert read.S[:, 0].tolist() == [each or "" for each in city]


def test_files_of_a_folder_are_one_table(tmp_path: Path) -> None:
    """A text in a later file makes the column of all files a category, digits of the first file among its levels."""
    for name, cells in [("1.csv", ["1", "2"]), ("2.csv", ["", ""]), ("3.csv", ["x", "2"]), ("4.csv", ["3", "3"])]:
        write(tmp_path / name, {"a": cells * 5, "b": NUMBERS[:10], "label": LABELS[:10]})
    read = read_table(str(tmp_path), target="label")
    assert read.columns[0] == Column("a", "category", nullable=True, levels=("", "1", "2", "3", "x"))
    assert read.S is not None
    assert read.S[::10, 0].tolist() == ["1", "", "x", "3"]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "jsonl"])
def test_a_file_with_types_says_the_kind(tmp_path: Path, suffix: str) -> None:
    """A text stays text in a file that has types, digits too; numbers and booleans are what they are."""
    read = learn(tmp_path, suffix, a=["1", "2"] * 20, b=[True, None] * 20, c=[1, 2, 5, None] * 10)
    assert read.columns == (
        Column("a", "category", levels=("1", "2")),
        Column("b", "boolean", nullable=True),
        Column("c", "number", nullable=True),
    )


@pytest.mark.parametrize(
    ("given", "cells", "levels", "X"),
    [
        ("category", ["1", "2"], ("1", "2"), None),
        ("category", ["2020-01-01", "2021-01-01"], ("2020-01-01", "2021-01-01"), None),
        ("number", ["007", "8"], (), [7.0, 8.0]),
        ("boolean", ["1", "0"], (), [1.0, 0.0]),
        ("number", ["", "NA"], (), [np.nan, np.nan]),
    ],
)
def test_a_given_kind_is_not_inferred(
    tmp_path: Path, given: str, cells: list[str], levels: tuple[str, ...], X: list[float] | None
) -> None:
    """A column whose kind is given is read as such, whatever would be inferred of it."""
    read = learn(tmp_path, a=cells * 20, b=NUMBERS, columns={"a": given})
    assert (read.columns[0].kind, read.columns[0].levels) == (given, levels)
    if X is not None:
        np.testing.assert_array_equal(read.X[:2, 0], X)


def test_a_given_category_holds_texts_of_a_few_thousand_levels(tmp_path: Path) -> None:
    """A category that is given may have 10,000 levels, of which each row may be one; one more is refused."""
    names = [f"name {each}" for each in range(10_001)]
    for rows in (10_000, 10_001):
        path = write(tmp_path / f"{rows}.csv", {"a": names[:rows], "label": [each % 2 for each in range(rows)]})
        if rows == 10_000:
            read = read_table(str(path), target="label", columns={"a": "category"})
            assert read.columns[0].levels == tuple(sorted(names[:-1]))
            continue
        with pytest.raises(DataRejected) as caught:
            read_table(str(path), target="label", columns={"a": "category"})
        assert place(caught.value) == ("10001.csv, column 'a'", "too-many-levels")


# What is refused


@pytest.mark.parametrize(
    ("cells", "row", "rule", "words"),
    [
        ([f"text {each}" for each in range(40)], 0, "free-text", '"a": "category"'),
        ([*["2020-02-01"] * 39, "1.2.2021"], 0, "date", '"a": "category"'),
        (["2020-02-01T10:00:00Z"] * 40, 0, "date", "dataset.drop="),
        ([*NUMBERS[:20], "n/a", *NUMBERS[21:]], 20, "not-a-number", "leave a cell empty"),
        ([*NUMBERS[:20], "inf", *NUMBERS[21:]], 20, "not-a-number", "leave a cell empty"),
        ([*NUMBERS[:20], 2**53 + 1, *NUMBERS[21:]], 20, "not-exact", "2^53"),
        ([*["Rom"] * 30, *["x" * 1025] * 10], 30, "level-too-long", "dataset.drop="),
        ([*["Rom"] * 30, *["a\0b"] * 10], 30, "null-character", "dataset.drop="),
    ],
)
def test_a_column_of_no_kind_is_refused(tmp_path: Path, cells: list[Any], row: int, rule: str, words: str) -> None:
    """A column that can be of no kind is refused with a row that shows it, the rule, and what to write."""
    error = refusal(tmp_path, a=cells, b=NUMBERS)
    assert place(error) == (f"table.csv, row {row}, column 'a'", rule)
    assert error.hint is not None
    assert words in error.hint


@pytest.mark.parametrize(
    ("suffix", "value", "rule"),
    [
        *[(suffix, [1, 2], "nested") for suffix in ("parquet", "arrow", "jsonl")],
        *[(suffix, {"b": 1}, "nested") for suffix in ("parquet", "arrow", "jsonl")],
        *[(suffix, date(2020, 2, 1), "date") for suffix in ("parquet", "arrow")],
        *[(suffix, Decimal("0." + "1" * 20), "too-many-digits") for suffix in ("parquet", "arrow")],
    ],
)
def test_a_value_of_no_kind_is_refused(tmp_path: Path, suffix: str, value: Any, rule: str) -> None:
    """A list, an object, a date and a decimal beyond float64 are refused where they stand."""
    error = refusal(tmp_path, suffix, b=NUMBERS, a=[*[None] * 30, *[value] * 10])
    assert place(error) == (f"table.{suffix}, row 30, column 'a'", rule)
    assert error.hint


def test_all_bad_columns_are_named_at_once(tmp_path: Path) -> None:
    """A refusal names each column that can be of no kind, and hints that can be typed as they stand."""
    names = [f"name {each}" for each in range(40)]
    error = refusal(tmp_path, a=names, b=NUMBERS, c=["2020-02-01"] * 40)
    assert [each.rule for each in error.problems] == ["free-text", "date"]
    assert error.hint == (
        """leave the columns out: -S 'dataset.drop=["a", "c"]'; or """
        """learn them as categories: -S 'dataset.columns={"a": "category", "c": "category"}'"""
    )


@pytest.mark.parametrize("cells", [[1, "x"], ["x", 1], [True, 2], [None, 1, "x", None]])
def test_values_of_two_types_are_refused(tmp_path: Path, cells: list[Any]) -> None:
    """A column of JSON of two types is refused at the first value of the second, and may be given as a category."""
    column = (cells * 20)[:40]
    error = refusal(tmp_path, "jsonl", a=column, b=NUMBERS)
    second = [at for at, each in enumerate(column) if each is not None][1]
    assert place(error) == (f"table.jsonl, row {second}, column 'a'", "mixed-kinds")
    read = learn(tmp_path, "jsonl", a=column, b=NUMBERS, columns={"a": "category"})
    assert read.S is not None
    assert read.S[:, 0].tolist() == ["" if each is None else "true" if each is True else str(each) for each in column]


def test_a_kind_for_no_column_is_refused(tmp_path: Path) -> None:
    """A kind for a column that is not learned from is refused, with what may be meant."""
    error = refusal(tmp_path, town=["Rom", "Kiel"] * 20, columns={"twon": "category"})
    assert place(error) == ("table.csv", "column-missing")
    assert error.hint is not None
    assert error.hint.startswith("did you mean 'town'?")


@pytest.mark.parametrize(
    ("given", "cells", "rule"),
    [
        ("number", ["1", "x"], "not-a-number"),
        ("boolean", ["true", "2"], "not-a-boolean"),
        ("number", ["1", "nan"], "not-finite"),
    ],
)
def test_a_cell_that_does_not_fit_a_given_kind_is_refused(
    tmp_path: Path, given: str, cells: list[str], rule: str
) -> None:
    """A cell that is not of the kind that is given is refused with its row."""
    error = refusal(tmp_path, a=cells * 20, b=NUMBERS, columns={"a": given})
    assert place(error) == ("table.csv, row 1, column 'a'", rule)


def test_what_may_stand_for_a_missing_value_is_warned_of(tmp_path: Path) -> None:
    """`?`, `-` and -999 are taken as they are, with a warning; and so are levels that differ in case alone."""
    read = learn(tmp_path, a=["?", "-", "x", "X"] * 10, b=[-999, 1, 2, 3] * 10, c=[-998, 1, 2, 3] * 10)
    assert len(read.warnings) == 3
    assert "column 'a' has the level '-' and '?'" in read.warnings[0] + read.warnings[1]
    assert "the levels of column 'a' 'X' and 'x' differ in case" in read.warnings[0] + read.warnings[1]
    assert read.warnings[2].startswith("column 'b' holds -999 in 10 rows")


def test_a_slip_among_numbers_is_said_to_be_one(tmp_path: Path) -> None:
    """A text among numbers that makes too many levels is quoted, with how many of the values are numbers."""
    error = refusal(tmp_path, a=[*NUMBERS[:20], "n/a", *NUMBERS[21:39], ""])
    assert error.problems[0].message == "'n/a' is not a number, and 38 of the column's 39 values are"


# What stays


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_numbers_and_booleans_alone_have_the_digest_of_format_1(suffix: str, tmp_path: Path) -> None:
    """Rows of numbers and booleans without gaps have the digest `rows-1`; a column that counts them is left out."""
    columns = {"a": NUMBERS, "b": [True, False] * 20, "n": [*range(40)], "label": LABELS}
    read = read_table(str(write(tmp_path / f"table.{suffix}", columns)), target="label")
    assert (read.digest_algorithm, read.kinds, read.names) == ("rows-1", ("number", "boolean"), ("a", "b"))
    assert read.X[:, 0].tolist() == NUMBERS
    assert [each.name for each in read.left_out] == ["n"]
    assert isinstance(read.features, Features)


def test_the_digest_of_typed_rows_stays(tmp_path: Path) -> None:
    """The digest `rows-2` of a table is the same for ever: manifests hold it."""
    read = learn(tmp_path, a=[1.5, None] * 20, town=["Köln", "Rom", "", "Rom"] * 10, ill=[True, False] * 20)
    assert (read.digest_algorithm, read.digest()) == ("rows-2", DIGEST)


# What a model gets


TOWN = Column("town", "category", nullable=True, levels=("-3", "007", "1", "Rom", "true"))
AGE = Column("age", "number", nullable=True)
STRICT = (
    Column("town", "category", levels=("Rom",), other="refuse"),
    Column("age", "number"),
    Column("ill", "boolean"),
)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "npz"])
def test_a_row_without_a_value_is_refused_where_none_may_be_missing(tmp_path: Path, suffix: str) -> None:
    """A missing value, an unseen level and a value of another kind refuse their rows alone, by column and rule."""
    cells = {
        "x0": ["Rom", None, "Rom", "Rom", "Kiel", "Rom"],
        "x1": [1.5, 2.5, None, 3.5, 4.5, 5.5],
        "x2": [True, True, False, None, True, False],
        "label": LABELS[:6],
    }
    columns = tuple(Column(f"x{at}", each.kind, levels=each.levels, other=each.other) for at, each in enumerate(STRICT))
    found = answerable(write(tmp_path / f"table.{suffix}", cells), columns)
    assert found.listed() == [(1.5, 1.0, "Rom"), (5.5, 0.0, "Rom")]
    assert [(each.row, each.column, each.rule) for each in found.rejected] == [
        (1, "x0", "missing"),
        (2, "x1", "missing"),
        (3, "x2", "missing"),
        (4, "x0", "level-unknown"),
    ]
    assert found.actual == [0, 1]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([7, 1], ["7", "1"]),
        ([1.0, None], ["1", ""]),
        ([True, False], ["true", "false"]),
        ([Decimal("1.00"), Decimal("2.00")], ["1", "2"]),
        (["1.0", "TRUE"], ["1", "true"]),
        (["-3.0", "7.0"], ["-3", "7.0"]),
    ],
)
def test_a_level_may_be_written_in_another_type(tmp_path: Path, cells: list[Any], expected: list[str]) -> None:
    """A whole number and a boolean are the level that they are written as in a CSV, with or without a point."""
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.table({"town": cells, "label": LABELS[:2]}), path)
    assert [row[0] for row in answerable(path, (TOWN,)).listed()] == expected


@pytest.mark.parametrize("value", [1.5, [1], b"Rom"])
def test_what_is_no_level_refuses_its_row(tmp_path: Path, value: Any) -> None:
    """A number with decimals, a list and bytes are no levels, and the row is refused."""
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.table({"town": [value, None], "label": LABELS[:2]}), path)
    found = answerable(path, (TOWN,))
    assert [(each.row, each.column, each.rule) for each in found.rejected] == [(0, "town", "not-a-level")]
    assert found.listed() == [("",)]


def test_a_null_character_refuses_its_row(tmp_path: Path) -> None:
    """A text that a C program would cut at its null character is refused: it must not become a known level."""
    path = tmp_path / "table.jsonl"
    path.write_text("".join(json.dumps({"town": each, "label": "no"}) + "\n" for each in ["Rom", "Rom\0", "x"]))
    found = answerable(path, (TOWN,))
    assert [(each.row, each.rule) for each in found.rejected] == [(1, "null-character")]
    assert found.unseen == {"town": 1}


@pytest.mark.parametrize(
    "line", ['{"town": "Rom", "age": "x"}', '{"town": {"a": 1}, "age": 1}', '{"town": 1.5, "age": 1}']
)
def test_a_bad_line_of_json_is_refused_with_its_column(tmp_path: Path, line: str) -> None:
    """A line of JSON whose value is of another kind is refused, and the others are answered."""
    path = tmp_path / "table.jsonl"
    path.write_text(f'{{"town": "Rom", "age": 1}}\n{line}\n{{"town": null, "age": null}}\n')
    found = answerable(path, (TOWN, AGE))
    assert [each.row for each in found.rejected] == [1]
    assert found.rejected[0].rule in {"not-a-number", "nested", "not-a-level"}
    assert found.listed() == [(1.0, "Rom"), (None, "")]


def test_a_row_beyond_the_trained_range_is_found_beside_gaps(tmp_path: Path) -> None:
    """A missing number is in every range; one that is out of it is counted, or refused where that is asked for."""
    path = write(tmp_path / "table.csv", {"town": ["Rom"] * 3, "age": [None, 5.0, 50.0], "label": LABELS[:3]})
    bounds = {"low": np.array([np.nan, 0.0]), "high": np.array([np.nan, 10.0])}
    found = answerable(path, (TOWN, AGE), out_of_range="reject", **bounds)
    assert [(each.row, each.column, each.rule) for each in found.rejected] == [(2, "age", "out-of-range")]
    assert found.missing == {"town": 0, "age": 1}


def test_a_table_in_memory_of_categories_is_answered() -> None:
    """A matrix of texts is read as a CSV is: its numbers as numbers, its levels as they are."""
    columns = (TOWN, AGE)
    found = joined([*batches_of(np.array([["007", "1.5"], ["x", ""]]), wanted(columns))], columns)
    assert found.listed() == [(1.5, "007"), (None, "x")]
    assert (found.missing, found.unseen) == ({"town": 0, "age": 1}, {"town": 1, "age": 0})


def test_texts_in_memory_may_be_missing_as_pandas_has_it() -> None:
    """A NaN among texts, as pandas marks a missing one, is a missing level; values of two types are refused."""
    texts = np.array(["Rom", np.nan, None], dtype=object)
    found = joined([*batches_of({"town": texts}, wanted((TOWN,)))], (TOWN,))
    assert found.listed() == [("Rom",), ("",), ("",)]
    with pytest.raises(DataRejected) as caught:
        [*batches_of({"town": ["Rom", 1]}, wanted((TOWN,)))]
    assert caught.value.problems[0].rule == "not-a-level"


# Rows without a label


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "npz"])
def test_rows_without_a_label_are_left_out_where_that_is_asked(tmp_path: Path, suffix: str) -> None:
    """A table whose unlabelled rows are left out is the same as the table that never had them."""
    gaps = {0, 7, 39}
    cells = {"a": [*NUMBERS], "town": ["Rom", "Kiel"] * 20, "label": LABELS}
    labels = [("" if suffix == "npz" else None) if at in gaps else each for at, each in enumerate(LABELS)]
    whole = write(tmp_path / f"whole.{suffix}", {**cells, "label": labels})
    kept = {name: [each for at, each in enumerate(found) if at not in gaps] for name, found in cells.items()}
    without = write(tmp_path / f"without.{suffix}", kept)
    found = read_table(str(whole), target=LabelColumn("label", leave_out=True))
    expected = read_table(str(without), target="label")
    assert found.digest() == expected.digest()
    assert found.warnings == ("3 rows without a label are left out", *expected.warnings)
    with pytest.raises(DataRejected) as caught:
        read_table(str(whole), target="label")
    assert caught.value.rules == {"label-missing"}
    assert caught.value.hint == "leave out the rows that have no label: -S dataset.unlabelled=leave_out"


@pytest.mark.parametrize("number", ["1.5", "1e400"])
def test_a_number_among_texts_is_no_level(tmp_path: Path, number: str) -> None:
    """JSON Lines with texts and a number that is no whole one are refused to be learned as they are to be answered."""
    lines = [f'{{"x": "a", "label": "{label}"}}' for label in LABELS]
    lines[7] = f'{{"x": {number}, "label": "yes"}}'
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(DataRejected) as caught:
        read_table(str(path), target="label", columns={"x": "category"})
    assert place(caught.value) == ("rows.jsonl, row 7, column 'x'", "not-a-level")
    taken = answerable(path, (Column("x", "category", levels=("a",)),))
    assert [(each.row, each.rule) for each in taken.rejected] == [(7, "not-a-level")]


ENCODED = pa.RunEndEncodedArray.from_arrays(pa.array([20, 40], pa.int32()), pa.array([1, 2]))
INTERVALS = pa.array([(1, 2, 3)] * 40, pa.month_day_nano_interval())


@pytest.mark.parametrize(("cells", "rule"), [(ENCODED, "run-ends"), (INTERVALS, "not-a-level")])
def test_types_that_arrow_itself_does_not_convert_are_refused(tmp_path: Path, cells: pa.Array, rule: str) -> None:
    """A column of run ends or of intervals is refused like any other that is no level, of a file and in memory."""
    rows = pa.table({"x": cells, "label": LABELS})
    with ipc.new_file(str(tmp_path / "rows.arrow"), rows.schema) as writer:
        writer.write_table(rows)
    with pytest.raises(DataRejected) as caught:
        read_table(str(tmp_path / "rows.arrow"), target="label", columns={"x": "category"})
    assert caught.value.rules == {rule}
    try:
        batches = [*batches_of(rows, wanted((Column("x", "category", levels=("1", "2")),)))]
        found = {each.rule for batch in batches for each in batch.rejected}
    except DataRejected as error:
        found = error.rules
    assert found == {rule}


def test_a_file_whose_rows_are_all_left_out_adds_nothing(tmp_path: Path) -> None:
    """A column that numbers the rows is left out, too, behind a file without a label whose columns hold other types."""
    folder = tmp_path / "parts"
    folder.mkdir()
    write(folder / "a.csv", {"x": [1, 2], "id": [0, 1], "label": [None, None]})
    write(folder / "b.csv", {"x": ["u", "v"] * 20, "id": list(range(40)), "label": LABELS})
    found = read_table(str(folder), target=LabelColumn("label", leave_out=True))
    assert (found.names, found.kinds, [each.name for each in found.left_out]) == (("x",), ("category",), ["id"])


def test_a_bad_row_has_its_own_number_behind_rows_that_are_left_out(tmp_path: Path) -> None:
    """A column that can be of no kind is refused by the row of the file, whichever rows before are left out."""
    dates = [None, None, *(f"2024-01-{1 + at % 28}" for at in range(38))]
    path = write(tmp_path / "table.csv", {"day": dates, "label": [None, "no", *LABELS[2:]]})
    with pytest.raises(DataRejected) as caught:
        read_table(str(path), target=LabelColumn("label", leave_out=True))
    assert place(caught.value) == ("table.csv, row 2, column 'day'", "date")

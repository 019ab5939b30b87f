"""Each kind of bad input is refused by name; nothing is written, and what stood there still stands."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import struct
import threading
import zipfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from artifact_pipeline.cli import main
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import Wanted
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import find_sources
from rowfiles import (
    NAMES,
    answer,
    answered,
    digits,
    refused,
    rejected,
    train_words_1,
    words,
    write_rows,
)
from tools import slow

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.rows.batches import Batch

ALL = ["csv", "csv.gz", "csv.zst", "parquet", "arrow", "arrows", "jsonl", "jsonl.gz", "jsonl.zst", "npy", "npz"]
WHOLE = ["csv.gz", "csv.zst", "parquet", "arrow", "arrows", "jsonl.gz", "jsonl.zst", "npy", "npz"]
"""Formats that tell whether they are whole."""
TYPED = ["parquet", "arrow", "arrows"]


@pytest.fixture(scope="module")
def of_words_1(tmp_path_factory: pytest.TempPathFactory) -> Verified:
    return train_words_1(tmp_path_factory.mktemp("words_1"))


@pytest.fixture(scope="module", params=["of_words", "of_words_1"])
def either(request: pytest.FixtureRequest) -> Verified:
    """The model of words in each format: values reach them by ways of their own."""
    found: Verified = request.getfixturevalue(request.param)
    return found


def rule_of(artifact: Verified, path: Path, **options: Any) -> str:
    (rule,) = refused(artifact, path, to=path.with_name("out.parquet"), **options).rules
    return rule


# One bad value


UNSAID = "missing", "not-finite"
"""The rule of NaN in a file with types, or as a text: to format 2 a missing value, to format 1 no finite one."""


def rule_in(artifact: Verified, told: str | tuple[str, str]) -> str:
    """The rule of the artifact's format, or what it tells of a value, where they differ."""
    return told if isinstance(told, str) else told[artifact.manifest.format == 1]


CSV = [
    ("", "missing", ""),
    (" ", "missing", " "),
    ("hello", "not-a-number", "hello"),
    ("1_0", "not-a-number", "1_0"),
    ("1 0", "not-a-number", "1 0"),
    ("0x10", "not-a-number", "0x10"),
    ("true", "not-a-number", "true"),
    ("٣", "not-a-number", "٣"),
    ("1\0", "not-a-number", "1\0"),
    ("1.5.2", "not-a-number", "1.5.2"),
    ('"1,5"', "not-a-number", "1,5"),
    ("nan", "not-finite", "nan"),
    ("NaN", UNSAID, "NaN"),
    ("-inf", "not-finite", "-inf"),
    ("1e999", "not-finite", "1e999"),
    ("1.7e308", "not-finite", "1.7e308"),
    ("9007199254740993", "not-exact", "9007199254740993"),
    ("-9007199254740993", "not-exact", "-9007199254740993"),
    ("9" * 400, "not-finite", "9" * 80),
]

TOLD = {"1.7e308": ("1.7e308", "1.7e+308")}
"""What each format tells of a value that it has read as a number."""


@pytest.mark.parametrize(("text", "rule", "value"), CSV, ids=[each[0][:20].encode().hex() or "empty" for each in CSV])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_bad_value_of_a_csv(
    either: Verified, tmp_path: Path, text: str, rule: str | tuple[str, str], value: str, row: int
) -> None:
    """A value that is no finite number is refused, wherever it stands, with its row, its column and its text."""
    lines = ["1,2"] * 3
    lines[row] = f"1,{text}"
    path = tmp_path / "rows.csv"
    path.write_text("width,height\n" + "\n".join(lines) + "\n")
    error = refused(either, path, to=tmp_path / "out.parquet")
    assert [problem.place for problem in error.problems] == [f"rows.csv, row {row}, column 'height'"]
    assert error.rules == {rule_in(either, rule)}
    answer(either, path, to=tmp_path / "out.parquet", on_error="quarantine")
    (bad,) = rejected(tmp_path / "out.parquet")
    assert (bad["file"], bad["row"], bad["column"], bad["rule"]) == ("rows.csv", row, "height", rule_in(either, rule))
    assert bad["value"] == rule_in(either, TOLD.get(value, value))
    assert parquet.read_table(tmp_path / "out.parquet").column("row").to_pylist() == [
        each for each in range(3) if each != row
    ]


JSON = [
    ('{"width": 1}', "missing", "height"),
    ('{"width": 1, "height": null}', "missing", "height"),
    ('{"width": 1, "height": "two"}', "not-a-number", "height"),
    ('{"width": 1, "height": true}', "not-a-number", "height"),
    ('{"width": 1, "height": [2]}', "not-a-number", "height"),
    ('{"width": 1, "height": {"a": 2}}', "not-a-number", "height"),
    ('{"width": 1, "height": 1e999}', "not-finite", "height"),
    ('{"width": 1, "height": -1e999}', "not-finite", "height"),
    ('{"width": 1, "height": 1.7e308}', "not-finite", "height"),
    ('{"width": 1, "height": 9007199254740993}', "not-exact", "height"),
    (f'{{"width": 1, "height": {"9" * 5000}}}', "not-exact", "height"),
    ('{"width": 1, "height": NaN}', "json-invalid", None),
    ('{"width": 1, "height": Infinity}', "json-invalid", None),
    ('{"width": 1, "height": 01}', "json-invalid", None),
    ('{"width": 1, "height": 1_0}', "json-invalid", None),
    ('{"width": 1, "height": 2', "json-invalid", None),
    ('{"width": 1, "height": 2} {}', "json-invalid", None),
    ("[1, 2]", "json-invalid", None),
    ("1", "json-invalid", None),
    ("null", "json-invalid", None),
    ("[" * 100_000, "json-invalid", None),
    ('{"a":' * 100_000, "json-invalid", None),
    ('{"width": 1, "height": 2, "width": 3}', "duplicate-key", None),
    ('{"width": 1, "height": 2, "note": {"a": 1, "a": 1}}', "duplicate-key", None),
    ('{"width": 1, "height": 2, "note": "\\ud800"}', "json-invalid", "note"),
    ('{"width": 1, "height": 2, "label": 3}', "label-unknown", "label"),
    ('{"width": 1, "height": 2, "label": true}', "label-unknown", "label"),
    ('{"width": 1, "height": 2, "label": ["no"]}', "label-unknown", "label"),
    ('{"width": 1, "height": 2, "label": "perhaps"}', "label-unknown", "label"),
]


@pytest.mark.parametrize(("line", "rule", "column"), JSON, ids=[each[0][:50] for each in JSON])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_bad_line_of_json(
    either: Verified, tmp_path: Path, line: str, rule: str, column: str | None, row: int
) -> None:
    """A line that is no row is refused, wherever it stands: nothing is guessed, nothing runs out of stack."""
    lines = ['{"width": 1, "height": 2, "note": "a", "label": "no"}'] * 3
    lines[row] = line
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines))
    error = refused(either, path, to=tmp_path / "out.parquet", keep=("note",))
    assert error.rules == {rule}
    assert error.problems[0].place == f"rows.jsonl, row {row}" + (f", column '{column}'" if column else "")
    answer(either, path, to=tmp_path / "out.parquet", keep=("note",), on_error="quarantine")
    (bad,) = rejected(tmp_path / "out.parquet")
    assert (bad["row"], bad["column"], bad["rule"]) == (row, column, rule)
    assert parquet.read_table(tmp_path / "out.parquet").num_rows == 2


@pytest.mark.parametrize("suffix", ["jsonl", *TYPED])
def test_a_number_as_a_text(of_words: Verified, of_words_1: Verified, tmp_path: Path, suffix: str) -> None:
    """Where types are told, a number's text is that number to format 2, as in a CSV, and no number to format 1."""
    path = write_rows(tmp_path / f"rows.{suffix}", {"width": [1, 2], "height": ["1", "2.5"]})
    assert rule_of(of_words_1, path) == "not-a-number"
    as_numbers = write_rows(tmp_path / "numbers.parquet", {"width": [1, 2], "height": [1, 2.5]})
    told = answered(of_words, path, to=tmp_path / "out.parquet").to_pydict()
    assert told == answered(of_words, as_numbers, to=tmp_path / "out2.parquet").to_pydict()


TYPES = [
    (pa.array([1.0, None]), "missing"),
    (pa.array([1, None]), "missing"),
    (pa.array([1.0, None], pa.float16()), "missing"),
    (pa.array([1.0, np.nan]), UNSAID),
    (pa.array([1.0, np.nan], pa.float16()), UNSAID),
    (pa.array([1.0, -np.inf], pa.float32()), "not-finite"),
    (pa.array([1.0, 1.7e308]), "not-finite"),
    (pa.array([1, 2**53], pa.int64()), "not-exact"),
    (pa.array([1, -(2**53)], pa.int64()), "not-exact"),
    (pa.array([1, 2**64 - 1], pa.uint64()), "not-exact"),
    (pa.array([1.0, None]).dictionary_encode(), "missing"),
]


@pytest.mark.parametrize(("column", "rule"), TYPES, ids=[f"{each[0].type} {each[0][1]}" for each in TYPES])
@pytest.mark.parametrize("suffix", TYPED)
def test_a_bad_value_of_a_typed_file(
    either: Verified, tmp_path: Path, suffix: str, column: pa.Array, rule: str | tuple[str, str]
) -> None:
    """The same holds where columns bring their types: the second row is bad."""
    path = write_rows(tmp_path / f"rows.{suffix}", {"width": [1, 2], "height": column})
    error = refused(either, path, to=tmp_path / "out.parquet")
    assert error.rules == {rule_in(either, rule)}
    assert error.problems[0].place == f"rows.{suffix}, row 1, column 'height'"


WRONG = [
    pa.array([1, 2], pa.date32()),
    pa.array([1, 2], pa.timestamp("us")),
    pa.array([[1], [2]]),
    pa.array([{"a": 1}, {"a": 2}]),
    pa.array([b"1", b"2"]),
]


@pytest.mark.parametrize("column", WRONG, ids=[str(each.type) for each in WRONG])
@pytest.mark.parametrize("suffix", TYPED)
def test_a_column_of_another_type(either: Verified, tmp_path: Path, suffix: str, column: pa.Array) -> None:
    """A feature that holds no numbers is refused for the whole file, which is named, even if bad rows are set aside."""
    path = write_rows(tmp_path / f"rows.{suffix}", {"width": [1, 2], "height": column})
    error = refused(either, path, to=tmp_path / "out.parquet", on_error="quarantine")
    assert error.rules == {"not-a-number"}
    assert str(path) in error.problems[0].place
    assert "'height'" in error.problems[0].message


@pytest.mark.parametrize("suffix", TYPED)
def test_a_column_of_texts(of_words: Verified, of_words_1: Verified, tmp_path: Path, suffix: str) -> None:
    """Texts where numbers belong: format 1 refuses the whole file, format 2 the rows whose text is no number."""
    for column in (pa.array(["1", "two"]), pa.array(["1", "two"]).dictionary_encode()):
        path = write_rows(tmp_path / f"rows.{suffix}", {"width": [1, 2], "height": column})
        error = refused(of_words_1, path, to=tmp_path / "out.parquet", on_error="quarantine")
        assert error.rules == {"not-a-number"}
        assert str(path) in error.problems[0].place
        assert "'height'" in error.problems[0].message
        error = refused(of_words, path, to=tmp_path / "out.parquet")
        assert error.rules == {"not-a-number"}
        assert [problem.place for problem in error.problems] == [f"rows.{suffix}, row 1, column 'height'"]


@pytest.mark.parametrize(
    ("label", "rule"),
    [([1.0], "label-unknown"), ([True], "label-unknown"), ([b"no"], "label-invalid"), ([["no"]], "label-invalid")],
    ids=str,
)
def test_labels_of_another_type(of_words: Verified, tmp_path: Path, label: list, rule: str) -> None:
    """Labels are texts, numbers or booleans; a number is none of a model's texts, and bytes and lists are no labels."""
    path = write_rows(tmp_path / "rows.parquet", {"width": [1], "height": [1], "label": label})
    assert rule_of(of_words, path) == rule


@pytest.mark.parametrize("suffix", ["csv", *TYPED, "jsonl"])
def test_a_label_that_the_model_does_not_know(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """A row with an unknown label is a bad row: it would spoil the figures."""
    path = write_rows(tmp_path / f"rows.{suffix}", {**words(3), "label": ["no", "yes", "no"]})
    error = refused(of_words, path, to=tmp_path / "out.parquet")
    assert error.rules == {"label-unknown"}
    assert "row 1, column 'label'" in error.problems[0].place


@pytest.mark.parametrize("suffix", [*TYPED, "jsonl"])
def test_a_number_is_no_word(of_digits: Verified, of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """In a file with types the text "3" is no 3, and 3 is no text: both are shown as they are."""
    path = write_rows(tmp_path / f"rows.{suffix}", {**digits(1), "target": ["3"]})
    (problem,) = refused(of_digits, path, to=tmp_path / "out.parquet").problems
    assert problem.message == "the label '3' is none of the model's, which are 0, 1, 2, 3, 4, … (10 in all)"
    path = write_rows(tmp_path / f"rows.{suffix}", {**words(1), "label": [3]})
    (problem,) = refused(of_words, path, to=tmp_path / "out.parquet").problems
    assert problem.rule == "label-unknown"
    assert problem.message.startswith(("the label 3 is none", "the label 3.0 is none"))
    assert problem.message.endswith("which are 'no', 'say \"yes\", or no'")


# The first bad row


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_the_first_bad_row_is_told(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """The first bad row is told, whichever column is read first, and whatever kind is found first."""
    columns = words(9)
    height = columns["height"].tolist()
    height[2], height[7] = None, None
    width = columns["width"].tolist()
    width[5] = 1e301
    path = write_rows(tmp_path / f"rows.{suffix}", {"width": width, "height": height})
    error = refused(of_words, path, to=tmp_path / "out.parquet")
    assert [problem.place for problem in error.problems] == [f"rows.{suffix}, row 2, column 'height'"]
    answer(of_words, path, to=tmp_path / "out.parquet", on_error="quarantine")
    assert [bad["row"] for bad in rejected(tmp_path / "out.parquet")] == [2, 5, 7]


def test_a_ragged_row_before_a_bad_value_is_first(of_words: Verified, tmp_path: Path) -> None:
    """A row of another width comes before a bad value in a later row, and after one in an earlier row."""
    path = tmp_path / "rows.csv"
    for lines, rule in ((["1,2", "1", "x,2"], "row-width"), (["1,2", "x,2", "1"], "not-a-number")):
        path.write_text("\n".join(["width,height", *lines]))
        error = refused(of_words, path, to=tmp_path / "out.parquet")
        assert error.rules == {rule}
        assert "row 1" in error.problems[0].place


def test_what_is_set_aside_is_whole(of_words: Verified, tmp_path: Path) -> None:
    """A bad row is written with file, row, column, value, rule, reason, and all that was read of it."""
    path = tmp_path / "rows.csv"
    path.write_text("note,width,height\na,1,2\nb,x,3\nc,4\n")
    predictions = answer(of_words, path, to=tmp_path / "out.parquet", on_error="quarantine", keep=("note",))
    assert rejected(tmp_path / "out.parquet") == [
        {
            "file": "rows.csv",
            "row": 1,
            "column": "width",
            "value": "x",
            "rule": "not-a-number",
            "reason": "'x' is not a number",
            "record": {"width": "x", "height": "3", "note": "b"},
        },
        {
            "file": "rows.csv",
            "row": 2,
            "column": None,
            "value": "c,4",
            "rule": "row-width",
            "reason": "has 2 values, the header has 3 columns",
            "record": "c,4",
        },
    ]
    rows = predictions.receipt.rows
    assert (rows.read, rows.written, rows.rejected) == (3, 1, 2)
    assert rows.rules == {"not-a-number": 1, "row-width": 1}


def test_all_rows_may_be_bad(of_words: Verified, tmp_path: Path) -> None:
    """Where all rows are set aside the predictions are empty, and every row has its reason."""
    path = tmp_path / "rows.csv"
    path.write_text("width,height\n" + "1\n" * 5 + "x,1\n" * 5)
    table = answered(of_words, path, to=tmp_path / "out.parquet", on_error="quarantine")
    assert table.num_rows == 0
    assert [bad["row"] for bad in rejected(tmp_path / "out.parquet")] == [*range(10)]


def test_times_in_a_bad_row_can_be_told(of_words: Verified, tmp_path: Path) -> None:
    """A kept column of nanoseconds, or of years that Python does not know, does not hinder the report."""
    kept = {
        "a": pa.array([1], pa.timestamp("ns")),
        "b": pa.array([2**40], pa.timestamp("s")),
        "c": [[1]],
        "d": [b"\xff"],
    }
    path = write_rows(tmp_path / "rows.parquet", {"width": [None], "height": [1], **kept})
    answered(of_words, path, to=tmp_path / "out.parquet", on_error="quarantine", keep=tuple(kept))
    (bad,) = rejected(tmp_path / "out.parquet")
    assert bad["record"]["a"] == "1970-01-01 00:00:00.000000001"


# The trained range


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_values_out_of_the_trained_range(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """A value far out of the trained range is counted, or refused, or of no account, as is asked."""
    columns = words(5)
    columns["width"] = np.where(np.arange(5) == 3, 1e6, columns["width"])
    path = write_rows(tmp_path / f"rows.{suffix}", columns)
    assert answer(of_words, path, to=tmp_path / "out.parquet").receipt.rows.out_of_range == 1
    assert answer(of_words, path, to=tmp_path / "out.parquet", out_of_range="ignore").receipt.rows.out_of_range == 0
    error = refused(of_words, path, to=tmp_path / "out2.parquet", out_of_range="reject")
    assert error.rules == {"out-of-range"}
    assert "row 3, column 'width'" in error.problems[0].place


# Formulas


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\t=1", "\r=1"])
@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "jsonl", "dictionary"])
def test_formulas_are_not_carried_into_a_csv(of_words: Verified, tmp_path: Path, suffix: str, text: str) -> None:
    """Text that a spreadsheet would run is refused where a CSV is written, and carried elsewhere; numbers are none."""
    note = pa.array(["-1.5e3", text, "+7"])
    columns = {**words(3), "note": note.dictionary_encode() if suffix == "dictionary" else note}
    path = write_rows(tmp_path / f"rows.{'arrow' if suffix == 'dictionary' else suffix}", columns)
    error = refused(of_words, path, to=tmp_path / "out.csv", keep=("note",))
    assert error.rules == {"csv-formula"}
    assert "row 1, column 'note'" in error.problems[0].place
    assert answered(of_words, path, to=tmp_path / "out.parquet", keep=("note",)).num_rows == 3


# Columns


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "jsonl"])
def test_missing_columns_are_named(of_digits: Verified, tmp_path: Path, suffix: str) -> None:
    """A missing column is named; of many the first twenty, and how many more."""
    few = {name: column for name, column in digits(2).items() if name not in {"pixel_0_0", "pixel_7_7"}}
    error = refused(of_digits, write_rows(tmp_path / f"rows.{suffix}", few), to=tmp_path / "out.parquet")
    assert [problem.message for problem in error.problems] == ["no column 'pixel_0_0'", "no column 'pixel_7_7'"]
    error = refused(of_digits, write_rows(tmp_path / f"rows.{suffix}", {"a": [1]}), to=tmp_path / "out.parquet")
    assert len(error.problems) == 21
    assert error.problems[-1].message == "and 44 more"
    assert error.hint == "it has: 'a'"


def test_repeated_columns_are_refused(of_words: Verified, tmp_path: Path) -> None:
    """Two columns of one name: nobody knows which is meant."""
    table = pa.Table.from_arrays([pa.array([1.0])] * 3, ["width", "height", "width"])
    parquet.write_table(table, tmp_path / "rows.parquet")
    with ipc.new_file(str(tmp_path / "rows.arrow"), table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "rows.csv").write_text("width,height,width\n1,2,3\n")
    for suffix in ("parquet", "arrow", "csv"):
        assert rule_of(of_words, tmp_path / f"rows.{suffix}") == "column-repeated"


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "jsonl", "npy", "npz"])
def test_a_kept_column_must_be_there(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """A column that is to be carried through, and is not there, is missing; an array has none at all."""
    path = write_rows(tmp_path / f"rows.{suffix}", words(2))
    assert rule_of(of_words, path, keep=("id",)) == "column-missing"


@pytest.mark.parametrize("shape", [(5, 3), (5, 1), (10,), (), (5, 2, 2), (2, 5)], ids=str)
def test_a_matrix_of_another_width(of_words: Verified, tmp_path: Path, shape: tuple[int, ...]) -> None:
    """A matrix has no names, so its width must be the model's."""
    np.save(tmp_path / "rows.npy", np.zeros(shape))
    np.savez(tmp_path / "rows.npz", X=np.zeros(shape))
    for suffix in ("npy", "npz"):
        assert rule_of(of_words, tmp_path / f"rows.{suffix}") == "rows-shape"


# CSV as bytes


BROKEN = [
    (b"\xff\xfew\0i\0", "not-utf-8"),
    ("width,height\n1,2\n".encode("utf-16"), "not-utf-8"),
    ("width,height\n1,2\n".encode("utf-16-le"), "not-utf-8"),
    (b"width,height,a\n1,2,\xe9\n", "not-utf-8"),
    (b"width,height\n1,\xe9\n", "not-utf-8"),
    (b"width,height\n\xe9\n", "not-utf-8"),
    (b"w\xe9,height\n1,2\n", "not-utf-8"),
    (b'width,height,a\n1,2,"x\n3,4,y\n', "quote-misplaced"),
    (b'width,height,a\n1,2,"x\n3,4,"y\n', "quote-misplaced"),
    (b'width,height,a\n1,2,"x"y\n', "quote-misplaced"),
    (b'width,height,a\n1,2,x"y"\n', "quote-misplaced"),
    (b'width,height,a\n1,2,5" pipe\n', "quote-misplaced"),
    (b'width,height,a\n1,2, "x"\n', "quote-misplaced"),
    (b'width,height,"a\n1,2,x\n', "unreadable"),
    (b"width;height\n1;2\n", "column-missing"),
    (b"\x1f\x8b\x08\0", "another-format"),
    (b"PK\x03\x04", "another-format"),
    (b"PAR1", "another-format"),
    (b"\nwidth,height\n1,2\n", "unreadable"),
    (b"width,height\n", "no-rows"),
    (b"width,height", "no-rows"),
    (b"width,height\n\n\r\n\n", "no-rows"),
]


@pytest.mark.parametrize(("data", "rule"), BROKEN, ids=[str(each[0])[:40] for each in BROKEN])
def test_a_csv_that_is_none(of_words: Verified, tmp_path: Path, data: bytes, rule: str) -> None:
    """Other encodings, quotes that swallow rows, other separators: refused whole, even if bad rows are set aside."""
    (tmp_path / "rows.csv").write_bytes(data)
    assert rule_of(of_words, tmp_path / "rows.csv") == rule
    assert rule_of(of_words, tmp_path / "rows.csv", on_error="quarantine") == rule


def test_the_line_of_what_is_no_text_is_told(of_words: Verified, tmp_path: Path) -> None:
    """The line, as an editor counts it, is told of a byte that is no UTF-8, and of a quote that is not closed."""
    lines = [b"width,height,a", b"1,2,x", b"", b'1,2,"x\ny"']
    for last in (b"1,2,\xff", b'1,2,"x'):
        (tmp_path / "rows.csv").write_bytes(b"\n".join([*lines, last, b"1,2,x"]))
        error = refused(of_words, tmp_path / "rows.csv", to=tmp_path / "out.parquet")
        assert "line 6" in error.problems[0].message


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_an_endless_line_is_refused(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """A line longer than 16 MiB is refused, and not held until memory ends."""
    start = {"csv": b"width,height\n1,", "jsonl": b'{"width": 1, "height": '}[suffix]
    (tmp_path / f"rows.{suffix}").write_bytes(start + b"1" * (18 << 20))
    assert rule_of(of_words, tmp_path / f"rows.{suffix}") == "row-too-long"


def test_json_lines_in_other_encodings(of_words: Verified, tmp_path: Path) -> None:
    """JSON Lines are UTF-8: a line of another encoding is no row, and a file whose characters are wider is none."""
    line = '{"width": 1, "height": 2, "é": 1}'
    for encoding, rule in (("latin-1", "json-invalid"), ("utf-16", "not-utf-8"), ("utf-32-le", "not-utf-8")):
        (tmp_path / "rows.jsonl").write_bytes(line.encode(encoding))
        assert rule_of(of_words, tmp_path / "rows.jsonl") == rule


# Truncation and spoiled bytes


@pytest.mark.parametrize("suffix", WHOLE)
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str) -> None:
    """A file that ends too early is refused at every length, in every format that tells its end."""
    data = write_rows(tmp_path / f"rows.{suffix}", words(30)).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    for length in range(0, len(data), max(1, len(data) // 200)):
        path.write_bytes(data[:length])
        with pytest.raises(DataRejected) as caught:
            read(path)
        assert caught.value.problems, f"{length} of {len(data)} bytes"


def wanted() -> Wanted:
    bounds = np.full(2, 9e9)
    return Wanted(NAMES, "float64", "label", ("no",), (), low=-bounds, high=bounds)


def read(path: Path) -> list[Batch]:
    """All rows of a file, as a prediction reads them."""
    with open_rows(*find_sources([str(path)]), wanted()) as rows:
        batches = list(rows.batches(0))
        if not sum(batch.count for batch in batches):
            raise DataRejected("no rows", problems=[Problem(str(path), "no-rows", "holds no rows")])
        assert rows.digest() == hashlib.sha256(path.read_bytes()).hexdigest()
        return batches


@pytest.mark.parametrize("count", [100, slow(1000)])
@pytest.mark.parametrize("suffix", ALL)
def test_spoiled_bytes_end_in_a_refusal_or_in_rows(tmp_path: Path, suffix: str, count: int) -> None:
    """Whatever becomes of some bytes, the file is read or refused; nothing else is raised."""
    data = write_rows(tmp_path / f"rows.{suffix}", words(30)).read_bytes()
    path = tmp_path / f"spoiled.{suffix}"
    random = np.random.default_rng(3)
    for _ in range(count):
        spoiled = bytearray(data)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            spoiled[place] = random.integers(0, 256)
        path.write_bytes(spoiled)
        with suppress(DataRejected):
            read(path)


# Bombs


def packed(suffix: str, data: bytes) -> bytes:
    return gzip.compress(data, mtime=0) if suffix == "gz" else pa.compress(data, "zstd", asbytes=True)


@pytest.mark.parametrize(
    ("suffix", "packing"), [("csv", "zst"), ("jsonl", "gz"), slow("csv", "gz"), slow("jsonl", "zst")]
)
def test_a_decompression_bomb_is_refused(of_words: Verified, tmp_path: Path, suffix: str, packing: str) -> None:
    """What unpacks to far more than it is, is refused long before its end."""
    row = {"csv": b"1,2\n" + b"\n" * 1000, "jsonl": b'{"width":1,"height":2' + b" " * 1000 + b"}\n"}[suffix]
    data = (b"width,height\n" if suffix == "csv" else b"") + row * ((120 << 20) // len(row))
    path = tmp_path / f"rows.{suffix}.{packing}"
    path.write_bytes(packed(packing, data))
    assert rule_of(of_words, path) == "decompression-bomb"


@pytest.mark.slow
def test_a_parquet_bomb_is_refused(of_words: Verified, tmp_path: Path) -> None:
    """A row group that unpacks to far more than it is, is refused before it is read."""
    note = pa.array(["x" * (1 << 20)]).take(pa.array([0] * 300))
    table = pa.table({"width": [1.0] * 300, "height": [1.0] * 300, "note": note})
    parquet.write_table(table, tmp_path / "rows.parquet", compression="zstd", use_dictionary=False)
    assert rule_of(of_words, tmp_path / "rows.parquet", keep=("note",)) == "decompression-bomb"


def test_an_npz_bomb_is_refused(of_words: Verified, tmp_path: Path) -> None:
    """An array that unpacks to far more than it is, is refused before it is read."""
    with zipfile.ZipFile(tmp_path / "rows.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        file = io.BytesIO()
        np.save(file, np.zeros((8 << 20, 2)))
        archive.writestr("X.npy", file.getvalue())
    data = bytearray((tmp_path / "rows.npz").read_bytes())
    assert len(data) < 1 << 18
    path = tmp_path / "bomb.npz"
    directory = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, directory + 24, 0xF0000000)
    path.write_bytes(data)
    assert rule_of(of_words, path) == "decompression-bomb"


@pytest.mark.parametrize(
    ("kind", "compression"), [("file", "zstd"), ("stream", None), slow("file", None), slow("stream", "zstd")]
)
def test_a_batch_that_is_too_large_is_refused(
    of_digits: Verified, tmp_path: Path, kind: str, compression: str | None
) -> None:
    """An Arrow file may not put more into a batch than memory is meant to hold; an unpacked one is not even read."""
    table = pa.table(dict.fromkeys(digits(1), pa.array(np.zeros(700_000))))
    options = ipc.IpcWriteOptions(compression=compression)
    path = tmp_path / "rows.arrow"
    with (ipc.new_file if kind == "file" else ipc.new_stream)(str(path), table.schema, options=options) as writer:
        writer.write_table(table)
    assert rule_of(of_digits, path) == "batch-too-large"


# Arrays


def npy(header: str | bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() if isinstance(header, str) else header
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text + data


def told(shape: str, descr: str = "'<f8'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


HEADERS = [
    (told("(1, 2)", "'|O'"), "object-array"),
    (told("(1, 2)", "'O'"), "object-array"),
    (told("(2, 2)"), "truncated"),
    (told("(10**18, 2)"), "unreadable"),
    (told("(1000000000000000000, 2)"), "truncated"),
    (told("(0, 2)"), "truncated"),
    (told("(-1, 2)"), "unreadable"),
    (told("(-1, -2)"), "unreadable"),
    (told("(True, 2)"), "unreadable"),
    (told("(1.0, 2)"), "unreadable"),
    (told("[1, 2]"), "unreadable"),
    (told("(1, 2)", "'<f16'"), "not-a-number"),
    (told("(1, 2)", "'|b2'"), "not-a-number"),
    (told("(1, 2)", "'<c16'"), "not-a-number"),
    (told("(1, 2)", "'<M8[s]'"), "not-a-number"),
    (told("(1, 2)", "'<U2'"), ("missing", "not-a-number")),  # its texts are empty
    (told("(1, 2)", "'|S8'"), "not-a-number"),
    (told("(1, 2)", "'|V8'"), "not-a-number"),
    (told("(1, 2)", "[('a', '<f8')]"), "not-a-number"),
    (told("(1, 2)", "[('a', '|O')]"), "not-a-number"),
    (told("(1, 2)", "('<f8', (2,))"), "not-a-number"),
    (told("(1, 2)", "8"), "not-a-number"),
    (told("(1, 2)", order="0"), "unreadable"),
    ("{'descr': '<f8', 'shape': (1, 2)}", "unreadable"),
    ("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), 'more': 1}", "unreadable"),
    ("print('hello')", "unreadable"),
    ("[1, 2, 3]", "unreadable"),
    ("'text'", "unreadable"),
    ("(" * 5000, "unreadable"),
    ("-" * 9000 + "1", "unreadable"),
    ("{'descr': '<f8', 'fortran_order': False, 'shape': (1L, 2L), }", "unreadable"),
    (b"\xff\xfe\0", "unreadable"),
    ("", "unreadable"),
    (" " * 20_000, "unreadable"),
]


@pytest.mark.parametrize(("header", "rule"), HEADERS, ids=[str(each[0])[:60] for each in HEADERS])
def test_an_array_whose_header_lies(
    either: Verified,
    tmp_path: Path,
    header: str | bytes,
    rule: str | tuple[str, str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    """Objects, which only a pickle brings back, other types, shapes that are none or larger than the file: refused."""
    (tmp_path / "rows.npy").write_bytes(npy(header, bytes(16)))
    assert rule_of(either, tmp_path / "rows.npy") == rule_in(either, rule)
    with zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive:
        archive.writestr("X.npy", npy(header, bytes(16)))
    assert rule_of(either, tmp_path / "rows.npz") == rule_in(either, rule)


def test_a_pickle_is_never_loaded(of_words: Verified, tmp_path: Path) -> None:
    """An array of objects that would run code when loaded is refused unread; so is one beside the rows."""

    class Evil:
        def __reduce__(self) -> tuple:
            return Path.write_text, (tmp_path / "ran", "it ran")

    objects = np.array([[Evil(), 1]], dtype=object)
    np.save(tmp_path / "rows.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "rows.npz", X=objects)
    np.savez(tmp_path / "labels.npz", X=np.ones((1, 2)), y=objects[0])
    for name in ("rows.npy", "rows.npz", "labels.npz"):
        assert rule_of(of_words, tmp_path / name) == "object-array"
    assert not (tmp_path / "ran").exists()


def archive_of(members: list[tuple[str, bytes]], packing: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


ROWS = npy(told("(1, 2)"), bytes(16))
ARCHIVES = [
    ([], "column-missing"),
    ([("a.txt", b"hello")], "truncated"),
    ([("a.npy", ROWS), ("b.npy", ROWS)], "column-missing"),
    ([("X.npy", ROWS[:-1])], "truncated"),
    ([("X.npy", ROWS + b"\0")], "truncated"),
    ([("X.npy", ROWS[:20])], "truncated"),
    ([("X.npy", ROWS), ("y.npy", npy(told("(2,)"), bytes(16)))], "rows-shape"),
    ([("X.npy", ROWS), ("y.npy", npy(told("(1, 1)"), bytes(8)))], "rows-shape"),
    ([("X.npy", ROWS), ("y.npy", npy(told("(1,)"), bytes(8)))], "label-unknown"),
    ([("X.npy", ROWS), ("y.npy", npy(told("(1,)", "'<U999999'"), bytes(8)))], "not-a-number"),
    ([("X.npy", ROWS), ("y.npy", npy(told("(1,)", "'<U1'"), b"\xff" * 4))], "unreadable"),
    ([("X.npy", npy(told("(2, 2)", order="True"), bytes(31)))], "truncated"),
    ([("X.npy", npy(told("(2, 2)", order="True"), bytes(33)))], "truncated"),
    ([(f"{name}.npy", ROWS) for name in range(1025)], "unreadable"),
]


@pytest.mark.parametrize(("members", "rule"), ARCHIVES, ids=[f"{each[1]} {len(each[0])}" for each in ARCHIVES])
def test_an_archive_that_is_no_npz(
    of_words: Verified, tmp_path: Path, members: list[tuple[str, bytes]], rule: str
) -> None:
    """No matrix, two candidates, arrays that are shorter or longer than they say, labels of another number."""
    (tmp_path / "rows.npz").write_bytes(archive_of(members))
    assert rule_of(of_words, tmp_path / "rows.npz") == rule


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name(of_words: Verified, tmp_path: Path) -> None:
    """Two arrays of one name: two readers might take two of them."""
    for names in (("X.npy", "X.npy"), ("X.npy", "X")):
        (tmp_path / "rows.npz").write_bytes(archive_of([(name, ROWS) for name in names]))
        assert rule_of(of_words, tmp_path / "rows.npz") == "unreadable"


def test_an_archive_that_is_packed_otherwise(of_words: Verified, tmp_path: Path) -> None:
    """NumPy stores or deflates; other ways of packing, and encryption, are refused."""
    for packing in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        (tmp_path / "rows.npz").write_bytes(archive_of([("X.npy", ROWS)], packing))
        assert rule_of(of_words, tmp_path / "rows.npz") == "unreadable"
    data = bytearray(archive_of([("X.npy", ROWS)]))
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "rows.npz").write_bytes(data)
    assert rule_of(of_words, tmp_path / "rows.npz") == "unreadable"


# Arrow and Parquet


def test_offsets_out_of_their_buffer_are_refused(of_words: Verified, tmp_path: Path) -> None:
    """Nothing in Arrow's format keeps a text within its buffer; ours does, and its UTF-8 too."""
    columns = {"width": [1.0], "height": [1.0], "note": ["Q" * 77]}
    data = write_rows(tmp_path / "rows.arrow", columns).read_bytes()
    text = data.index(b"Q" * 77)
    offsets = data.rindex(struct.pack("<ii", 0, 77), 0, text)
    broken = [(offsets, struct.pack("<ii", *pair)) for pair in ((0, 2**30), (77, 0), (-5, 2))]
    for place, new in [*broken, (text, b"\xff\xfe")]:
        (tmp_path / "rows.arrow").write_bytes(data[:place] + new + data[place + len(new) :])
        assert rule_of(of_words, tmp_path / "rows.arrow", keep=("note",)) == "unreadable"


EVERY_BYTE = """
import sys
sys.path[:0] = sys.argv[1:3]
from contextlib import suppress
from pathlib import Path
from test_bad_rows import DataRejected, read
path = Path(sys.argv[3])
data = path.read_bytes()
for place in range(len(data) - 8 - int.from_bytes(data[-8:-4], "little"), len(data)):
    for change in (0x01, 0x02, 0x10, 0x80, 0xFF):
        path.write_bytes(data[:place] + bytes([data[place] ^ change]) + data[place + 1 :])
        with suppress(DataRejected):
            read(path)
print("alive")
"""


@pytest.mark.slow
def test_no_byte_of_a_footer_ends_the_process(tmp_path: Path, run: Callable) -> None:
    """Arrow 26 ends the process where some statistics are spoiled; no byte of a Parquet file's footer does it here."""
    path = write_rows(tmp_path / "rows.parquet", words(3))
    tests = Path(__file__).parent
    done = run("-c", EVERY_BYTE, tests.parent / "src", tests, path)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr[-2000:]


def test_an_encrypted_parquet_file_is_refused(of_words: Verified, tmp_path: Path) -> None:
    """A Parquet file whose footer says that it is encrypted cannot be read."""
    path = write_rows(tmp_path / "rows.parquet", words(3))
    data = path.read_bytes()
    path.write_bytes(b"PARE" + data[4:-4] + b"PARE")
    assert rule_of(of_words, path) == "unreadable"


def test_one_format_under_the_name_of_another(tmp_path: Path) -> None:
    """A file of another format than its name says is refused, or has no good row, whichever two these are."""
    for suffix in ALL:
        data = write_rows(tmp_path / f"rows.{suffix}", words(3)).read_bytes()
        for other in ALL:
            if {suffix, other} <= {"arrow", "arrows"} or suffix == other:
                continue
            (tmp_path / f"other.{other}").write_bytes(data)
            try:
                assert all(not len(batch.numbers) for batch in read(tmp_path / f"other.{other}"))
            except DataRejected:
                continue
            assert other.startswith("jsonl"), (suffix, other)


# What is no file


def test_a_fifo_a_device_and_a_folder_are_refused(of_words: Verified, tmp_path: Path) -> None:
    """What is no regular file is refused at once; nobody waits for a writer."""
    os.mkfifo(tmp_path / "fifo.csv")
    (tmp_path / "null.csv").symlink_to("/dev/null")
    (tmp_path / "zero.parquet").symlink_to("/dev/zero")
    for name in ("fifo.csv", "null.csv", "zero.parquet"):
        assert rule_of(of_words, tmp_path / name) == "unreadable"
    (tmp_path / "folder.csv").mkdir()
    assert rule_of(of_words, tmp_path / "folder.csv") == "missing-file"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
@pytest.mark.parametrize("suffix", ALL)
def test_a_file_that_cannot_be_read_on_is_refused(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """What the system says while a file is read, such as of a spoiled disk, is a refusal that names the file."""
    (tmp_path / f"rows.{suffix}").symlink_to("/proc/self/mem")
    error = refused(of_words, tmp_path / f"rows.{suffix}", to=tmp_path / "out.parquet")
    assert error.rules <= {"unreadable", "truncated"}


def test_a_missing_file_and_a_dangling_link_are_refused(of_words: Verified, tmp_path: Path) -> None:
    """What is not there is named."""
    (tmp_path / "link.csv").symlink_to("nowhere.csv")
    for name in ("none.csv", "link.csv"):
        error = refused(of_words, tmp_path / name, to=tmp_path / "out.parquet")
        assert error.rules == {"missing-file"}
        assert name in error.problems[0].place


@pytest.mark.parametrize("suffix", ALL)
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, suffix: str) -> None:
    """Rows of two versions of a file are answered by no digest: the change is seen at the end."""
    path = write_rows(tmp_path / f"rows.{suffix}", words(100))

    opened = ExitStack()
    rows = opened.enter_context(open_rows(*find_sources([str(path)]), wanted()))
    list(rows.batches(0))
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(DataRejected) as caught:
        opened.close()
    assert caught.value.rules == {"changed"}


@pytest.mark.parametrize("suffix", ALL)
def test_the_digest_is_that_of_the_file(tmp_path: Path, suffix: str) -> None:
    """The receipt's digest is what `sha256sum` prints, of the packed bytes, in every format."""
    path = write_rows(tmp_path / f"rows.{suffix}", words(100))
    assert sum(batch.count for batch in read(path)) == 100
    assert not [thread for thread in threading.enumerate() if "digest" in thread.name]


def test_the_command_line_tells_what_is_bad(
    published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 5, with file, row, column, value and mend on standard error; no output, no receipt."""
    monkeypatch.chdir(published)
    columns = {name: column.tolist() for name, column in digits(3).items()}
    columns["pixel_3_3"] = ["1", "hello", "2"]
    write_rows(published / "rows.csv", columns)
    before = sorted(published.iterdir())
    assert main(["predict", "rows.csv", "-o", "out.csv"]) == 5
    told = capsys.readouterr().err
    assert "rows.csv, row 1, column 'pixel_3_3': 'hello' is not a number" in told
    assert "--on-error quarantine" in told
    assert sorted(published.iterdir()) == before
    assert main(["predict", "rows.csv", "-o", "out.csv", "--on-error", "quarantine"]) == 0
    receipt = json.loads((published / "out.csv.receipt.json").read_text())
    assert receipt["rows"] == {"read": 3, "written": 2, "rejected": 1, "rules": {"not-a-number": 1}, "out_of_range": 0}


WHOLE = """
import sys
sys.path[:0] = sys.argv[1:]
from artifact_pipeline.cli import main
from tests.tools import peak_memory
status = main(["predict", "rows.csv", "-o", "out.parquet", "--on-error", "quarantine", "--quiet"])
print(status, peak_memory())
"""


@pytest.mark.slow
def test_bad_rows_do_not_gather_in_memory(published: Path, run: Callable) -> None:
    """A file of nothing but bad rows is set aside in the memory that good ones take."""
    head = ",".join(load_digits().names)
    row = ",".join(["x", *["1"] * 63])
    (published / "rows.csv").write_text(f"{head}\n" + f"{row}\n" * 140_000)
    done = run("-c", WHOLE, Path("src").resolve(), Path.cwd(), cwd=published)
    status, peak = map(int, done.stdout.split())
    assert status == 0, done.stderr
    assert len((published / "out.parquet.rejected.jsonl").read_text().splitlines()) == 140_000
    assert peak < 400, f"{peak} MiB"

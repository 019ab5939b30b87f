from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pyarrow import parquet
from sklearn.datasets import load_digits as theirs

from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.rows import table
from artifact_pipeline.rows.matrix import Rows
from tables import write_table

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = ("csv", "parquet", "jsonl", "ndjson")
COLUMNS = {"a": [1.5, -2.0, 0.1], "b": [3, 4, 5], "kind": ["no", "yes", "no"]}
numbers = st.floats(1 - 2**53, 2**53 - 1)  # beyond, CSV may write a whole number that is refused


def read_table(path: Path, **asked: Any) -> Rows:
    """The rows of a file."""
    return table.read_table(str(path), **asked)


def told(error: DataRejected, path: Path) -> list[str]:
    """Each problem with its place in the file."""
    places = [problem.place.removeprefix(str(path)).removeprefix(", ") for problem in error.problems]
    words = [problem.message for problem in error.problems]
    return [f"{place}: {message}".removeprefix(": ") for place, message in zip(places, words, strict=True)]


def refused(path: Path, **asked: object) -> DataRejected:
    """The refusal of a file; every one has a problem whose place begins with the file, and a hint."""
    with pytest.raises(DataRejected) as caught:
        read_table(path, **{"target": "kind", **asked})
    assert caught.value.problems
    assert all(problem.place.startswith(str(path)) for problem in caught.value.problems)
    assert caught.value.hint
    return caught.value


def rule_of(path: Path) -> str:
    (rule,) = refused(path).rules
    return rule


# The built-in digits


def test_digits_are_scikit_learns() -> None:
    """The shipped digits equal `load_digits` of scikit-learn in rows, labels, their types and the columns' names."""
    ours, expected = load_digits(), theirs()
    assert ours.X.dtype == expected.data.dtype
    assert np.array_equal(ours.X, expected.data)
    assert ours.y.dtype == expected.target.dtype
    assert np.array_equal(ours.y, expected.target)
    assert list(ours.names) == expected.feature_names


def test_digits_cannot_be_changed() -> None:
    """The digits are loaded once for everyone, so nobody can write into them."""
    with pytest.raises(ValueError, match="read-only"):
        load_digits().X[0, 0] = 1


# The digest


def rows(**changed: object) -> Rows:
    plain = Rows(
        source="table", names=("a", "b"), target="kind", X=np.array([[1.0, 2.0], [3.0, 4.0]]), y=np.array([0, 1])
    )
    return replace(plain, **changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"X": np.array([[1.0, 2.0], [3.0, np.nextafter(4, 5)]])},
        {"X": np.array([[3.0, 4.0], [1.0, 2.0]])},
        {"X": np.array([[1.0, 2.0, 3.0, 4.0]])},
        {"X": np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)},
        {"y": np.array([1, 0])},
        {"y": np.array(["0", "1"])},
        {"y": None},
        {"names": ("b", "a")},
        {"names": ("a", "c")},
        {"target": "sort"},
    ],
    ids=" ".join,
)
def test_digest_depends_on_each_value_name_dtype_and_order(changed: dict[str, object]) -> None:
    """Another value, order, shape, dtype or name is another digest."""
    assert rows(**changed).digest() != rows().digest()


@pytest.mark.parametrize(
    "layout",
    [np.asfortranarray, lambda X: X.astype(">f8"), lambda X: np.repeat(X, 2, axis=1)[:, ::2]],
    ids=["Fortran order", "big-endian", "strided"],
)
def test_digest_does_not_depend_on_the_layout_in_memory(layout) -> None:
    """The digest is over the values: memory order and byte order are nobody's business."""
    assert rows(X=layout(rows().X)).digest() == rows().digest()


def test_digest_does_not_depend_on_the_source() -> None:
    """Equal rows have equal digests, wherever they came from."""
    assert rows(source="digits").digest() == rows().digest()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    X=arrays.arrays(np.float64, (3, 2), elements=numbers),
    y=st.one_of(
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
        st.lists(
            st.text(st.characters(categories=("L",)), min_size=1, max_size=9).map("ß".__add__), min_size=3, max_size=3
        ),
    ),
)
@example(X=np.array([[-0.0, 1.0], [2.0, 3.0], [4.0, -0.0]]), y=[0, 1, 0])
def test_digest_does_not_depend_on_the_format(tmp_path: Path, X: np.ndarray, y: list[int] | list[str]) -> None:
    """The same table as CSV, Parquet and JSON Lines gives the same rows, bit for bit, and so the same digest."""
    columns = {"a": X[:, 0], "b": X[:, 1], "kind": y}
    read = [read_table(write_table(tmp_path / f"rows.{suffix}", columns), target="kind") for suffix in SUFFIXES]
    assert np.array_equal(read[0].X, X)
    assert read[0].y.tolist() == y
    assert {(each.X.tobytes(), each.y.dtype, each.digest()) for each in read} == {
        (read[0].X.tobytes(), read[0].y.dtype, read[0].digest())
    }


# Tables


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_is_read(tmp_path: Path, suffix: str) -> None:
    """All columns but the target are features, in the file's order, as float64 in C order; text labels are text."""
    read = read_table(write_table(tmp_path / f"rows.{suffix}", COLUMNS), target="kind")
    assert read.names == ("a", "b")
    assert read.X.tolist() == [[1.5, 3.0], [-2.0, 4.0], [0.1, 5.0]]
    assert read.X.dtype == np.float64
    assert read.X.flags.c_contiguous
    assert read.y.tolist() == ["no", "yes", "no"]
    assert read.y.dtype.kind == "U"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_whole_number_labels_are_int64(tmp_path: Path, suffix: str) -> None:
    """Labels that are whole numbers are int64, whatever integers the file holds."""
    columns = {**COLUMNS, "kind": pa.array([7, 0, 255], pa.uint8())}
    read = read_table(write_table(tmp_path / f"rows.{suffix}", columns), target="kind")
    assert read.y.dtype == np.int64
    assert read.y.tolist() == [7, 0, 255]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_features_are_taken_by_name(tmp_path: Path, suffix: str) -> None:
    """Where features are named they are read in that order, in whatever order the file has them, and others left."""
    columns = {"extra": ["x", "y", "z"], "b": COLUMNS["b"], "kind": COLUMNS["kind"], "a": COLUMNS["a"]}
    mixed = write_table(tmp_path / f"mixed.{suffix}", columns)
    plain = write_table(tmp_path / f"plain.{suffix}", COLUMNS)
    read = read_table(mixed, target="kind", features=["a", "b"])
    assert read.digest() == read_table(plain, target="kind").digest()


def test_a_decimal_after_many_whole_numbers_is_read(tmp_path: Path) -> None:
    """A CSV larger than a reader's block may have its first decimal in a later block."""
    path = tmp_path / "rows.csv"
    path.write_text("a,kind\n" + "".join(f"{row},0\n" for row in range(150_000)) + "0.5,1\n")
    assert path.stat().st_size > 1 << 20
    assert read_table(path, target="kind", features=["a"]).X[-1, 0] == 0.5


@pytest.mark.slow
def test_json_lines_of_several_blocks_are_read(tmp_path: Path) -> None:
    """Where a reader of JSON Lines cuts does not show: not in the rows, the labels, or the row that a refusal names."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"a": {row}, "kind": {row % 3}}}\n' for row in range(60_000)))
    assert path.stat().st_size > 1 << 20
    read = read_table(path, target="kind", features=["a"])
    assert np.array_equal(read.X[:, 0], np.arange(60_000))
    assert np.array_equal(read.y, np.arange(60_000) % 3)
    with path.open("a") as file:
        file.write('{"a": "x", "kind": "no"}\n')
    assert told(refused(path), path) == [
        "row 60000, column 'a': 'x' is of another type than the values before it",
        "row 60000, column 'kind': a label must be a number, as those before it, got \"no\"",
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "b": 0.5, "kind": 3}\n{"a": -0.0, "b": 2, "kind": 4}\n',
        '{"a": 1.0, "b": 0.5, "kind": 3}\n{"kind": 4, "b": 2, "a": 0}',
        '\n {"a":1,"b":5e-1,"kind":3} \r\n\t\n{"\\u0061":-0,"b":2,"kind":4}\r\n\r\n',
    ],
    ids=["plain", "another order, and no end", "blanks, escapes and empty lines"],
)
def test_how_json_is_written_does_not_show(tmp_path: Path, text: str) -> None:
    """1 and 1.0 are one number; the order of keys, blanks, escapes and empty lines are nobody's business."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(text.encode())
    columns = {"a": [1, 0], "b": [0.5, 2], "kind": [3, 4]}
    plain = write_table(tmp_path / "rows.csv", columns)
    ours, theirs = (read_table(each, target="kind", features=["a", "b"]) for each in (path, plain))
    assert ours.digest() == theirs.digest()


@pytest.mark.parametrize("labels", [["1", "2"], ["2020-01-01", "true"], ["ja", "ä\u2028\U0001f600"]])
def test_text_labels_of_json_lines_stay_text(tmp_path: Path, labels: list[str]) -> None:
    """A label in quotes is text, whatever else it could be."""
    read = read_table(write_table(tmp_path / "rows.jsonl", {"a": [5, 7], "kind": labels}), target="kind")
    assert read.y.tolist() == labels
    assert read.y.dtype.kind == "U"


def test_parquet_of_several_chunks_is_read(tmp_path: Path) -> None:
    """Row groups and chunks do not show in the rows."""
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"a": range(10), "kind": range(10)}), path, row_group_size=3)
    read = read_table(path, target="kind", features=["a"])
    assert read.X[:, 0].tolist() == read.y.tolist() == list(range(10))


# Refusals


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"", "no-rows"),
        (b"a,kind\n", "no-rows"),
        (b"kind\n1\n", "no-columns"),
        (b"a,kind\n1,x\n2\n", "row-width"),
        (b"a,b\n1,2\n", "column-missing"),
        (b"a;kind\n1;x\n", "column-missing"),
        (b"a,a,kind\n1,2,x\n", "column-repeated"),
        (b",a,kind\n0,1,x\n", "column-name"),
        (b"%s,kind\n1,x\n" % (b"a" * 257), "column-name"),
        ("é,kind\n1,x\n".encode("latin-1"), "not-utf-8"),
        ("a,kind\n1,x\n".encode("utf-16"), "not-utf-8"),
        (b"a,kind\n1,x\nhello,y\n", "not-a-number"),
        (b"a,kind\n1,x\n1_0,y\n", "not-a-number"),
        (b"a,kind\n1,x\ntrue,y\n", "not-a-number"),
        (b'a,kind\n1,"x\ny"\n', "label-lines"),
        (b'a,kind\n1,"x\n2,y\n', "quote-misplaced"),
        (b"a,kind\n1,x\nnan,y\n", "not-a-number"),
        (b"a,kind\n1,x\ninf,y\n", "not-a-number"),
        (b"a,kind\n1,x\n-inf,y\n", "not-a-number"),
        (b"a,kind\n1,x\n1e999,y\n", "not-finite"),
        (b"a,kind\n1,x\n1.7e308,y\n", "not-finite"),
        (b"a,kind\n1,x\n9007199254740993,y\n", "not-exact"),
        (b"a,kind\n1,x\n-9007199254740993,y\n", "not-exact"),
        (b"a,kind\n1,x\n2,\n", "label-missing"),
        (b"a,kind\n1,1\n2,\n", "label-missing"),
        (b"a,kind\n1,0.5\n2,1.5\n", "label-invalid"),
        (b"a,kind\n1,1\n2,9223372036854775808\n", "label-invalid"),
        (b"a,kind\n1,x\0\n2,x\n", "label-invalid"),
        (b"a,kind\n1,x\n2,%s\n" % (b"x" * 257), "label-invalid"),
        (b"a,kind\n1,\xff\n2,x\n", "not-utf-8"),
    ],
)
def test_csv_that_is_refused(tmp_path: Path, text: bytes, rule: str) -> None:
    """What would be learned wrongly or not at all is refused by the name of its rule, and the file is named."""
    path = tmp_path / "rows.csv"
    path.write_bytes(text)
    assert rule_of(path) == rule


GOOD = b'{"a": 1, "kind": 1}\n'
HALF = "holds half a character, or is nested too deeply"
OTHER = "a label must be text, a whole number, true or false"


@pytest.mark.parametrize(
    ("text", "rule", "message"),
    [
        (b"", "no-rows", "holds no rows"),
        (b"\n \n", "no-rows", "holds no rows"),
        (b"{}\n", "column-missing", "row 0: is an object without a key"),
        (b'{"kind": 1}\n', "no-columns", "has no column to learn from beside the target 'kind'"),
        (b'{"": 1, "kind": 1}', "column-name", None),
        (b'{"%s": 1, "kind": 1}' % (b"a" * 257), "column-name", None),
        (GOOD + b'{"a": 1}', "label-missing", "row 1, column 'kind': the label is missing"),
        (GOOD + b'{"a": 1, "b": 2, "kind": 1}', "column-late", "row 1, column 'b': no row before has this column"),
        (GOOD + b'{"a": 1, "a": 1, "kind": 1}', "duplicate-key", "row 1: the key 'a' stands twice"),
        (b'{"a": {"b": 1, "b": 2}, "kind": 1}', "duplicate-key", "row 0: the key 'b' stands twice"),
        (GOOD + b"[1, 2]", "json-invalid", "row 1: is not an object in JSON"),
        (GOOD + b"{'a': 1}", "json-invalid", None),
        (GOOD + b'{"a": 1, "kind": 1', "json-invalid", None),
        (GOOD + b'{"a": 1,\n"kind": 1}', "json-invalid", None),
        (
            GOOD + GOOD.strip() + GOOD,
            "json-invalid",
            "row 1: is not an object in JSON: Extra data, at character 20",
        ),
        (GOOD + b"[" * 100_000, "json-invalid", None),
        (GOOD + b'{"a": NaN, "kind": 1}', "json-invalid", None),
        (GOOD + b'{"a": -Infinity, "kind": 1}', "json-invalid", None),
        (GOOD + b'{"a": 01, "kind": 1}', "json-invalid", None),
        (GOOD + b'{"a": 1, "kind": "\xff"}', "json-invalid", None),
        (GOOD + b'{"a": 1, "\\udc00": 1}', "column-late", "row 1, column '\\udc00': no row before has this column"),
        (b'{"a": 1, "kind": "\\ud83d"}', "json-invalid", f"row 0: {HALF}"),
        (GOOD.decode().encode("utf-16"), "not-utf-8", "is no UTF-8: it looks like UTF-16"),
        (b'{"a": "1", "kind": 1}', "free-text", None),
        (
            GOOD + b'{"a": true, "kind": 1}',
            "mixed-kinds",
            "row 1, column 'a': True is of another type than the values before it",
        ),
        (GOOD + b'{"a": [1], "kind": 1}', "nested", "row 1, column 'a': [1] is a list or an object"),
        (GOOD + b'{"a": {"b": 1}, "kind": 1}', "nested", None),
        (GOOD + b'{"a": 1e999, "kind": 1}', "not-finite", None),
        (GOOD + b'{"a": -1.7e308, "kind": 1}', "not-finite", None),
        (GOOD + b'{"a": 9007199254740993, "kind": 1}', "not-exact", None),
        (b'{"a": 0.5, "kind": 1}\n{"a": 9007199254740993, "kind": 1}', "not-exact", None),
        (GOOD + b'{"a": -1%s, "kind": 1}' % (b"0" * 400), "not-exact", None),
        (GOOD + b'{"a": 1%s, "kind": 1}' % (b"0" * 5000), "not-exact", None),
        (b'{"a": 1, "kind": null}', "label-missing", "row 0, column 'kind': the label is missing"),
        (b'{"a": 1, "kind": ""}', "label-missing", "row 0, column 'kind': the label is missing"),
        (b'{"a": 1, "kind": 1.5}', "label-invalid", "row 0, column 'kind': 1.5 is a measured number, no class"),
        (b'{"a": 1, "kind": [1]}', "label-invalid", f"row 0, column 'kind': {OTHER}, got [1]"),
        (GOOD + b'{"a": 1, "kind": true}', "label-invalid", None),
        (
            GOOD + b'{"a": 1, "kind": "1"}',
            "label-invalid",
            "row 1, column 'kind': a label must be a number, as those before it, got \"1\"",
        ),
        (
            b'{"a": 1, "kind": "1"}\n' + GOOD,
            "label-invalid",
            "row 1, column 'kind': a label must be text, as those before it, got 1",
        ),
        (GOOD + b'{"a": 1, "kind": 9223372036854775808}', "label-invalid", None),
        (GOOD + b'{"a": 1, "kind": -9223372036854775809}', "label-invalid", None),
        (b'{"a": 1, "kind": "x\\u0000"}', "label-invalid", None),
        (b'{"a": 1, "kind": "%s"}' % (b"x" * 257), "label-invalid", None),
    ],
)
def test_json_lines_that_are_refused(tmp_path: Path, text: bytes, rule: str, message: str | None) -> None:
    """The same holds for JSON Lines, in which each line may be another thing: the row is named, and the column."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(text)
    error = refused(path)
    (problem,) = error.problems
    assert problem.rule == rule
    assert message in {None, *told(error, path)}
    assert len(problem.message) < 400


def test_an_endless_line_of_json_is_refused(tmp_path: Path) -> None:
    """A line is held to 16 MiB, so that a file without line ends is not read whole into memory."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(GOOD + b" " * (17 << 20) + GOOD)
    assert rule_of(path) == "row-too-long"


@pytest.mark.slow
def test_a_key_that_stands_twice_is_found_among_very_many(tmp_path: Path) -> None:
    """A line of a hundred thousand keys, the last of which stands twice, is refused."""
    path = tmp_path / "rows.jsonl"
    keys = "".join(f'"{number}": 1, ' for number in range(100_000))
    path.write_text(f'{{{keys}"kind": 1, "99999": 1}}\n')
    assert rule_of(path) == "duplicate-key"


def not_utf_8() -> pa.Array:
    """A text column that claims to be UTF-8."""
    offsets = pa.py_buffer(np.array([0, 1, 2], dtype=np.int32))
    return pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xff\xfe")])


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"a": [1.0, np.inf], "kind": [1, 2]}, "not-finite"),
        ({"a": pa.nulls(2), "kind": [1, 2]}, "no-columns"),
        ({"a": [2**53, 1], "kind": [1, 2]}, "not-exact"),
        ({"a": pa.array([2**63 + 1, 1], pa.uint64()), "kind": [1, 2]}, "not-exact"),
        ({"a": ["1", "2"], "kind": [1, 2]}, "free-text"),
        ({"a": pa.array([1, 2], pa.date32()), "kind": [1, 2]}, "date"),
        ({"a": [[1], [2]], "kind": [1, 2]}, "nested"),
        ({"a": [1, 2], "kind": [1, None]}, "label-missing"),
        ({"a": [1, 2], "kind": ["x", None]}, "label-missing"),
        ({"a": [1, 2], "kind": pa.nulls(2)}, "label-missing"),
        ({"a": [1, 2], "kind": pa.array([2**63, 1], pa.uint64())}, "label-invalid"),
        ({"a": [1, 2], "kind": [1.0, 2.5]}, "label-invalid"),
        ({"a": [1, 2], "kind": [b"x", b"y"]}, "label-invalid"),
        ({"a": [1, 2], "kind": [[1], [2]]}, "label-invalid"),
        ({"a": [1, 2], "kind": not_utf_8()}, "unreadable"),
        ({"a": [], "kind": []}, "no-rows"),
    ],
)
def test_parquet_that_is_refused(tmp_path: Path, columns: dict[str, list], rule: str) -> None:
    """The same holds for Parquet, whose columns bring their types."""
    assert rule_of(write_table(tmp_path / "rows.parquet", columns)) == rule


def test_a_repeated_column_of_parquet_is_refused(tmp_path: Path) -> None:
    """Two columns of one name are refused in Parquet too."""
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.Table.from_arrays([pa.array([1])] * 3, ["a", "a", "kind"]), path)
    assert rule_of(path) == "column-repeated"


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    """A Parquet file that ends anywhere before its end is refused."""
    whole = write_table(tmp_path / "rows.parquet", COLUMNS).read_bytes()
    path = tmp_path / "cut.parquet"
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        assert rule_of(path) == "unreadable", length


def test_many_missing_columns_are_refused_at_once(tmp_path: Path) -> None:
    """Of thousands of missing columns the first are compared with what is there: all with all would take minutes."""
    path = write_table(tmp_path / "rows.csv", {**{f"column {at}": [at, 1] for at in range(3000)}, "kind": [0, 1]})
    error = refused(path, features=[f"Column_{at}" for at in range(3000)])
    assert len(error.problems) == 3000
    assert str(error.hint).startswith("did you mean 'column 0', 'column 1', 'column 2'")


@pytest.mark.parametrize("asked", [{}, {"columns": {"a": "category"}}, {"target": "a"}, {"drop": ["a"]}])
def test_times_in_an_unknown_zone_are_refused(tmp_path: Path, asked: dict[str, Any]) -> None:
    """A column of times whose zone Arrow does not know is refused by name, unless it is left out."""
    path = tmp_path / "rows.parquet"
    cells = {"a": pa.array([1, 2], pa.timestamp("us", "Nowhere/City")), "b": [0.5, 0.25], "kind": ["no", "yes"]}
    parquet.write_table(pa.table(cells), path)
    if "drop" in asked:
        assert read_table(path, target="kind", **asked).names == ("b",)
        return
    error = refused(path, **asked)
    assert (error.rules, error.hint) == ({"time-zone"}, "write the times in UTC, or leave these columns out")


@pytest.mark.parametrize("name", ["rows.txt", "rows", "rows.xlsx", "rows.json", "rows.png"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    """The format is told by the suffix alone; another one is refused before the file is opened."""
    error = refused(tmp_path / name)
    assert error.rules == {"unknown-suffix"}
    assert name == "rows.png" or "one of .csv, .csv.gz, .csv.zst, .parquet" in str(error)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_is_read_as_one_table(tmp_path: Path, suffix: str) -> None:
    """Where nothing is, or an empty folder, there is no table; a folder of parts is one, whatever its name."""
    path = tmp_path / f"rows.{suffix}"
    assert rule_of(path) == "missing-file"
    path.mkdir()
    assert rule_of(path) == "missing-file"
    write_table(path / f"part-0.{suffix}", COLUMNS)
    write_table(path / f"part-1.{suffix}", COLUMNS)
    (path / "_SUCCESS").touch()
    read = read_table(path, target="kind")
    assert read.X.tolist() == 2 * [[1.5, 3.0], [-2.0, 4.0], [0.1, 5.0]]
    assert read.files == (2, 0)


def test_every_problem_is_told_with_column_and_row(tmp_path: Path) -> None:
    """All bad columns are named at once, each with the first bad row and what stands there."""
    columns = {"a": [1.0, np.inf], "b": [1, 2**60], "c": [2.0, 1e301], "kind": [1, 2]}
    error = refused(write_table(tmp_path / "rows.parquet", columns))
    assert [f"{problem.place}: {problem.message}".partition(", ")[2] for problem in error.problems] == [
        "row 1, column 'a': inf is not a finite number of at most 1e+300",
        "row 1, column 'b': 1152921504606846976 may be no float64; whole numbers must be between -2^53 and 2^53",
        "row 1, column 'c': 1e+301 is not a finite number of at most 1e+300",
    ]


def test_every_column_of_json_lines_is_told_with_its_first_bad_row(tmp_path: Path) -> None:
    """So are those of JSON Lines, in the order of the first line."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1, "b": 2, "kind": [], "c": 3}\n{"c": 1e301, "b": "x", "a": 1}\n{"a": [], "b": 3}\n')
    assert told(refused(path), path) == [
        "row 2, column 'a': [] is a list or an object",
        "row 1, column 'b': 'x' is of another type than the values before it",
        "row 1, column 'c': 1e+301 is not a finite number of at most 1e+300",
        "row 0, column 'kind': a label must be text, a whole number, true or false, got []",
    ]


def test_every_missing_column_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    """All missing features are named at once, and the hint lists what the file has."""
    path = write_table(tmp_path / "rows.csv", {"a": [1], "x": [2], "kind": [3]})
    error = refused(path, features=["a", "b", "c"])
    assert [problem.message for problem in error.problems] == ["no column 'b'", "no column 'c'"]
    assert error.hint == "it has: 'a', 'x', 'kind'"

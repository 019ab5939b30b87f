"""Each format is read right: the same rows give the same predictions, wherever they stand and however they are cut."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, ipc, parquet

from artifact_pipeline.cli import main
from artifact_pipeline.errors import ConfigError, DataRejected
from artifact_pipeline.rows.sources import find_sources
from rowfiles import DIGITS, answer, answered, digits, refused, rejected, words, write_rows
from tools import slow

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.artifact.manifest import Verified

NAMED = ["csv", "csv.gz", "csv.zst", "parquet", "pq", "arrow", "feather", "ipc", "arrows", "jsonl", "ndjson"]
NAMED += ["jsonl.gz", "jsonl.zst"]
ALL = [*NAMED, "npy", "npz"]
PIPED = {"csv", "parquet", "arrows", "jsonl.zst"}
"""What the default run pipes into a process: text, packed, streamed, and read by position."""
SEPARATE = ["csv", "parquet", "arrow", "arrows", "jsonl"]


@pytest.fixture(scope="module")
def expected(of_digits: Verified, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What forty digits give, in bytes."""
    folder = tmp_path_factory.mktemp("expected")
    answer(of_digits, write_rows(folder / "rows.parquet", digits()), to=folder / "out.parquet")
    return (folder / "out.parquet").read_bytes()


# Every format


@pytest.mark.parametrize("suffix", ALL)
def test_every_format_gives_the_same_predictions(
    of_digits: Verified, expected: bytes, tmp_path: Path, suffix: str
) -> None:
    """The same rows give the same predictions, byte for byte, in whatever format they come."""
    rows = write_rows(tmp_path / f"rows.{suffix}", digits())
    answer(of_digits, rows, to=tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == expected


@pytest.mark.parametrize("suffix", ALL)
def test_float64_survives_every_format(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """Numbers of seventeen figures are read to the last bit."""
    plain = write_rows(tmp_path / "plain.parquet", words())
    rows = write_rows(tmp_path / f"rows.{suffix}", words())
    tables = [answered(of_words, each, to=tmp_path / "out.parquet") for each in (plain, rows)]
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize("suffix", [suffix if suffix in PIPED else slow(suffix) for suffix in ALL])
def test_standard_input_is_every_format_too(published: Path, expected: bytes, suffix: str) -> None:
    """`-` reads standard input, in a process of its own, in every format."""
    file = write_rows(published / f"rows.{suffix}", digits())
    (source,) = find_sources([str(file)])
    command = [sys.executable, "-m", "artifact_pipeline", "predict", "-", "--from", source.format, "-o", "out.parquet"]
    with file.open("rb") as rows:
        done = subprocess.run(command, cwd=published, stdin=rows, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (published / "out.parquet").read_bytes() == expected


@pytest.mark.parametrize("suffix", ["csv.gz", slow("parquet"), "npz", slow("jsonl")])
def test_a_pipe_is_read_to_its_end(published: Path, expected: bytes, suffix: str) -> None:
    """A pipe that gives a few bytes at a time is read like a file."""
    file = write_rows(published / f"rows.{suffix}", digits())
    (source,) = find_sources([str(file)])
    command = [sys.executable, "-m", "artifact_pipeline", "predict", "-", "--from", source.format, "-o", "out.parquet"]
    with subprocess.Popen(command, cwd=published, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        data = file.read_bytes()
        for start in range(0, len(data), 777):
            process.stdin.write(data[start : start + 777])
            process.stdin.flush()
        process.stdin.close()
        assert process.wait() == 0, process.stderr.read()
    assert (published / "out.parquet").read_bytes() == expected


def test_standard_input_that_cannot_be_copied_is_one_error(published: Path) -> None:
    """A format that is read by position is copied first; a disk that takes nothing is an error of storage."""
    write_rows(published / "rows.npz", digits())
    limited = f'ulimit -f 0; "{sys.executable}" -m artifact_pipeline predict - --from npz -o - < rows.npz'
    done = subprocess.run(["bash", "-c", limited], cwd=published, capture_output=True, text=True, check=False)
    assert done.returncode == 8, done.stderr
    assert "error: cannot write a temporary file: " in done.stderr


def test_standard_input_that_is_closed_is_refused(published: Path) -> None:
    """Without a standard input there are no rows, and no traceback."""
    command = f'"{sys.executable}" -m artifact_pipeline predict - --from csv <&-'
    done = subprocess.run(command, shell=True, cwd=published, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("suffix", ALL)
def test_no_rows_are_refused(of_digits: Verified, tmp_path: Path, suffix: str) -> None:
    """A file without a row is refused in every format: nobody meant it."""
    rows = write_rows(tmp_path / f"rows.{suffix}", {name: column[:0] for name, column in digits().items()})
    (rule,) = refused(of_digits, rows, to=tmp_path / "out.parquet").rules
    assert rule == "no-rows"


@pytest.mark.parametrize("suffix", ALL)
def test_an_empty_file_is_refused(of_digits: Verified, tmp_path: Path, suffix: str) -> None:
    """A file without a byte is refused in every format."""
    rows = tmp_path / f"rows.{suffix}"
    rows.write_bytes(b"")
    (rule,) = refused(of_digits, rows, to=tmp_path / "out.parquet").rules
    assert rule in {"unreadable", "no-rows", "truncated"}


# Columns


@pytest.mark.parametrize("suffix", NAMED)
def test_columns_are_matched_by_name(of_digits: Verified, expected: bytes, tmp_path: Path, suffix: str) -> None:
    """Columns may stand in any order, others among them, which are left out and told."""
    columns: dict[str, Any] = {"before": ["x"] * 40}
    columns |= {name: digits()[name] for name in sorted(digits(), reverse=True)}
    columns["after"] = [None, 1] * 20
    rows = write_rows(tmp_path / f"rows.{suffix}", columns)
    predictions = answer(of_digits, rows, to=tmp_path / "out.parquet")
    assert predictions.left_out == ("before", "after")
    assert (tmp_path / "out.parquet").read_bytes() == expected


KEPT = {
    "id": pa.array([2**53 + 1, None, -1], pa.int64()),
    "name": pa.array(["=1", "", None]),
    "when": pa.array([1, 2, None], pa.timestamp("ns", "UTC")),
    "kind": pa.array(["a", None, "a"]).dictionary_encode(),
    "tags": pa.array([[1, 2], [], None]),
    "price": pa.array([0.1, None, 2.5], pa.float32()),
    "flag": pa.array([True, False, None]),
}


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
def test_kept_columns_keep_their_type(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """Columns of any type are carried through as they are; a dictionary comes as what it means."""
    rows = write_rows(tmp_path / f"rows.{suffix}", {**words(3), **KEPT})
    table = answered(of_words, rows, to=tmp_path / "out.parquet", keep=tuple(KEPT))
    assert table.column_names[:9] == ["row", *KEPT, "predicted"]
    for name, column in KEPT.items():
        plain = column.dictionary_decode() if name == "kind" else column
        assert table.column(name).combine_chunks().cast(plain.type).equals(plain), name


@pytest.mark.parametrize("to", ["out.csv", "out.jsonl"])
def test_kept_columns_of_any_type_can_be_written_as_text(of_words: Verified, tmp_path: Path, to: str) -> None:
    """Whatever is kept, CSV and JSON Lines can say it."""
    kept = {**KEPT, "name": pa.array(["a", "", None])}
    rows = write_rows(tmp_path / "rows.parquet", {**words(3), **kept})
    answer(of_words, rows, to=tmp_path / to, keep=tuple(kept))
    text = (tmp_path / to).read_text()
    assert str(2**53 + 1) in text
    assert "1970-01-01" in text


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_kept_columns_of_text_formats_are_text(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """CSV and JSON Lines say no type, so what is kept of them is the very text that stands there."""
    lines = {
        "csv": 'width,height,id,note\n1,2,007,"a ""b"", c"\n3,4,1.50,\n',
        "jsonl": '{"width":1,"height":2,"id":"007","note":"a \\"b\\", c"}\n'
        '{"width":3,"height":4,"id":1.50,"note":null}\n',
    }
    rows = tmp_path / f"rows.{suffix}"
    rows.write_text(lines[suffix])
    table = answered(of_words, rows, to=tmp_path / "out.parquet", keep=("id", "note"))
    assert table.column("id").to_pylist() == ["007", "1.50"]
    assert table.column("note").to_pylist() == ['a "b", c', "" if suffix == "csv" else None]


@pytest.mark.parametrize("suffix", SEPARATE)
def test_the_target_and_a_feature_can_be_kept(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """A column may be kept that is read anyway; a feature then comes as the number that it is."""
    rows = write_rows(tmp_path / f"rows.{suffix}", {**words(2), "label": ["no", "no"]})
    table = answered(of_words, rows, to=tmp_path / "out.parquet", keep=("label", "height"))
    assert table.column("label").to_pylist() == ["no", "no"]
    assert table.column("height").to_pylist() == words(2)["height"].tolist()


@pytest.mark.parametrize("suffix", SEPARATE)
def test_labels_in_the_input_are_scored(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """Where the target's column is there its labels are compared; empty ones are nobody's mistake."""
    columns = {**words(6), "label": pa.array(["no", 'say "yes", or no', None, "no", "no", "no"])}
    rows = write_rows(tmp_path / f"rows.{suffix}", columns)
    predictions = answer(of_words, rows, to=tmp_path / "out.parquet")
    assert predictions.scores["all"].rows == 5


# Texts


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"\n", b"\n\n"),
        lambda text: text.replace(b"\n", b"\r\n\r\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: text.replace(b",", b" ,\t"),
        lambda text: text.replace(b'"', b""),
    ],
    ids=["a byte order mark", "CRLF", "blank lines", "both", "no last line end", "blanks", "no quotes"],
)
def test_csv_may_be_written_in_several_ways(of_words: Verified, tmp_path: Path, change: Callable) -> None:
    """A mark of UTF-8, other line ends, blank lines and blanks around numbers change nothing."""
    plain = write_rows(tmp_path / "plain.csv", words())
    head, body = plain.read_bytes().split(b"\n", 1)
    changed = tmp_path / "changed.csv"
    changed.write_bytes(change(head + b"\n" + body) if b" ," not in change(b",") else head + b"\n" + change(body))
    tables = [answered(of_words, each, to=tmp_path / "out.parquet") for each in (plain, changed)]
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"\n", b"\n \n\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: text.replace(b"{", b' {"more": {"a": [1, "b:c"]}, '),
    ],
    ids=["a byte order mark", "CRLF", "blank lines", "no last line end", "more keys"],
)
def test_json_lines_may_be_written_in_several_ways(of_words: Verified, tmp_path: Path, change: Callable) -> None:
    """A mark of UTF-8, other line ends, blank lines and other keys change nothing."""
    plain = write_rows(tmp_path / "plain.jsonl", words())
    changed = tmp_path / "changed.jsonl"
    changed.write_bytes(change(plain.read_bytes()))
    tables = [answered(of_words, each, to=tmp_path / "out.parquet") for each in (plain, changed)]
    assert tables[0].equals(tables[1])


def test_values_with_line_ends_are_one_row(of_words: Verified, tmp_path: Path) -> None:
    """A quoted value may hold lines, commas and quotes: its row is one row, and the next has the next number."""
    rows = tmp_path / "rows.csv"
    rows.write_text('width,note,height\n1,"a\n""b"",\r\nc",2\n3,,4\n')
    table = answered(of_words, rows, to=tmp_path / "out.parquet", keep=("note",))
    assert table.column("row").to_pylist() == [0, 1]
    assert table.column("note").to_pylist() == ['a\n"b",\r\nc', ""]


def test_names_of_columns_may_be_anything(tmp_path: Path, of_words: Verified) -> None:
    """Commas, quotes, dots, blanks and letters of any script in a column's name are kept."""
    names = ('a,"b"', "c.d", " e ", "größe 大")
    columns = {**words(2), **{name: ["x", "y"] for name in names}}
    for suffix in SEPARATE:
        rows = write_rows(tmp_path / f"rows.{suffix}", columns)
        table = answered(of_words, rows, to=tmp_path / "out.parquet", keep=names)
        assert [table.column(name).to_pylist() for name in names] == [["x", "y"]] * 4, suffix


# Arrays


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda X: X.astype(">f8"),
        lambda X: X.astype(np.float16),
        lambda X: X.astype(np.float32),
        lambda X: X.astype(np.uint8),
        lambda X: X.astype(">i4"),
        lambda X: np.asfortranarray(X.astype(">i2")),
        lambda X: X.reshape(-1, 8, 8),
        lambda X: np.asfortranarray(X.reshape(-1, 8, 8)),
    ],
    ids=["Fortran", ">f8", "f2", "f4", "u1", ">i4", "Fortran >i2", "n,8,8", "Fortran n,8,8"],
)
def test_an_array_may_lie_in_memory_in_any_way(
    of_digits: Verified, expected: bytes, tmp_path: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    """The order of bytes, rows and columns, the width of the numbers and two axes for a picture change nothing."""
    np.save(tmp_path / "rows.npy", change(DIGITS.X[:40]))
    answer(of_digits, tmp_path / "rows.npy", to=tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == expected


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy_is_read(
    of_digits: Verified, expected: bytes, tmp_path: Path, version: tuple[int, int]
) -> None:
    """NumPy has written three versions of its header."""
    from numpy.lib import format as npy

    with (tmp_path / "rows.npy").open("wb") as file:
        npy.write_array(file, DIGITS.X[:40], version=version)
    answer(of_digits, tmp_path / "rows.npy", to=tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == expected


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
@pytest.mark.parametrize(
    "arrays",
    [
        {"X": DIGITS.X[:40], "y": DIGITS.y[:40]},
        {"X": DIGITS.X[:40], "target": DIGITS.y[:40].astype(">i2"), "more": np.arange(3)},
        {"rows": DIGITS.X[:40], "target": DIGITS.y[:40].astype(np.uint8)},
    ],
    ids=["X and y", "X, target and more", "rows and target"],
)
def test_npz_holds_rows_and_labels(of_digits: Verified, tmp_path: Path, save: Callable, arrays: dict) -> None:
    """The matrix is X, or the only other array; labels stand under the target's name, or under y."""
    save(tmp_path / "rows.npz", **arrays)
    predictions = answer(of_digits, tmp_path / "rows.npz", to=tmp_path / "out.parquet")
    assert predictions.scores["all"].rows == 40
    assert predictions.left_out == (("more",) if "more" in arrays else ())


def test_npz_may_hold_labels_of_text(of_words: Verified, tmp_path: Path) -> None:
    """Labels of text are compared with the model's."""
    X = np.column_stack(list(words(3).values()))
    np.savez(tmp_path / "rows.npz", X=X, label=np.array(["no", 'say "yes", or no', ""]))
    predictions = answer(of_words, tmp_path / "rows.npz", to=tmp_path / "out.parquet")
    assert predictions.scores["all"].rows == 2


# Arrow and Parquet


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("kind", ["file", "stream"])
def test_packed_arrow_is_read(
    of_digits: Verified, expected: bytes, tmp_path: Path, kind: str, compression: str | None
) -> None:
    """Both kinds of Arrow IPC are told by their bytes, packed or not."""
    table = pa.table(digits())
    path = tmp_path / "rows.arrow"
    options = ipc.IpcWriteOptions(compression=compression)
    with (ipc.new_file if kind == "file" else ipc.new_stream)(str(path), table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=7)
    answer(of_digits, path, to=tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == expected


@pytest.mark.parametrize(
    "kind", [pa.float32(), pa.float16(), pa.int8(), pa.uint64(), pa.dictionary(pa.int8(), pa.float64())], ids=str
)
@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
def test_numbers_of_every_type_are_read(
    of_digits: Verified, expected: bytes, tmp_path: Path, suffix: str, kind: pa.DataType
) -> None:
    """Whole numbers and fractions of any width, and dictionaries of them, are numbers."""
    columns = {name: pa.array(column).cast(pa.int64()).cast(pa.float64()) for name, column in digits().items()}
    if pa.types.is_dictionary(kind):
        columns = {name: column.dictionary_encode() for name, column in columns.items()}
    else:
        columns = {name: column.cast(kind) for name, column in columns.items()}
    rows = write_rows(tmp_path / f"rows.{suffix}", columns)
    answer(of_digits, rows, to=tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == expected


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_texts_of_every_type_are_labels(of_words: Verified, tmp_path: Path, kind: pa.DataType) -> None:
    """Labels are texts, in whichever of Arrow's types of text."""
    label = pa.array(["no", None, 'say "yes", or no'])
    label = label.dictionary_encode() if pa.types.is_dictionary(kind) else label.cast(kind)
    rows = write_rows(tmp_path / "rows.arrow", {**words(3), "label": label})
    predictions = answer(of_words, rows, to=tmp_path / "out.parquet", keep=("label",))
    assert predictions.scores["all"].rows == 2


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
def test_packed_parquet_is_read(of_digits: Verified, expected: bytes, tmp_path: Path, compression: str) -> None:
    """Every way of packing that Arrow knows, row groups and pages of any size."""
    parquet.write_table(
        pa.table(digits()), tmp_path / "rows.parquet", compression=compression, row_group_size=7, data_page_size=64
    )
    answer(of_digits, tmp_path / "rows.parquet", to=tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == expected


# Which files


def test_a_folder_and_a_pattern_are_many_files(of_digits: Verified, tmp_path: Path) -> None:
    """A folder is walked in the order of its names, what is hidden left out; a pattern takes the files that it fits."""
    folder = tmp_path / "rows"
    (folder / "deep").mkdir(parents=True)
    columns = digits()
    for name, start in (("b.csv", 10), ("a.parquet", 0), ("deep/Ä c.JSONL", 20)):
        write_rows(folder / name, {key: column[start : start + 10] for key, column in columns.items()})
    for name in ("_SUCCESS", ".part.crc", "_metadata"):
        (folder / name).write_bytes(b"?")
    (folder / "_temporary").mkdir()
    write_rows(folder / "_temporary" / "x.csv", columns)
    table = answered(of_digits, folder, to=tmp_path / "out.parquet")
    assert table.column("file").to_pylist() == ["a.parquet"] * 10 + ["b.csv"] * 10 + ["deep/Ä c.JSONL"] * 10
    assert table.column("row").to_pylist() == [*range(10)] * 3
    alone = answered(of_digits, write_rows(tmp_path / "all.csv", columns), to=tmp_path / "out.parquet")
    assert table.column("predicted").to_pylist() == alone.column("predicted").to_pylist()[:30]
    some = answered(of_digits, folder / "*", to=tmp_path / "out.parquet")
    assert some.drop(["file"]).equals(table.drop(["file"]))
    some = answered(of_digits, folder / "?.*", to=tmp_path / "out.parquet")
    assert set(some.column("file").to_pylist()) == {"a.parquet", "b.csv"}


def test_names_may_be_links_in_upper_case_with_blanks(of_digits: Verified, expected: bytes, tmp_path: Path) -> None:
    """A name's end counts in any case; links are followed; `[` is no pattern where such a file is there."""
    (tmp_path / "real").mkdir()
    rows = write_rows(tmp_path / "real" / "größe 1 [a].CSV", digits())
    (tmp_path / "link.csv").symlink_to(rows)
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    for each in (rows, tmp_path / "link.csv", tmp_path / "folder"):
        answer(of_digits, each, to=tmp_path / "out.parquet")
        assert (tmp_path / "out.parquet").read_bytes() == expected


def test_a_name_that_is_no_text_can_be_read(of_words: Verified, tmp_path: Path) -> None:
    """A file's name may hold bytes that are no UTF-8; the receipt says it all the same."""
    name = os.fsdecode(b"r\xff.csv")
    try:
        write_rows(tmp_path / name, words(2))
    except OSError:
        pytest.skip("this file system takes no such name")
    predictions = answer(of_words, tmp_path / name, to=tmp_path / "out.parquet")
    assert predictions.receipt.inputs[0].name == "r\\xff.csv"


@pytest.mark.parametrize("suffix", ALL)
def test_from_says_the_format_whatever_the_name(published: Path, monkeypatch: Any, suffix: str) -> None:
    """`--from` counts, not the name."""
    monkeypatch.chdir(published)
    file = write_rows(published / f"rows.{suffix}", digits(5))
    (source,) = find_sources([str(file)])
    file.rename(published / "rows")
    assert main(["predict", "rows", "-o", "out.parquet"]) == 5
    assert main(["predict", "rows", "--from", source.format, "-o", "out.parquet"]) == 0
    assert parquet.read_table(published / "out.parquet").num_rows == 5


def test_what_names_nothing_is_refused(tmp_path: Path) -> None:
    """A pattern that fits nothing, an empty folder, one of hidden files alone, a missing file: there are no rows."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "_SUCCESS").write_bytes(b"")
    for named in ("*.csv", "empty", "hidden"):
        with pytest.raises(DataRejected) as caught:
            find_sources([str(tmp_path / named)])
        assert caught.value.rules == {"missing-file"}


def test_a_file_in_a_folder_that_tells_no_format_is_refused(tmp_path: Path) -> None:
    """Nothing in a folder is left out without a word."""
    write_rows(tmp_path / "a.csv", digits(2))
    (tmp_path / "readme.txt").write_text("rows\n")
    with pytest.raises(DataRejected) as caught:
        find_sources([str(tmp_path)])
    assert caught.value.rules == {"unknown-suffix"}
    (tmp_path / "readme.txt").unlink()
    (tmp_path / "more").symlink_to(tmp_path)
    with pytest.raises(DataRejected, match="name the folder itself"):
        find_sources([str(tmp_path)])


def test_a_file_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file under two names would be answered twice."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows").mkdir()
    file = write_rows(tmp_path / "rows" / "a.csv", digits(2))
    (tmp_path / "link.csv").symlink_to(file)
    for named in (["rows/a.csv", "rows/a.csv"], ["rows", "rows/a.csv"], ["rows/a.csv", "./rows/../link.csv"]):
        with pytest.raises(ConfigError, match="named twice"):
            find_sources(named)
    with pytest.raises(ConfigError, match="together with files"):
        find_sources(["-", "rows"])
    with pytest.raises(ConfigError, match="--from"):
        find_sources(["-"])


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Two files of one name in two folders have two names in the receipt, neither of them absolute."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name / "rows.csv", digits(2))
    found = find_sources([str(tmp_path / "a"), str(tmp_path / "b")])
    assert len({source.name for source in found}) == 2
    assert not any(source.name.startswith("/") for source in found)


def test_a_name_that_is_too_long_is_a_missing_file(of_digits: Verified, tmp_path: Path) -> None:
    """A name longer than the system allows is refused like one that is not there."""
    refused(of_digits, tmp_path / f"{'x' * 300}.csv", to=tmp_path / "out.parquet")


# Pictures


def test_a_folder_of_pictures_is_a_row_each(of_digits: Verified, tmp_path: Path) -> None:
    """Each picture is a row, named by its file; one that is none is a bad row."""
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        pixels = np.kron(255 - DIGITS.X[number].reshape(8, 8) * 15, np.ones((8, 8))).astype(np.uint8)
        image.fromarray(np.pad(pixels, 16, constant_values=255)).save(
            folder / f"{number}.{('png', 'JPG', 'jpeg')[number]}"
        )
    table = answered(of_digits, folder, to=tmp_path / "out.parquet")
    assert table.column("image").to_pylist() == ["0.png", "1.JPG", "2.jpeg"]
    assert table.column("predicted").to_pylist() == DIGITS.y[:3].tolist()
    (folder / "1.JPG").write_bytes(b"no picture")
    error = refused(of_digits, folder, to=tmp_path / "out.parquet")
    assert "row 1" in error.problems[0].place
    table = answered(of_digits, folder, to=tmp_path / "out.parquet", on_error="quarantine")
    assert table.column("row").to_pylist() == [0, 2]
    assert rejected(tmp_path / "out.parquet")[0]["row"] == 1


def test_pictures_are_for_the_digits_alone(of_words: Verified, tmp_path: Path) -> None:
    """A model of anything else has no use for a picture."""
    (tmp_path / "a.png").write_bytes(b"")
    assert refused(of_words, tmp_path / "a.png", to=tmp_path / "out.parquet").rules == {"not-digits"}


# Bounded memory

PEAK = """
import sys
sys.path[:0] = sys.argv[1:3]
import numpy as np, pyarrow, pyarrow.csv, pyarrow.parquet, pyarrow.ipc, pyarrow.compute
from artifact_pipeline.rows.batches import Wanted
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import find_sources
names = tuple(f"f{index}" for index in range(64))
wanted = Wanted(names, "float32", "y", (0, 1), (), low=np.full(64, -9e9), high=np.full(64, 9e9))
from tests.tools import peak_memory
(source,) = find_sources(sys.argv[3:])
before = peak_memory()
rows = 0
with open_rows(source, wanted) as opened:
    for batch in opened.batches(0):
        rows += len(batch.numbers)
    opened.digest()
print(rows, peak_memory() - before)
"""


def large(path: Path, rows: int) -> Path:
    """Rows of 64 float32, 256 bytes each, in one row group, or one array; half as many in a CSV."""
    X = np.random.default_rng(1).normal(size=(rows, 64)).astype(np.float32)
    if path.suffix == ".npy":
        np.save(path, np.asfortranarray(X) if "fortran" in path.name else X)
    elif path.suffix == ".npz":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            file = io.BytesIO()
            np.save(file, X)
            archive.writestr("X.npy", file.getvalue())
    else:
        table = pa.table({f"f{index}": X[:, index] for index in range(64)})
        if path.suffix == ".parquet":
            parquet.write_table(table, path, row_group_size=rows)
        elif path.suffix == ".arrow":
            with ipc.new_file(str(path), table.schema) as writer:
                writer.write_table(table, max_chunksize=1 << 16)
        else:
            csv.write_csv(table.slice(0, rows // 2), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.parquet", "a.npz", "a.npy", "fortran.npy", "a.arrow", "a.csv"])
def test_no_reader_holds_a_file_whole(tmp_path: Path, run: Callable, name: str) -> None:
    """Whatever its size, a file takes the memory of some batches: a hundred MiB more of rows take no more."""
    peaks = []
    for rows in (600_000, 1_000_000):
        path = large(tmp_path / name, rows)
        done = run("-c", PEAK, Path("src").resolve(), Path.cwd(), path)
        assert done.returncode == 0, done.stderr
        read, peak = map(int, done.stdout.split())
        assert read in {rows, rows // 2}
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 25, f"{peaks} MiB"


def test_json_output_names_the_left_out(published: Path, monkeypatch: Any, capsys: Any) -> None:
    """With `--json`, columns that are not used do not disturb the one object on standard output."""
    monkeypatch.chdir(published)
    write_rows(published / "rows.csv", {**digits(3), "more": ["x"] * 3})
    assert main(["predict", "rows.csv", "-o", "out.parquet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["read"] == 3

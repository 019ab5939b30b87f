"""What a file tells once and means often: it is read within bounds, or refused before it fills the memory."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc, parquet

import handmade
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.rows.batches import Wanted
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import find_sources
from artifact_pipeline.rows.table import read_table
from rowfiles import NAMES, answered, digits, refused, words, write_rows
from tools import slow

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.artifact.manifest import Verified

ROOT = Path(__file__).resolve().parents[1]
WANTED = Wanted(NAMES, "float64", "label", (0, 1), (), low=np.full(2, -1e9), high=np.full(2, 1e9))
MEGABYTE = "x" * (1 << 20)
ROWS = 300


def rules(artifact: Verified, path: Path, **options: Any) -> set[str]:
    return refused(artifact, path, to=path.with_name("out.parquet"), **options).rules


# Files that any writer makes


def once(rows: int) -> pa.Array:
    """A text of a megabyte that is held once and meant in each row."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([MEGABYTE]))


def views(rows: int) -> pa.Array:
    """The same as views of one buffer."""
    view = np.zeros((rows, 4), np.int32)
    view[:, 0] = len(MEGABYTE)
    view[:, 1] = int.from_bytes(b"xxxx", "little")
    return pa.Array.from_buffers(
        pa.string_view(), rows, [None, pa.py_buffer(view.tobytes()), pa.py_buffer(MEGABYTE.encode())]
    )


def nothing(rows: int) -> pa.Array:
    """One row with a list of very many values, none of which is there; the others have none."""
    offsets = np.full(rows + 1, 40_000_000, np.int32)
    offsets[0] = 0
    return pa.ListArray.from_arrays(pa.array(offsets), pa.nulls(int(offsets[-1]), pa.float64()))


def wide(rows: int) -> pa.Array:
    """Values of a fixed length of a megabyte, held once."""
    value = pa.array([MEGABYTE.encode()], pa.binary(len(MEGABYTE)))
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), value)


def in_parquet(place: Path, note: pa.Array, **options: Any) -> Path:
    """A file of a hundredth of what it means, with a column that is to be carried through."""
    table = pa.table({**words(len(note)), "note": note})
    parquet.write_table(table, place / "rows.parquet", store_schema=False, **options)
    assert (place / "rows.parquet").stat().st_size < 4 << 20
    return place / "rows.parquet"


def in_arrow(place: Path, note: pa.Array) -> Path:
    """Likewise."""
    table = pa.table({**words(len(note)), "note": note})
    with ipc.new_file(place / "rows.arrow", table.schema) as writer:
        writer.write_table(table)
    assert (place / "rows.arrow").stat().st_size < 4 << 20
    return place / "rows.arrow"


PLAIN = {"use_dictionary": False, "compression": "zstd"}
MAKERS: dict[str, Callable[[Path], Path]] = {
    "a dictionary in Parquet": lambda place: in_parquet(place, once(ROWS)),
    "a packed dictionary in Parquet": lambda place: in_parquet(place, once(ROWS), compression="zstd"),
    "a dictionary of bytes in Parquet": lambda place: in_parquet(place, once(ROWS).cast(pa.binary())),
    "values of fixed length in Parquet": lambda place: in_parquet(place, wide(ROWS)),
    "texts that pack well in Parquet": lambda place: in_parquet(place, once(ROWS).dictionary_decode(), **PLAIN),
    "prefixes in Parquet": lambda place: in_parquet(
        place, once(ROWS).dictionary_decode(), use_dictionary=False, column_encoding={"note": "DELTA_BYTE_ARRAY"}
    ),
    "a list of nothing in Parquet": lambda place: in_parquet(place, nothing(2)),
    "a dictionary in Arrow": lambda place: in_arrow(place, once(ROWS)),
    "views in Arrow": lambda place: in_arrow(place, views(ROWS)),
    "a dictionary of fixed length in Arrow": lambda place: in_arrow(place, wide(ROWS)),
}
LARGE = {"values of fixed length in Parquet", "texts that pack well in Parquet", "prefixes in Parquet"}


@pytest.mark.parametrize("name", [slow(name) if name in LARGE else name for name in MAKERS])
def test_what_means_too_much_is_refused(of_words: Verified, tmp_path: Path, name: str) -> None:
    """A column of little in the file and of more than 256 MiB in memory is refused; not kept, it hinders nothing."""
    path = MAKERS[name](tmp_path)
    assert rules(of_words, path, keep=("note",)) <= {"batch-too-large", "decompression-bomb"}
    assert answered(of_words, path, to=tmp_path / "out.parquet").num_rows in {2, ROWS}


def zeros(place: Path, name: str) -> Path:
    """Twenty million rows of two zeros in one batch, packed to a ten thousandth."""
    table = pa.table(dict.fromkeys(NAMES, pa.array(np.zeros(20_000_000))))
    how = ipc.IpcWriteOptions(compression="zstd")
    with (ipc.new_stream if name.endswith("s") else ipc.new_file)(place / name, table.schema, options=how) as writer:
        writer.write_table(table)
    assert (place / name).stat().st_size < 1 << 18
    return place / name


PEAK = """
import sys
sys.path[:0] = sys.argv[1:3]
from artifact_pipeline.cli import main
from tests.tools import peak_memory
status = main(["predict", *sys.argv[4:], "-o", "out.parquet", "--quiet", "--artifact", sys.argv[3]])
print(status, peak_memory())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "status"), [(200, 0), (60_000, 5)])
def test_a_dictionary_never_fills_the_memory(
    of_words: Verified, tmp_path: Path, run: Callable[..., Any], rows: int, status: int
) -> None:
    """Sixty thousand times a megabyte take no more memory than a batch and what is read next, and end with status 5."""
    in_parquet(tmp_path, once(rows))
    done = run("-c", PEAK, ROOT, ROOT / "src", of_words.folder, "rows.parquet", "--keep", "note", cwd=tmp_path)
    told = done.stdout.split()
    assert told[:1] == [str(status)], done.stderr
    assert int(told[1]) < 800


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rows.arrow", "rows.arrows"])
def test_packed_buffers_are_not_unpacked_to_be_refused(
    of_words: Verified, tmp_path: Path, run: Callable[..., Any], name: str
) -> None:
    """A batch of Arrow that unpacks to gigabytes is refused for what its buffers say, in a hundred megabytes or two."""
    zeros(tmp_path, name)
    done = run("-c", PEAK, ROOT, ROOT / "src", of_words.folder, name, cwd=tmp_path)
    told = done.stdout.split()
    assert told[:1] == ["5"], done.stderr
    assert "holds a batch of 320," in done.stderr
    assert int(told[1]) < 200


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_long_texts_are_refused(of_words: Verified, tmp_path: Path, suffix: str) -> None:
    """Kept texts that are long by themselves are refused, too, once those of a batch are beyond 256 MiB."""
    path = write_rows(tmp_path / f"rows.{suffix}", {**words(40_000), "note": ["x" * 8000] * 40_000})
    assert rules(of_words, path, keep=("note",)) == {"batch-too-large"}
    assert answered(of_words, path, to=tmp_path / "out.parquet").num_rows == 40_000


@pytest.mark.slow
def test_texts_that_mean_little_are_carried(of_words: Verified, tmp_path: Path) -> None:
    """Long texts in any of the encodings come through as they are, in as few rows at once as it takes."""
    texts = [f"{row % 7} " + "y" * 20_000 for row in range(3000)]
    for options in (
        {},
        {"use_dictionary": False, "column_encoding": {"note": "DELTA_BYTE_ARRAY"}},
        {"use_dictionary": False, "column_encoding": {"note": "DELTA_LENGTH_BYTE_ARRAY"}},
        {"use_dictionary": False, "compression": "brotli", "data_page_version": "2.0"},
    ):
        path = in_parquet(tmp_path, pa.array(texts), **options)
        table = answered(of_words, path, to=tmp_path / "out.parquet", keep=("note",))
        assert table.column("note").to_pylist() == texts
        assert table.column("row").to_pylist() == list(range(3000))


FORMS: list[dict[str, Any]] = [
    {"version": version, "data_page_version": pages, "compression": compression}
    for version, pages in (("1.0", "1.0"), ("2.6", "2.0"))
    for compression in ("none", "snappy", "gzip", "brotli", "zstd", "lz4")
] + [
    {"use_dictionary": False, "use_byte_stream_split": [*digits(1)], "compression": "zstd"},
    {"compression": "zstd", "row_group_size": 7, "data_page_size": 64},
    {"compression": "zstd", "write_statistics": False, "write_page_checksum": True},
    {"compression": "zstd", "write_page_index": True, "store_decimal_as_integer": True},
]


@pytest.mark.parametrize("options", FORMS, ids=lambda options: "-".join(map(str, options.values())))
def test_however_parquet_is_written_it_is_read(of_digits: Verified, tmp_path: Path, options: dict[str, Any]) -> None:
    """The same rows have the same answers, and what is kept comes through, whatever the writer's choices."""
    kept = {"id": [f"customer {row}" for row in range(40)], "tags": [["a", "b"][: row % 3] for row in range(40)]}
    parquet.write_table(pa.table({**digits(40), **kept}), tmp_path / "rows.parquet", **options)
    table = answered(of_digits, tmp_path / "rows.parquet", to=tmp_path / "out.parquet", keep=("id", "tags"))
    plain = write_rows(tmp_path / "rows.npy", {"X": load_digits().X[:40]})
    assert table.drop(["id", "tags"]).equals(answered(of_digits, plain, to=tmp_path / "plain.parquet"))
    assert {name: table.column(name).to_pylist() for name in kept} == kept


WORDS = pa.array(["a", "b"]).dictionary_encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "features", "rows"), [("parquet", 400, 150_000), ("parquet", 9000, 5000), ("arrow", 400, 100_000)]
)
def test_wide_rows_are_read(tmp_path: Path, suffix: str, features: int, rows: int) -> None:
    """Hundreds of columns of a megabyte at once, as polars and DuckDB write them, and thousands, are no bombs."""
    names = tuple(f"f{index}" for index in range(features))
    values = pa.array(np.arange(rows, dtype=np.float64))
    path, table = tmp_path / f"rows.{suffix}", pa.table(dict.fromkeys(names, values))
    if suffix == "parquet":
        parquet.write_table(table, path, use_dictionary=False, compression="zstd", max_rows_per_page=rows)
    else:
        with ipc.new_file(path, table.schema, options=ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
    (source,) = find_sources([str(path)])
    bounds = np.full(features, 1e9)
    wanted = Wanted(names, "float64", "label", (0, 1), (), low=-bounds, high=bounds)
    with open_rows(source, wanted) as opened:
        assert sum(len(batch.numbers) for batch in opened.batches(0)) == rows


STRANGE = {
    "run ends": pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array([1.0])),
    "dense union": pa.UnionArray.from_dense(
        pa.array([0, 0], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1.5])]
    ),
    "list view": pa.array([[1.0], [2.0]], pa.list_view(pa.float64())),
    "interval": pa.array([pa.MonthDayNano([1, 2, 3])] * 2),
    "dictionary in a list": pa.ListArray.from_arrays(
        pa.array([0, 1, 2], pa.int32()), pa.array(["a", "b"]).dictionary_encode()
    ),
    "dictionary in a structure": pa.StructArray.from_arrays([pa.array(["a", "b"]).dictionary_encode()], ["a"]),
    "dictionary of lists": pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int32()), pa.array([[1, 2]])),
    "views in a list": pa.array([["a"], ["b"]], pa.list_(pa.string_view())),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_columns_are_not_carried(of_words: Verified, tmp_path: Path, name: str) -> None:
    """A type that Parquet or CSV does not know, or whose size nobody knows, is refused by the column's name."""
    path = in_arrow(tmp_path, STRANGE[name])
    error = refused(of_words, path, to=tmp_path / "out.parquet", keep=("note",))
    assert error.rules == {"not-carried"}
    assert "column 'note' holds" in str(error)
    assert answered(of_words, path, to=tmp_path / "out.parquet").num_rows == 2


# Files that no writer makes


def test_a_file_by_hand_is_answered(of_words: Verified, tmp_path: Path) -> None:
    """The files below are whole but for what is wrong with them."""
    for codec in ("none", "zstd"):
        (tmp_path / "rows.parquet").write_bytes(handmade.file(handmade.page(codec), codec=handmade.CODECS[codec]))
        assert answered(of_words, tmp_path / "rows.parquet", to=tmp_path / "out.parquet").num_rows == 2


def of_page(codec: str = "zstd", **changes: Any) -> bytes:
    return handmade.file(handmade.page(codec, **changes), codec=handmade.CODECS[codec])


LIES: dict[str, tuple[bytes, str]] = {
    "a page of two gigabytes": (of_page(unpacked=2**31 - 1), "decompression-bomb"),
    "a page of 256 MiB and a byte": (of_page(unpacked=(256 << 20) + 1), "decompression-bomb"),
    "a page of less than nothing": (of_page(unpacked=-1), "unreadable"),
    "a page that begins before itself": (of_page(packed=-40), "unreadable"),
    "a page that ends behind the file": (of_page(packed=2**31 - 1), "unreadable"),
    "a page of less than no values": (of_page(count=-5), "unreadable"),
    "a page of no values": (of_page(count=0), "truncated"),
    "a size of another type": (of_page(unpacked=handmade.Long(16)), "unreadable"),
    "a size that is told twice": (of_page(more=handmade.told_behind(2, 2**31 - 1)), "unreadable"),
    "a number of a field that wraps": (of_page(more=handmade.told_behind(2**16 + 2, 2**31 - 1)), "unreadable"),
    "a number of values that wraps": (of_page(count=2**32 + 2), "unreadable"),
    "the same pages in many row groups": (
        handmade.file(handmade.page("zstd", count=0) * 99 + handmade.page("zstd"), codec=6, groups=1000),
        "unreadable",
    ),
    "more values than pages": (handmade.file(handmade.page(), codec=6, values=2**62), "unreadable"),
    "pages before the file": (handmade.file(handmade.page(), codec=6, begin=-4), "unreadable"),
    "pages behind the file": (handmade.file(handmade.page(), codec=6, begin=2**40), "unreadable"),
    "an unknown codec": (handmade.file(handmade.page(), codec=99), "unreadable"),
    "more children than columns": (handmade.file(handmade.page(), {2: handmade.schema(2**31 - 1)}), "unreadable"),
    "fewer children than none": (handmade.file(handmade.page(), {2: handmade.schema(-1)}), "unreadable"),
    "no schema": (handmade.file(handmade.page(), {2: []}), "unreadable"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_of_a_header_are_refused(of_words: Verified, tmp_path: Path, name: str) -> None:
    """A page that says to be larger than memory, and numbers that cannot be, are refused before a page is unpacked."""
    data, rule = LIES[name]
    (tmp_path / "rows.parquet").write_bytes(data)
    assert rules(of_words, tmp_path / "rows.parquet") == {rule}


def of_batch() -> bytearray:
    """An Arrow file with a packed batch of two rows."""
    table = pa.table({name: [1.5, 2.5] * 40 for name in NAMES})
    sink = io.BytesIO()
    with ipc.new_file(sink, table.schema, options=ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytearray(sink.getvalue())


def in_stream(place: Path, batches: int) -> Path:
    """A stream in which each batch has a dictionary of its own, of a tenth of a megabyte."""
    schema = pa.schema([("width", pa.float64()), ("height", pa.float64()), ("note", WORDS.type)])
    with ipc.new_stream(place / "rows.arrows", schema) as writer:
        for number in range(batches):
            texts = pa.array([f"{at} of {number}" + "x" * 1000 for at in range(100)])
            note = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), texts)
            writer.write_batch(pa.record_batch([pa.array([1.0, 2.0]), pa.array([1.0, 2.0]), note], schema))
    return place / "rows.arrows"


@pytest.mark.slow
def test_a_dictionary_takes_the_place_of_the_one_before(of_words: Verified, tmp_path: Path) -> None:
    """A stream may have more dictionaries than there is room for at once, as long as each takes another's place."""
    path = in_stream(tmp_path, 3000)
    assert path.stat().st_size > 256 << 20
    table = answered(of_words, path, to=tmp_path / "out.parquet", keep=("note",))
    assert table.column("note")[-1].as_py().startswith("1 of 2999x")


@pytest.mark.parametrize(("size", "rule"), [(2**40, "batch-too-large"), (-2, "unreadable")])
def test_lies_of_a_buffer_are_refused(of_words: Verified, tmp_path: Path, size: int, rule: str) -> None:
    """A packed buffer that says to be larger than memory, or less than nothing, is refused before it is unpacked."""
    data = of_batch()
    struct.pack_into("<q", data, data.index(b"\x28\xb5\x2f\xfd") - 8, size)
    (tmp_path / "rows.arrow").write_bytes(data)
    assert rules(of_words, tmp_path / "rows.arrow") == {rule}


def test_rows_without_bytes_are_refused(tmp_path: Path) -> None:
    """A batch of a trillion rows of nulls has no byte in the file, and is refused before a number stands for each."""
    column = pa.Array.from_buffers(pa.null(), 2**40, [None])
    batch = pa.RecordBatch.from_arrays([column, column], ["a", "label"])
    options = ipc.IpcWriteOptions(allow_64bit=True)
    with ipc.new_file(str(tmp_path / "rows.arrow"), batch.schema, options=options) as writer:
        writer.write_batch(batch)
    with pytest.raises(DataRejected) as caught:
        read_table(str(tmp_path / "rows.arrow"), target="label")
    assert caught.value.rules == {"batch-too-large"}


GOOD = {"parquet": of_page(), "arrow": bytes(of_batch())}


@pytest.mark.slow
@settings(max_examples=800)
@given(
    st.sampled_from(sorted(GOOD)),
    st.lists(st.tuples(st.integers(0), st.integers(1, 255)), min_size=1, max_size=3),
)
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, changes: list[tuple[int, int]]
) -> None:
    """Whatever bytes of a file are others, it is refused, or has for the reader the rows that it says."""
    data = bytearray(GOOD[suffix])
    for place, change in changes:
        data[place % len(data)] ^= change
    path = tmp_path_factory.getbasetemp() / f"changed.{suffix}"
    path.write_bytes(data)
    (source,) = find_sources([str(path)])
    with suppress(DataRejected), open_rows(source, WANTED) as opened:
        read = sum(batch.count for batch in opened.batches(0))
        assert opened.total in {None, read}

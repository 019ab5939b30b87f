"""Laws of reading: no result depends on where a reader cuts; every row that is read is answered or has its reason."""

from __future__ import annotations

import csv as python
import io
import json
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import csv, ipc, parquet

from artifact_pipeline.rows.batches import Piece, Rejected, Wanted, align
from artifact_pipeline.rows.columns import parse_texts, to_batch
from artifact_pipeline.rows.formats.jsonlines import JsonLinesReader
from artifact_pipeline.rows.formats.streams import HashedStream
from artifact_pipeline.rows.formats.text import CsvReader
from artifact_pipeline.rows.sources import Source
from rowfiles import answer, rejected, train_words, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.formats.opening import Reader

N = settings().max_examples
"""How often a law is tried that is quick to try: the profile says it."""
once = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
several = settings(once, max_examples=2 * N // 5)


@pytest.fixture(scope="module")
def of_words(tmp_path_factory: pytest.TempPathFactory) -> Verified:
    return train_words(tmp_path_factory.mktemp("words"))


def wanted(*features: str, keep: tuple[str, ...] = (), **changed: Any) -> Wanted:
    bounds = np.full(len(features), 1e300)
    plain = Wanted(features, "float64", "label", ("no", "yes"), keep, low=-bounds, high=bounds)
    return replace(plain, **changed)


# Pieces


@st.composite
def cut_rows(draw: st.DrawFn) -> tuple[list[Piece], int, set[int]]:
    """Pieces of some rows that are cut anywhere, some of them empty; how many rows; and which of them are broken."""
    rows = draw(st.integers(0, 40))
    broken = draw(st.sets(st.integers(0, rows - 1))) if rows else set()
    cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=8)))
    borders = [0, *cuts, rows]
    return [piece_of(*pair, broken) for pair in pairwise(borders)], rows, broken


def piece_of(start: int, end: int, broken: set[int]) -> Piece:
    good = [row for row in range(start, end) if row not in broken]
    table = pa.RecordBatch.from_pydict({"a": pa.array([float(row) for row in good], pa.float64())})
    bad = tuple(Rejected(row, "", "", "bad", "bad", "") for row in range(start, end) if row in broken)
    return Piece(start, end - start, table, np.array(good, dtype=np.int64) if bad else None, bad)


def told(piece: Piece) -> tuple[int, int, list[int], list[float], list[int]]:
    numbers = piece.row_numbers().tolist()
    return piece.start, piece.count, numbers, piece.table.column("a").to_pylist(), [each.row for each in piece.broken]


def expected(rows: int, broken: set[int], chunk: int, start: int) -> list:
    """What the definition says: each multiple of `chunk` begins a batch."""
    batches = []
    for first in range(start, rows, chunk):
        end = min(first + chunk, rows)
        good = [row for row in range(first, end) if row not in broken]
        bad = [row for row in range(first, end) if row in broken]
        batches.append((first, end - first, good, [float(row) for row in good], bad))
    return batches


@settings(max_examples=4 * N)
@given(cut_rows(), st.integers(1, 12), st.integers(0, 5))
@example(([piece_of(0, 4, set()), piece_of(4, 4, set()), piece_of(4, 8, set())], 8, set()), 4, 0)
@example(([piece_of(0, 8, {3, 4})], 8, {3, 4}), 4, 1)
@example(([piece_of(0, 8, {*range(8)})], 8, {*range(8)}), 4, 0)
@example(([piece_of(0, 0, set())], 0, set()), 4, 0)
def test_batches_do_not_depend_on_the_cuts(cut: tuple[list[Piece], int, set[int]], chunk: int, skipped: int) -> None:
    """However a reader cuts, the batches are those that the definition gives, from any batch on that is asked for."""
    pieces, rows, broken = cut
    start = chunk * skipped
    found = list(align(iter(pieces), start, chunk))
    assert [told(piece) for piece in found] == expected(rows, broken, chunk, start)
    later = [piece for piece in pieces if piece.end > start]  # as a reader by position gives them
    assert [told(piece) for piece in align(iter(later), start, chunk)] == expected(rows, broken, chunk, start)


@given(st.integers(0, 5000))
def test_the_rows_of_a_batch_divide_the_largest(features: int) -> None:
    """Wide rows come in smaller batches, whose borders are borders of the largest ones too."""
    chunk = wanted(*map(str, range(features))).chunk
    assert (1 << 16) % chunk == 0
    assert chunk == 1 << 12 or chunk * features <= 64 << 16


# Numbers


words = st.sampled_from(["nan", "NaN", "inf", "-Infinity", "INF", "nan(1)", "-nan", "+inf", "true", "null", "NA", ""])
characters = st.text(st.sampled_from("0123456789.eE+- _xnaif\t,()"), max_size=8)
written = st.one_of(
    st.floats().map(repr), st.integers().map(str), st.integers(-9, 9).map(str), words, characters, st.text(max_size=4)
)
padded = st.tuples(st.sampled_from(["", " ", "\t "]), written, st.sampled_from(["", " "])).map("".join)


def piece_of_texts(texts: Sequence[str]) -> Piece:
    return Piece(0, len(texts), pa.RecordBatch.from_pydict({"a": pa.array(texts, pa.string())}), written="any")


def outcomes(texts: Sequence[str]) -> list[Any]:
    """For each text its number in bits, or its rule."""
    piece = parse_texts(piece_of_texts(texts), wanted("a"), {"a": "number"})
    values = piece.table.column("a").to_numpy()
    good = zip(piece.row_numbers().tolist(), values.view(np.int64).tolist(), strict=True)
    return [each for _, each in sorted([*good, *((bad.row, bad.rule) for bad in piece.broken)])]


@settings(max_examples=4 * N)
@given(st.lists(padded, min_size=1, max_size=6))
@example(["1", " 2"])
@example(["9007199254740993", "x"])
@example([" 9007199254740993"])
@example(["nan(1)", "x"])
@example(["+1", "x"])
@example(["1.", ".5", "1e5", "."])
@example(["1\n", "x"])
def test_a_number_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    """A text is the same number, or the same fault, whatever stands in the column beside it."""
    assert outcomes(texts) == [each for text in texts for each in outcomes([text])]


@given(padded)
@example("1_0")
@example("1e999")
@example("٣")
def test_numbers_are_those_of_python_but_for_its_freedoms(text: str) -> None:
    """What is read is what Python reads, bit for bit; Python's underscores and other digits are no numbers here."""
    (outcome,) = outcomes([text])
    if isinstance(outcome, int):
        assert np.array(float(text)).view(np.int64) == outcome
    elif outcome == "missing":
        assert not text.strip(" \t")
    elif outcome == "not-a-number":
        plain = text.strip(" \t")
        try:
            float(plain)
        except ValueError:
            return
        assert "_" in plain or not plain.isascii() or plain != plain.strip()


# Texts in blocks


rows_of_text = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["1", "2.5", "-3e2", "x", ""]), st.text('ab,"\n\r é', max_size=6)),
        st.just("ragged"),
        st.just("blank"),
    ),
    max_size=12,
)


def csv_of(rows: list, end: str, *, last: bool) -> bytes:
    """Rows as a CSV; some are ragged, some lines are blank."""
    lines = ["a,note,b"]
    for row in rows:
        if isinstance(row, tuple):
            note = row[1].replace('"', '""')
            lines.append(f'{row[0]},"{note}",7')
        else:
            lines.append("1" if row == "ragged" else "")
    return (end.join(lines) + (end if last else "")).encode()


def opened(kind: Any, data: bytes, block: int, asked: Wanted) -> Reader:
    name = "csv" if kind is CsvReader else "jsonl"
    reader: Reader = kind(Source("rows", "rows", name), asked, HashedStream("rows", io.BytesIO(data)), block)
    return reader


def all_rows(batches: Iterator[Batch]) -> tuple[list, list]:
    good, bad = [], []
    for batch in batches:
        columns = [column.tolist() for column in batch.columns]
        kept = [column.to_pylist() for column in batch.kept.values()]
        good += list(zip(batch.numbers.tolist(), *columns, *kept, strict=True))
        bad += [(each.row, each.column, each.rule, each.value) for each in batch.rejected]
    return good, bad


@settings(max_examples=2 * N)
@given(rows_of_text, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 40))
@example([("1", "\n\n"), "ragged", ("x", "")], "\n", True, 1)  # noqa: FBT003 - Hypothesis takes what `given` gives
@example(["ragged"] * 5, "\r\n", False, 3)  # noqa: FBT003
def test_a_csv_does_not_depend_on_its_blocks(rows: list, end: str, last: bool, block: int) -> None:  # noqa: FBT001
    """However small the blocks are that are parsed, the rows, their numbers and their faults are the same."""
    data = csv_of(rows, end, last=last)
    asked = wanted("a", "b", keep=("note",))
    good, bad = all_rows(opened(CsvReader, data, block, asked).batches(0))
    counted = [row for row in rows if row != "blank"]
    assert [number for number, *_ in good] == [
        number for number, row in enumerate(counted) if isinstance(row, tuple) and row[0] not in {"x", ""}
    ]
    rules = {"r": "row-width", "x": "not-a-number", "": "missing"}
    assert [(row, rule) for row, _, rule, _ in bad] == [
        (number, rules[row[0]]) for number, row in enumerate(counted) if row[0] in rules
    ]
    assert [note for *_, note in good] == [counted[number][1] for number, *_ in good]
    assert all_rows(opened(CsvReader, data, 1 << 20, asked).batches(0)) == (good, bad)


@given(st.lists(st.text('a"\n,', max_size=5), min_size=1, max_size=6), st.integers(1, 9))
def test_a_csv_as_pythons_module_writes_it_is_read_back(notes: list[str], block: int) -> None:
    """What the csv module of Python writes, whatever it quotes, is what is read."""
    text = io.StringIO()
    writer = python.writer(text)
    writer.writerows([["a", "note"], *([1, note] for note in notes)])
    good, bad = all_rows(opened(CsvReader, text.getvalue().encode(), block, wanted("a", keep=("note",))).batches(0))
    assert bad == []
    assert [note for *_, note in good] == notes


line = st.sampled_from(
    [
        '{"a": 1, "note": "x:y"}',
        '{"a": 1.5}',
        '{"a": 9007199254740993}',
        '{"a": 1, "a": 2}',
        '{"a": true}',
        '{"a": "1"}',
        '{"a": 1e999}',
        '{"note": "x"}',
        '{"a": 1, "note": 1.50}',
        '{"a": 2, "note": 7}',
        "[1]",
        "{",
        "",
        " ",
    ]
)


@given(st.lists(line, max_size=12), st.integers(1, 60))
def test_json_lines_do_not_depend_on_their_blocks(lines: list[str], block: int) -> None:
    """However small the blocks are, each line gives the same row or fault, with the same number."""
    first = '{"a": 0, "note": "first"}'
    data = "\n".join([first, *lines]).encode()
    asked = wanted("a", keep=("note",))
    found = all_rows(opened(JsonLinesReader, data, max(block, len(first) + 1), asked).batches(0))
    assert found == all_rows(opened(JsonLinesReader, data, 1 << 20, asked).batches(0))
    rows = [each for each in [first, *lines] if each.strip()]
    assert sorted([number for number, *_ in found[0]] + [number for number, *_ in found[1]]) == [*range(len(rows))]
    alone = [all_rows(opened(JsonLinesReader, f"{first}\n{each}".encode(), 1 << 20, asked).batches(0)) for each in rows]
    assert [each[1:] for each in found[0]] == [each[0][-1][1:] for each in alone if len(each[0]) == 2]


# Formats


finite = st.floats(-(2.0**53) + 1, 2.0**53 - 1)


@several
@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=5))
@example([(0.1, -0.0), (5e-324, 1e-310), (2.0**53 - 1, 1 / 3)])
def test_all_formats_give_the_same_answers(of_words: Verified, tmp_path: Path, rows: list[tuple[float, float]]) -> None:
    """The same rows have the same answers in every format, to the last bit."""
    columns = {"width": [row[0] for row in rows], "height": [row[1] for row in rows]}
    seen = set()
    for suffix in ("parquet", "csv", "arrow", "arrows", "npy", "npz", "jsonl"):
        path = write_rows(tmp_path / f"rows.{suffix}", columns)
        answer(of_words, path, to=tmp_path / "out.parquet", on_error="quarantine")
        seen.add((tmp_path / "out.parquet").read_bytes())
    assert len(seen) == 1


@settings(once, max_examples=N // 4)
@given(st.data())
def test_rows_read_are_rows_written_and_rows_rejected(of_words: Verified, tmp_path: Path, data: st.DataObject) -> None:
    """Wherever bad rows stand, each row is answered under its own number or set aside with its reason, never both."""
    suffix = data.draw(st.sampled_from(["csv", "parquet", "jsonl"]))
    rows = data.draw(st.sampled_from([1, 2, 50, 9000]))
    bad = data.draw(
        st.one_of(
            st.sets(st.integers(0, rows - 1), max_size=20),
            st.just({0}),
            st.just({rows - 1}),
            st.just(set(range(rows))),
            st.just(set(range(min(rows, 4096)))),
            st.just(set(range(rows // 2, rows))),
        )
    )
    fault = data.draw(st.sampled_from(_FAULTS[suffix]))
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(_FILES[suffix](rows, bad, fault))
    predictions = answer(of_words, path, to=tmp_path / "out.parquet", on_error="quarantine")
    counted = predictions.receipt.rows
    assert (counted.read, counted.written, counted.rejected) == (rows, rows - len(bad), len(bad))
    assert [each["row"] for each in rejected(tmp_path / "out.parquet")] == sorted(bad)
    answered = parquet.read_table(tmp_path / "out.parquet").column("row").to_pylist()
    assert answered == [row for row in range(rows) if row not in bad]


def _csv(rows: int, bad: set[int], fault: str) -> bytes:
    return "\n".join(["width,height", *(fault if row in bad else f"{row % 7},0.5" for row in range(rows))]).encode()


def _jsonl(rows: int, bad: set[int], fault: str) -> bytes:
    good = '{"width": 1, "height": 0.5}'
    lines = [fault if row in bad else good for row in range(rows)]
    return "\n".join(lines).encode()


def _parquet(rows: int, bad: set[int], fault: str) -> bytes:
    values = [(float(fault) if fault else None) if row in bad else 1.0 for row in range(rows)]
    sink = pa.BufferOutputStream()
    table = pa.table({"width": pa.array(values, pa.float64()), "height": pa.array([0.5] * rows)})
    parquet.write_table(table, sink, row_group_size=4000)
    return sink.getvalue().to_pybytes()


_FILES = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
_FAULTS = {
    "csv": ["1", "1,2,3", "x,1", "1,", "nan,1", "9007199254740993,1", '"a\nb",1'],
    "jsonl": [
        "{",
        "[]",
        '{"width": null, "height": 1}',
        '{"width": 1, "height": 1, "width": 2}',
        '{"width":1e999,"height":1}',
    ],
    "parquet": ["nan", "inf", "", "1e301"],
}


@given(st.sampled_from(["csv", "jsonl"]), st.lists(finite, min_size=1, max_size=30), st.integers(1, 9))
def test_a_prediction_goes_on_at_any_batch(kind: str, values: list[float], chunk: int) -> None:
    """From any batch on, the rest is what it was: number by number, bit by bit."""
    columns = {"a": values}
    if kind == "csv":
        sink = pa.BufferOutputStream()
        csv.write_csv(pa.table(columns), sink)
        data, reader = sink.getvalue().to_pybytes(), CsvReader
    else:
        data, reader = "".join(f"{json.dumps({'a': each})}\n" for each in values).encode(), JsonLinesReader

    def batches(start: int) -> list[tuple[int, list[float]]]:
        source = Source("rows", "rows", kind)
        pieces = reader(source, wanted("a"), HashedStream("rows", io.BytesIO(data)), 16).pieces(start)
        return [
            (piece.start, to_batch(piece, wanted("a"), "rows").columns[0].tolist())
            for piece in align(pieces, start, chunk)
        ]

    whole = batches(0)
    for index, (start, _) in enumerate(whole):
        assert batches(start) == whole[index:]
    assert [value for _, some in whole for value in some] == values


def test_a_stream_of_arrow_is_cut_like_a_file(tmp_path: Path, of_words: Verified) -> None:
    """Batches of any size, empty ones among them, give the same answers."""
    table = pa.table({"width": np.arange(50.0), "height": np.ones(50)})
    seen = set()
    for sizes in ([50], [0, 1, 0, 49], [25, 25, 0], [7] * 7 + [1]):
        with ipc.new_stream(str(tmp_path / "rows.arrows"), table.schema) as writer:
            start = 0
            for size in sizes:
                batch = table.slice(start, size).combine_chunks()
                writer.write_batch(batch.to_batches()[0] if size else pa.RecordBatch.from_pylist([], table.schema))
                start += size
        answer(of_words, tmp_path / "rows.arrows", to=tmp_path / "out.parquet")
        seen.add((tmp_path / "out.parquet").read_bytes())
    assert len(seen) == 1

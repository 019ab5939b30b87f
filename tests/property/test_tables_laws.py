"""Laws of tables with categories and missing values: every format of a table is the same table, to both verbs."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partialmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifact_pipeline.errors import DataRejected
from artifact_pipeline.rows.features import MISSING, Column, Features
from artifact_pipeline.rows.folding import MIN_ROWS, fold_rare_levels
from artifact_pipeline.rows.formats.text import CsvReader
from artifact_pipeline.rows.matrix import TypedRowsDigest
from artifact_pipeline.rows.memory import batches_of
from artifact_pipeline.rows.table import read_table
from typedtables import FORMATS, answerable, as_csv, joined, wanted, write

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.rows.features import ColumnKind

    Cells = dict[str, list[Any]]

N = settings().max_examples
several = settings(max_examples=2 * N // 5, suppress_health_check=[HealthCheck.function_scoped_fixture])
_LEVELS = ["Rom", "Kiel ", "007", "12", "-3", "true", "null and void", "Köln", 'say "yes", or no', "1.5", "2020-01-01"]
_CELLS: dict[ColumnKind, st.SearchStrategy[Any]] = {
    "number": st.floats(-1e9, 1e9) | st.integers(-(2**53) + 1, 2**53 - 1).map(float),
    "boolean": st.booleans(),
    "category": st.sampled_from(_LEVELS),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[Cells, dict[str, ColumnKind]]:
    """The cells of a table, some of them missing, and the kinds of its columns; no column counts the rows."""
    rows = draw(st.integers(2, 20))
    kinds = draw(st.lists(st.sampled_from(["number", "boolean", "category"]), min_size=1, max_size=5))
    cells: Cells = {}
    for at, kind in enumerate(kinds):
        gaps = draw(st.booleans())
        cell = st.none() | _CELLS[kind] if gaps else _CELLS[kind]
        cells[f"x{at}"] = draw(st.lists(cell, min_size=rows, max_size=rows))
    cells["label"] = [*draw(st.lists(st.sampled_from(["no", "yes"]), min_size=rows, max_size=rows))]
    return cells, dict(zip(cells, kinds, strict=False))


def _expected(cells: Cells, kinds: dict[str, ColumnKind]) -> list[tuple[Any, ...]]:
    numbers = [
        [None if each is None else float(each) for each in cells[name]] for name in kinds if kinds[name] != "category"
    ]
    texts = [[MISSING if each is None else each for each in cells[name]] for name in kinds if kinds[name] == "category"]
    return [*zip(*numbers, *texts, strict=True)]


def _columns(cells: Cells, kinds: dict[str, ColumnKind]) -> tuple[Column, ...]:
    columns = []
    for name, kind in kinds.items():
        levels = {MISSING if each is None else each for each in cells[name]} if kind == "category" else ()
        columns.append(Column(name, kind, nullable=None in cells[name], levels=tuple(sorted(levels))))
    return tuple(columns)


@several
@given(table=tables())
def test_every_format_is_the_same_table_to_learn_from(
    tmp_path: Path, table: tuple[Cells, dict[str, ColumnKind]]
) -> None:
    """A table has the same columns, values, labels and digest whatever format it is written in."""
    cells, kinds = table
    digests = set()
    for form in FORMATS:
        path = write(tmp_path / f"table.{form}", cells)
        rows = read_table(str(path), target="label", features=tuple(kinds), columns=kinds)
        X = [[None if np.isnan(each) else each for each in row] for row in rows.features.X.tolist()]
        assert [(*x, *s) for x, s in zip(X, rows.features.S.tolist(), strict=True)] == _expected(cells, kinds), form
        assert rows.y is not None
        assert rows.y.tolist() == cells["label"]
        assert rows.columns == _columns(cells, kinds), form
        digests.add((rows.digest_algorithm, rows.digest()))
    assert len(digests) == 1


@several
@given(table=tables(), data=st.data())
def test_every_format_is_the_same_table_to_answer(
    tmp_path: Path, table: tuple[Cells, dict[str, ColumnKind]], data: st.DataObject
) -> None:
    """A model gets the same rows, labels and counts whatever format a table is in, or whatever memory it stands in."""
    cells, kinds = table
    unknown = data.draw(st.sampled_from(_LEVELS))
    known = tuple(
        replace(column, levels=tuple(level for level in column.levels if level not in {unknown, "1.0"}))
        for column in _columns(cells, kinds)
    )
    expected = _expected(cells, kinds)
    missing = {name: sum(each is None for each in cells[name]) for name in kinds}
    unseen = {name: cells[name].count(unknown) if kind == "category" else 0 for name, kind in kinds.items()}
    read = {form: answerable(write(tmp_path / f"table.{form}", cells), known) for form in FORMATS}
    frame = pd.DataFrame(cells)
    for name, kind in kinds.items():
        frame[name] = frame[name].astype({"number": "Float64", "boolean": "boolean", "category": "category"}[kind])
    for name, memory in {
        "Arrow": pa.table(cells),
        "dict": cells,
        "pandas": frame,
        "objects": {name: np.array(column, dtype=object) for name, column in cells.items()},
    }.items():
        read[name] = joined([*batches_of(memory, wanted(known))], known)
    for form, found in read.items():
        assert found.rejected == (), form
        assert found.listed() == expected, form
        assert found.actual == [["no", "yes"].index(each) for each in cells["label"]], form
        assert (found.missing, found.unseen) == (missing, unseen), form


@several
@given(table=tables(), name=st.sampled_from(["", "NA", "NaN", "null", " NA "]))
def test_every_text_for_a_missing_value_is_the_same(
    tmp_path: Path, table: tuple[Cells, dict[str, ColumnKind]], name: str
) -> None:
    """A missing value may be written by any text of the list, in the columns of all kinds."""
    cells, kinds = table
    path = tmp_path / "table.csv"
    path.write_text(as_csv({key: [name if each is None else each for each in column] for key, column in cells.items()}))
    assert answerable(path, _columns(cells, kinds)).listed() == _expected(cells, kinds)
    rows = read_table(str(path), target="label", features=tuple(kinds), columns=kinds)
    assert rows.columns == _columns(cells, kinds)


_CSV = ["1", "2.5", "-3", " 4 ", "007", "00", "true", "False", "", "NA", "Rom", "Kiel", "2020-01-01", "1e400", "nan"]


def _inferred(cells: list[str]) -> str:
    """What the rules say of the cells of a column of a CSV, read as they are stated: a kind, or why it has none."""
    there = [cell for cell in cells if cell not in {"", "NA"}]
    bare = [cell.strip() for cell in there]
    numbers = [re.fullmatch(r"-?[0-9.]+(e[0-9]+)?", each) is not None for each in bare]
    padded = all(each.isdigit() for each in bare) and any(re.fullmatch(r"0[0-9]+", each) for each in bare)
    mostly = "not-a-number" if not all(numbers) and sum(numbers) >= len(there) / 2 else "free-text"
    rules = {
        "no-values": not there,
        "not-finite": all(numbers) and "1e400" in bare,
        "number": all(numbers) and not padded,
        "boolean": all(each.lower() in {"true", "false"} for each in bare),
        "date": set(bare) == {"2020-01-01"},
        "category": len(set(there)) <= len(cells) / 2,
        mostly: True,
    }
    return next(name for name, holds in rules.items() if holds)


@several
@given(
    cells=st.lists(st.sampled_from(_CSV), min_size=1, max_size=4, unique=True).flatmap(
        lambda pool: st.lists(st.sampled_from(pool), min_size=1, max_size=24)
    ),
    block=st.integers(8, 64),
)
def test_a_kind_is_inferred_from_all_cells(tmp_path: Path, cells: list[str], block: int) -> None:
    """What a column of a CSV is depends on its cells alone, by the stated rules, wherever a block of the file ends."""
    path = tmp_path / "table.csv"
    path.write_text(as_csv({"a": cells, "b": [0.5] * len(cells), "label": ["no"] * len(cells)}))
    expected = _inferred(cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CsvReader, "__init__", partialmethod(CsvReader.__init__, block=block))
        if expected not in {"number", "boolean", "category"}:
            with pytest.raises(DataRejected) as caught:
                read_table(str(path), target="label", features=("a", "b"))
            assert [each.rule for each in caught.value.problems] == [expected]
            return
        rows = read_table(str(path), target="label", features=("a", "b"))
    column = rows.columns[0]
    assert rows.X[:, -1].tolist() == [0.5] * len(cells)
    missing = [cell in {"", "NA"} for cell in cells]
    if expected == "category":
        texts = ["" if gap else cell for cell, gap in zip(cells, missing, strict=True)]
        assert column == Column("a", "category", nullable=any(missing), levels=tuple(sorted(set(texts))))
        assert rows.features.S[:, 0].tolist() == texts
    else:
        assert (column.kind, column.nullable, column.levels) == (expected, any(missing), ())
        value = float if expected == "number" else (lambda cell: float(cell.lower() == "true"))
        values = [None if gap else value(cell) for cell, gap in zip(cells, missing, strict=True)]
        np.testing.assert_array_equal(rows.X[:, 0], np.array(values, dtype=np.float64))


@given(table=tables(), data=st.data())
def test_the_digest_of_rows_depends_on_no_cut(table: tuple[Cells, dict[str, ColumnKind]], data: st.DataObject) -> None:
    """The digest of rows in two pieces is that of all rows at once, and another where a value differs."""
    cells, kinds = table
    columns, expected = _columns(cells, kinds), _expected(cells, kinds)
    numbers = sum(kind != "category" for kind in kinds.values())
    X = np.array([row[:numbers] for row in expected], dtype=np.float64)
    S = np.array([row[numbers:] for row in expected], dtype=object)
    cut = data.draw(st.integers(0, len(X)))

    def _digest(*pieces: Features) -> str:
        digest = TypedRowsDigest(columns, "label")
        for piece in pieces:
            digest.add(piece)
        return digest.finish(np.array(cells["label"]))

    whole = Features(X, S)
    assert _digest(whole) == _digest(whole[:cut], whole[cut:])
    changed = Features(X.copy(), S.copy())
    if numbers:
        changed.X[0, 0] = 0.5 if np.isnan(X[0, 0]) else np.nan
    else:
        changed.S[0, 0] = f"{S[0, 0]}!"
    assert _digest(changed) != _digest(whole)


@given(codes=st.lists(st.integers(0, 4), min_size=1, max_size=60), share=st.integers(1, 3))
def test_a_level_is_known_where_enough_training_rows_hold_it(codes: list[int], share: int) -> None:
    """A model's levels are just those that five training rows hold, and a note counts what is folded."""
    names = [MISSING, "a", "b", "c", "d"]
    S = np.array([names[code] for code in codes], dtype=object).reshape(-1, 1)
    training = np.arange(0, len(codes), share)
    column = Column("town", "category", nullable=True, levels=tuple(sorted(set(S[:, 0]))))
    folded = fold_rare_levels((column,), Features(np.empty((len(S), 0)), S), training)
    held = S[training, 0].tolist()
    assert folded.columns[0].levels == tuple(sorted(each for each in set(held) if held.count(each) >= MIN_ROWS))
    lost = [each for each in held if held.count(each) < MIN_ROWS]
    assert bool(folded.notes) is bool(lost)
    assert not lost or f"{len(lost)} row" in folded.notes[0]

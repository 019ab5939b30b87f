"""Labels that came later: read, joined with predictions by key, and scored.

Only the labels' keys and positions are held in memory; the predictions are read batch by batch. Keys and labels are
compared as text, since a CSV does not say which type a value has.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import DataRejected, Problem, plural
from artifact_pipeline.prediction.counts import LabelledCounts
from artifact_pipeline.rows.batches import Wanted
from artifact_pipeline.rows.faults import listed_names, meant_names
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import Source, find_sources, format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.artifact.manifest1 import GateRecord
    from artifact_pipeline.rows.batches import Batch

ROW, FILE, SPLIT, PREDICTED, PROBABILITY = "row", "file", "split", "predicted", "probability_"
"""The names of the columns of predictions; `PROBABILITY` is a prefix."""
_FORMATS = ("csv", "parquet", "arrow", "jsonl")
"""Formats of tables, by the first part of their names: `csv.gz` is a CSV too."""
_SIDES = ("held-out", "training")
"""The values of the column `split`; others are not scored apart."""
HELD = 1 << 23
"""Probabilities that are held at most, 64 MiB, before their keys are looked up: a look-up goes through all labels."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How right predictions were.

    Attributes:
        figures: the figures over the rows that have both a prediction and a label.
        splits: the same by the sides in the predictions' column `split`; empty where they have no such column.
        label: the label's column.
        labels: how many labels were read.
        predictions: how many predictions were read.
        rules: the minimums that were asked for, each with what was observed.
    """

    figures: HeldOut
    label: str
    labels: int
    predictions: int
    rules: tuple[GateRecord.Rule, ...] = ()
    splits: Mapping[str, HeldOut] = field(default_factory=dict)


class _Labels(NamedTuple):
    """Labels: the column's name, and of each row the key and the int32 position in the predictions' classes."""

    column: str
    keys: Any
    positions: NDArray[np.int32]


class _Answers(NamedTuple):
    """A batch of predictions: keys, int32 positions, float64 probabilities of each class, and sides or None."""

    keys: Any
    predicted: NDArray[np.int32]
    probabilities: list[Any]
    sides: Any


def score(
    predictions: str, labels: str, *, keys: tuple[str, ...], label: str | None, progress: Callable[[int, float], None]
) -> Evaluation:
    """Join predictions with labels, and compute the figures; arguments and errors as in `evaluation.evaluate`."""
    found = find_sources([predictions], _FORMATS[0])  # with a format, so that none is taken for a picture
    sources = [replace(each, format=_format(each.place)) for each in found]
    there = next(filter(None, map(_columns, sources)), ())  # a part of JSON Lines may be empty: its rows were bad
    classes = _classes(predictions, there)
    _check_keys(keys, label, (predictions, there), (labels, _columns(Source(labels, labels, _format(labels)))))
    known = _read_labels(labels, keys, label, classes)
    join = _Join(known, classes)
    for held in _grouped(_answers(sources, keys, classes, progress), min(len(known.keys), HELD // len(classes))):
        join.add(predictions, held)
    if not join.predictions:
        raise _refused(predictions, "no-rows", "holds no rows")
    if not join.all.confusion.sum():
        counts = f"{plural(len(known.keys), 'key')} here, {plural(join.predictions, 'prediction')} there"
        message = f"none of its keys is a prediction's: {counts}"
        seen = f"compare the keys: the first label's is {known.keys[0].as_py()}, the first prediction's {join.first}"
        raise _refused(labels, "no-match", message, hint=seen)
    splits = {side: each.figures(classes) for side, each in join.of_side.items() if each.confusion.sum()}
    return Evaluation(join.all.figures(classes), known.column, len(known.keys), join.predictions, splits=splits)


def _check_keys(keys: Sequence[str], label: str | None, *tables: tuple[str, Sequence[str]]) -> None:
    """Refuse predictions or labels without a column of the key; the hint names a column that both have."""
    (_, predictions), (_, labels) = tables
    common = [name for name in predictions if name in labels and name not in {label, PREDICTED}]
    hint = "let predict carry the column that identifies a row through, --keep COLUMN, and name it here, --key COLUMN"
    if common:
        hint = f"name the column that identifies a row in both files: --key {shlex.quote(common[0])}"
    for place, there in tables:
        for name in keys:
            if name not in there:
                message = f"no column {name!r} for the key; it has {listed_names(there) or 'nothing'}"
                raise _refused(place, "column-missing", message, hint=hint)


def _refused(place: str, rule: str, message: str, *, hint: str | None = None) -> DataRejected:
    return DataRejected("the predictions cannot be scored", problems=[Problem(place, rule, message)], hint=hint)


def _format(place: str) -> str:
    form = format_of(place)
    if form is None or form.partition(".")[0] not in _FORMATS:
        raise _refused(place, "unknown-suffix", "is no table: its name must end with .csv, .parquet or .jsonl")
    return form


def _columns(source: Source) -> tuple[str, ...]:
    """The names of a table's columns; none where it is JSON Lines and its first line is no object."""
    with open_rows(source, Wanted.columns_alone(()), digest=False) as rows:
        return rows.left_out


def _batches(source: Source, wanted: Wanted) -> Iterator[tuple[Batch, float]]:
    """Yield the rows of a table, some ten thousand at a time, with the share of it that has been read."""
    with open_rows(source, wanted, digest=False) as rows:
        for batch in rows.batches(0):
            if batch.rejected:
                bad = batch.rejected[0]
                raise _refused(f"{source.place}, {bad.place}", bad.rule, bad.message)
            yield batch, rows.done()


def _text(place: str, batch: Batch, name: str, rule: str) -> Any:
    """A column as text, empty where there is no value."""
    import pyarrow as pa

    types, column = pa.types, batch.kept[name]
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if not (types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind)):
        raise _refused(place, rule, f"column {name!r} holds {kind}, not whole numbers or text")
    return column.cast(pa.large_string()).fill_null("")


def _label_texts(place: str, batch: Batch, name: str, classes: Sequence[str]) -> Any:
    """Labels as text, by the rule of trainings; empty where there is none."""
    import pyarrow as pa
    from pyarrow import compute

    from artifact_pipeline.rows.labels import is_label, label_texts

    column = batch.kept[name]
    if not is_label(column.type):
        raise _refused(place, "label-invalid", f"column {name!r} holds {column.type}, not whole numbers or text")
    text, _ = label_texts(column, batch.written)
    # The predictions do not say whether their classes are text or numbers; 1.0 is 1 where there is no class 1.0.
    whole = compute.replace_substring_regex(text, r"^(0|-?[1-9][0-9]*)\.0$", r"\1")
    known = compute.is_in(text, value_set=pa.array(classes, pa.string()))
    return compute.if_else(known, text, whole).cast(pa.large_string()).fill_null("")


def _joined_keys(texts: Sequence[Any]) -> Any:
    """The parts of each key as one text; the parts are quoted as in JSON, so that two keys never give the same text."""
    import pyarrow as pa
    from pyarrow import compute

    nothing, quote, comma = (pa.scalar(each, pa.large_string()) for each in ("", '"', ","))
    escaped = [compute.replace_substring_regex(text, r'(["\\])', r"\\\1") for text in texts]
    quoted = [compute.binary_join_element_wise(quote, text, quote, nothing) for text in escaped]
    return compute.binary_join_element_wise(*quoted, comma)


def _positions(texts: Any, classes: Sequence[str]) -> tuple[NDArray[np.int32], int]:
    """The position of each text in the classes, and the first row whose text is no class, or -1."""
    import pyarrow as pa
    from pyarrow import compute

    found = compute.index_in(texts, value_set=pa.array(classes, pa.large_string())).fill_null(-1)
    return found.to_numpy(zero_copy_only=False), compute.index(found, -1).as_py()


def _read_labels(place: str, keys: tuple[str, ...], label: str | None, classes: Sequence[str]) -> _Labels:
    import numpy as np
    import pyarrow as pa

    source = Source(place, place, _format(place))
    there = _columns(source)
    if label is None:
        label = _single_column(place, [name for name in there if name not in keys])
    elif label not in there:
        raise _refused(place, "column-missing", f"no column {label!r}", hint=meant_names([label], there))
    texts, positions = [], []
    for batch, _ in _batches(source, Wanted.columns_alone((*keys, label))):
        parts = [_text(place, batch, name, "key-invalid") for name in keys]
        found = _label_texts(place, batch, label, classes)
        _refuse_empty(place, batch, [*zip(keys, parts, strict=True), (label, found)])
        known, unknown = _positions(found, classes)
        if unknown >= 0:
            message = f"the label {found[unknown].as_py()!r:.80} is none of the predictions' classes"
            where = f"{place}, row {batch.numbers[unknown]}"
            raise _refused(where, "label-unknown", message, hint=f"they are: {listed_names(classes)}")
        texts.append(_joined_keys(parts))
        positions.append(known)
    if not positions:
        raise _refused(place, "no-rows", "holds no rows")
    joined = pa.chunked_array(texts, pa.large_string()).combine_chunks()
    _refuse_repeated(place, joined)
    return _Labels(label, joined, np.concatenate(positions))


def _single_column(place: str, others: Sequence[str]) -> str:
    if len(others) == 1:
        return others[0]
    message = f"{len(others)} columns are no key: {listed_names(others)}" if others else "every column is a key"
    raise _refused(place, "label-column", message, hint="say which one holds the labels: --label COLUMN")


def _refuse_empty(place: str, batch: Batch, columns: Sequence[tuple[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import compute

    for name, text in columns:
        row = compute.index(text, pa.scalar("", pa.large_string())).as_py()
        if row >= 0:
            rule, words = ("label-missing", "label") if name == columns[-1][0] else ("key-missing", "key")
            where = f"{place}, row {batch.numbers[row]}, column {name!r}"
            raise _refused(where, rule, f"the {words} is missing", hint="leave out the rows that have none")


def _refuse_repeated(place: str, keys: Any) -> None:
    import numpy as np
    from pyarrow import compute

    first = compute.index_in(keys, value_set=keys).to_numpy(zero_copy_only=False)
    again = (first != np.arange(len(first))).nonzero()[0]
    if len(again):
        row = int(again[0])
        message = f"the key {keys[row].as_py()} stands twice, first in row {first[row]}"
        raise _refused(f"{place}, row {row}", "key-repeated", message, hint="a prediction can have one label alone")


def _classes(place: str, there: Sequence[str]) -> tuple[str, ...]:
    """The classes, by the columns of probabilities after the prediction; earlier columns were carried through."""
    behind = there[there.index(PREDICTED) + 1 :] if PREDICTED in there else ()
    classes = tuple(name.removeprefix(PROBABILITY) for name in behind if name.startswith(PROBABILITY))
    if not classes:
        message = f"no column {PREDICTED!r} with columns {PROBABILITY}… behind it"
        raise _refused(place, "no-predictions", message, hint="PREDICTIONS is what the verb predict wrote")
    return classes


def _answers(
    sources: Sequence[Source], keys: tuple[str, ...], classes: Sequence[str], progress: Callable[[int, float], None]
) -> Iterator[_Answers]:
    features = tuple(f"{PROBABILITY}{each}" for each in classes)
    for index, source in enumerate(sources):
        place = source.place
        split = [SPLIT] if SPLIT in takewhile(PREDICTED.__ne__, _columns(source)) else []
        for batch, share in _batches(source, Wanted.columns_alone((*keys, *split, PREDICTED), features)):
            texts = _text(place, batch, PREDICTED, "no-predictions")
            predicted, unknown = _positions(texts, classes)
            if unknown >= 0:
                message = f"{texts[unknown].as_py()!r:.80} has no column of probabilities"
                where = f"{place}, row {batch.numbers[unknown]}, column {PREDICTED!r}"
                raise _refused(where, "no-predictions", message)
            joined = _joined_keys([_text(place, batch, name, "key-invalid") for name in keys])
            sides = _text(place, batch, SPLIT, "no-predictions") if split else None
            yield _Answers(joined, predicted, batch.columns, sides)
            progress(batch.count, (index + share) / len(sources))


def _grouped(batches: Iterator[_Answers], rows: int) -> Iterator[list[_Answers]]:
    """Yield groups of batches that have at least so many rows; the last group may have fewer."""
    held: list[_Answers] = []
    for batch in batches:
        held.append(batch)
        if sum(len(each.predicted) for each in held) >= rows:
            yield held
            held = []
    if held:
        yield held


class _Join:
    """Counts over the predictions that have a label."""

    def __init__(self, labels: _Labels, classes: Sequence[str]) -> None:
        import numpy as np

        self._labels = labels
        self._times = np.zeros(len(labels.positions), dtype=np.int64)  # predictions of each label
        self.all = LabelledCounts.zero(len(classes))
        self.of_side = {side: LabelledCounts.zero(len(classes)) for side in _SIDES}
        self.predictions = 0
        self.first = ""  # key of a prediction

    def add(self, place: str, held: Sequence[_Answers]) -> None:
        """Count predictions; refuse a second one for the same label."""
        import numpy as np
        import pyarrow as pa
        from pyarrow import compute

        keys = pa.chunked_array([each.keys for each in held])
        self.first = self.first or keys[0].as_py()
        found = compute.index_in(keys, value_set=self._labels.keys).fill_null(-1).to_numpy()
        self._times += np.bincount(found[found >= 0], minlength=len(self._times))
        if self._times.max() > 1:
            key = self._labels.keys[int(self._times.argmax())].as_py()
            hint = f"a key must belong to one prediction; where several files were predicted: --key {FILE},{ROW}"
            raise _refused(place, "key-repeated", f"the key {key} stands twice", hint=hint)
        for each in held:
            self._score(each, found[: len(each.predicted)])
            found = found[len(each.predicted) :]

    def _score(self, answers: _Answers, found: NDArray[np.int32]) -> None:
        import numpy as np
        from pyarrow import compute

        self.predictions += len(found)
        there = found >= 0
        if not there.any():
            return
        actual = self._labels.positions[found[there]].astype(np.int64)
        predicted = answers.predicted[there].astype(np.int64)
        probabilities = np.stack([column[there] for column in answers.probabilities], axis=1)
        self.all.add(actual, predicted, probabilities)
        for side, counted in self.of_side.items() if answers.sides is not None else ():
            own = compute.equal(answers.sides, side).to_numpy(zero_copy_only=False)[there]
            counted.add(actual[own], predicted[own], probabilities[own])

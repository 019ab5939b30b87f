"""Proof afterwards that predictions, and inputs, are those that the receipt records."""

from __future__ import annotations

import io
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from artifact_pipeline.artifact.figures import TOLERANCE, recomputed
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected, DataRejected, Problem, plural
from artifact_pipeline.prediction.labels import PREDICTED
from artifact_pipeline.prediction.receipt import MAX_BYTES, RULE, SUFFIX, Receipt
from artifact_pipeline.rows.batches import Wanted
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import Source
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.opened import BLOCK, Opened, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


_MAX_LINE = 256 << 20
"""Bytes at most of a line about a bad row, which holds the row as it was read."""
_ARRAYS = frozenset({"npy", "npz"})
PROVES = (
    "a receipt proves that files and counts are as it says, not who wrote it or that the artifact gave these answers; "
    "for that, predict again and compare, or keep the receipt's own digest or signature elsewhere"
)


def prove(output: str, receipt: str | None = None, *, inputs: Sequence[str] = (), expect: str | None = None) -> Receipt:
    """Compare predictions, and inputs if any are given, with their receipt: digests, sizes and counted rows.

    Args:
        output: a file of predictions, or a folder of parts.
        receipt: the receipt's place; None for the one beside the output.
        inputs: files that must be among the receipt's inputs.
        expect: the digest that the receipt's artifact must have.

    Raises:
        ArtifactRejected: with every problem found.
    """
    output = output.rstrip("/")
    place = receipt or f"{output}{SUFFIX}"
    data = storage.read(place, MAX_BYTES)
    if data is None:
        problem = Problem(place, "receipt-missing", "does not exist")
        raise ArtifactRejected("there is no receipt", problems=[problem], hint="predict writes one beside its output")
    found = Receipt.parse(data, place=place, rule=RULE)
    names = [*_names(found, place)]
    # With a name that leads elsewhere in the receipt, no output is opened.
    problems = [*_claims(found, place, expect), *(names or _outputs(found, output)), *_inputs(found, inputs)]
    if problems:
        raise ArtifactRejected(f"{output} is not what its receipt records", problems=problems)
    return found


def _names(receipt: Receipt, place: str) -> Iterator[Problem]:
    """Yield a problem for each output whose name is no plain file name, or stands twice."""
    names = [each.name for each in (*receipt.outputs, *([receipt.rejected] if receipt.rejected else []))]
    for name, times in Counter(names).items():
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            yield Problem(place, "receipt-name", f"{name!r:.80} is no name of a file beside the others")
        elif times > 1:
            yield Problem(place, "receipt-name", f"{name!r:.80} stands twice")


def _claims(receipt: Receipt, place: str, expect: str | None) -> Iterator[Problem]:
    rows = receipt.rows
    if not receipt.complete:
        yield Problem(place, "receipt-incomplete", "the work was not finished; predict --resume goes on with it")
    if expect is not None and receipt.artifact != expect:
        yield Problem(place, "digest-unexpected", f"expected {expect}, found {receipt.artifact}")
    read = sum(each.rows for each in receipt.inputs)
    written = sum(each.rows for each in receipt.outputs)
    labelled = sum(each.rows for each in receipt.labels)
    bad = {sum(rows.rules.values()), receipt.rejected.rows if receipt.rejected else 0}
    if receipt.complete and not (rows.read == read == rows.written + rows.rejected and bad == {rows.rejected}):
        yield Problem(place, "receipt-rows", f"{rows.read:,} rows read are not those written and those rejected")
    if not rows.written == written == labelled or rows.out_of_range > rows.read:
        yield Problem(place, "receipt-rows", f"{rows.written:,} rows written are not those of its files and labels")
    if receipt.metrics is not None and not _follows(receipt.metrics, [each.rows for each in receipt.labels]):
        yield Problem(place, "receipt-metrics", "the figures do not follow from their confusion matrix and the labels")


def _follows(metrics: Receipt.Measured, predicted: Sequence[int]) -> bool:
    """Whether figures follow from their matrix, and it counts no label more often than it was predicted."""
    matrix = metrics.confusion
    if not metrics.rows or len(matrix) != len(predicted) or any(len(row) != len(matrix) for row in matrix):
        return False
    counted = [sum(column) for column in zip(*matrix, strict=True)]
    if sum(counted) != metrics.rows or any(part > whole for part, whole in zip(counted, predicted, strict=True)):
        return False
    found = recomputed(matrix)
    pairs = ((metrics.accuracy, found["accuracy"]), (metrics.f1_weighted, found["f1_weighted"]))
    return all(abs(said - value) <= TOLERANCE for said, value in pairs)


def _outputs(receipt: Receipt, output: str) -> Iterator[Problem]:
    folder = not storage.is_url(output) and Path(output).is_dir()
    labels: Counter[str] = Counter()
    if folder or (storage.is_url(output) and [each.name for each in receipt.outputs] != [output.rsplit("/", 1)[-1]]):
        problems = [*_strangers(output, {each.name for each in receipt.outputs})]
        for each in receipt.outputs:
            problems += _compared(f"{output}/{each.name}", each, _count_predictions, labels)
    elif len(receipt.outputs) == 1:  # whose digest counts: the file may have been renamed
        problems = [*_compared(output, receipt.outputs[0], _count_predictions, labels)]
    else:
        message = f"is no folder, the receipt records {len(receipt.outputs)} files"
        problems = [Problem(output, "output-missing", message)]
    yield from problems
    if not problems and labels != Counter({str(each.label): each.rows for each in receipt.labels}):
        yield Problem(output, "output-labels", "its labels are not as often there as the receipt says")
    if receipt.rejected is not None:
        yield from _bad_rows(f"{output}.rejected.jsonl", receipt, receipt.rejected)


def _bad_rows(place: str, receipt: Receipt, rejected: Receipt.Output) -> Iterator[Problem]:
    rules: Counter[str] = Counter()
    problems = [*_compared(place, rejected, _count_bad_rows, rules)]
    yield from problems
    if not problems and rules != Counter(receipt.rows.rules):
        yield Problem(place, "output-rules", f"its rows break {dict(rules)}, the receipt says {receipt.rows.rules}")


def _strangers(output: str, names: set[str]) -> Iterator[Problem]:
    """Yield a problem for each file in a folder of parts that is not listed, or is a link that leads out of it."""
    if storage.is_url(output):
        found = [each.name for each in storage.list_files(f"{output}/")]
    else:
        paths = [path for path in sorted(Path(output).rglob("*")) if path.is_symlink() or not path.is_dir()]
        found = [path.relative_to(output).as_posix() for path in paths]
        for path in paths:
            if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(output)):
                yield Problem(str(path), "output-link", "is a link that leads out of the folder")
    for name in found:
        if name not in names:
            yield Problem(f"{output}/{name}", "output-unlisted", "is there, but not in the receipt")


def _compared(
    place: str, recorded: Receipt.Output, count: Callable[[str], Counter[str]], counts: Counter[str]
) -> Iterator[Problem]:
    """Yield how a file differs from what is recorded; where its bytes do not, count its rows into `counts`."""
    found = _read(place)
    if found is None:
        yield Problem(place, "output-missing", "is in the receipt but cannot be read")
        return
    size, digest = found
    if digest != recorded.sha256:
        yield Problem(place, "output-digest", f"found {digest}, the receipt says {recorded.sha256}")
        return
    if size != recorded.size:
        yield Problem(place, "output-size", f"{size:,} bytes, the receipt says {recorded.size:,}")
    try:
        rows = count(place)
    except DataRejected as error:
        yield Problem(place, "output-unreadable", error.problems[0].message if error.problems else error.message)
        return
    counts.update(rows)
    if rows.total() != recorded.rows:
        message = f"holds {plural(rows.total(), 'row')}, the receipt says {recorded.rows:,}"
        yield Problem(place, "output-rows", message)


def _inputs(receipt: Receipt, inputs: Sequence[str]) -> Iterator[Problem]:
    digests = {each.sha256: each for each in receipt.inputs}
    for place in inputs:
        found = _read(place)
        if found is None or found[1] not in digests:
            words = found[1] if found else "it cannot be read"
            yield Problem(place, "input-unknown", f"{words}: none of the receipt's inputs")
            continue
        each = digests[found[1]]
        try:
            rows = _count_input(place, each.format)
        except DataRejected as error:
            yield Problem(place, "input-unreadable", error.problems[0].message if error.problems else error.message)
            continue
        if rows is not None and rows != each.rows:
            yield Problem(place, "input-rows", f"holds {plural(rows, 'row')}, the receipt says {each.rows:,}")


def _read(place: str) -> tuple[int, str] | None:
    """The size and the digest of a file; None where it cannot be read."""
    try:
        with storage.opened(place) as file, storage.Digesting(file) as digesting:
            return file.size, PREFIX + digesting.result()
    except DataRejected:
        return None


class _BadRow(msgspec.Struct, frozen=True):
    rule: str


def _count_predictions(place: str) -> Counter[str]:
    """Rows by predicted label, as text.

    Raises:
        DataRejected: these are no predictions, or they cannot be read.
    """
    from pyarrow import compute

    form, counts = _form(place), Counter[str]()
    if form is None:
        return counts
    with open_rows(Source(place, place, form), Wanted.columns_alone((PREDICTED,)), digest=False) as rows:
        for batch in rows.batches(0):
            if batch.rejected:
                bad = batch.rejected[0]
                raise unreadable(f"{place}, {bad.place}", bad.message, rule=bad.rule)
            labels = batch.kept[PREDICTED].cast("large_string").fill_null("")
            counts.update({each["values"]: each["counts"] for each in compute.value_counts(labels).to_pylist()})
    return counts


def _count_bad_rows(place: str) -> Counter[str]:
    """Rows that were set aside, by the rule that each breaks.

    Raises:
        DataRejected: a line is not about a bad row, or the file cannot be read.
    """
    counts = Counter[str]()
    with storage.opened(place) as file:
        for number, line in enumerate(_lines(file)):
            try:
                counts[msgspec.json.decode(line, type=_BadRow).rule] += 1
            except (ValueError, RecursionError) as error:
                raise unreadable(place, f"line {number + 1:,} is not about a bad row: {str(error)[:200]}") from error
    return counts


def _count_input(place: str, form: str) -> int | None:
    """The number of rows of an input; None where they cannot be counted without the model, as of pictures.

    Raises:
        DataRejected: it cannot be read as this format.
    """
    kind = form.partition(".")[0]
    if kind in _ARRAYS:
        from artifact_pipeline.rows.formats.arrays import count_rows

        with storage.opened(place) as file:
            return count_rows(place, file.file)
    if kind not in {"csv", "jsonl", "parquet", "arrow"}:
        return None
    source, keep = Source(place, place, form), tuple[str, ...]()
    if kind == "csv":  # whose reader wants at least one column
        with open_rows(source, Wanted.columns_alone(()), digest=False) as rows:
            keep = rows.left_out[:1]
    with open_rows(source, Wanted.columns_alone(keep), digest=False) as rows:
        return sum(batch.count for batch in rows.batches(0))


def _form(place: str) -> str | None:
    """The format of predictions, by their first bytes, since the file may have been renamed; None where it is empty."""
    with storage.opened(place) as file:
        start = bytes(file.read_at(0, 4))
    if not start:
        return None
    return "parquet" if start == b"PAR1" else "jsonl" if start.startswith(b"{") else "csv"


def _lines(file: Opened) -> Iterator[bytes]:
    reader = io.BufferedReader(cast("io.RawIOBase", file.file), BLOCK)
    try:
        while line := reader.readline(_MAX_LINE + 1):
            if len(line) > _MAX_LINE:
                raise unreadable(file.place, f"has a line of more than {_MAX_LINE:,} bytes", rule="too-large")
            yield line
    finally:
        reader.detach()  # so that it does not close the file

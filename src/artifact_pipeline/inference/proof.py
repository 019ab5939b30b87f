"""Proof afterwards: are these the predictions that the receipt tells of, and are those the inputs?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from artifact_pipeline import storage
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected, DataRejected, Problem
from artifact_pipeline.inference.receipt import MAX_BYTES, SUFFIX, Receipt, parse_receipt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from artifact_pipeline.inference.receipt import Output


def prove(output: str, receipt: str | None = None, *, inputs: Sequence[str] = (), expect: str | None = None) -> Receipt:
    """Compare predictions, and the inputs that are named, with their receipt, by digests.

    Args:
        output: a file of predictions, or a folder of parts.
        receipt: the receipt's place; None for the one beside the output.
        inputs: files that must be the receipt's inputs.
        expect: the artifact digest that must have made them.

    Raises:
        ArtifactRejected: with every problem found.
    """
    output = output.rstrip("/")
    place = receipt or f"{output}{SUFFIX}"
    data = storage.read(place, MAX_BYTES)
    if data is None:
        problem = Problem(place, "receipt-missing", "does not exist")
        raise ArtifactRejected("there is no receipt", problems=[problem], hint="predict writes one beside its output")
    told = parse_receipt(data, place=place)
    problems = [*_claims(told, place, expect), *_outputs(told, output), *_inputs(told, inputs)]
    if problems:
        raise ArtifactRejected(f"{output} is not what its receipt tells of", problems=problems)
    return told


def _claims(told: Receipt, place: str, expect: str | None) -> Iterator[Problem]:
    rows = told.rows
    if not told.complete:
        yield Problem(place, "receipt-incomplete", "the work was not finished; predict --resume goes on with it")
    if expect is not None and told.artifact != expect:
        yield Problem(place, "digest-unexpected", f"expected {expect}, found {told.artifact}")
    read = sum(each.rows for each in told.inputs)
    written = sum(each.rows for each in told.outputs)
    labelled = sum(each.rows for each in told.labels)
    bad = sum(rows.rules.values())
    if told.complete and not (rows.read == read == rows.written + rows.rejected and bad == rows.rejected):
        yield Problem(place, "receipt-rows", f"{rows.read:,} rows read are not those written and those rejected")
    if not rows.written == written == labelled:
        yield Problem(place, "receipt-rows", f"{rows.written:,} rows written are not those of its files and labels")


def _outputs(told: Receipt, output: str) -> Iterator[Problem]:
    folder = not storage.is_url(output) and Path(output).is_dir()
    if folder or (storage.is_url(output) and [each.name for each in told.outputs] != [output.rsplit("/", 1)[-1]]):
        for each in told.outputs:
            yield from _same(f"{output}/{each.name}", each)
        yield from _strangers(output, {each.name for each in told.outputs})
    elif len(told.outputs) == 1:  # by its digest: a file may have another name by now
        yield from _same(output, told.outputs[0])
    else:
        yield Problem(output, "output-missing", f"is no folder, the receipt tells of {len(told.outputs)} files")
    if told.rejected is not None:
        yield from _same(f"{output}.rejected.jsonl", told.rejected)


def _strangers(output: str, names: set[str]) -> Iterator[Problem]:
    if storage.is_url(output):
        found = [each.name for each in storage.list_files(f"{output}/")]
    else:
        found = [path.relative_to(output).as_posix() for path in sorted(Path(output).rglob("*")) if path.is_file()]
    for name in found:
        if name not in names:
            yield Problem(f"{output}/{name}", "output-unlisted", "is there, but not in the receipt")


def _same(place: str, told: Output) -> Iterator[Problem]:
    found = _digest(place)
    if found is None:
        yield Problem(place, "output-missing", "is in the receipt but cannot be read")
    elif found != told.sha256:
        yield Problem(place, "output-digest", f"found {found}, the receipt says {told.sha256}")


def _inputs(told: Receipt, inputs: Sequence[str]) -> Iterator[Problem]:
    digests = {each.sha256 for each in told.inputs}
    for place in inputs:
        found = _digest(place)
        if found not in digests:
            yield Problem(place, "input-unknown", f"{found or 'it cannot be read'}: none of the receipt's inputs")


def _digest(place: str) -> str | None:
    try:
        with storage.opened(place) as file, storage.Digesting(file) as digesting:
            return PREFIX + digesting.result()
    except DataRejected:
        return None

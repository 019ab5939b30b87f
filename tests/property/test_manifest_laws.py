"""Laws of the manifest and its verdict: whatever is read, it is accepted or refused, and nothing else happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.artifact.figures import recomputed
from artifact_pipeline.artifact.manifest import parse_manifest
from artifact_pipeline.artifact.reference import Reference
from artifact_pipeline.artifact.selftest import SelfTest
from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.metrics import classification as metrics
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.verification import verify
from forging import MANIFEST, MEMBERS, REMOVED, changed, reseal, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

PARSERS = (parse_manifest, SelfTest.read, Reference.read)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**53, 2**63, 2**64, 10**30, 10**400])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4)
)
near = st.integers(0, 2000) | st.floats(0, 1) | st.sampled_from(["passed", "failed", "accuracy", "float64", "x"])
counts = st.integers(0, 400) | st.integers(0, 2**40)


@pytest.fixture(scope="module")
def folder(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One artifact for all examples of a law; each of them leaves it as it was."""
    return unpack(candidate, tmp_path_factory.mktemp("laws") / "artifact")


def places(value: Any, path: str = "") -> Iterator[str]:
    """Every field of plain values, as `changed` names it."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield f"{path}{key}"
        if isinstance(inner, (dict, list)):
            yield from places(inner, f"{path}{key}.")


def one_changed(data: bytes, at: int, mask: int) -> bytes:
    """The bytes with one of them changed."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def refusal(folder: Path, name: str, data: bytes, **options: Any) -> frozenset[str]:
    """The rules that `verify` or the predictor names while a file holds these bytes; none if both accept."""
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(data)
    try:
        open_predictor(verify(folder, **options))
    except ArtifactRejected as error:
        return error.rules
    finally:
        (folder / name).write_bytes(before)
    return frozenset()


@given(st.sampled_from(PARSERS), st.binary() | values.map(canonical_json))
def test_any_bytes_are_refused_in_one_way(parse: Any, data: bytes) -> None:
    """No bytes and no JSON value make a parser do anything but refuse by its own error, with one named problem."""
    with pytest.raises(ArtifactRejected) as caught:
        parse(data)
    (problem,) = caught.value.problems
    assert problem.rule
    assert len(problem.message) <= 200


@given(at=st.integers(0), mask=st.integers(1, 255))
def test_a_changed_byte_of_a_manifest_is_refused(folder: Path, candidate: Candidate, at: int, mask: int) -> None:
    """With the digest known from elsewhere no byte of the manifest can be another one."""
    data = one_changed((folder / MANIFEST).read_bytes(), at, mask)
    assert refusal(folder, MANIFEST, data, expect=candidate.digest) == {"digest-unexpected"}


@given(st.sampled_from(MEMBERS), st.integers(0), st.integers(1, 255))
def test_a_changed_byte_of_a_member_is_refused(folder: Path, name: str, at: int, mask: int) -> None:
    """No byte of any listed file can be another one, with or without a digest from elsewhere."""
    assert refusal(folder, name, one_changed((folder / name).read_bytes(), at, mask)) == {"file-digest"}


@given(st.sampled_from(MEMBERS), st.integers(0))
def test_a_shortened_member_is_refused(folder: Path, name: str, size: int) -> None:
    """A file that is cut short, anywhere, is refused."""
    data = (folder / name).read_bytes()
    assert refusal(folder, name, data[: size % len(data)]) == {"file-size"}


@given(st.data())
def test_a_forged_manifest_is_accepted_or_refused(folder: Path, data: st.DataObject) -> None:
    """A manifest with some fields replaced by anything is accepted or refused by name; if accepted, it says them."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    field = st.sampled_from(list(places(manifest)))
    for _ in range(data.draw(st.integers(1, 2))):
        try:
            changed(manifest, {data.draw(field): data.draw(near | values | st.just(REMOVED))})
        except (KeyError, IndexError, TypeError):  # the first change has taken the second one's place away
            continue
    forged = canonical_json(manifest)
    rules = refusal(folder, MANIFEST, forged, accept_failed_gate=data.draw(st.booleans()))
    if not rules:
        assert parse_manifest(forged).canonical() == forged


@given(st.sampled_from(["selftest", "reference"]), st.data())
def test_a_forged_part_is_accepted_or_refused(folder: Path, role: str, data: st.DataObject) -> None:
    """Golden rows and a reference with a field replaced by anything are accepted or refused by a rule of their own."""
    name, manifest = f"{role}.json", (folder / MANIFEST).read_bytes()
    before = (folder / name).read_bytes()
    part = json.loads(before)
    fields = list(places(part))
    changed(part, {data.draw(st.sampled_from(fields)): data.draw(near | values | st.just(REMOVED))})
    try:
        reseal(folder, **{role: canonical_json(part)})
        rules = refusal(folder, name, canonical_json(part))
    finally:
        (folder / name).write_bytes(before)
        (folder / MANIFEST).write_bytes(manifest)
    assert all(rule.startswith(f"{role}-") for rule in rules)


@given(
    st.integers(2, 6).flatmap(
        lambda size: st.lists(st.lists(counts, min_size=size, max_size=size), min_size=size, max_size=size)
    )
)
def test_the_verdict_computes_what_the_metrics_compute(confusion: list[list[int]]) -> None:
    """The standard library's figures of a confusion matrix are NumPy's, over all classes and by class."""
    if not any(map(any, confusion)):
        confusion[0][0] = 1
    array = np.array(confusion)
    figures = recomputed(confusion)
    by_class = {
        f"classes[{index}].{name}": values[index]
        for name, values in zip(("precision", "recall", "f1"), metrics.precision_recall_f1(array), strict=True)
        for index in range(len(array))
    }
    rows = {f"classes[{index}].rows": total for index, total in enumerate(array.sum(axis=1))}
    expected = {
        "accuracy": metrics.accuracy(array),
        "f1_weighted": metrics.weighted_f1(array),
        "f1_macro": metrics.macro_f1(array),
        **by_class,
        **rows,
    }
    assert figures == pytest.approx(expected, rel=1e-12, abs=1e-15)

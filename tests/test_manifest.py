"""The manifest's types and its parser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from artifact_pipeline.artifact.manifest import parse_manifest
from artifact_pipeline.artifact.manifest1 import ROLES, Data, Manifest1
from artifact_pipeline.artifact.parts import MAX_MANIFEST_BYTES, MAX_TOTAL_BYTES
from artifact_pipeline.canonical import MAX_DEPTH, canonical_json, digest
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.verification import verify
from forging import MANIFEST, REMOVED, changed, manifest_of, reseal, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

SOURCE = {"name": "digits", "digest": digest(b""), "algorithm": "rows-1", "rows": 3}


@pytest.fixture
def folder(candidate_1: Candidate, tmp_path: Path) -> Path:
    """An artifact outside of any store."""
    return unpack(candidate_1, tmp_path / "folder")


def problem(data: bytes) -> tuple[str, str, str]:
    """Place, rule and message with which a manifest is refused."""
    with pytest.raises(ArtifactRejected) as caught:
        parse_manifest(data)
    (found,) = caught.value.problems
    assert caught.value.exit_status == 4
    return found.place, found.rule, found.message


def test_a_manifest_is_what_its_bytes_say(candidate_1: Candidate) -> None:
    """The bytes of a published manifest are read into the manifest that wrote them, and written the same again."""
    data = candidate_1.manifest.canonical()
    assert parse_manifest(data) == candidate_1.manifest
    assert parse_manifest(data).canonical() == data


def test_nothing_of_a_manifest_can_be_changed(candidate_1: Candidate) -> None:
    """A parsed manifest is frozen, and so is every part of it."""
    for part in (candidate_1.manifest, candidate_1.manifest.model, candidate_1.manifest.files[0]):
        with pytest.raises(AttributeError):
            part.name = "other"


def test_each_role_leads_to_its_one_file(candidate_1: Candidate) -> None:
    """Every role of the format is filled by one file, and `file` finds it."""
    assert [candidate_1.manifest.file(role).name for role in ROLES] == sorted(candidate_1.members)


def test_a_role_that_is_not_known_is_hashed_and_otherwise_ignored(folder: Path) -> None:
    """A file with a role of its own makes no other format: it verifies, and a changed byte in it does not."""
    (folder / "notes.txt").write_bytes(b"seen by nobody")
    reseal(folder, {"files.5": {"name": "notes.txt", "role": "notes", "size": 14, "sha256": digest(b"seen by nobody")}})
    assert verify(folder).members["notes.txt"] == b"seen by nobody"
    (folder / "notes.txt").write_bytes(b"seen by no one")
    with pytest.raises(ArtifactRejected) as caught:
        verify(folder)
    assert caught.value.rules == {"file-digest"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"files.0.name": "../x"}, "Expected `str` matching regex '\\\\A[a-z0-9]"),
        ({"files.2.size": -1}, "Expected `int` >= 0 - at `$.files[2].size`"),
        ({"model.shape": "64"}, "at `$.model.shape`"),
        ({"gate.verdict": "waived"}, "Invalid enum value 'waived' - at `$.gate.verdict`"),
        ({"trusted": True}, "unknown field `trusted`"),
        ({"environment": REMOVED}, "missing required field `environment`"),
        ({"model.classes": [1, 0]}, "classes must be different whole numbers, or different texts, ascending"),
        ({"model.inputs.1.name": "pixel_0_0"}, "an input stands twice"),
        ({"model.inputs.0.missing": True}, "format 1 knows no input that may be missing"),
        ({"files.1.name": "model.onnx"}, "a file name stands twice, or is manifest.json"),
        ({"files.1.name": "manifest.json"}, "a file name stands twice, or is manifest.json"),
        ({"files.1.role": "model"}, "the roles must be model, parameters, reference, selftest, split, each once"),
        ({"gate.rules.0.minimum": 1}, "not in canonical form (a whole number where a fraction belongs is 1.0, not 1)"),
    ],
)
def test_a_field_is_refused_with_its_place(candidate_1: Candidate, changes: dict[str, object], told: str) -> None:
    """A field that breaks its type is named, with what is allowed there."""
    data = canonical_json(changed(json.loads(candidate_1.manifest.canonical()), changes))
    place, rule, message = problem(data)
    assert (place, rule) == (MANIFEST, "manifest-field")
    assert told in message


@pytest.mark.parametrize("version", [0, 3, -1, "1", True, 1.0, None, [], {}, 10**30, "\x1b[31m" * 100])
def test_another_format_is_refused_before_anything_else(candidate_1: Candidate, version: object) -> None:
    """A format that is not the whole number 1 is refused as such, whatever else the manifest holds."""
    place, rule, message = problem(canonical_json({"format": version, "files": "of another kind"}))
    assert (place, rule) == (MANIFEST, "manifest-format")
    assert message.isprintable()
    assert message.endswith("is not known; this version reads the formats 1 and 2")
    assert len(message) < 120


def test_a_recipe_is_read_up_to_the_bound_of_its_nesting(folder: Path) -> None:
    """A recipe may be nested as deep as canonical JSON may, and no deeper; the rest of the program survives both."""
    value: object = 0
    for _ in range(MAX_DEPTH - 2):  # two more levels stand around it, the manifest and the recipe
        value = [value]
    reseal(folder, {"recipe.nested": value})
    assert verify(folder).manifest.canonical() == (folder / MANIFEST).read_bytes()
    reseal(folder, {"recipe.nested": [value]})
    with pytest.raises(ArtifactRejected) as caught:
        verify(folder)
    assert caught.value.problems[0].message == "nested deeper than 32 levels"


def test_a_manifest_may_have_a_megabyte(folder: Path) -> None:
    """A manifest of just the bound is read, one of a byte more is refused before it is parsed."""
    reseal(folder, {"recipe.padding": ""})
    room = MAX_MANIFEST_BYTES - (folder / MANIFEST).stat().st_size
    reseal(folder, {"recipe.padding": "x" * room})
    assert (folder / MANIFEST).stat().st_size == MAX_MANIFEST_BYTES
    assert verify(folder).manifest.recipe["padding"] == "x" * room
    reseal(folder, {"recipe.padding": "x" * (room + 1)})
    with pytest.raises(ArtifactRejected) as caught:
        verify(folder)
    assert caught.value.rules == {"manifest-too-large"}


def test_the_files_have_a_bound_together(candidate_1: Candidate) -> None:
    """Files that are each within their bound are refused where a reader would have to hold too much."""
    listed = sum(record.size for record in candidate_1.manifest.files)
    record = Manifest1.File(name="a", role="more", size=0, sha256=digest(b""))
    quarter = MAX_TOTAL_BYTES // 4
    sizes = {"a": quarter, "b": quarter, "c": quarter, "d": quarter - listed}
    more = tuple(msgspec.structs.replace(record, name=name, size=size) for name, size in sizes.items())
    full = msgspec.structs.replace(candidate_1.manifest, files=(*candidate_1.manifest.files, *more))
    assert parse_manifest(full.canonical()) == full
    one_more = json.loads(full.canonical())
    one_more["files"][-1]["size"] += 1
    assert problem(canonical_json(one_more))[1:] == (
        "manifest-field",
        f"the files are larger than {MAX_TOTAL_BYTES:,} bytes together",
    )


def test_labels_may_be_texts(candidate_1: Candidate) -> None:
    """The classes are whole numbers or texts, different and ascending."""
    labels = {f"metrics.held_out.classes.{index}.label": text for index, text in enumerate("abcdefghij")}
    data = canonical_json(
        changed(json.loads(candidate_1.manifest.canonical()), {"model.classes": list("abcdefghij"), **labels})
    )
    assert parse_manifest(data).model.classes == tuple("abcdefghij")


def test_a_part_is_refused_under_the_place_and_rule_of_its_file() -> None:
    """The one parser of all parts names the file and the rule that it was asked for, whatever is wrong."""
    assert Data.Source.parse(canonical_json(SOURCE), place="a.json", rule="a-invalid").rows == 3
    repeated = canonical_json(SOURCE).replace(b'"rows": 3', b'"rows": 2,\n  "rows": 3')
    for data in (b"", b"{", b"\xff", b"null\n", b"[]\n", repeated, b" " * 17_000_000):
        with pytest.raises(ArtifactRejected) as caught:
            Data.Source.parse(data, place="a.json", rule="a-invalid")
        (found,) = caught.value.problems
        assert (found.place, found.rule) == ("a.json", "a-invalid")
        assert 0 < len(found.message) <= 200
    assert found.message == "larger than 16,777,216 bytes"


def test_the_published_manifest_has_no_path_no_clock_and_no_host(candidate_1: Candidate, tmp_path: Path) -> None:
    """Nothing in a manifest tells where or when it was made."""
    text = candidate_1.manifest.canonical().decode()
    assert "/" not in text
    assert not {"time", "date", "host", "user", "path"} & set(_keys(json.loads(text)))
    assert manifest_of(unpack(candidate_1, tmp_path / "folder")) == json.loads(text)


def _keys(value: object) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for inner in value.values() for key in _keys(inner))]
    return [key for inner in value for key in _keys(inner)] if isinstance(value, list) else []

"""What an attacker works with: to write what one likes, and to seal it again.

`ATTACKS` is filled by `attacks.py` and `attacks_resealed.py`, one function or one line for each tampering.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from msgspec import convert

from artifact_pipeline.artifact.manifest import parse_manifest
from artifact_pipeline.artifact.manifest2 import WrittenModel
from artifact_pipeline.canonical import canonical_json, digest
from artifact_pipeline.model.plan import plan
from artifact_pipeline.model.reading import read
from artifact_pipeline.model.spec import Steps
from artifact_pipeline.model.wire import encode
from linear_writer import linear_classifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

    Tampering = Callable[[Path], object]
    Changes = Mapping[str, object]

MANIFEST = "manifest.json"
MEMBERS = ("model.onnx", "reference.json", "selftest.json", "split.bin")
FILES = (*MEMBERS, MANIFEST)
MEMBERS_1 = ("model.onnx", "parameters.npz", "reference.json", "selftest.json", "split.bin")
FILES_1 = (*MEMBERS_1, MANIFEST)
"""The files of format 1."""
FAILED: dict[str, object] = {
    "recipe.gate.min_accuracy": 0.99,
    "gate.rules.0.bound": 0.99,
    "gate.rules.0.passed": False,
    "gate.verdict": "failed",
}
"""A gate that failed honestly, of the documented config."""
REMOVED = object()
"""As the new value of a field: the field is taken away."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One tampering.

    Attributes:
        tamper: changes what stands under the path that it gets.
        rules: the names of all rules that are broken; the refusal names them, and no other.
        on: what `tamper` gets: an artifact's `folder`, or the `root` of a publication.
        by: who refuses: `verify`, or `replay`, the predictor's look at the golden rows, since all digests fit.
    """

    tamper: Tampering
    rules: frozenset[str]
    on: Literal["folder", "root"] = "folder"
    by: Literal["verify", "replay"] = "verify"


ATTACKS: dict[str, Attack] = {}


def register(words: str, tamper: Tampering, *rules: str, **where: Any) -> None:
    """Add a tampering under a name of its own, its underscores read as blanks."""
    name = words.replace("_", " ")
    assert name not in ATTACKS
    ATTACKS[name] = Attack(tamper, frozenset(rules), **where)


def attack(*rules: str, **where: Any) -> Callable[[Tampering], Tampering]:
    """Register a function that breaks these rules."""

    def decorate(tamper: Tampering) -> Tampering:
        register(tamper.__name__, tamper, *rules, **where)
        return tamper

    return decorate


def attack_each(
    rule: str, manifest_rule: str | None = None
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Register a function for each file of format 1; for the manifest only where a rule for it is named."""

    def decorate(tamper: Callable[..., object]) -> Callable[..., object]:
        for name in MEMBERS_1:
            register(f"{tamper.__name__} {name}", partial(tamper, name=name), rule)
        if manifest_rule:
            register(f"{tamper.__name__} {MANIFEST}", partial(tamper, name=MANIFEST), manifest_rule)
        return tamper

    return decorate


def attack_fields(*rules: str, file: str = MANIFEST, **cases: Changes) -> None:
    """Register changes of the fields of a JSON file, resealed; each case's name says what it is."""
    for words, changes in cases.items():
        name = words if file == MANIFEST else f"{file}: {words}"
        register(name, partial(reseal_fields, changes=changes, file=file), *rules)


def unpack(candidate: Candidate, folder: Path) -> Path:
    """Write an artifact's files into a new folder that is no store's."""
    folder.mkdir(parents=True)
    for name, data in {**candidate.members, MANIFEST: candidate.manifest.canonical()}.items():
        (folder / name).write_bytes(data)
    return folder


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest, as plain values."""
    return json.loads((folder / MANIFEST).read_bytes())


def changed(value: Any, changes: Changes) -> Any:
    """Set fields of plain values, named as in `gate.rules.0.minimum`; `REMOVED` takes one away."""
    for path, new in changes.items():
        *way, last = (int(step) if step.isdecimal() else step for step in path.split("."))
        place = value
        for step in way:
            place = place[step]
        if new is REMOVED:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(new)
        else:
            place[last] = new
    return value


def reseal(folder: Path, changes: Changes | None = None, /, **members: bytes) -> None:
    """Seal an artifact again, as an attacker would.

    Args:
        folder: the artifact.
        changes: fields of the manifest with their new values, set last, over everything that is computed.
        members: new bytes of the file with that role; sizes, digests and bindings are computed again.
    """
    manifest = manifest_of(folder)
    for record in manifest["files"]:
        path = folder / record["name"]
        if record["role"] in members:
            path.write_bytes(members[record["role"]])
        record |= {"size": path.stat().st_size, "sha256": digest(path.read_bytes())}
    digests = {record["role"]: record["sha256"] for record in manifest["files"]}
    manifest["model"]["digest"] = manifest["gate"]["model"] = digests["model"]
    manifest["data"]["split"]["digest"] = manifest["gate"]["held_out"] = digests["split"]
    (folder / MANIFEST).write_bytes(canonical_json(changed(manifest, changes or {})))


def reseal_fields(folder: Path, changes: Changes, file: str = MANIFEST) -> None:
    """Change fields of a JSON file, and seal the artifact again."""
    if file == MANIFEST:
        reseal(folder, changes)
    else:
        part = changed(json.loads((folder / file).read_bytes()), changes)
        reseal(folder, **{file.removesuffix(".json"): canonical_json(part)})


def flip(path: Path, at: int) -> None:
    """Change the lowest bit of one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def other_model(folder: Path) -> bytes:
    """A model of format 2 as it stands in this folder, of the same size, whose numbers are all zero."""
    said = parse_manifest((folder / MANIFEST).read_bytes()).model
    assert isinstance(said, WrittenModel)
    message = plan(said.columns, convert(said.steps, Steps), said.classes).message
    arrays = read((folder / "model.onnx").read_bytes(), message)
    return encode(message, {name: bytes(len(data)) for name, data in arrays.items()})


def other_model_1(label: int = 0) -> bytes:
    """A model of format 1 of the same shape, classes and size, which answers `label` to everything."""
    intercepts = [100.0 * (index == label) for index in range(10)]
    return linear_classifier([[0.0] * 64] * 10, intercepts, range(10), dtype="float32", name="digits")

"""The facts of an artifact for any tracker: parameters and figures by flat names, data, digests.

The names of figures begin with their rows, as in `held_out/accuracy`, and hold only letters that trackers allow.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.about import AboutRecord
from artifact_pipeline.artifact.parts import NAME, Frozen
from artifact_pipeline.canonical import dotted
from artifact_pipeline.reports.statements import figures_of, recipe_of, text_of, verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from artifact_pipeline.artifact.manifest import Manifest, Verified

_BAD = re.compile(r"[^A-Za-z0-9_. -]+")
_LABEL = re.compile(r"[A-Za-z0-9_-]([A-Za-z0-9_. -]{0,62}[A-Za-z0-9_-])?")
_STEM = "class_"
"""Begins the name of a class whose label is no name for trackers; its position follows."""


class Facts(Frozen, frozen=True):
    """An artifact, flat.

    Attributes:
        artifact: the artifact digest.
        model: the model digest.
        gate: `passed`, `failed` or `missing`.
        params: the recipe, the classifier as `estimator`, and behind `estimator.` each of its parameters, as text.
        metrics: each figure by rows and name, intervals behind `_low` and `_high`, and the rows themselves.
        classes: the labels, in the order of the model.
        target: the column of labels.
        files: the digest of each file.
    """

    name: str
    artifact: str
    model: str
    gate: str
    params: dict[str, str]
    metrics: dict[str, float]
    classes: tuple[int | str, ...]
    about: dict[str, Any]
    data: tuple[dict[str, Any], ...]
    target: str
    files: dict[str, str]
    environment: dict[str, Any]


def facts_of(verified: Verified) -> Facts:
    """Return the facts of a verified artifact.

    Raises:
        ArtifactRejected: what the artifact says about its model cannot be read.
    """
    manifest = verified.manifest
    about = {key: value for key, value in AboutRecord.of(manifest).plain().items() if value}
    return Facts(
        name=manifest.name,
        artifact=verified.digest,
        model=manifest.model.digest,
        gate=verdict_of(manifest),
        params=_params(manifest),
        metrics=dict(_metrics(manifest)),
        classes=manifest.model.classes,
        about=about,
        data=tuple(each.plain() for each in manifest.data.sources),
        target=manifest.data.target,
        files={NAME: verified.digest, **{each.name: each.sha256 for each in manifest.files}},
        environment=manifest.environment.plain(),
    )


def _params(manifest: Manifest) -> dict[str, str]:
    made = {"estimator": manifest.model.estimator, **dotted({"estimator": dict(manifest.model.parameters)})}
    found: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    for key, value in (recipe_of(manifest) | made).items():
        name = plain = _BAD.sub("_", key).strip(" .") or "_"
        while name in found:  # another key that differs only in letters that are not allowed
            numbers[plain] += 1
            name = f"{plain}_{numbers[plain] if numbers[plain] > 1 else ''}"
        found[name] = text_of(value)
    return found


def _metrics(manifest: Manifest) -> Iterator[tuple[str, float]]:
    data, names = manifest.data, class_names(manifest.model.classes)
    yield "held_out/rows", float(data.split.held_out)
    yield "training/rows", float(data.split.training)
    yield "all/rows", float(data.rows)
    for each in figures_of(manifest):
        name = f"{each.rows}/{_BAD.sub('_', each.name)}"
        if each.label is not None:
            name = f"{name}/{names.get(each.label, _BAD.sub('_', str(each.label)))}"
        yield name, each.value
        if each.low is not None and each.high is not None:
            yield f"{name}_low", each.low
            yield f"{name}_high", each.high


def class_names(classes: tuple[int | str, ...]) -> Mapping[int | str, str]:
    """Return a name for each label: the label itself, or its position where trackers do not allow that as a name."""
    return {
        label: str(label) if _LABEL.fullmatch(str(label)) and not str(label).startswith(_STEM) else f"{_STEM}{position}"
        for position, label in enumerate(classes)
    }

"""`artifact-pipeline runs` and `rollback`: what the store holds, and back to an earlier artifact."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import (
    artifact_option,
    is_given,
    policy_options,
    short_digest,
    trust_from,
    verb,
    with_artifact,
)
from artifact_pipeline.cli.registry import MAX_TAGS, connection_options, throttled_progress, with_connection
from artifact_pipeline.errors import ConfigError, listing, plural
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.store import Run
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.registry import listing as images

_HEADS = ("gate", "held-out accuracy", "held-out F1", "changed")
_MAX_CHANGES = 200
"""Characters of what changed that are shown."""


@verb("List the artifacts of the store, or of a registry, the latest training first.", 4, 8)
@artifact_option("The pointer; the store is artifacts/ beside it.")
@click.option("--registry", metavar="oci://HOST/NAME", help="List this repository instead (extra [registry]).")
@connection_options
@click.pass_obj
def runs(output: Output, /, artifact: Path, registry: str | None, **options: Any) -> None:
    """List the artifacts of the store: digest, verdict, metrics, what changed in the recipe since the one before.

    The pointer leads to the one marked with a star. The list is read, not verified.

    With --registry it is what the tags of a repository lead to. A registry knows no order: the artifacts stand in that
    of the times in their provenance, which is a claim, and those without by their tags. Only digests are compared.
    """
    from artifact_pipeline.artifact.store import Store

    if registry is not None:
        _list_registry(output, registry, options)
        return

    found = Store(artifact).runs()
    listed = [_entry(run, older) for run, older in zip_longest(found, found[1:])]
    if listed:
        rows = [["*" if entry["current"] else "", short_digest(entry["digest"]), *_cells(entry)] for entry in listed]
        output.table(["", "digest", *_HEADS], rows)
    else:
        output.say(f"no artifact has been published beside {shown(artifact)} yet")
    # Never a rollback: what stands is in charge for a reason, and to put another in its place is a person's decision.
    command, option = ("inspect", "") if any(run.current for run in found) else ("train", "--artifact")
    output.next(with_artifact(f"artifact-pipeline {command}", artifact, option=option))
    output.result({"runs": listed})


def _list_registry(output: Output, registry: str, options: Mapping[str, Any]) -> None:
    from artifact_pipeline.registry import listing as images
    from artifact_pipeline.registry.request import RegistryRequest

    if is_given("artifact"):
        raise ConfigError("--registry lists a repository, and --artifact a store; one of them")
    with throttled_progress(output) as progress:
        found = images.list_images(RegistryRequest(registry, options["plain_http"], options["token_hosts"]), progress)
    listed = [_image_entry(image, older) for image, older in zip_longest(found.images, found.images[1:])]
    if listed:
        rows = []
        for image, entry in zip(found.images, listed, strict=True):
            digests = [short_digest(image.reference.target), short_digest(entry["digest"])]
            rows.append([*digests, listing(image.tags, MAX_TAGS), *_cells(entry)])
        output.table(["OCI digest", "digest", "tags", *_HEADS], rows)
    else:
        output.say(f"no tag of {registry} leads to an artifact")
    _say_list(output, found)
    command = f"artifact-pipeline push artifact {registry}:v1"
    for image in found.images:
        if image.run.passed and image.run.manifest is not None:
            command = f"artifact-pipeline pull {image.reference} -o {image.run.manifest.name}"
            break
    output.next(with_connection(command, options))
    output.result({"runs": listed, "others": found.others, "complete": found.complete})


def _say_list(output: Output, found: images.RegistryList) -> None:
    """Print in which order the list is, and what is not in it."""
    undated = sum(image.made is None for image in found.images)
    order = "the latest first, by the time that the provenance claims" if undated < len(found.images) else ""
    by_tag = f"{undated:,} without provenance by tag" if undated else ""
    if found.images:
        output.say(f"listed, not verified; {'; '.join(filter(None, (order, by_tag)))}")
    if found.others:
        output.say(f"{plural(found.others, 'tagged image')} not listed: no artifact of this kind")
    if not found.complete:
        output.log("warning: the repository has more than is listed here")


def _entry(run: Run, older: Run | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"digest": run.digest, "current": run.current, "readable": run.manifest is not None}
    if run.manifest is None:
        return entry
    held_out = run.manifest.metrics.held_out
    before = _made_from(older.manifest) if older and older.manifest else None
    return {
        **entry,
        "gate": run.manifest.gate.verdict if run.manifest.gate else None,
        "comparison": run.comparison.outcome if run.comparison else None,
        "accuracy": held_out.accuracy.value,
        "f1_weighted": held_out.f1_weighted.value,
        "changed": None if before is None else _changes(before, _made_from(run.manifest)),
    }


def _made_from(manifest: Manifest) -> dict[str, Any]:
    """Return the recipe, and the feedback beside it."""
    from artifact_pipeline.rows.matrix import FEEDBACK

    files = [each for each in manifest.data.sources if each.name == FEEDBACK]
    words = [f"{plural(each.rows, 'row')} {short_digest(each.digest)}" for each in files]
    return {**manifest.recipe, **({"feedback": ", ".join(words)} if words else {})}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return by key the new values of what differs from the artifact before."""
    from artifact_pipeline.canonical import dotted

    old, new = dotted(before), dotted(after)
    return {key: new.get(key) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}


def _image_entry(image: images.ListedImage, older: images.ListedImage | None) -> dict[str, Any]:
    entry = _entry(image.run, older.run if older else None)
    del entry["current"]
    made = image.made.isoformat() if image.made else None
    return {"reference": str(image.reference), "tags": list(image.tags), "made": made, **entry}


def _cells(entry: dict[str, Any]) -> list[str]:
    """Return the cells of an entry under `_HEADS`."""
    if not entry["readable"]:
        return ["unreadable", "", "", ""]
    changed = entry["changed"]
    words = "" if changed is None else ", ".join(f"{key}={value}" for key, value in changed.items()) or "nothing"
    if len(words) > _MAX_CHANGES:
        words = f"{words[:_MAX_CHANGES]}…"
    return [
        (entry["gate"] or "none") + (f", champion: {entry['comparison']}" if entry["comparison"] else ""),
        f"{entry['accuracy']:.4f}",
        f"{entry['f1_weighted']:.4f}",
        words,
    ]


def check_digest_prefix(_context: click.Context, _argument: click.Parameter, value: str | None) -> str | None:
    """Refuse what is neither a digest nor the beginning of one, as a callback of click."""
    if value is not None and not re.fullmatch(r"(sha256:)?[0-9a-f]{1,64}", value):
        raise click.BadParameter(f"must be sha256: and hexadecimal digits, or the first of them, got {value!r:.80}")
    return value


@verb("Let the pointer lead to an earlier artifact.", 4, 8)
@click.argument("digest", required=False, callback=check_digest_prefix)
@artifact_option("The pointer.")
@policy_options
@click.pass_obj
def rollback(output: Output, /, digest: str | None, artifact: Path, **options: Any) -> None:
    """Let the pointer lead to the artifact DIGEST of the store (its first digits are enough).

    Without DIGEST it is the latest one before the artifact in charge, of the same name, that passed its gate, and the
    comparison with its champion if there was one. It is verified first, with --policy or --public-key by what you
    trust: what that refuses is not put in charge.
    model_train.pkl stays as it is: train to renew it.
    """
    from artifact_pipeline.training import publication

    moved = publication.rollback(artifact, to=digest, trust=trust_from(options))
    output.say(f"artifact: {shown(artifact)} -> {moved.digest}")
    output.next(with_artifact("artifact-pipeline verify", artifact))
    output.result({"artifact": moved.digest})

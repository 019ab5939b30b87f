"""`artifact-pipeline gc`: what a store, or a registry, can do without."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import artifact_option, first_given, is_given, short_digest, verb, with_artifact
from artifact_pipeline.cli.registry import (
    MAX_TAGS,
    connection_options,
    pointer_options,
    throttled_progress,
    with_connection,
)
from artifact_pipeline.errors import ConfigError, listing, plural

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from artifact_pipeline.cli.output import Output

_OUTCOME = {True: "deleted", False: "can be deleted"}
"""What happens to what no pointer leads to, by `--yes`."""


@verb("Say what no pointer leads to, and delete it with --yes.", 4, 8)
@artifact_option("The pointer; the store is artifacts/ beside it.")
@click.option(
    "--keep",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    metavar="N",
    help="How many of these artifacts stay in the store, the latest ones.",
)
@click.option("--registry", metavar="oci://HOST/NAME", help="Look into this repository instead (extra [registry]).")
@click.option(
    "--match",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="With --registry: tags that keep nothing, such as 'sha-*'; can be repeated.",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="ROLE",
    help="With --registry: keep who is or was in this role, such as champion; can be repeated.",
)
@pointer_options
@click.option("--yes", is_flag=True, help="Delete what is listed; without it nothing is deleted.")
@connection_options
@click.pass_obj
def gc(output: Output, /, artifact: Path, *, keep: int, registry: str | None, yes: bool, **options: Any) -> None:
    """List what can be deleted: in a store artifacts that no pointer leads to, and what writers that died have left.

    With --registry it is the artifacts that tags of --match lead to, and no other tag, with what refers to them; what
    is no artifact stays, and so does with --role all that is or was in a role. The registry frees their files when it
    collects its own garbage.
    """
    if registry is not None:
        if option := first_given("artifact", "keep"):
            raise ConfigError(f"{option} goes with a store, and not with --registry")
        if not options["roles"] and (option := first_given("pointer", "name")):
            raise ConfigError(f"{option} goes with --role")
        _collect_in_registry(output, registry, options, yes=yes)
        return
    if option := first_given("patterns", "roles", "pointer", "name"):
        raise ConfigError(f"{option} goes with --registry")
    _collect_in_store(output, artifact, keep, yes=yes)


def _collect_in_store(output: Output, artifact: Path, keep: int, *, yes: bool) -> None:
    from artifact_pipeline.artifact.pointer import HEX
    from artifact_pipeline.artifact.store import Store
    from artifact_pipeline.canonical import PREFIX

    found = Store(artifact).collect(keep=keep, delete=yes)
    going, outcome = [each for each in found if not each.kept], _OUTCOME[yes]
    listed, rows = [], []
    for each in found:
        name = each.path.name
        digest = PREFIX + name if HEX.fullmatch(name) else None
        listed.append({"path": str(each.path), "digest": digest, "bytes": each.size, "kept": each.kept})
        shown = name if digest is None else short_digest(digest)
        rows.append([shown, f"{each.size:,}", "stays, one of the latest" if each.kept else outcome])
    if rows:
        output.table(["no pointer leads to", "bytes", ""], rows)
    size = sum(each.size for each in going)
    output.say(f"{outcome}: {len(going):,} of {len(found):,}, {size:,} bytes")
    again = f"artifact-pipeline gc{f' --keep {keep}' if is_given('keep') else ''} --yes"
    command = again if going and not yes else "artifact-pipeline runs"
    output.next(with_artifact(command, artifact, option="--artifact"))
    output.result({"spare": listed, "bytes": size, "deleted": yes})


def _collect_in_registry(output: Output, registry: str, options: Mapping[str, Any], *, yes: bool) -> None:
    from artifact_pipeline.registry import garbage
    from artifact_pipeline.registry.request import RegistryRequest
    from artifact_pipeline.registry.roles import PromotionRequest

    request = RegistryRequest(registry, options["plain_http"], options["token_hosts"])
    with throttled_progress(output) as progress:
        roles = [PromotionRequest(request, each, options["pointer"], options["name"]) for each in options["roles"]]
        found = garbage.collect(request, options["patterns"], roles=roles, delete=yes, progress=progress)
    outcome = _OUTCOME[yes]
    listed, rows = [], []
    for image in found.images:
        reference, size = image.reference, sum(size for _, size in image.blobs)
        beside, tags = list(image.beside), list(image.tags)
        listed.append(
            {"reference": str(reference), "digest": image.artifact, "tags": tags, "beside": beside, "bytes": size}
        )
        digests = [short_digest(reference.target), short_digest(image.artifact)]
        rows.append([*digests, listing(tags, MAX_TAGS), outcome])
    if rows:
        output.table(["OCI digest", "digest", "tags", ""], rows)
    if found.kept:
        output.say(f"{plural(found.kept, 'other image')} with such a tag: in use, or no artifact")
    output.say(f"{outcome}: {plural(len(listed), 'artifact')}, {found.size:,} bytes")
    if listed:
        output.say("the registry frees their files when it collects its own garbage")
    command = f"artifact-pipeline runs --registry {registry}"
    if listed and not yes:
        command = f"artifact-pipeline gc --registry {registry}"
        command += "".join(f" --match {shlex.quote(each)}" for each in options["patterns"])
        command += "".join(f" --role {shlex.quote(each)}" for each in options["roles"])
        for name in filter(is_given, ("pointer", "name")):
            command += f" --{name} {shlex.quote(options[name])}"
        command += " --yes"
    output.next(with_connection(command, options))
    output.result({"spare": listed, "kept": found.kept, "bytes": found.size, "deleted": yes})

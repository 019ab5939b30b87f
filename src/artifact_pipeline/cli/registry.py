"""`artifact-pipeline push` and `pull`: an artifact into a registry or an object store, and back."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import (
    artifact_option,
    digest_options,
    file_option,
    group,
    is_given,
    policy_options,
    trust_from,
    verb,
    with_artifact,
)
from artifact_pipeline.errors import ConfigError, plural
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.registry.pull import Pulled
    from artifact_pipeline.registry.request import RegistryRequest

_PATH = click.Path(path_type=Path)
POINTER = "git:origin"
MAX_TAGS = 5
"""Tags of one artifact that are shown."""
_LINE, _REDRAW = 10.0, 0.1
"""Seconds between two steps that are shown: in a log, and on a terminal."""


connection_options = group(
    click.option("--plain-http", is_flag=True, help="Speak HTTP without TLS; with this machine that is done anyway."),
    click.option(
        "--token-host",
        "token_hosts",
        multiple=True,
        metavar="HOST[:PORT]",
        help="Another host that gives tokens for this registry, and may see the login; can be repeated.",
    ),
)
"""How the registry is reached."""

pointer_options = group(
    click.option(
        "--pointer",
        default=POINTER,
        show_default=True,
        metavar="PLACE",
        help="Where it is decided: a git remote, git:NAME or git:URL, or a folder in an object store, s3://BUCKET/…",
    ),
    click.option("--name", metavar="NAME", help="The pointer's name; by default the repository's last one."),
)
"""The pointer that decides which artifact is in a role."""


@contextmanager
def registry_request(output: Output, word: str, place: str, options: Mapping[str, Any]) -> Iterator[RegistryRequest]:
    """Yield the request of a verb, and show meanwhile how many bytes are through; `word` is `pushing` or `pulling`."""
    from artifact_pipeline.registry.request import RegistryRequest

    with throttled_progress(output) as show:
        yield RegistryRequest(
            place,
            plain_http=options["plain_http"],
            token_hosts=options["token_hosts"],
            expect=options["expect"],
            accept_failed_gate=options["accept_failed_gate"],
            trust=trust_from(options),
            progress=lambda name, done, total: show(f"{word} {name}: {done / 1e6:,.1f} of {total / 1e6:,.1f} MB"),
        )


@verb("Put an artifact into an OCI registry or an object store.", 4, 8)
@click.argument("artifact", type=_PATH)
@click.argument("reference", metavar="PLACE")
@digest_options
@policy_options
@connection_options
@click.pass_obj
def push(output: Output, /, artifact: Path, reference: str, **options: Any) -> None:
    """Put ARTIFACT (a pointer, or an artifact's folder) into an OCI registry or an object store, verified first.

    Into oci://HOST/NAME[:TAG] it goes in the form of CNCF ModelPack: each file is one layer, so that its digest there
    is the one of the manifest, and the same artifact has the same OCI digest from wherever it is pushed. Its provenance
    and signatures go with it as referrers. The tag moves last. Logins are those of `docker login`. Needs the extra
    [registry].

    Into s3://BUCKET/PREFIX, or gs:// or az://, it goes as into the store on a disk. The pointer moves last, and only if
    it leads where it led before; it stays where it is with @sha256:… behind PREFIX, and if the gate failed. Settings
    come from the environment: AWS_REGION, … Needs the extra [scale].
    """
    from artifact_pipeline.registry.push import push

    with registry_request(output, "pushing", reference, options) as request:
        done = push(artifact, request)
    beside = "".join(f", {suffix}" for suffix in done.attached)
    output.say(f"pushed: {shown(artifact)}, {plural(done.files, 'file')}{beside}; {done.sent:,} bytes were new there")
    _say_digests(output, done.artifact, done.reference.digest)
    kind = "pointer" if done.reference.digest == done.artifact else "tag"
    if done.name is not None:
        output.say(f"{kind}: {done.name}")
    elif kind == "pointer":
        output.log("note: no pointer was moved: a digest was named, or the model's gate is missing or failed")
    output.next(f"artifact-pipeline pull {with_connection(str(done.reference), options)}")
    output.result(
        {
            "artifact": done.artifact,
            "digest": done.reference.digest,
            "reference": str(done.reference),
            "tag": None,
            "pointer": None,
            kind: done.name,
            "files": done.files,
            "sent": done.sent,
            "attached": list(done.attached),
        }
    )


@verb("Take an artifact from an OCI registry or an object store, verified.", 4, 8)
@click.argument("reference", metavar="PLACE")
@artifact_option("The pointer; the artifact goes into the store beside it.")
@file_option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    words="Make the artifact this folder, and change neither pointer nor store.",
)
@digest_options
@policy_options
@connection_options
@click.pass_obj
def pull(output: Output, /, reference: str, *, artifact: Path, folder: Path | None, **options: Any) -> None:
    """Take an artifact from PLACE, verify it, and put it in charge, as a training does.

    PLACE is oci://HOST/NAME with :TAG or @DIGEST in a registry (extra [registry]), or s3://BUCKET/PREFIX, gs:// or
    az:// in an object store (extra [scale]), with @DIGEST or for the artifact that the pointer leads to. Tags and
    pointers can be moved by others: a digest (@sha256:…) cannot.

    Every file is compared with its digest while it comes. Then the artifact is verified, and with --policy or
    --public-key asked whether you trust it; only what passes is kept, and a model whose gate is missing or failed is
    never put in charge.
    """
    from artifact_pipeline.registry.pull import pull
    from artifact_pipeline.storage.outputs import Place, refuse_overlap

    if folder is not None and is_given("artifact"):
        raise ConfigError("--output makes a folder of its own, and --artifact goes into a store; one of them")
    given = {"the public key": options["public_key"], "the policy": options["policy"]}
    written = Place("--artifact", str(artifact), "link") if folder is None else Place("--output", str(folder), "folder")
    refuse_overlap([Place(role, str(path)) for role, path in given.items() if path is not None], [written])
    with registry_request(output, "pulling", reference, options) as request:
        done = pull(request, artifact if folder is None else folder, as_folder=folder is not None)
    _say_pulled(output, done, reference, artifact)


def _say_pulled(output: Output, done: Pulled, reference: str, artifact: Path) -> None:
    """Print what was pulled, and where it stands."""
    from artifact_pipeline.artifact.pointer import STORE

    verified = done.verified
    beside = "".join(f", {suffix}" for suffix in done.beside)
    output.say(f"pulled: {reference}, {plural(len(verified.members) + 1, 'file')}{beside}")
    _say_digests(output, verified.digest, done.reference.digest)
    output.say(f"gate: {verified.manifest.gate.verdict if verified.manifest.gate else 'missing'}")
    if done.in_charge:
        output.say(f"artifact: {shown(artifact)} -> {shown(done.folder)}")
    else:
        output.say(f"folder: {shown(done.folder)}")
    if done.folder.parent.name == STORE and not done.in_charge:
        output.log(
            f"note: {shown(artifact)} is as it was: a model whose gate is missing or failed is not put in charge"
        )
    output.next(
        with_artifact("artifact-pipeline predict", artifact if done.in_charge else done.folder, option="--artifact")
    )
    output.result(
        {
            "artifact": verified.digest,
            "digest": done.reference.digest,
            "reference": str(done.reference),
            "folder": str(done.folder),
            "in_charge": done.in_charge,
            "gate": verified.manifest.gate.verdict if verified.manifest.gate else None,
            "trust": verified.trust.plain(),
            "beside": list(done.beside),
        }
    )


def _say_digests(output: Output, artifact: str, there: str | None) -> None:
    """Print the artifact digest, and in a registry that of the image."""
    output.say(f"artifact digest: {artifact}")
    if there != artifact:
        output.say(f"OCI digest:      {there}")


def with_connection(command: str, options: Mapping[str, Any]) -> str:
    """Return the command with the connection options of this one."""
    hosts = [f"--token-host {shlex.quote(host)}" for host in options["token_hosts"]]
    return " ".join([command, *(["--plain-http"] if options["plain_http"] else []), *hosts])


@contextmanager
def throttled_progress(output: Output) -> Iterator[Callable[[str], None]]:
    """Show the steps of work: on a terminal all the time, in a log only of what takes long."""
    pause = _REDRAW if sys.stderr.isatty() else _LINE
    with output.progress() as show:
        last = time.monotonic()

        def _show(text: str) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= pause:
                last = now
                show(text)

        yield _show

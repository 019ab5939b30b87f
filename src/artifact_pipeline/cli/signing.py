"""`artifact-pipeline sign`: say, so that others can check it, who vouches for an artifact."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import EXPORT, artifact_argument, digest_options, verb
from artifact_pipeline.errors import ConfigError, plural
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from artifact_pipeline.cli.output import Output

    Seal = Callable[[str, Mapping[str, str]], bytes]

PASSWORD = "ARTIFACT_PIPELINE_KEY_PASSWORD"  # noqa: S105 - the name of the variable
HINT_SIGNER = "--private-key KEY.pem, or --sigstore in a job that has an identity token"


@verb("Sign an artifact, beside it.", 4, 8)
@artifact_argument
@digest_options
@click.option(
    "--private-key",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"A key on P-256, P-384 or P-521 in PEM; ${PASSWORD} unlocks it.",
)
@click.option(
    "--sigstore", is_flag=True, help="Sign without a key: by the identity token of the CI, or $SIGSTORE_ID_TOKEN."
)
@click.option(
    "--sigstore-config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The client trust config of a Sigstore of your own.",
)
@click.option(
    "--signature",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where the signature goes; by default beside the artifact's folder, with .sig at its end.",
)
@click.pass_obj
def sign(
    output: Output,
    /,
    artifact: Path,
    *,
    expect: str | None,
    accept_failed_gate: bool,
    signature: Path | None,
    **by: Any,
) -> None:
    """Sign ARTIFACT (a pointer, or an artifact's folder) with a private key, or by Sigstore.

    It is verified first, and what is signed are the digests of the very bytes that were verified. The signature stands
    beside the artifact, never in it; `python -m model_signing verify` reads it, too. If its provenance stands there, it
    is signed as well, which gives the artifact a time that others can rely on. Needs the extra [sign].
    """
    from artifact_pipeline.artifact.manifest import NAME
    from artifact_pipeline.canonical import digest
    from artifact_pipeline.trust import signing
    from artifact_pipeline.trust.policy import provenance_of
    from artifact_pipeline.verification import verify

    seal, signer = _seal(**by)
    _check_places(artifact, signature, by)
    verified = verify(artifact, expect=expect, accept_failed_gate=accept_failed_gate)
    folder = verified.folder
    place = signature if signature is not None else signing.beside(folder)
    told = provenance_of(folder, verified.digest)
    files = {NAME: verified.digest, **{record.name: record.sha256 for record in verified.manifest.files}}
    seals = {place: seal(verified.manifest.name, files)}
    if told is not None:
        source, data = told
        seals[source.with_name(source.name + signing.SUFFIX)] = seal(source.name, {signing.WHOLE: digest(data)})
    _write(seals)
    output.say(f"signed: {shown(artifact)}, {plural(len(files), 'file')}, by {signer}")
    output.say(f"artifact digest: {verified.digest}")
    for each in seals:
        output.say(f"signature: {shown(each)}")
    if told is None:
        output.talk("note: no provenance stands beside it, so that a policy with not_before refuses it")
    names = [shown(each) for each in seals]
    output.result({"artifact": verified.digest, "signer": signer, "signatures": names})


def _seal(*, private_key: Path | None, sigstore: bool, sigstore_config: Path | None) -> tuple[Seal, str]:
    """How to sign, and who that is; a key that cannot be used is refused before anything is read.

    Raises:
        ConfigError: no signer is named, or two.
    """
    from artifact_pipeline.trust import keys, signing

    if (private_key is not None) == sigstore:
        raise ConfigError("sign takes a private key or Sigstore, one of them", hint=HINT_SIGNER)
    if sigstore_config is not None and not sigstore:
        raise ConfigError("--sigstore-config goes with --sigstore")
    if private_key is None:
        token = signing.identity_token(os.environ)
        config = sigstore_config
        return lambda name, files: signing.sign_by_sigstore(name, files, token, sigstore=config), "Sigstore"
    key = private_key
    password = os.environb.get(PASSWORD.encode()) or None
    fingerprint = keys.public_key_of(key, password).fingerprint
    return lambda name, files: signing.sign(name, files, key, password=password), fingerprint


def _check_places(artifact: Path, signature: Path | None, by: Mapping[str, Any]) -> None:
    """Refuse signatures that would be written over what is read, into the artifact, or where nothing can be written.

    Raises:
        ArtifactRejected: there is no artifact.
    """
    from artifact_pipeline.artifact import pointer, provenance
    from artifact_pipeline.artifact.places import artifact_places
    from artifact_pipeline.storage.outputs import Place, check_outputs
    from artifact_pipeline.trust import signing

    folder = pointer.resolve(artifact)
    place = signature if signature is not None else signing.beside(folder)
    told = signing.beside(folder, provenance.SUFFIX + signing.SUFFIX)
    given = {"the private key": by["private_key"], "the Sigstore config": by["sigstore_config"]}
    read = [Place(role, str(path)) for role, path in given.items() if path is not None]
    read += [*artifact_places(artifact), Place("the export", str(artifact.parent / EXPORT))]
    check_outputs(read, [Place("the provenance's signature", str(told)), Place("--signature", str(place))])


def _write(seals: Mapping[Path, bytes]) -> None:
    """Write every signature, each whole or not at all; only now, when all of them are made."""
    from artifact_pipeline.files import write_atomic

    for place, data in seals.items():
        write_atomic(place, data)

"""A signature beside an artifact: who vouches for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.artifact import EXPORT, pointer, provenance
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.pointer import artifact_places
from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.files import write_atomic
from artifact_pipeline.storage.outputs import Place, check_outputs
from artifact_pipeline.trust import signing
from artifact_pipeline.trust.beside import provenance_of
from artifact_pipeline.trust.keys import Key
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Seal = Callable[[str, Mapping[str, str]], bytes]

_HINT_SIGNER = "--private-key KEY.pem, or --sigstore in a job that has an identity token"


@dataclass(frozen=True, slots=True)
class Signer:
    """By what is signed: a private key, or Sigstore.

    Attributes:
        private_key: a key on P-256, P-384 or P-521 in PEM.
        password: what unlocks it; None where nothing locks it.
        sigstore: sign without a key, by the identity token of the CI.
        sigstore_config: the client trust config of a Sigstore of your own.
        environment: the variables in which the identity token is looked for.
    """

    private_key: Path | None = None
    password: bytes | None = None
    sigstore: bool = False
    sigstore_config: Path | None = None
    environment: Mapping[str, str] | None = None

    def seal(self) -> tuple[Seal, str]:
        """How to sign, and who that is; a key that cannot be used is refused before anything is read.

        Raises:
            ConfigError: no signer is named, or two; or the key cannot be used.
        """
        if (self.private_key is not None) == self.sigstore:
            raise ConfigError("sign takes a private key or Sigstore, one of them", hint=_HINT_SIGNER)
        if self.sigstore_config is not None and not self.sigstore:
            raise ConfigError("--sigstore-config goes with --sigstore")
        if self.private_key is None:
            token, config = signing.identity_token(self.environment or {}), self.sigstore_config
            return lambda name, files: signing.sign_by_sigstore(name, files, token, sigstore=config), "Sigstore"
        key, password = self.private_key, self.password
        fingerprint = Key.of_private(key, password).fingerprint
        return lambda name, files: signing.sign(name, files, key, password=password), fingerprint


@dataclass(frozen=True, slots=True)
class Signing:
    """What was signed.

    Attributes:
        digest: the artifact digest.
        signer: the fingerprint of the key, or `Sigstore`.
        files: how many files of the artifact the signature names.
        signatures: the files that were written: the artifact's signature, and its provenance's where there is one.
    """

    digest: str
    signer: str
    files: int
    signatures: tuple[Path, ...]


def sign_artifact(
    artifact: Path,
    signer: Signer,
    *,
    signature: Path | None = None,
    expect: str | None = None,
    accept_failed_gate: bool = False,
) -> Signing:
    """Verify an artifact, and sign the digests of the bytes that were verified; its provenance too, if there is one.

    Args:
        artifact: a pointer, or an artifact's folder.
        signer: by what is signed.
        signature: where the signature goes; None puts it beside the artifact's folder.
        expect: the artifact digest known from elsewhere; anything else is refused.
        accept_failed_gate: sign although the gate is missing or failed.

    Raises:
        ConfigError: no signer is named, or two; the key cannot be used; or a signature would be written over what is
            read, or into the artifact.
        ArtifactRejected: there is no artifact, or it is not what it claims to be.
        StorageError: a signature cannot be written.
    """
    seal, who = signer.seal()
    folder = pointer.resolve(artifact)
    place = signature if signature is not None else signing.beside(folder)
    beside = Place("the provenance's signature", str(signing.beside(folder, provenance.SUFFIX + signing.SUFFIX)))
    given = {"the private key": signer.private_key, "the Sigstore config": signer.sigstore_config}
    read = [Place(role, str(path)) for role, path in given.items() if path is not None]
    read += [*artifact_places(artifact), Place("the export", str(artifact.parent / EXPORT))]
    check_outputs(read, [beside, Place("--signature", str(place))])
    verified = verify(artifact, expect=expect, accept_failed_gate=accept_failed_gate)
    files = {NAME: verified.digest, **{record.name: record.sha256 for record in verified.manifest.files}}
    place = signature if signature is not None else signing.beside(verified.folder)
    seals = {place: seal(verified.manifest.name, files)}
    told = provenance_of(verified.folder, verified.digest)
    if told is not None:
        source, data = told
        seals[source.with_name(source.name + signing.SUFFIX)] = seal(source.name, {signing.WHOLE: digest(data)})
    for each, content in seals.items():  # only now, when all of them are made
        write_atomic(each, content)
    return Signing(verified.digest, who, len(files), tuple(seals))

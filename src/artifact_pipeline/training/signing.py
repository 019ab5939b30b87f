"""Signing: an artifact is verified, and the digests of the verified bytes are signed beside it."""

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


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key, or Sigstore.

    Attributes:
        private_key: a key on P-256, P-384 or P-521 in PEM.
        password: what unlocks it; None where it is not locked.
        sigstore: sign without a key, by the identity token of the CI.
        sigstore_config: the client trust config of a Sigstore of your own.
        environment: the variables that may hold the identity token.
    """

    private_key: Path | None = None
    password: bytes | None = None
    sigstore: bool = False
    sigstore_config: Path | None = None
    environment: Mapping[str, str] | None = None

    def sign(
        self,
        artifact: Path,
        *,
        signature: Path | None = None,
        expect: str | None = None,
        accept_failed_gate: bool = False,
    ) -> Signing:
        """Verify an artifact, and sign the digests of the verified bytes; its provenance too, if there is one.

        Args:
            artifact: a pointer, or an artifact's folder.
            signature: where the signature goes; None puts it beside the artifact's folder.
            expect: the artifact digest known from elsewhere; anything else is refused.
            accept_failed_gate: sign although the gate is missing or failed.

        Raises:
            ConfigError: this signer cannot sign; or a signature would be written over what is read, over the export, or
                into the artifact.
            ArtifactRejected: there is no artifact, or it is not what it claims to be.
            StorageError: a signature cannot be written.
        """
        seal, who = self.seal()
        folder = pointer.resolve(artifact)
        beside = Place("the provenance's signature", str(pointer.beside(folder, provenance.SUFFIX + pointer.SIGNATURE)))
        place = Place("--signature", str(signature if signature is not None else pointer.beside(folder)))
        export = Place("the export", str(artifact.parent / EXPORT))
        check_outputs([*self._places(), *artifact_places(artifact), export], [beside, place])
        verified = verify(artifact, expect=expect, accept_failed_gate=accept_failed_gate)
        files = {NAME: verified.digest, **{record.name: record.sha256 for record in verified.manifest.files}}
        signed = {signature or pointer.beside(verified.folder): seal(verified.manifest.name, files)}
        found = provenance_of(verified.folder, verified.digest)
        if found is not None:
            statement, data = found
            signed[statement.with_name(statement.name + pointer.SIGNATURE)] = seal(
                statement.name, {signing.WHOLE: digest(data)}
            )
        for each, content in signed.items():  # none is written before all of them are made
            write_atomic(each, content)
        return Signing(verified.digest, who, len(files), tuple(signed))

    def seal(self) -> tuple[Seal, str]:
        """Return the function that signs, and the signer's name; a key that cannot be used is refused first.

        Raises:
            ConfigError: neither a key nor Sigstore is named, or both; or the key cannot be used.
        """
        if (self.private_key is not None) == self.sigstore:
            hint = "--private-key KEY.pem, or --sigstore in a job that has an identity token"
            raise ConfigError("sign takes a private key or Sigstore, one of them", hint=hint)
        if self.sigstore_config is not None and not self.sigstore:
            raise ConfigError("--sigstore-config goes with --sigstore", hint="leave it away, or sign with --sigstore")
        if self.private_key is None:
            token, config = signing.identity_token(self.environment or {}), self.sigstore_config
            return lambda name, files: signing.sign_by_sigstore(name, files, token, sigstore=config), "Sigstore"
        key, password = self.private_key, self.password
        fingerprint = Key.of_private(key, password).fingerprint
        return lambda name, files: signing.sign(name, files, key, password=password), fingerprint

    def _places(self) -> list[Place]:
        """Return the files that are read."""
        read = {"the private key": self.private_key, "the Sigstore config": self.sigstore_config}
        return [Place(role, str(path)) for role, path in read.items() if path is not None]

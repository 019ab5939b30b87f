"""Signatures by OpenSSF `model-signing`, beside what they sign: who has signed, and which digests.

A signature is a Sigstore bundle around an in-toto statement that lists a digest per file. The cryptography is
upstream's. The statement is compared here, with the digests of the bytes that were read and are going to be parsed:
upstream would read the folder a second time, and ignore what stands under `.git` and `.github`.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct, field, json

from artifact_pipeline.artifact.parts import Frozen, Text
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected, ConfigError, PipelineError, Problem, StorageError
from artifact_pipeline.files import reason_of
from artifact_pipeline.trust.keys import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WHOLE = "."
"""How a statement about a single file names it."""
_TOKEN = "SIGSTORE_ID_TOKEN"  # noqa: S105 - the name of the variable


class _SignedFile(Struct, frozen=True):
    name: str
    algorithm: Literal["sha256"]
    digest: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _Serialization(Struct, frozen=True):
    method: Literal["files"]


class _SignedFiles(Struct, frozen=True):
    resources: tuple[_SignedFile, ...]
    serialization: _Serialization


class _Payload(Struct, frozen=True):
    kind: Literal["https://in-toto.io/Statement/v1"] = field(name="_type")
    predicate_type: Literal["https://model_signing/signature/v1.0"] = field(name="predicateType")
    predicate: _SignedFiles


class _Envelope(Struct, frozen=True):
    payload: bytes
    payload_type: Literal["application/vnd.in-toto+json"] = field(name="payloadType")
    signatures: Annotated[tuple[dict[str, Any], ...], Meta(min_length=1, max_length=1)]


class _Material(Struct, frozen=True):
    certificate: dict[str, Any] | None = None
    public_key: dict[str, Any] | None = field(default=None, name="publicKey")


class _Bundle(Struct, frozen=True):
    material: _Material = field(name="verificationMaterial")
    envelope: _Envelope = field(name="dsseEnvelope")


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose signature counts.

    Attributes:
        identities: who signs by Sigstore.
        sigstore: the trust root of a Sigstore of one's own; None is the public one.
    """

    class Identity(Frozen, frozen=True):
        """A signer without a key: an identity, and the issuer that confirms it to Sigstore."""

        issuer: Text
        identity: Annotated[str, Meta(max_length=2048)]

        def __str__(self) -> str:
            return f"{self.identity} ({self.issuer})"

    keys: tuple[Key, ...] = ()
    identities: tuple[Identity, ...] = ()
    sigstore: bytes | None = None

    def check(self, data: bytes, *, place: str) -> Signed:
        """Check who has signed, and read what was signed; `data` are the bytes of the signature at `place`.

        Raises:
            ArtifactRejected: it is no signature (`signature-invalid`) or no trusted signer's (`signature-key`), or
                Sigstore's trust root is out of reach (`sigstore-unreachable`).
        """
        bundle, files = _parse(data, place)
        trusted = self.keys if bundle.material.public_key is not None else self.identities
        signer = next((each for each in trusted if _has_signed(each, data, files, self.sigstore)), None)
        if signer is None:
            raise rejected(place, "signature-key", "is not a signature of any signer that is trusted")
        return Signed(str(signer), files)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a trusted signer has signed.

    Attributes:
        signer: the key's fingerprint, or the identity.
        files: the digest of each file, by name.
    """

    signer: str
    files: Mapping[str, str]


def _parse(data: bytes, place: str) -> tuple[_Bundle, dict[str, str]]:
    """The signature, and the digest of each file that it is about."""
    try:
        bundle = json.decode(data, type=_Bundle)
        resources = json.decode(bundle.envelope.payload, type=_Payload).predicate.resources
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise rejected(place, "signature-invalid", f"not a signature of a model: {str(error)[:200]}") from None
    files = {each.name: PREFIX + each.digest for each in resources}
    if len(files) != len(resources) or any(str(PurePosixPath(name)) != name for name in files):
        raise rejected(place, "signature-invalid", "lists a file twice, or by a crooked name")
    return bundle, files


def signed_files(data: bytes, place: str) -> Mapping[str, str]:
    """The files that a signature is about, with their digests; who signed, and whether that is true, is not checked.

    Raises:
        ArtifactRejected: it is no signature.
    """
    return _parse(data, place)[1]


def rejected(place: str, rule: str, message: str) -> ArtifactRejected:
    """The refusal of something that is not trusted."""
    problem = Problem(place, rule, message)
    hint = "do not load it; take it again from where it was published, or ask who signs there"
    return ArtifactRejected("the artifact is not trusted", problems=[problem], hint=hint)


def _has_signed(signer: Key | Signers.Identity, data: bytes, files: Mapping[str, str], sigstore: bytes | None) -> bool:
    """Whether upstream finds that `signer` has signed a statement about just these files.

    Upstream parses the signature itself. It gets the digests that we have read in place of a folder: so both parsers
    must read the same, even in a hostile file.
    """
    # First: where the extra is missing, this is the package to name.
    from sigstore.errors import Error, TUFError  # noqa: I001
    from cryptography.exceptions import InvalidSignature

    with _private_folder() as folder, redirect_stdout(io.StringIO()):  # upstream prints warnings
        signature = _write(folder / "signature", data)
        try:
            verifying = _verifying(folder, signer, sigstore)
            verifying.set_hashing_config(_known_digests("", files)).verify(folder, signature)
        except TUFError as error:
            raise rejected(str(signer), "sigstore-unreachable", str(error)[:200].lower()) from error
        except (InvalidSignature, Error, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return False
    return True


def _verifying(folder: Path, signer: Key | Signers.Identity, sigstore: bytes | None) -> Any:
    config = _upstream("verifying")
    if isinstance(signer, Key):
        return config.use_elliptic_key_verifier(public_key=_write(folder / "key.pem", signer.pem))
    root = _write(folder / "sigstore.json", sigstore) if sigstore is not None else None
    return config.use_sigstore_verifier(identity=signer.identity, oidc_issuer=signer.issuer, trust_config=root)


def _upstream(module: Literal["signing", "verifying"]) -> Any:
    """Upstream's configuration; its constructors have no types."""
    return import_module(f"model_signing.{module}").Config()


def _known_digests(name: str, files: Mapping[str, str]) -> Any:
    """A configuration by which upstream takes these digests and does not hash a folder."""
    from model_signing import hashing, manifest
    from model_signing._hashing.hashing import Digest

    class Known(hashing.Config):
        def hash(self, model_path: object, *, files_to_hash: object = None) -> manifest.Manifest:  # noqa: ARG002
            settings = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
            items = [
                manifest.FileManifestItem(
                    path=PurePosixPath(file), digest=Digest("sha256", bytes.fromhex(value.removeprefix(PREFIX)))
                )
                for file, value in files.items()
            ]
            return manifest.Manifest(name, items, manifest.SerializationType.from_args(settings))

    known: Any = Known
    return known()


def sign(name: str, files: Mapping[str, str], private_key: Path, *, password: bytes | None = None) -> bytes:
    """Sign the digests of files, by their names, with the private key of a PEM file; a single file is `WHOLE`.

    Returns:
        The signature file's bytes, checked once more with the public key.

    Raises:
        ConfigError: the key cannot be used.
    """
    public = Key.of_private(private_key, password)
    # Bytes, whatever upstream's annotation says: it hands the password on to a library that takes nothing else.
    config = _upstream("signing").use_elliptic_key_signer(private_key=private_key, password=password)
    data = _sign_by(config, name, files)
    Signers(keys=(public,)).check(data, place=name)
    return data


def sign_by_sigstore(name: str, files: Mapping[str, str], token: str, *, sigstore: Path | None = None) -> bytes:
    """Sign the digests of files, by their names, without a key: Sigstore certifies the identity in the token.

    `token` is an OpenID Connect token for the audience `sigstore`. The file `sigstore` is the trust config of another
    Sigstore than the public one.

    Raises:
        PipelineError: Sigstore is out of reach, or refuses the token.
    """
    from requests import RequestException
    from sigstore.errors import Error

    try:
        config = _upstream("signing").use_sigstore_signer(identity_token=token, trust_config=sigstore)
        return _sign_by(config, name, files)
    except (Error, RequestException, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = "nothing is written; sign again where Sigstore can be reached"
        raise PipelineError(f"Sigstore did not sign: {reason[:200].lower()}", hint=hint) from error


def _sign_by(config: Any, name: str, files: Mapping[str, str]) -> bytes:
    with _private_folder() as folder:
        place = folder / "signature"
        config.set_hashing_config(_known_digests(name, files)).sign(folder, place)
        return place.read_bytes()


def identity_token(environment: Mapping[str, str]) -> str:
    """The identity token of a job: `SIGSTORE_ID_TOKEN`, or the one that the CI gives.

    Raises:
        ConfigError: there is none; no one is asked to log in.
    """
    from id import IdentityError, detect_credential

    hint = f"in GitHub Actions give the job the permission id-token: write; elsewhere set {_TOKEN}"
    try:
        token = environment.get(_TOKEN) or detect_credential("sigstore")
    except IdentityError as error:
        raise ConfigError(f"the CI gives no identity token: {str(error)[:200]}", hint=hint) from error
    if not token:
        raise ConfigError("there is no identity token to sign with", hint=hint)
    return token


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that no other user may enter, for upstream, which takes only paths."""
    try:
        holder = tempfile.TemporaryDirectory(prefix="artifact-pipeline-")
    except OSError as error:
        raise _temporary_file_error(error) from error
    with holder as name:
        yield Path(name)


def _write(place: Path, data: bytes) -> Path:
    try:
        place.write_bytes(data)
    except OSError as error:
        raise _temporary_file_error(error) from error
    return place


def _temporary_file_error(error: OSError) -> StorageError:
    return StorageError(f"cannot write a temporary file: {reason_of(error)}", hint="name a folder with room: TMPDIR=…")

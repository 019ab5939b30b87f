"""What a signer works with: keys of every kind, signatures and provenance, good ones and forged ones."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from artifact_pipeline.canonical import canonical_json, digest
from artifact_pipeline.trust.signing import sign

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST = "manifest.json"


def private_key(kind: str) -> Any:
    """A fresh private key: a curve's name, `ed25519` or `rsa`."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(getattr(ec, kind)())


def write_keys(folder: Path, name: str, kind: str = "SECP256R1", password: bytes | None = None) -> None:
    """Write `NAME.pem` and `NAME.pub`."""
    from cryptography.hazmat.primitives import serialization

    key, pem = private_key(kind), serialization.Encoding.PEM
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    (folder / f"{name}.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock))
    (folder / f"{name}.pub").write_bytes(
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def certificate(key: Any) -> bytes:
    """A certificate that the key signs for itself, in PEM."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "release")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    builder = builder.not_valid_after(dt.datetime(2036, 1, 1, tzinfo=dt.UTC))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def digests(folder: Path) -> dict[str, str]:
    """The digest of each file of a folder, as a signature lists them."""
    return {path.name: digest(path.read_bytes()) for path in folder.iterdir()}


def seal(place: Path, files: Mapping[str, str], key: Path) -> None:
    """Sign some digests with a private key, whatever they are about."""
    place.write_bytes(sign("digits", files, key))


def provenance(artifact: str, finished: str) -> bytes:
    """An in-toto statement about an artifact digest, with a time."""
    details = {"builder": {"id": "urn:tests"}, "metadata": {"startedOn": finished, "finishedOn": finished}}
    return canonical_json(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": MANIFEST, "digest": {"sha256": artifact.removeprefix("sha256:")}}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {"buildDefinition": {}, "runDetails": details},
        }
    )


def bundle_of(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """A signature's bundle and its statement, as plain values."""
    bundle = json.loads(data)
    return bundle, json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))


def forged(data: bytes, statement: dict[str, Any]) -> bytes:
    """The same signature around another statement."""
    bundle, _ = bundle_of(data)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    return json.dumps(bundle).encode()


def certified(data: bytes) -> bytes:
    """The same signature, said to be Sigstore's."""
    bundle, _ = bundle_of(data)
    bundle["verificationMaterial"] = {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": []}
    return json.dumps(bundle).encode()

"""A Sigstore of our own, without servers: an authority, its two logs, and the trust root that names them."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import struct
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from artifact_pipeline.trust.signing import sign

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
SUBJECT = serialization.PublicFormat.SubjectPublicKeyInfo
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SIGNED = dt.datetime(2026, 6, 1, 12, 0, 5, tzinfo=dt.UTC)
SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
ORIGIN = "rekor.example"


def b64(data: bytes) -> str:
    """Base64 as JSON holds it."""
    return base64.b64encode(data).decode()


def key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    """What a log is known by."""
    return hashlib.sha256(key.public_key().public_bytes(DER, SUBJECT)).digest()


def signed(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """An ECDSA signature."""
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def der(tag: int, data: bytes) -> bytes:
    """A value in DER, of less than 64 kB."""
    length = bytes([len(data)]) if len(data) < 128 else b"\x82" + struct.pack("!H", len(data))
    return bytes([tag]) + length + data


class OwnSigstore:
    """An authority (Fulcio), a log of certificates, and a log of signatures (Rekor), each with a key of its own."""

    def __init__(self) -> None:
        self.authority, self.certificates, self.rekor = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "own sigstore")])
        public = self.authority.public_key()
        identifier = x509.SubjectKeyIdentifier.from_public_key(public)
        self.root = (
            self._builder(public, START + dt.timedelta(days=3650))
            .subject_name(name)
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(self._usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    @staticmethod
    def _builder(public: Any, end: dt.datetime, start: dt.datetime = START) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().public_key(public).serial_number(x509.random_serial_number())
        return builder.not_valid_before(start).not_valid_after(end)

    @staticmethod
    def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
        no = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only"), False
        )  # fmt: skip
        cert = signs_certificates
        return x509.KeyUsage(digital_signature=not cert, key_cert_sign=cert, crl_sign=cert, **no)

    def certificate(self, key: Any, identity: str, issuer: str) -> x509.Certificate:
        """A certificate for ten minutes, for a key and who an issuer says that its holder is."""
        start = SIGNED - dt.timedelta(seconds=5)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key())
        builder = (
            self._builder(key.public_key(), start + dt.timedelta(minutes=10), start)
            .subject_name(x509.Name([]))
            .issuer_name(self.root.subject)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(ISSUER, issuer.encode()), critical=False)
            .add_extension(self._usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(authority, critical=False)
        )
        # The log signs the certificate without its own signature in it: made once with an empty one to see that part.
        empty = builder.add_extension(x509.UnrecognizedExtension(SCT_LIST, self._timestamp(b"")), critical=False)
        without = empty.sign(self.authority, hashes.SHA256()).tbs_precertificate_bytes
        logged = x509.UnrecognizedExtension(SCT_LIST, self._timestamp(without))
        return builder.add_extension(logged, critical=False).sign(self.authority, hashes.SHA256())

    def _timestamp(self, certificate: bytes) -> bytes:
        """The promise of the log of certificates, as an extension holds it (RFC 6962)."""
        when = int(SIGNED.timestamp() * 1000)
        length = struct.pack("!I", len(certificate))[1:]
        entry = hashlib.sha256(self.authority.public_key().public_bytes(DER, SUBJECT)).digest() + length + certificate
        seal = signed(self.certificates, struct.pack("!BBQH", 0, 0, when, 1) + entry + b"\0\0")
        one = b"\0" + key_id(self.certificates) + struct.pack("!QHBBH", when, 0, 4, 3, len(seal)) + seal
        return der(0x04, struct.pack("!HH", len(one) + 2, len(one)) + one)

    def sign(self, files: Mapping[str, str], folder: Path, *, identity: str, issuer: str) -> bytes:
        """A bundle: a fresh key's signature of some digests, the key's certificate, and the entry in the log."""
        key = ec.generate_private_key(ec.SECP256R1())
        place = folder / "ephemeral.pem"
        private = serialization.PrivateFormat.PKCS8
        place.write_bytes(key.private_bytes(PEM, private, serialization.NoEncryption()))
        bundle: dict[str, Any] = json.loads(sign("digits", files, place))
        place.unlink()
        certificate = self.certificate(key, identity, issuer)
        envelope = bundle["dsseEnvelope"]
        bundle["verificationMaterial"] = {
            "certificate": {"rawBytes": b64(certificate.public_bytes(DER))},
            "tlogEntries": [self._entry(envelope, certificate)],
        }
        return json.dumps(bundle).encode()

    def _entry(self, envelope: dict[str, Any], certificate: x509.Certificate) -> dict[str, Any]:
        """The entry of the log of signatures: the only one of its tree."""
        payload = hashlib.sha256(base64.b64decode(envelope["payload"])).hexdigest()
        verifier = b64(certificate.public_bytes(PEM))
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": payload},
            "payloadHash": {"algorithm": "sha256", "value": payload},
            "signatures": [{"signature": envelope["signatures"][0]["sig"], "verifier": verifier}],
        }
        body = json.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}).encode()
        root, when, log = hashlib.sha256(b"\0" + body).digest(), int(SIGNED.timestamp()), key_id(self.rekor)
        promise = {"body": b64(body), "integratedTime": when, "logID": log.hex(), "logIndex": 0}
        note = f"{ORIGIN}\n1\n{b64(root)}\n"
        seal = b64(log[:4] + signed(self.rekor, note.encode()))
        canonical = json.dumps(promise, sort_keys=True, separators=(",", ":")).encode()
        return {
            "logIndex": "0",
            "logId": {"keyId": b64(log)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(when),
            "inclusionPromise": {"signedEntryTimestamp": b64(signed(self.rekor, canonical))},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": b64(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\N{EM DASH} {ORIGIN} {seal}\n"},
            },
            "canonicalizedBody": b64(body),
        }

    def trust_config(self) -> bytes:
        """The client trust config that names this Sigstore."""

        def log(url: str, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
            public = {
                "rawBytes": b64(key.public_key().public_bytes(DER, SUBJECT)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": START.isoformat()},
            }
            return {
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": public,
                "logId": {"keyId": b64(key_id(key))},
            }

        authority = {
            "subject": {"organization": "own", "commonName": "own sigstore"},
            "uri": "https://fulcio.example",
            "certChain": {"certificates": [{"rawBytes": b64(self.root.public_bytes(DER))}]},
            "validFor": {"start": START.isoformat()},
        }
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(f"https://{ORIGIN}", self.rekor)],
            "certificateAuthorities": [authority],
            "ctlogs": [log("https://ctfe.example", self.certificates)],
            "timestampAuthorities": [],
        }
        urls = {"majorApiVersion": 1, "validFor": {"start": START.isoformat()}, "operator": "own"}
        signing = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [{"url": "https://fulcio.example", **urls}],
            "oidcUrls": [{"url": "https://issuer.example", **urls}],
            "rekorTlogUrls": [{"url": f"https://{ORIGIN}", **urls}],
            "tsaUrls": [],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        }
        kind = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
        return json.dumps({"mediaType": kind, "trustedRoot": root, "signingConfig": signing}).encode()

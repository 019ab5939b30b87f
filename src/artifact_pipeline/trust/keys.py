"""Keys with which `model-signing` can sign and verify, read once and refused by name.

It knows elliptic curves alone; of an Ed25519 key it only says that an attribute is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ConfigError, Problem
from artifact_pipeline.files import read_bounded, reason_of

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES = 64 << 10
_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
_HINTS = {
    "key-type": "make one: openssl ecparam -name prime256v1 -genkey -noout -out key.pem",
    "key-password": "ARTIFACT_PIPELINE_KEY_PASSWORD unlocks a key that is locked",
    "key-unreadable": "name a file that holds one key in PEM: `sign` takes the private one, a consumer the public one",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key on a curve of NIST's.

    Attributes:
        pem: its canonical PEM.
        fingerprint: the digest of that PEM, which a signature's hint repeats.
    """

    pem: bytes
    fingerprint: str

    def __str__(self) -> str:
        return self.fingerprint

    @classmethod
    def parse(cls, data: bytes, place: str) -> Key:
        """Parse a public key.

        Raises:
            ConfigError: it is none, or of a kind that `model-signing` does not know.
        """
        # First: where the extra is missing, this is the package to name.
        from model_signing import verifying  # noqa: F401, I001
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            return _checked(load_pem_public_key(data), place)
        except (ValueError, UnsupportedAlgorithm):
            raise _bad_key(place, "key-unreadable", "not a public key in PEM") from None

    @classmethod
    def of_private(cls, path: Path, password: bytes | None = None) -> Key:
        """The public half of a private key's file.

        Raises:
            ConfigError: it cannot be read, is none, is locked, or is of a kind that `model-signing` does not know.
        """
        from model_signing import verifying  # noqa: F401, I001
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            return _checked(load_pem_private_key(read_key_file(path), password), str(path))
        except (ValueError, UnsupportedAlgorithm):
            message = "not a private key in PEM, or its password is another"
            raise _bad_key(str(path), "key-unreadable", message) from None
        except TypeError:
            found = "is not locked, and a password was given" if password else "is locked by a password"
            raise _bad_key(str(path), "key-password", found) from None


def read_key_file(path: Path) -> bytes:
    """Read the file of a key.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return read_bounded(path, _MAX_BYTES)
    except (OSError, ValueError) as error:
        raise _bad_key(str(path), "key-unreadable", reason_of(error)) from None


def _checked(key: Any, place: str) -> Key:
    """The public key of a loaded key, once its curve is known to be one of ours."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    curve = getattr(key, "curve", None)
    if curve is None or curve.name not in _CURVES:
        kind = type(key).__name__.lstrip("_").removesuffix("PublicKey").removesuffix("PrivateKey")
        found = curve.name if curve is not None else kind
        raise _bad_key(place, "key-type", f"a key on P-256, P-384 or P-521 is needed, this one is {found}")
    public = key.public_key() if hasattr(key, "public_key") else key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Key(pem, digest(pem))


def _bad_key(place: str, rule: str, message: str) -> ConfigError:
    return ConfigError("the key cannot be used", problems=[Problem(place, rule, message)], hint=_HINTS[rule])

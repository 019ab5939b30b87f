"""The certificate and the key of TLS, checked before the server listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_END = "-----END CERTIFICATE-----\n"
_HINT = "openssl pkey -in KEY -out KEY.plain takes the password off"


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of TLS, in PEM: the certificate, with those of its issuers after it, and its key without a password."""

    certificate: Path
    key: Path


def check_tls(certificate: Path | None, key: Path | None) -> Tls | None:
    """Check the files of TLS, and return them; None where neither is given.

    Raises:
        ConfigError: one is missing or cannot be used, or they do not belong together.
    """
    if certificate is None and key is None:
        return None
    text = "" if certificate is None else _read("--tls-certificate", certificate)
    if key is not None:
        _read("--tls-key", key)
    if certificate is None or key is None:
        missing = "--tls-certificate" if certificate is None else "--tls-key"
        raise ConfigError(f"TLS needs a certificate and its key; {missing} is missing", hint=f"add {missing} FILE")
    import ssl

    try:
        ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE-----") :].partition("-----END")[0] + _END)
    except ValueError as error:
        words = f"--tls-certificate: {certificate} holds no certificate in PEM"
        raise ConfigError(words, hint="--tls-certificate names a file that begins with BEGIN CERTIFICATE") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _no_password)
    except _EncryptedError as error:
        raise ConfigError(f"--tls-key: {key} is encrypted, and serve asks for no password", hint=_HINT) from error
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            words = f"--tls-key: {key} is not the key of {certificate}"
            raise ConfigError(words, hint="--tls-key names the key that the certificate was made with") from error
        words = f"--tls-key: {key} holds no private key in PEM that can be used with {certificate}"
        raise ConfigError(words, hint="--tls-key names a file that begins with BEGIN PRIVATE KEY") from error
    return Tls(certificate, key)


class _EncryptedError(Exception):
    """The key is encrypted."""


def _no_password() -> bytes:
    raise _EncryptedError


def _read(option: str, path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError as error:
        words = f"{option}: {path} cannot be read: {(error.strerror or str(error)).lower()}"
        raise ConfigError(words, hint=f"{option} names a file that this user may read") from error

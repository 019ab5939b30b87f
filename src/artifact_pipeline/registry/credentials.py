"""The login for a registry, from the files of `docker login`, `podman login` or `oras login`, or a credential helper.

The files are read, never written. A helper is a program that the user has named in such a file; it is started without
a shell, and given the registry's name alone.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, json

from artifact_pipeline.errors import ConfigError, StorageError
from artifact_pipeline.files import read_bounded, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.registry.reference import ImageReference

_MAX_BYTES = 1 << 20
_TIMEOUT = 30.0
"""Seconds that a helper may take; one may call a service in the cloud."""
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DOCKER_HUB = "https://index.docker.io/v1/"
"""The name by which Docker keeps the login of its own registry."""


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """A user and a secret; neither is ever printed.

    Attributes:
        user: the name; empty where `secret` is a refresh token.
        secret: a password or a token.
    """

    user: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The header `Authorization` of HTTP's Basic scheme."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode("ascii")


class _Entry(Struct, frozen=True):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""


class _Logins(Struct, frozen=True, rename="camel"):
    auths: dict[str, _Entry] = {}
    cred_helpers: dict[str, str] = {}
    creds_store: str = ""


class _Answer(Struct, frozen=True, rename="pascal"):
    username: Annotated[str, Meta(max_length=65_536)]
    secret: Annotated[str, Meta(max_length=65_536)]


def find_login(reference: ImageReference) -> RegistryLogin | None:
    """The login for a registry, from the first file that has one; None where there is none.

    `REGISTRY_AUTH_FILE` is the only file where it is set. Else these are read: `containers/auth.json` in
    `XDG_RUNTIME_DIR`, and `config.json` in `DOCKER_CONFIG`, by default `.docker` in the home folder.

    Raises:
        ConfigError: a file is not what these programs write.
        StorageError: a helper is missing, fails or takes too long.
    """
    for place in _files():
        try:
            data = read_bounded(place, _MAX_BYTES)
        except FileNotFoundError:
            if "REGISTRY_AUTH_FILE" in os.environ:
                raise _unusable(place, "there is no such file") from None
            continue
        except (OSError, ValueError) as error:
            raise _unusable(place, reason_of(error)) from None
        try:
            logins = json.decode(data, type=_Logins)
        except (ValueError, RecursionError):  # its text may quote a secret
            raise _unusable(place, "is not JSON as a login writes it") from None
        if (found := _of_file(logins, reference, place)) is not None:
            return found
    return None


def _files() -> Iterator[Path]:
    if named := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
        return
    if run := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(run) / "containers" / "auth.json"
    if folder := os.environ.get("DOCKER_CONFIG"):
        yield Path(folder) / "config.json"
    elif home := os.environ.get("HOME"):
        yield Path(home) / ".docker" / "config.json"


def _of_file(logins: _Logins, reference: ImageReference, place: Path) -> RegistryLogin | None:
    registry = _DOCKER_HUB if reference.registry == "docker.io" else reference.registry
    helper = logins.cred_helpers.get(reference.registry)
    if helper and (found := _run_helper(helper, registry, place)) is not None:
        return found
    entry = _entry(logins, reference)
    if entry is None or entry == _Entry():  # Docker writes an empty entry where a store keeps the secret
        return _run_helper(logins.creds_store, registry, place) if logins.creds_store else None
    if entry.identitytoken:
        return RegistryLogin("", entry.identitytoken)
    if not entry.auth:
        return RegistryLogin(entry.username, entry.password)
    try:
        user, colon, secret = base64.b64decode(entry.auth, validate=True).decode().partition(":")
    except ValueError:
        raise _unusable(place, f"the login of {reference.registry} is not in base64") from None
    if not colon:
        raise _unusable(place, f"the login of {reference.registry} has no colon")
    return RegistryLogin(user, secret.rstrip("\0"))


def _entry(logins: _Logins, reference: ImageReference) -> _Entry | None:
    """The entry of the repository, of what stands above it, or of its registry: the longest name counts."""
    known = {re.sub(r"^https?://", "", name).rstrip("/"): entry for name, entry in logins.auths.items()}
    parts = [reference.registry, *reference.name.split("/")]
    names = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    if reference.registry == "docker.io":
        names.append("index.docker.io/v1")
    names += [f"{reference.registry}/v1", f"{reference.registry}/v2"]
    return next((known[name] for name in names if name in known), None)


def _run_helper(name: str, registry: str, place: Path) -> RegistryLogin | None:
    if not _HELPER.fullmatch(name):
        raise _unusable(place, f"{name!r:.80} is no name of a credential helper")
    program = f"docker-credential-{name}"
    try:
        done = subprocess.run(  # noqa: S603 - the user's own helper, by a plain name, without a shell
            [program, "get"],
            input=registry.encode(),
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = f"took more than {_TIMEOUT:.0f} s" if not isinstance(error, OSError) else reason_of(error)
        raise StorageError(f"the credential helper {program} of {place}: {reason}", hint=_login(registry)) from None
    if done.returncode != 0:
        if b"not found" in done.stdout:  # how helpers say that they know no login
            return None
        raise StorageError(
            f"the credential helper {program} of {place} failed: status {done.returncode}", hint=_login(registry)
        )
    try:
        answer = json.decode(done.stdout, type=_Answer)
    except ValueError:
        raise StorageError(f"the credential helper {program} of {place} gave no login", hint=_login(registry)) from None
    return RegistryLogin("" if answer.username == "<token>" else answer.username, answer.secret)


def _login(registry: str) -> str:
    return f"log in again: docker login {registry}"


def _unusable(place: Path, reason: str) -> ConfigError:
    hint = "REGISTRY_AUTH_FILE names another file; docs/registry.md says which files are read"
    return ConfigError(f"the logins in {place} cannot be read: {reason}", hint=hint)

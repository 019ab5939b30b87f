"""The request to push an artifact into a registry or an object store, or to pull it from there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from artifact_pipeline.trust.policy import Trust

    Progress = Callable[[str, int, int], None]

PLAIN_HTTP, TOKEN_HOSTS = "ARTIFACT_PIPELINE_PLAIN_HTTP", "ARTIFACT_PIPELINE_TOKEN_HOSTS"
"""Variables that list hosts, each with its port where it has one; what `--plain-http` and `--token-host` say of one."""


@dataclass(frozen=True, slots=True)
class Connecting:
    """How a registry is reached: by options, and by the variables `PLAIN_HTTP` and `TOKEN_HOSTS`.

    Attributes:
        plain_http: speak HTTP without TLS, wherever the registry is; with this machine that is done anyway.
        token_hosts: hosts, each with its port where it has one, that may give tokens for the registry and are sent the
            login for it.
    """

    plain_http: bool = False
    token_hosts: tuple[str, ...] = ()

    def is_plain(self, registry: str) -> bool:
        """Whether HTTP without TLS is spoken with a registry, `HOST` or `HOST:PORT`, wherever it is."""
        return self.plain_http or registry in _hosts(PLAIN_HTTP)

    def may_give_tokens(self, host: str) -> bool:
        """Whether a host, with its port where it has one, may give tokens and see the login."""
        return host in self.token_hosts or host in _hosts(TOKEN_HOSTS)


def _hosts(variable: str) -> list[str]:
    return [host.strip() for host in os.environ.get(variable, "").split(",")]


def _ignore(_name: str, _done: int, _total: int) -> None:
    """Report no progress."""


@dataclass(frozen=True, slots=True)
class RegistryRequest:
    """An artifact elsewhere: its reference, how to reach it, and whom to trust.

    Attributes:
        reference: `oci://HOST/NAME`, with a tag or a digest; or `s3://BUCKET/PREFIX` of the store that begins there,
            with an artifact digest or for its pointer. A store's settings come from the environment.
        plain_http: as in `Connecting`.
        token_hosts: likewise.
        expect: the artifact digest known from elsewhere.
        accept_failed_gate: let a missing or failed gate pass, unless the policy insists on it.
        trust: who must have signed it, and the policy.
        progress: called with a file's name, the bytes so far and all bytes, while they move.
    """

    reference: str
    plain_http: bool = False
    token_hosts: tuple[str, ...] = ()
    expect: str | None = None
    accept_failed_gate: bool = False
    trust: Trust | None = None
    progress: Progress = _ignore

    @property
    def connecting(self) -> Connecting:
        """How the registry is reached."""
        return Connecting(self.plain_http, self.token_hosts)


def counted(sizes: Mapping[str, int], progress: Progress) -> Iterator[tuple[str, Callable[[int], None]]]:
    """Yield the name of each file with a function that counts its bytes as they move, and reports the progress."""
    total, done = sum(sizes.values()), 0
    for name, size in sizes.items():
        yield name, _counter(name, done, total, progress)
        done += size


def _counter(name: str, done: int, total: int, progress: Progress) -> Callable[[int], None]:
    progress(name, done, total)

    def _count(more: int) -> None:
        nonlocal done
        done += more
        progress(name, done, total)

    return _count

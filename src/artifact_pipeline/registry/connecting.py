"""How a registry is reached: by what a person asks for, and by the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from artifact_pipeline.registry.addresses import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.registry.request import RegistryRequest

PLAIN_HTTP, TOKEN_HOSTS = "ARTIFACT_PIPELINE_PLAIN_HTTP", "ARTIFACT_PIPELINE_TOKEN_HOSTS"
"""Variables that list hosts, each with its port where it has one; what `--plain-http` and `--token-host` say of one."""


@dataclass(frozen=True, slots=True)
class Connecting:
    """How a registry is reached.

    Attributes:
        plain_http: speak HTTP without TLS, wherever the registry is; with this machine that is done anyway.
        token_hosts: hosts, each with its port where it has one, that may give tokens for the registry and are sent the
            login for it.
        environment: the variables that name logins, and hosts as `PLAIN_HTTP` and `TOKEN_HOSTS` do.
    """

    plain_http: bool = False
    token_hosts: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @classmethod
    def of(cls, request: RegistryRequest) -> Connecting:
        """As a person asks for it."""
        return cls(request.plain_http, request.token_hosts)

    def is_plain(self, registry: str) -> bool:
        """Whether HTTP without TLS is spoken with a registry, `HOST` or `HOST:PORT`, wherever it is."""
        return self.plain_http or registry in listed(self.environment, PLAIN_HTTP)

    def may_give_tokens(self, host: str) -> bool:
        """Whether a host, with its port where it has one, may give tokens and see the login."""
        return host in self.token_hosts or host in listed(self.environment, TOKEN_HOSTS)

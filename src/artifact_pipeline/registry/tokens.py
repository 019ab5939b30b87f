"""The challenge by which a registry asks for a login, and the token that it takes instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from msgspec import Struct, json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from artifact_pipeline.registry.credentials import RegistryLogin

_CLIENT = "artifact-pipeline"
_PARAMETER = re.compile(r"\b([A-Za-z_]+)\s*=\s*(?:\"([^\"]*)\"|([^\s,\"]+))")
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")


class _Token(Struct, frozen=True):
    token: str = ""
    access_token: str = ""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A registry's answer to a request without a login.

    Attributes:
        scheme: `bearer`, `basic` or another one, in lower case; empty where there is none.
        realm: of a bearer the URL of the service that gives tokens.
        service: of a bearer the name of the registry there.
    """

    scheme: str = ""
    realm: str = ""
    service: str = ""

    @classmethod
    def parse(cls, header: str) -> Challenge:
        """Read one header `WWW-Authenticate`; what is not understood is empty."""
        scheme, _, rest = header.strip().partition(" ")
        found = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
        return cls(scheme.lower(), found.get("realm", ""), found.get("service", ""))

    def token_request(self, login: RegistryLogin | None, scope: str) -> tuple[str, str, bytes | None, dict[str, str]]:
        """The request for a token that allows a scope: method, URL, body and headers; no login for public images."""
        wanted = {"service": self.service, "scope": scope} if self.service else {"scope": scope}
        if login is not None and not login.user:  # a refresh token
            form = {**wanted, "grant_type": "refresh_token", "refresh_token": login.secret, "client_id": _CLIENT}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return "POST", self.realm, urlencode(form).encode("ascii"), headers
        url = f"{self.realm}{'&' if '?' in self.realm else '?'}{urlencode(wanted)}"
        return "GET", url, None, {"Authorization": login.basic} if login is not None else {}

    def token_of(self, data: bytes) -> str | None:
        """The token in the service's answer; None where there is none."""
        try:
            found = json.decode(data, type=_Token)
        except (ValueError, RecursionError):
            return None
        token = found.token or found.access_token
        return token if _TOKEN.fullmatch(token) else None


def choose(headers: Iterable[str]) -> Challenge:
    """Choose one of a registry's challenges: a bearer, or else a basic one, or else the first."""
    found = [Challenge.parse(each) for each in headers]
    by_scheme = {each.scheme: each for each in reversed(found)}
    return by_scheme.get("bearer") or by_scheme.get("basic") or next(iter(found), Challenge())

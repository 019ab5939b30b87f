"""Whether a POST that a web page has sent comes from our own page.

A browser names the page in `Origin`; other clients send none, and are let through. A page of somebody else's may post
here too (the browser keeps the answer from it, not the request from us), or have its own name lead to this machine
(DNS rebinding); so the origin must be the host that is called, and that host a number or a name that was told.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from artifact_pipeline.serving.http import Refusal

if TYPE_CHECKING:
    from artifact_pipeline.serving.http import Request
    from artifact_pipeline.serving.settings import Settings


class Origins:
    """The names by which this server may be called from a page."""

    def __init__(self, settings: Settings) -> None:
        self._names = {"localhost", settings.host.lower(), *(name.lower() for name in settings.allowed_hosts)}

    def check(self, request: Request) -> None:
        """Let a request through, or not.

        Raises:
            Refusal: a page of another origin has sent it, or one that calls this server by an unknown name.
        """
        origin = request.header(b"origin")
        if origin is None:
            return
        host = request.header(b"host") or ""
        if origin.lower() not in {f"http://{host.lower()}", f"https://{host.lower()}"}:
            raise Refusal(403, f"a page of another origin has sent this: {origin[:80]!a}")
        name = _name(host)
        if name not in self._names and not _is_number(name):
            words = f"a page must call this server by a name that it knows, not {host[:80]!a}"
            raise Refusal(403, f"{words}; --allow-host names one")


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

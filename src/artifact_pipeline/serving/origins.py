"""Requests of pages: only our own page may send them, under a name that this server knows.

A page of another site can make a browser send requests to this server. Its own name can resolve to this machine (DNS
rebinding): then the browser takes that page for ours, and lets it read the responses. So the page must be of the origin
that is called, and the name that is called must be an IP address or a name that was given. Clients that are no browsers
are not checked.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.serving.http import Refusal
from artifact_pipeline.serving.settings import PublicUrl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.serving.http import Request
    from artifact_pipeline.serving.settings import Settings

_PORTS = {"http": ":80", "https": ":443"}
"""The ports that a browser leaves out of an origin."""
_BROWSER_HEADERS = frozenset({b"sec-fetch-site", b"sec-fetch-dest", b"sec-fetch-user", b"sec-fetch-storage-access"})
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~%-]+)*/?")


class Origins:
    """The names by which a page may call this server."""

    def __init__(self, settings: Settings) -> None:
        self._public = settings.public_url
        names = ["localhost", settings.host, *settings.allowed_hosts, *([self._public.host] if self._public else [])]
        self._names = {name.lower() for name in names}

    def check(self, request: Request) -> None:
        """Refuse a request of a page that may not send it.

        Raises:
            Refusal: the page is of another origin, or calls this server by an unknown name.
        """
        origin = request.header(b"origin")
        if origin is None and not _is_of_browser(request.headers):
            return
        host = (request.header(b"host") or "").lower()
        if origin is not None:
            self._check_origin(origin.lower(), host, request.headers)
        if not self._is_known(_host_name(host)) and not self._is_of_proxy(_host_name(host)):
            raise _unknown_name(host, "--allow-host", _host_name(host))

    def _check_origin(self, origin: str, host: str, headers: Mapping[bytes, bytes]) -> None:
        scheme, _, called = origin.partition("://")
        port = _PORTS.get(scheme)
        site = headers.get(b"sec-fetch-site")  # which a browser sets, and no page can
        if port is None or site not in {None, b"same-origin"}:
            raise _other_origin(origin)
        called = called.removesuffix(port)
        if called == host.removesuffix(port):
            return
        if self._public is not None and f"{scheme}://{called}" == self._public.origin:
            return
        if site is None:
            raise _other_origin(origin)
        if not self._is_known(_host_name(called)):  # our own page, behind a proxy that changes Host
            raise _unknown_name(called, "--public-url", f"{scheme}://{called}/")

    def _is_known(self, name: str) -> bool:
        return name in self._names or _is_ip_address(name)

    def _is_of_proxy(self, name: str) -> bool:
        """Whether this may be a proxy's name for the server: the Internet's DNS has no host without a dot."""
        return self._public is not None and name != "" and "." not in name


def _is_of_browser(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request without `Origin` is of a browser.

    A browser sends `Sec-Fetch-*` only by https, or to names of this machine: so not by http to a name that was rebound.
    It always sends `Accept-Language`: a page can change it, but not remove it. The `fetch` of Node.js sends
    `Accept-Language` too, and of `Sec-Fetch-*` only the mode; no page can make a browser do that.
    """
    marked = not _BROWSER_HEADERS.isdisjoint(headers)
    return marked or (b"accept-language" in headers and b"sec-fetch-mode" not in headers)


def _other_origin(origin: str) -> Refusal:
    return Refusal(403, f"a page of another origin has sent this: {origin[:80]!a}")


def _unknown_name(called: str, option: str, value: str) -> Refusal:
    shown = value if re.fullmatch(r"[a-z0-9.:/_-]{1,100}", value) else "NAME"
    words = f"a page must call this server by a name that it knows, not {called[:80]!a}"
    return Refusal(403, f"{words}; {option} {shown} makes it known")


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def public_url(text: str) -> PublicUrl:
    """Parse `--public-url`, where browsers find the page.

    Raises:
        ConfigError: it is not the URL of a page.
    """
    try:
        parts = urlsplit(text)
        scheme, port, path = parts.scheme, parts.port, parts.path
        host = (parts.hostname or "").encode("idna").decode("ascii")  # as a browser writes it
    except ValueError:
        scheme = host = path = ""
        port = None
    plain = text.isprintable() and not any(mark in text for mark in "?#@\\ ")
    if scheme not in _PORTS or not host or not plain or not _PATH.fullmatch(path):
        raise ConfigError(
            f"--public-url: {text!r:.200} is not where a browser finds a page",
            hint="--public-url https://ml.example/digits/ has a scheme, a host and a path, and nothing else",
        )
    address = f"[{host}]" if ":" in host else host
    origin = f"{scheme}://{address}" + (f":{port}" if port is not None else "")
    prefix = unquote(path).rstrip("/") + "/"
    return PublicUrl(origin.removesuffix(_PORTS[scheme]), host, prefix)


def host_name(text: str) -> str:
    """Parse a name by which a page may call the server.

    Raises:
        ConfigError: it is no name of a host, but a URL, a name with a port, or a pattern.
    """
    try:
        name = text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    if re.fullmatch(r"[a-z0-9._-]+", name) or _is_ip_address(text):
        return name
    raise ConfigError(
        f"--allow-host: {text!r:.200} is no name of a host",
        hint="--allow-host ml.example is one: no scheme, no port, no pattern; --public-url takes a URL",
    )

"""Addresses that a registry names, and whether a request may go there."""

from __future__ import annotations

import ipaddress
from typing import Literal
from urllib.parse import urljoin, urlsplit

Plain = Literal["nowhere", "here", "anywhere"]
"""Where HTTP without TLS is spoken: nowhere, with this machine alone, or anywhere."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine; IPv6 may stand in brackets."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def joined(base: str, url: str) -> str:
    """An address relative to another one; an invalid one is returned as it is, and `is_permitted` refuses it."""
    try:
        return urljoin(base, url)
    except ValueError:
        return url


def is_permitted(url: str, *, plain: Plain) -> bool:
    """Whether a request may go to an address: it names a host and no user, and is encrypted where it has to be."""
    try:
        scheme, host, _ = origin(url)
        user = urlsplit(url).username
    except ValueError:
        return False
    if not host or user is not None:
        return False
    return scheme == "https" or (scheme == "http" and (plain == "anywhere" or (plain == "here" and is_loopback(host))))


def proxy_for(scheme: str, netloc: str) -> str:
    """The URL of the proxy that the environment names for a host; empty where there is none."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    return "" if proxy_bypass(netloc) else proxies.get(scheme) or proxies.get("all") or ""

"""The heads of requests and responses: what they must and must not say, whatever is asked."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httptools

from artifact_pipeline.serving import coding
from artifact_pipeline.serving.http import Refusal
from artifact_pipeline.serving.limits import MAX_HEAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from artifact_pipeline.serving.http import Request, Response

    Headers = Sequence[tuple[bytes, bytes]]

_ONCE = frozenset({b"host", b"origin", b"sec-fetch-site", b"inference-header-content-length"})
"""Headers that are no lists, and that something is decided by: two of them could be read in two ways."""
NO_HTTP = "the request is not HTTP/1.1"

_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def checked(version: str, lines: Headers, size: int) -> dict[bytes, bytes]:
    """The headers of a request by their names; what stands in several lines becomes one list, as HTTP has it.

    Args:
        version: of HTTP.
        lines: each header.
        size: bytes of the head.

    Raises:
        Refusal: HTTP/1.1 does not allow such a head, or this server does not know how its body is framed.
    """
    if size > MAX_HEAD:
        raise too_large()
    if version not in {"1.0", "1.1"}:
        raise Refusal(400, NO_HTTP)
    headers = dict(lines)
    if len(headers) < len(lines):
        headers = _combined(lines)
    if b"host" not in headers and version == "1.1":
        raise Refusal(400, "the header Host is missing")
    if b"transfer-encoding" in headers:
        _see_that_it_is_known(headers[b"transfer-encoding"].strip().lower())
    return headers


def _combined(lines: Headers) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in lines:
        before = headers.get(name)
        if before is not None and name in _ONCE:
            raise Refusal(400, f"the header {name.decode().title()} stands twice")
        headers[name] = value if before is None else before + b", " + value
    return headers


def _see_that_it_is_known(coding: bytes) -> None:
    if coding == b"chunked":
        return
    if not coding.endswith((b",chunked", b" chunked", b"\tchunked")):  # its body has no end
        raise Refusal(400, NO_HTTP)
    raise Refusal(501, f"the transfer coding must be chunked, got {coding[:80].decode('ascii', 'replace')!a}")


def too_large() -> Refusal:
    """The refusal of a request that says too much beside its body."""
    return Refusal(
        431, f"the request's line, headers, trailers and chunk extensions are larger than {MAX_HEAD:,} bytes"
    )


def path_of(url: bytes) -> str:
    """The path of a request's target, decoded and without the query; empty where it has none."""
    path = url.partition(b"?")[0]
    if not path.startswith(b"/"):  # as a proxy is asked
        try:
            path = httptools.parse_url(url).path or b"/"
        except httptools.HttpParserInvalidURLError:
            return ""
    text = path.decode("ascii", "replace")
    return unquote(text) if "%" in text else text


def without_upgrade(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    """The same head, but for its offer to go on by another protocol."""
    lines = [b"%s: %s\r\n" % header for header in headers if header[0] != b"upgrade"]
    return b"".join([method, b" ", url, b" HTTP/", version.encode(), b"\r\n", *lines, b"\r\n"])


def written(response: Response, request: Request, date: bytes, more: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A response as bytes, its body packed if it is large and the client wants that.

    Args:
        response: the response.
        request: what it answers.
        date: the line that tells the time.
        more: headers beside the response's own.
    """
    lines, body = [_STATUS[response.status], date], response.body
    headers = [*response.headers, *more]
    if len(body) >= coding.WORTHWHILE:
        body, packing = coding.encode(body, request.headers.get(b"accept-encoding", b""))
        headers += packing
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"content-length: %d\r\n\r\n" % len(body))
    if request.method != "HEAD":
        lines.append(body)
    return b"".join(lines)

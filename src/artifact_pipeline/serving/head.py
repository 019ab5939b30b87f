"""The heads of requests and responses: what they must and must not say, whatever is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from artifact_pipeline.serving import coding
from artifact_pipeline.serving.http import Refusal
from artifact_pipeline.serving.limits import MAX_HEAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.serving.http import Request, Response

    Headers = Sequence[tuple[bytes, bytes]]

_ONCE = frozenset({b"host", b"origin", b"sec-fetch-site", b"inference-header-content-length"})
"""Headers that are no lists, and that something is decided by: two of them could be read in two ways."""


def checked(path: bytes, lines: Headers) -> dict[bytes, bytes]:
    """The headers of a request by their names; what stands in several lines becomes one list, as HTTP has it.

    Args:
        path: of the request's target.
        lines: each header, its name in lower case.

    Raises:
        Refusal: it is too large, a header could be read in two ways, or the body is framed as no server must know.
    """
    if len(path) + sum(len(name) + len(value) for name, value in lines) > MAX_HEAD:
        raise Refusal(431, f"the request's line and headers are larger than {MAX_HEAD:,} bytes")
    headers = dict(lines)
    if len(headers) < len(lines):
        headers = _combined(lines)
    framing = headers.get(b"transfer-encoding")
    if framing is not None and framing.strip().lower() != b"chunked":
        raise Refusal(501, f"the transfer coding must be chunked, got {framing[:80].decode('ascii', 'replace')!a}")
    return headers


def _combined(lines: Headers) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in lines:
        before = headers.get(name)
        if before is not None and name in _ONCE:
            raise Refusal(400, f"the header {name.decode().title()} stands twice")
        headers[name] = value if before is None else before + b", " + value
    return headers


def path_of(url: bytes) -> str:
    """The path of a request's target, decoded and without the query."""
    path = url.partition(b"?")[0]
    text = path.decode("ascii", "replace")
    return unquote(text) if "%" in text else text


def packed(response: Response, request: Request) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers of a response and its body, packed if that is large and the client wants it."""
    headers, body = [*response.headers], response.body
    if len(body) >= coding.WORTHWHILE:
        body, packing = coding.encode(body, request.headers.get(b"accept-encoding", b""))
        headers += packing
    headers.append((b"content-length", b"%d" % len(body)))
    return headers, body

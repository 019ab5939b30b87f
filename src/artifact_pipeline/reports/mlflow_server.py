"""A server of MLflow by its REST interface: one connection, credentials for its own host alone, bounded answers.

What may be sent twice without harm is tried again; what makes something new is sent once. A redirect is never followed,
so that neither a token nor an artifact goes to another host.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from artifact_pipeline import __version__
from artifact_pipeline.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from urllib3 import BaseHTTPResponse, PoolManager

URI = "MLFLOW_TRACKING_URI"
_USER, _PASSWORD, _TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
_AUTHORITIES, _INSECURE = "MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_INSECURE_TLS"
MISSING, THERE = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"
_RACED = "BAD_REQUEST"
"""MLflow's code for an error of its database; a bad request has another code."""
_MAX_ANSWER = 16 << 20
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0
_TRIES = 3
_PASSING = (429, 502, 503, 504)
"""Statuses that may be gone at the next try."""
_HINT_URI = "--tracking-uri http://127.0.0.1:5000, or where your server is"
_HINT_STORE = (
    "start a server on it, and name the server: mlflow server --backend-store-uri {uri}, then --tracking-uri "
    "http://127.0.0.1:5000"
)


@dataclass(frozen=True, slots=True)
class MlflowServer:
    """A server, and the requests to it.

    Attributes:
        url: its address, without a slash at its end.
    """

    url: str
    _pool: PoolManager = field(repr=False)
    _headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def at(cls, uri: str | None, environment: Mapping[str, str]) -> MlflowServer:
        """Return a client of a server; nothing is sent yet.

        Args:
            uri: its address; None takes the one of `MLFLOW_TRACKING_URI`.
            environment: the variables of MLflow: address, credentials, certificates.

        Raises:
            ConfigError: no server is named, or one that cannot be used.
        """
        url = checked_url(uri if uri is not None else environment.get(URI) or None)
        return cls(url, _pool(url, environment), _headers(environment))

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()

    def get(self, path: str, *, missing: bool = False, **fields: str) -> dict[str, Any] | None:
        """Read something; None where there is none and `missing` allows that."""
        return self._ask("GET", path, fields=fields, again=True, allowed={MISSING} if missing else ())

    def search(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Read a list, by a POST that changes nothing."""
        return self._ask("POST", path, body=body, again=True) or {}

    def set(self, path: str, body: dict[str, Any]) -> None:
        """Write what may be written twice without harm.

        Two writers of the same dataset at once: MLflow finds none, inserts two, and refuses one of them by its
        database's words. The next try finds the one that is there.
        """
        for _ in range(_TRIES - 1):
            if self._ask("POST", path, body=body, again=True, allowed={_RACED}) is not None:
                return
        self._ask("POST", path, body=body, again=True)

    def create(self, path: str, body: dict[str, Any], *, there: bool = False) -> dict[str, Any] | None:
        """Make something new, by one request; None where it is there already and `there` allows that."""
        return self._ask("POST", path, body=body, allowed={THERE} if there else ())

    def delete(self, path: str, body: dict[str, Any]) -> None:
        """Remove something; what is gone already is no error."""
        self._ask("DELETE", path, body=body, again=True, allowed={MISSING})

    def upload(self, root: str, name: str, data: bytes) -> None:
        """Write one file of a run: `name` below `root`, the path of the run's files at the server."""
        path = f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{root}/{name}')}"
        status, answer = self._send("PUT", path, again=True, data=data)
        if status != 200:
            raise self._refusal(f"the file {name}", status, answer)

    def _ask(
        self, method: str, path: str, *, allowed: Collection[str] = (), again: bool = False, **what: Any
    ) -> dict[str, Any] | None:
        status, answer = self._send(method, f"/api/2.0/mlflow/{path}", again=again, **what)
        found = _parsed(answer)
        if found is not None and status == 200:
            return found
        if found is not None and found.get("error_code") in allowed:
            return None
        raise self._refusal(path, status, answer)

    def _send(
        self, method: str, path: str, *, again: bool, data: bytes | None = None, **what: Any
    ) -> tuple[int, bytes]:
        """Send one request, and return its status and the bytes of its answer.

        Raises:
            StorageError: the server cannot be reached, does not answer in time, or answers without end.
        """
        from urllib3.exceptions import HTTPError
        from urllib3.util import Retry

        more = _TRIES - 1
        retries = Retry(
            # What was never sent may always be sent again.
            total=more,
            connect=more,
            read=more if again else 0,
            other=0,
            redirect=False,
            status=more if again else 0,
            status_forcelist=_PASSING if again else (),
            allowed_methods=None,
            backoff_factor=0.2,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        headers = dict(self._headers)
        if "body" in what:
            data = json.dumps(what.pop("body")).encode()
            headers["Content-Type"] = "application/json"
        try:
            response = self._pool.request(
                method, self.url + path, body=data, headers=headers, retries=retries, redirect=False,
                preload_content=False, decode_content=False, **what,
            )  # fmt: skip
            return response.status, _read(response)
        except HTTPError as error:
            message = f"{self.url} does not answer: {_reason(error)}"
            raise StorageError(message, hint=f"see that the server runs, and ask again; {_HINT_URI}") from error

    def _refusal(self, what: str, status: int, answer: bytes) -> StorageError:
        """The error for an answer that was not expected."""
        if status in {401, 403}:
            hint = f"set {_TOKEN}, or {_USER} and {_PASSWORD}, as the server's owner has given them to you"
            return StorageError(f"{self.url} refuses the credentials ({status})", hint=hint)
        if 300 <= status < 400:
            hint = "name the address to which the server leads by --tracking-uri; credentials follow no redirect"
            return StorageError(f"{self.url} redirects ({status})", hint=hint)
        found = _parsed(answer)
        if found is None or (status == 404 and "error_code" not in found):
            return StorageError(f"{self.url} is no server of MLflow: {what} got {status}", hint=_HINT_URI)
        words = " ".join(str(found.get("message", "")).split())[:300]
        return StorageError(f"{self.url} refuses {what} ({status}): {words}", hint="the server's log says more")


def checked_url(uri: str | None) -> str:
    """Return the address of a server without a slash at its end.

    Raises:
        ConfigError: there is none, or it is none of a server.
    """
    if uri is None:
        raise ConfigError("no server of MLflow is named", hint=f"{_HINT_URI}; or set {URI}")
    try:
        parts = urlsplit(uri)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, named = urlsplit(""), False
    if not named or not uri.isprintable() or " " in uri:
        kind = parts.scheme or "path"
        hint = _HINT_STORE.format(uri=uri) if kind in {"file", "sqlite", "path"} and uri.isprintable() else _HINT_URI
        raise ConfigError(
            f"--tracking-uri: must be http:// or https:// and a host, got {_without_secret(uri)!r:.80}", hint=hint
        )
    if parts.username is not None or parts.query or parts.fragment:
        hint = f"--tracking-uri {parts.scheme}://{parts.hostname}, with {_USER} and {_PASSWORD} in the environment"
        raise ConfigError("--tracking-uri: holds a name, a password or a query, which logs would show", hint=hint)
    return uri.rstrip("/")


def _without_secret(uri: str) -> str:
    """A URI without what stands before its host, which may be a password."""
    scheme, found, rest = uri.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if found and "@" in rest else uri


def _headers(environment: Mapping[str, str]) -> dict[str, str]:
    """The headers of each request, with the credentials as MLflow's own client sends them."""
    user, password, token = (environment.get(name) or "" for name in (_USER, _PASSWORD, _TOKEN))
    headers = {"User-Agent": f"artifact-pipeline/{__version__}", "Accept-Encoding": "identity"}
    if not f"{user}{password}{token}".isprintable() or not token.isascii():
        raise ConfigError(f"{_USER}, {_PASSWORD} or {_TOKEN} holds a line break or a letter that cannot be sent")
    if user and password:
        return headers | {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
    if token:
        return headers | {"Authorization": f"Bearer {token}"}
    return headers


def _pool(url: str, environment: Mapping[str, str]) -> PoolManager:
    """The connections to the server: its certificate is always checked."""
    from urllib3 import PoolManager
    from urllib3.util import Timeout

    if environment.get(_INSECURE, "").lower() in {"true", "1"}:
        hint = f"unset {_INSECURE}, and let {_AUTHORITIES} name the file of the certificates that count"
        raise ConfigError(f"{_INSECURE} is set, and a certificate is never left unchecked here", hint=hint)
    options: dict[str, Any] = {}
    if url.startswith("https:"):
        options = {"cert_reqs": "CERT_REQUIRED", "ca_certs": environment.get(_AUTHORITIES) or None}
    return PoolManager(timeout=Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS), maxsize=1, **options)


def _read(response: BaseHTTPResponse) -> bytes:
    """The bytes of an answer, which may be no more than any answer needs."""
    data = response.read(_MAX_ANSWER + 1)
    if len(data) > _MAX_ANSWER:
        response.close()
        raise StorageError(f"an answer of the server has more than {_MAX_ANSWER:,} bytes", hint=_HINT_URI)
    response.release_conn()
    return data


def _parsed(answer: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(answer) if answer.strip() else {}
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _reason(error: Exception) -> str:
    """Why a request failed, in a few words, from the innermost cause."""
    while (inner := getattr(error, "reason", None)) is not None and isinstance(inner, Exception):
        error = inner
    text = str(error.args[-1] if error.args else error)
    return re.sub(r"^\w+\([^)]*\): ", "", " ".join(text.split()))[:200] or type(error).__name__

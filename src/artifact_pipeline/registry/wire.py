"""HTTP with a registry, by urllib3 alone: one request with its login, its redirects and its retries.

urllib3 retries nothing here and follows nothing: this module decides where credentials go, and what is sent twice.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from artifact_pipeline.errors import ConfigError, PipelineError, Problem, StorageError
from artifact_pipeline.registry.addresses import is_loopback, is_permitted, joined, origin, proxy_for
from artifact_pipeline.registry.credentials import find_login
from artifact_pipeline.registry.repeating import TRIES, pause
from artifact_pipeline.registry.request import TOKEN_HOSTS
from artifact_pipeline.registry.tokens import Challenge, choose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from urllib3 import BaseHTTPResponse

    from artifact_pipeline.registry.addresses import Plain
    from artifact_pipeline.registry.credentials import RegistryLogin
    from artifact_pipeline.registry.reference import ImageReference
    from artifact_pipeline.registry.request import Connecting

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_MAX_ERROR_BYTES = 1 << 14
_API_HOSTS = {"docker.io": "registry-1.docker.io"}
"""Registries whose name is not the host that answers."""
_TOKEN_HOSTS = {"registry-1.docker.io": "auth.docker.io", "registry.gitlab.com": "gitlab.com"}
"""Registries whose tokens come from another host."""
_HINT = "nothing is left half-written; try again, or ask who runs the registry"


class _WholeAnswer(NamedTuple):
    """A response that was read whole."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def media_type(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip()


class Wire:
    """A connection with one repository of a registry.

    Attributes:
        reference: the repository.
        base: the URL under which its parts are.
    """

    def __init__(
        self, reference: ImageReference, connecting: Connecting, *, push: bool = False, delete: bool = False
    ) -> None:
        """Connect with a repository, on request with the right to write or to delete.

        Raises:
            PipelineError: the extra is not installed.
        """
        _require_extra()
        self.reference = reference
        self._connecting = connecting
        host = _API_HOSTS.get(reference.host, reference.host)
        here: Plain = "here" if is_loopback(host) else "nowhere"
        self._plain: Plain = "anywhere" if connecting.is_plain(reference.registry) else here
        authority = host if reference.port is None else f"{host}:{reference.port}"
        name = reference.name if reference.host != "docker.io" or "/" in reference.name else f"library/{reference.name}"
        self.base = f"{'https' if self._plain == 'nowhere' else 'http'}://{authority}/v2/{name}/"
        self._scope = f"repository:{name}:pull" + ",push" * push + ",delete" * delete
        self._origin = origin(self.base)
        self._authorization: str | None = None
        self._pools: dict[str, Any] = {}

    def ask(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> BaseHTTPResponse:
        """Send a request that may be sent twice, until it is answered; GET and HEAD follow redirects.

        The URL is an address, or a path under `base`. The body of the response is not read yet, and its status is none
        by which a server says that it is busy.

        Raises:
            StorageError: the registry is out of reach, busy after `TRIES` tries, or refuses the login.
        """
        from urllib3.exceptions import HTTPError

        for attempt in range(TRIES):
            try:
                response = self._exchange(method, url, body, headers or {})
            except HTTPError as error:
                self.try_again(attempt, error)
                continue
            if response.status not in _BUSY:
                return response
            if attempt == TRIES - 1:
                raise self.refused(method, response)
            response.drain_conn()
            pause(attempt, response.headers.get("Retry-After"))
        raise AssertionError

    def try_again(self, attempt: int, error: Exception) -> None:
        """Wait before the next try of a request that failed; raise the error after the last one."""
        if attempt == TRIES - 1:
            raise self._unreachable(error) from error
        pause(attempt)

    def read(self, url: str, limit: int, *, accept: Sequence[str] = ()) -> _WholeAnswer:
        """GET as `ask` does, and read the body; `accept` has the media types that are understood, none for any.

        Raises:
            StorageError: as `ask`; or the body is larger than `limit`.
        """
        from urllib3.exceptions import HTTPError

        for attempt in range(TRIES):
            response = self.ask("GET", url, headers={"Accept": ", ".join(accept)} if accept else {})
            try:
                data = response.read(limit + 1)
                if len(data) <= limit:
                    response.read(1)  # a body that is cut is found at its end
            except HTTPError as error:
                self.try_again(attempt, error)
                continue
            if len(data) > limit:
                response.close()
                raise StorageError(f"{self.reference.registry} answers GET with more than {limit:,} bytes", hint=_HINT)
            return _WholeAnswer(response.status, response.headers, data)
        raise AssertionError

    def try_once(
        self, method: str, url: str, *, body: bytes | memoryview = b"", headers: Mapping[str, str]
    ) -> BaseHTTPResponse | None:
        """Send a request that must not be sent twice; None where it may have been lost, or the registry is busy."""
        from urllib3.exceptions import HTTPError

        try:
            response = self._exchange(method, url, body, headers)
        except HTTPError:
            return None
        if response.status in _BUSY:
            response.drain_conn()
            pause(0, response.headers.get("Retry-After"))
            return None
        return response

    def _exchange(
        self, method: str, url: str, body: bytes | memoryview | None, headers: Mapping[str, str]
    ) -> BaseHTTPResponse:
        """Send a request with its login, and follow where it is redirected."""
        url = joined(self.base, url)
        for _ in range(_MAX_REDIRECTS + 1):
            self._check(url)
            response = self._authorized(method, url, body, headers)
            follows = response.status in _REDIRECTS and method in {"GET", "HEAD"} and "/referrers/" not in url
            if not follows:
                return response
            response.drain_conn()
            url = joined(url, response.headers.get("Location", ""))
        raise StorageError(f"{self.reference.registry} redirects more than {_MAX_REDIRECTS} times", hint=_HINT)

    def _authorized(
        self, method: str, url: str, body: bytes | memoryview | None, headers: Mapping[str, str]
    ) -> BaseHTTPResponse:
        """Send a request; to the registry itself with its login, to any other host without one."""
        own = origin(url) == self._origin
        fields = {"Accept-Encoding": "identity", "User-Agent": "artifact-pipeline", **headers}
        if not own:
            return self._send(method, url, body, fields)
        response = self._send(method, url, body, self._with_login(fields))
        if response.status == 401:
            response.drain_conn()
            self._authorization = self._authorize(choose(response.headers.getlist("WWW-Authenticate")))
            response = self._send(method, url, body, self._with_login(fields))
            if response.status == 401:
                response.drain_conn()
                raise self._denied("refuses the login" if self._login is not None else "asks for a login")
        return response

    def _with_login(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        return {**headers, "Authorization": self._authorization} if self._authorization else headers

    def _send(
        self, method: str, url: str, body: bytes | memoryview | None, headers: Mapping[str, str]
    ) -> BaseHTTPResponse:
        response: BaseHTTPResponse = self._pool(url).request(
            method, url, body=body, headers=headers, redirect=False, retries=False,
            preload_content=False, decode_content=False,
        )  # fmt: skip
        return response

    def _pool(self, url: str) -> Any:
        """The pool of connections for a URL: through the proxy that the environment names, never to this machine."""
        from urllib3 import PoolManager, ProxyManager, Timeout

        parts = urlsplit(url)
        proxy = "" if is_loopback(parts.hostname or "") else proxy_for(parts.scheme, parts.netloc)
        if proxy not in self._pools:
            timeout = Timeout(connect=10.0, read=60.0)
            self._pools[proxy] = ProxyManager(proxy, timeout=timeout) if proxy else PoolManager(timeout=timeout)
        return self._pools[proxy]

    @cached_property
    def _login(self) -> RegistryLogin | None:
        return find_login(self.reference)

    def _authorize(self, challenge: Challenge) -> str:
        """The value of `Authorization` that a challenge asks for.

        Raises:
            StorageError: there is no login for the registry, or no token for it.
            ConfigError: the token's service is on a host that is not listed.
        """
        if challenge.scheme == "bearer":
            return f"Bearer {self._token(challenge)}"
        if challenge.scheme != "basic":
            raise self._denied("asks for a login of a kind that is not known")
        if self._login is None or not self._login.user:
            raise self._denied("asks for a login")
        return self._login.basic

    def _token(self, challenge: Challenge) -> str:
        self._check_realm(challenge.realm)
        response = self._send(*challenge.token_request(self._login, self._scope))
        data = response.read(1 << 20)
        if response.status != 200:
            raise self._denied(f"gives no token (status {response.status})")
        token = challenge.token_of(data)
        if token is None:
            raise self._denied("gives a token that is none")
        return token

    def _check_realm(self, realm: str) -> None:
        """Refuse a service of tokens to which the registry's login must not be sent."""
        self._check(realm)
        parts, own = urlsplit(realm), urlsplit(self.base)
        same = parts.netloc == own.netloc or (parts.hostname == own.hostname and parts.scheme == "https")
        known = parts.netloc == _TOKEN_HOSTS.get(own.hostname or "") or self._connecting.may_give_tokens(parts.netloc)
        if not same and not known:
            problem = Problem(self.reference.registry, "token-host", f"sends those who log in to {parts.netloc!r:.200}")
            raise ConfigError(
                "the login is not sent to another host than the registry",
                problems=[problem],
                hint=f"if the registry's documentation names it: --token-host HOST, or {TOKEN_HOSTS}=HOST",
            )

    def _check(self, url: str) -> None:
        """Refuse an address that is not encrypted where the registry is, or that names a user."""
        if not is_permitted(url, plain=self._plain):
            raise StorageError(
                f"{self.reference.registry} leads to {url!r:.200}, which is no address over HTTPS", hint=_HINT
            )

    def refused(self, what: str, response: BaseHTTPResponse) -> StorageError:
        """The error for a response that was not expected, with the registry's own words."""
        from urllib3.exceptions import HTTPError

        data = b""
        with suppress(HTTPError):
            data = response.read(_MAX_ERROR_BYTES)
        response.close()
        return self.refused_whole(what, _WholeAnswer(response.status, response.headers, data))

    def refused_whole(self, what: str, answered: _WholeAnswer) -> StorageError:
        """Like `refused`, for a response that was read whole."""
        words = _words(answered.data)
        return StorageError(
            f"{self.reference.registry} refuses {what} of {self.reference.name}: status {answered.status}{words}",
            hint=self._login_hint() if answered.status in {401, 403} else _HINT,
        )

    def _denied(self, words: str) -> StorageError:
        return StorageError(f"{self.reference.registry} {words}", hint=self._login_hint())

    def _login_hint(self) -> str:
        return f"log in: docker login {self.reference.registry}"

    def _unreachable(self, error: Exception) -> StorageError:
        """The error for a registry that did not answer to the end."""
        reason = " ".join(str(error).split())[:200]
        return StorageError(
            f"{self.reference.registry} is out of reach: {reason}",
            hint="nothing is left half-written; the same command goes on where the registry answers",
        )


def _require_extra() -> None:
    try:
        import urllib3  # noqa: F401
    except ModuleNotFoundError as error:
        hint = "pip install 'artifact-pipeline[registry]' brings what registries need beside the base"
        raise PipelineError(f"the package {error.name} is not installed", hint=hint) from error


def _words(data: bytes) -> str:
    """A registry's message about an error, in one line; empty where it has none."""
    try:
        first = json.loads(data)["errors"][0]
        return f" ({' '.join(str(first.get('message') or first['code']).split())[:200]})"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""

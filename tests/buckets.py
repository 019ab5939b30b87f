"""An object store for tests: moto's S3 server and a bucket in it."""

from __future__ import annotations

import logging
import os
import threading
import urllib.request
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

KEYS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}


class Bucket:
    """An S3 server of the test's own, and one bucket in it, asked by another library than the one that is tested."""

    def __init__(self, endpoint: str) -> None:
        self._client = _client(endpoint)
        self._client.create_bucket(Bucket="bucket")

    def put(self, name: str, data: bytes, acl: str = "private") -> str:
        """Make an object; its URL."""
        self._client.put_object(Bucket="bucket", Key=name, Body=data, ACL=acl)
        return f"s3://bucket/{name}"

    def get(self, name: str) -> bytes:
        """The bytes of an object."""
        with self._client.get_object(Bucket="bucket", Key=name)["Body"] as body:
            return body.read()

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._client.delete_object(Bucket="bucket", Key=name)

    def names(self) -> list[str]:
        """All objects."""
        return [each["Key"] for each in self._client.list_objects_v2(Bucket="bucket").get("Contents", [])]

    def all(self) -> dict[str, bytes]:
        """All objects, by their names."""
        return {name: self.get(name) for name in self.names()}


@cache
def _client(endpoint: str) -> Any:
    import boto3

    settings = {"aws_access_key_id": "somebody", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=endpoint, **settings)


@contextmanager
def s3_server(seen: list[tuple[str, str, int]] | None = None) -> Iterator[str]:
    """Run moto's server on a port of its own, and yield its address.

    It answers one request at a time: moto looks whether a condition holds and then writes, a real store in one step.

    Args:
        seen: takes of each request the method, the range that it asks for, and how many bytes it brings.
    """
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def serve(environ: Any, start: Any) -> Any:
        if seen is not None:
            brought = int(environ.get("CONTENT_LENGTH") or 0)
            seen.append((environ["REQUEST_METHOD"], environ.get("HTTP_RANGE", ""), brought))
        with turn:
            return moto(environ, start)

    running = make_server("127.0.0.1", 0, serve, threaded=True)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def lead_to(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an environment that leads to the server, and to no other one."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": server}.items():
        monkeypatch.setenv(name, value)


def another_bucket(server: str, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a bucket of that name beside others, and an environment that leads to it; its URL."""
    lead_to(server, monkeypatch)
    _client(server).create_bucket(Bucket=name)
    return f"s3://{name}"


def empty_bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Nothing in the server but an empty bucket, and an environment that leads to it."""
    lead_to(server, monkeypatch)
    request = urllib.request.Request(f"{server}/moto-api/reset", method="POST", data=b"")
    with urllib.request.urlopen(request, timeout=30):
        return Bucket(server)

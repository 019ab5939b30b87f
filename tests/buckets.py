"""An object store for tests: moto's S3 server and a bucket in it."""

from __future__ import annotations

import logging
import os
import threading
import urllib.request
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from registries import forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from registries import Request, Response

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
def s3_server() -> Iterator[str]:
    """Run moto's server on a port of its own, and yield its address."""
    from moto import server as moto

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


def empty_bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, and an environment that leads to it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": server}.items():
        monkeypatch.setenv(name, value)
    request = urllib.request.Request(f"{server}/moto-api/reset", method="POST", data=b"")
    with urllib.request.urlopen(request, timeout=30):
        return Bucket(server)


def one_at_a_time(server: str) -> Callable[[Request], Response]:
    """Hand each request on to the server alone: moto looks at a condition and then writes, a real store in one step."""
    turn, address = threading.Lock(), server.removeprefix("http://")

    def answer(request: Request) -> Response:
        with turn:
            return forward(address, request)

    return answer

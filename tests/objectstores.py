"""Object stores for tests: moto's S3 server, made as atomic as S3 is."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


@contextmanager
def object_store() -> Iterator[str]:
    """Run an S3 server on a port of its own, and yield its address, `127.0.0.1:PORT`.

    It answers one request at a time: moto looks whether a condition holds, and then writes, while others may write.
    """
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    own, one = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def serve(environ: Any, start: Any) -> Any:
        with one:
            return own(environ, start)

    running = make_server("127.0.0.1", 0, serve, threaded=True)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


def make_bucket(address: str, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a bucket, and an environment that leads to it; its URL."""
    import boto3

    for variable in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    keys = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    for variable, value in {**keys, "AWS_ALLOW_HTTP": "true", "AWS_ENDPOINT_URL": f"http://{address}"}.items():
        monkeypatch.setenv(variable, value)
    boto3.client("s3", endpoint_url=f"http://{address}", region_name="us-east-1").create_bucket(Bucket=name)
    return f"s3://{name}"

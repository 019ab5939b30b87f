"""`artifact-pipeline serve` and `health`: verify, replay the golden rows, answer requests; ask whether it is ready."""

from __future__ import annotations

import json
import os
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import (
    NumberRange,
    artifact_argument,
    file_option,
    group,
    trust_from,
    trust_options,
    trust_places,
    verb,
)
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.cli.options import Option
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.serving.settings import Settings


ENVIRONMENT = "ARTIFACT_PIPELINE_SERVE"
_UNITS = {"": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


class _Size(click.ParamType[int]):
    """A number of bytes: `1048576`, `1MiB`, `1MB`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes."""
        if isinstance(value, int):
            return value
        matched = re.fullmatch(r"\s*(\d{1,15})\s*([A-Z]*)\s*", str(value).upper(), re.ASCII)
        if matched is None or matched[2] not in _UNITS or not int(matched[1]):
            self.fail(f"{value!r} is no size; a size is a number of bytes, such as 8MiB", param, ctx)
        return int(matched[1]) * _UNITS[matched[2]]


def _option(name: str, metavar: str, words: str, *, default: Any, kind: Any = None) -> Option:
    return click.option(name, metavar=metavar, default=default, type=kind, show_default=True, help=words)


def _listening(host: str, port: str, *, lowest: int) -> list[Option]:
    return [
        _option("--host", "HOST", host, default="127.0.0.1"),
        _option("--port", "PORT", port, default=8080, kind=click.IntRange(lowest, 65_535)),
    ]


_SECONDS = NumberRange(0, 86_400)
_server_options = group(
    *_listening("The address to listen on.", "The port; 0 takes any that is free.", lowest=0),
    _option("--workers", "N", "Processes that answer.", default=1, kind=click.IntRange(1, 256)),
    _option("--max-body", "SIZE", "Bytes of a request at most.", default="8MiB", kind=_Size()),
    _option(
        "--timeout",
        "SECONDS",
        "Within which a body must have come whole.",
        default=10.0,
        kind=NumberRange(0.1, 86_400),
    ),
    _option(
        "--keep-alive",
        "SECONDS",
        "How long an idle connection is kept, and a head may take.",
        default=75.0,
        kind=_SECONDS,
    ),
    _option("--connections", "N", "Requests at once a worker at most; then 503.", default=512, kind=click.IntRange(1)),
    _option("--queue", "N", "Waiting requests a worker at most; then 503.", default=128, kind=click.IntRange(1)),
    _option("--drain", "SECONDS", "Unready after SIGTERM, before listening ends.", default=0.0, kind=_SECONDS),
    _option("--grace", "SECONDS", "For requests to finish after that.", default=10.0, kind=NumberRange(1)),
    _option("--window", "ROWS", "Rows that drift is judged over; 0: none.", default=1000, kind=click.IntRange(0)),
    file_option("--uds", words="Listen on a Unix socket in place of host and port.", metavar="PATH"),
    file_option("--tls-certificate", words="Speak HTTPS, and HTTP/2, by this certificate (PEM)."),
    file_option("--tls-key", words="The certificate's private key (PEM, without a password)."),
    click.option("--follow", is_flag=True, help="Look at the artifact again when its path or tag leads elsewhere."),
    file_option("--feedback", words="Let the page append labelled drawings to this file (JSON Lines)."),
    click.option(
        "--allow-host",
        multiple=True,
        metavar="NAME",
        help="A name by which a page may call the server, beside localhost and numbers; can be repeated.",
    ),
    click.option("--public-url", metavar="URL", help="Where browsers find the page behind a proxy."),
    click.option("--access-log", is_flag=True, help="A line of JSON for each request, on standard output."),
)
"""The settings of the server."""

_health_options = group(
    *_listening("The address that it listens on.", "Its port.", lowest=1),
    file_option("--uds", words="Its Unix socket, in place of host and port.", metavar="PATH"),
    file_option("--tls-certificate", words="Its certificate (PEM), if it speaks HTTPS; no other one is trusted."),
    _option("--within", "SECONDS", "How long an answer may take.", default=3.0, kind=NumberRange(0.1, 3600)),
)
"""Where the server listens: options of `serve` by the same names."""


@verb("Verify an artifact, then serve it over HTTP.", 4, 8, environment=ENVIRONMENT)
@artifact_argument
@trust_options
@_server_options
@click.pass_obj
def serve(output: Output, /, artifact: Path | str, **options: Any) -> None:
    """Serve ARTIFACT by the Open Inference Protocol V2, with a page at / where one asks the model.

    ARTIFACT may be in a registry: oci://HOST/NAME:TAG. It is verified and its golden rows are replayed, then the
    server listens. SIGHUP looks at it again: what verifies is swapped in between two requests, what does not leaves the
    old one serving. SIGTERM ends it: unready first, then no new connection, then no request.

    Each option can be said by an environment variable, too. Extra [serve].
    """
    from artifact_pipeline.registry import remote
    from artifact_pipeline.serving.reloading import ServerObserver
    from artifact_pipeline.serving.server import serve as run

    settings = _settings(artifact, options)
    if options["access_log"]:
        if output.as_json:
            raise ConfigError("--json and --access-log both want standard output")
        output.stdout_taken = True
    digest = ""

    def load() -> Verified:
        nonlocal digest
        # The policy is read again each time: what it revokes since then is refused.
        verified = remote.verify(
            artifact,
            expect=options["expect"],
            accept_failed_gate=options["accept_failed_gate"],
            trust=trust_from(options),
        )
        if not digest:
            digest = verified.digest
            output.say(f"verified: {shown(verified.reference or artifact)}, {digest}")
        return verified

    def ready(url: str) -> None:
        output.say(f"serving: {url}{'' if settings.uds else '/'} (Ctrl-C ends it)")
        output.result({"artifact": digest, "pid": os.getpid(), "url": url, "workers": settings.workers})
        output.flush()

    _log_to(output)
    observer = ServerObserver(ready, output.log, _access_log(output) if options["access_log"] else None)
    run(load, settings, observer)


@verb("Ask a running server whether it is ready.", environment=ENVIRONMENT)
@_health_options
@click.pass_obj
def health(output: Output, /, within: float, **options: Any) -> None:
    """Ask the server that runs on this machine whether it is ready; if not, the exit status is 1.

    A container's health check needs neither curl nor a shell by this. The options, and the variables of the
    environment, are those of `serve`.
    """
    from artifact_pipeline.serving.health import check_ready

    address = check_ready(**options, timeout=within)
    output.say(f"ready: {address}")
    output.result({"ready": True, "url": address})


def _settings(artifact: Path | str, options: dict[str, Any]) -> Settings:
    from artifact_pipeline.serving.origins import host_name, public_url
    from artifact_pipeline.serving.settings import Settings
    from artifact_pipeline.serving.tls import check_tls
    from artifact_pipeline.storage.outputs import Place, check_outputs

    if options["follow"] and options["expect"] is not None:
        raise ConfigError("--follow and --expect contradict each other: what the pointer leads to next is another")
    if options["uds"] is not None and options["tls_certificate"] is not None:
        raise ConfigError("--uds and --tls-certificate contradict each other: TLS needs a port", hint="--port PORT")
    if options["feedback"] is not None:
        check_outputs(trust_places(artifact, options), [Place("--feedback", str(options["feedback"]), "append")])
    values = {each.name: options[each.name] for each in fields(Settings) if each.name in options}
    values |= {
        "tls": check_tls(options["tls_certificate"], options["tls_key"]),
        "allowed_hosts": tuple(map(host_name, options["allow_host"])),
        "public_url": public_url(options["public_url"]) if options["public_url"] is not None else None,
        "follow": artifact if options["follow"] else None,
    }
    return Settings(**values)


def _access_log(output: Output) -> Callable[[dict[str, Any]], None]:
    def log(line: dict[str, Any]) -> None:
        output.print(json.dumps(line) + "\n")
        output.flush()

    return log


def _log_to(output: Output) -> None:
    """Print what libraries log, such as the server's, with our own log: escaped, a line each."""
    import logging

    class _LogHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for line in self.format(record).splitlines():
                output.log(line)

    logging.getLogger().addHandler(_LogHandler())

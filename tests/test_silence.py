"""What no verb does beside its work: it calls nobody, looks up no host, and leaves nothing under HOME."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.servers import serving
from tests.tools import require_tool

from artifact_pipeline.runtime import TELEMETRY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
DIGEST = "14026d933fe614d6ad06e24bf91e1d527e0228eff00edfb491fb3c696333a23f"
ABOUT = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
"""Where a library might leave something: each leads to an empty folder."""

PROBE = {"bind inet6 ::1"}
"""urllib3, which Sigstore's package imports, looks so whether this machine has IPv6; nobody is called."""
CLUSTER = {"bind inet 127.0.0.1", "connect inet 127.0.0.1", "connect unix /run/uuidd/request"}
"""Scheduler and workers on this machine; Dask makes an id, and the C library asks the system's own service for it."""

API = "import artifact_pipeline as a, numpy; a.open_artifact('artifact').predict(numpy.zeros((1, 64)))"
VERBS: dict[str, tuple[list[str], set[str]]] = {
    "the door to training": (["src/train.py", "-S", "max_iter=900"], set()),
    "the door to inference": (["src/inference.py"], set()),
    "train": (["-m", "artifact_pipeline", "train", "--force"], set()),
    "train, unchanged": (["-m", "artifact_pipeline", "train"], set()),
    "verify": (["-m", "artifact_pipeline", "verify"], set()),
    "sign": (["-m", "artifact_pipeline", "sign", "--private-key", "key.pem"], PROBE),
    "verify by a key": (["-m", "artifact_pipeline", "verify", "--public-key", "key.pub"], PROBE),
    "predict a CSV": (["-m", "artifact_pipeline", "predict", "rows.csv", "-o", "a.csv"], set()),
    "predict to Parquet": (["-m", "artifact_pipeline", "predict", "-o", "a.parquet"], set()),
    "predict to a folder": (["-m", "artifact_pipeline", "predict", "rows.csv", "-o", "parts/"], set()),
    "predict on workers": (["-m", "artifact_pipeline", "predict", "-o", "parts/", "--workers", "2"], CLUSTER),
    "evaluate": (["-m", "artifact_pipeline", "evaluate", "done.csv", "labels.csv"], set()),
    "inspect": (["-m", "artifact_pipeline", "inspect"], set()),
    "compare": (["-m", "artifact_pipeline", "compare", "artifact", "artifact"], set()),
    "reproduce": (["-m", "artifact_pipeline", "reproduce"], set()),
    "card": (["-m", "artifact_pipeline", "card", "-o", "card.md"], set()),
    "bom": (["-m", "artifact_pipeline", "bom", "-o", "bom.json"], set()),
    "export": (["-m", "artifact_pipeline", "export", "json"], set()),
    "runs": (["-m", "artifact_pipeline", "runs"], set()),
    "rollback": (["-m", "artifact_pipeline", "rollback", DIGEST], set()),
    "schema": (["-m", "artifact_pipeline", "schema"], set()),
    "the Python API": (["-c", API], set()),
}
SIGN = pytest.param("sign", marks=pytest.mark.needs("model_signing"))
QUICK = ("the door to inference", SIGN, "the Python API")
"""One of each: the runtime by a door, the libraries of others, the runtime where no door has been."""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folders, all empty."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def ready(trained: Path) -> Path:
    """A checkout with an artifact, and what the verbs ask for: a key, rows, labels, and predictions to judge."""
    openssl = require_tool("openssl")
    key = [openssl, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem"]
    public = [openssl, "ec", "-in", "key.pem", "-pubout", "-out", "key.pub"]
    for command in (key, public):
        subprocess.run(command, cwd=trained, check=True, capture_output=True)
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    lines = [",".join(names), *(",".join(["1"] * 64) for _ in range(30))]
    (trained / "rows.csv").write_text("\n".join(lines) + "\n")
    (trained / "labels.csv").write_text("row,label\n" + "".join(f"{row},1\n" for row in range(30)))
    return trained


def stranger(home: Path) -> list[str]:
    """What comes before a command for it to run as a stranger's would, whatever this process has in its environment."""
    gone = [part for name in (TELEMETRY_VARIABLE, "CI", "GITHUB_ACTIONS") for part in ("-u", name)]
    return ["env", *gone, *(f"{name}={home}" for name in ABOUT)]


def left_in(home: Path) -> list[str]:
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*"))


def prepare(name: str, cwd: Path) -> None:
    """What one verb needs to have been done before it."""
    before = {"evaluate": [*VERBS["predict a CSV"][0][:-1], "done.csv"], "verify by a key": VERBS["sign"][0]}
    if name in before:
        subprocess.run([sys.executable, *before[name]], cwd=cwd, env=environment(), check=True, capture_output=True)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": "src"}


def run_as_stranger(name: str, cwd: Path, home: Path, *before: str) -> subprocess.CompletedProcess[str]:
    command = [*stranger(home), *before, sys.executable, *VERBS[name][0]]
    done = subprocess.run(command, cwd=cwd, env=environment(), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("name", QUICK)
def test_a_verb_leaves_nothing_under_home(name: str, ready: Path, home: Path) -> None:
    """No verb and no library that it uses writes into the user's folders: no id, no cache, no settings."""
    run_as_stranger(name, ready, home)
    assert left_in(home) == []


def test_serving_leaves_nothing_under_home(published: Path, home: Path) -> None:
    """A server that has started, answered and ended has written nothing into the user's folders."""
    with serving(published / "artifact", before=stranger(home)) as server:
        assert server.ask("GET", "/v2/health/ready")[0] == 200
        assert server.stop() == 0
    assert left_in(home) == []


def traced(log: Path) -> list[str]:
    """The command that traces another one's network calls; its process becomes the traced program's."""
    return [require_tool("strace"), "-D", "-f", "-qq", "-s", "300", "-e", "trace=%network", "-o", str(log)]


def contacts(log: Path) -> set[str]:
    """With whom the traced program had to do, and by which call; pairs of sockets within one process are not listed."""
    return set(_contacts(log.read_text(errors="replace")))


def _contacts(log: str) -> Iterator[str]:
    places = r'inet_addr\("([^"]+)"|inet_pton\(AF_INET6, "([^"]+)"|sun_path="([^"]+)"'
    address = re.compile(rf"\b(bind|connect|sendto|sendmsg|sendmmsg)\(.*?sa_family=AF_(\w+).*?(?:{places})")
    for line in log.splitlines():
        if found := address.search(line):
            call, family, *told = found.groups()
            yield f"{call} {family.lower()} {next(filter(None, told))}"
        elif made := re.search(r"\bsocket\((AF_INET6?|AF_UNIX)\b", line):
            yield f"socket {made[1]}"


def without_sockets(found: set[str]) -> set[str]:
    return {each for each in found if not each.startswith("socket ")}


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_a_verb_calls_nobody(name: str, ready: Path, home: Path, tmp_path: Path) -> None:
    """No verb opens a socket or looks a host up, but for Dask's own cluster on this machine; and HOME stays empty."""
    prepare(name, ready)
    log = tmp_path / "calls.strace"
    run_as_stranger(name, ready, home, *traced(log))
    assert left_in(home) == []
    found, allowed = contacts(log), VERBS[name][1]
    assert without_sockets(found) <= allowed
    if not allowed:
        assert found == set()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_calls_nobody(published: Path, home: Path, tmp_path: Path, workers: str) -> None:
    """A server has the socket that it listens on, and no other one, from its start to its end."""
    log = tmp_path / "calls.strace"
    with serving(published / "artifact", "--workers", workers, before=[*stranger(home), *traced(log)]) as server:
        assert server.ask("GET", "/v2/health/ready")[0] == 200
        assert server.stop() == 0
    assert contacts(log) == {"socket AF_INET", "bind inet 127.0.0.1"}
    assert left_in(home) == []


@pytest.mark.slow
def test_the_trace_would_show_a_call(home: Path, tmp_path: Path) -> None:
    """A program that does look a host up, and leaves something under HOME, is seen doing so."""
    log = tmp_path / "calls.strace"
    program = "import os, socket\nopen(os.path.expanduser('~/id'), 'w')\nsocket.getaddrinfo('host.invalid', 80)"
    command = [*stranger(home), *traced(log), sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode == 1
    assert left_in(home) == ["id"]
    assert any(each.startswith("socket AF_INET") for each in contacts(log))

"""Put load on a server by wrk, and account for all its processes as the kernel does. Linux alone has what it takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.environments import ROOT
from benchmarks.measure import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Target:
    """What is posted where.

    Attributes:
        url: with the path.
        session: of all the server's processes, the id.
        body: the file that holds it.
        headers: by name.
    """

    url: str
    session: int
    body: Path
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Load:
    """What a server did under load.

    Attributes:
        requests: how many were answered, all of them with 200.
        cpu: microseconds of the server for each, user and system.
        per_second: requests in a second.
        p50: microseconds until half of them were answered.
        p99: microseconds until all but a hundredth were.
    """

    requests: int
    cpu: float
    per_second: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB of all processes of a server: what is resident, and that with shared pages divided among those who share."""

    processes: int
    resident: float
    proportional: float


@dataclass(frozen=True, slots=True)
class Cores:
    """Where server and load run; None is anywhere."""

    server: int | None
    load: int | None

    @classmethod
    def apart(cls) -> Cores:
        """Two that this process may use, where there are two."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(*allowed[:2]) if len(allowed) > 1 else cls(None, None)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started meanwhile stays on this core, and so does what it starts."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def require_wrk() -> str:
    """The path of wrk.

    Raises:
        SystemExit: there is none.
    """
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("error: this needs wrk: install it, such as by apt-get install wrk")
    return found


def put_load(target: Target, *, connections: int, seconds: int, core: int | None) -> Load:
    """Post the same body again and again, from one thread that runs on a core.

    Raises:
        RuntimeError: an answer was not 200, or a connection broke.
    """
    command = [require_wrk(), "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--timeout", "30s", "--script", str(ROOT / "benchmarks" / "serving.lua")]
    for name, value in target.headers.items():
        command += ["--header", f"{name}: {value}"]
    command += [target.url, "--", str(target.body)]
    before = cpu_seconds(target.session)
    with on_core(core):
        printed = subprocess.run(command, env=clean_environment(), stdout=subprocess.PIPE, text=True, check=True).stdout
    cpu = cpu_seconds(target.session) - before
    told = json.loads(printed.splitlines()[-1])
    requests = told["requests"]
    if told["others"] or told["broken"] or not requests:
        raise RuntimeError(f"{target.url}: {told['others']} of {requests} not 200, {told['broken']} broken connections")
    per_second = requests / told["microseconds"] * 1e6
    return Load(requests, cpu=cpu / requests * 1e6, per_second=per_second, p50=told["p50"], p99=told["p99"])


def processes(session: int) -> Iterator[tuple[Path, list[str]]]:
    """Each process of a session: its folder in /proc, and the fields of its `stat` from the third on."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    yield folder, fields


def cpu_seconds(session: int) -> float:
    """User and system time of all processes of a session, and of their children that have ended."""
    return sum(sum(map(int, fields[11:15])) for _, fields in processes(session)) / TICKS


def memory(session: int) -> Memory:
    """What a session's processes hold now."""
    held = []
    for folder, _ in processes(session):
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = (folder / "smaps_rollup").read_text().splitlines()[1:]
            kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
            held.append((kib["Rss"] / 1024, kib["Pss"] / 1024))
    return Memory(len(held), sum(resident for resident, _ in held), sum(share for _, share in held))

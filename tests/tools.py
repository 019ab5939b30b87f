"""What the tests of the store share: the system's tools, other artifacts than the documented one, a look for scraps."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from artifact_pipeline.artifact import manifest1 as m
from artifact_pipeline.canonical import digest
from artifact_pipeline.training import publication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark import ParameterSet

    from artifact_pipeline.training.sealed import Candidate


def slow(*values: object) -> ParameterSet:
    """The arguments of a case that the slow run has and the default one leaves to its like."""
    return pytest.param(*values, marks=pytest.mark.slow)


def require_tool(name: str) -> str:
    """The path of a program; without it the test is skipped here, and fails in CI, where nobody reads the skips."""
    found = shutil.which(name)
    if found is None:
        cannot_run(f"needs {name}: install it, such as by apt-get install {name}")
    return found


def browser() -> str:
    """The path of a Chromium, by the name that this system has for it."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return found if found is not None else require_tool("chromium")


def program_of(environment: str, name: str) -> Path:
    """A program of an environment that `make test-slow` sets up, such as `.venv-clients`."""
    found = Path(__file__).resolve().parents[1] / environment / "bin" / name
    if not found.exists():
        cannot_run(f"needs {environment}: make test-slow sets it up")
    return found


def cannot_run(reason: str) -> None:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """Mount a file system at `place` for the block."""
    mount(*options, place)
    try:
        yield
    finally:
        subprocess.run([*as_root(), require_tool("umount"), place], check=True)


def mount(*options: str | Path) -> None:
    """Mount, as root; where that is not allowed, the test cannot be run."""
    done = subprocess.run([*as_root(), require_tool("mount"), *options], capture_output=True, text=True, check=False)
    if done.returncode:
        cannot_run(f"needs the right to mount: run it as root ({done.stderr.strip()})")


def peak_memory() -> int:
    """The greatest memory of this process so far, in MiB.

    Not by `ru_maxrss`: across `exec` that keeps the peak of whoever started the process, here of a test runner.
    """
    told = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert told is not None
    return int(told[1]) // 1024


def as_root() -> list[str]:
    """What comes before a command that only root may run."""
    return [] if os.geteuid() == 0 else [require_tool("sudo"), "--non-interactive"]


def renamed(candidate: Candidate, name: str) -> Candidate:
    """The same model under another name, with an export of its own: another artifact, as whole as the first."""
    export = candidate.export + name.encode()
    bound = m.Manifest1.Export(format="pickle", size=len(export), sha256=digest(export))
    manifest = msgspec.structs.replace(candidate.manifest, name=name, exports=(bound,))
    return replace(candidate, manifest=manifest, export=export)


def hexadecimal(candidate: Candidate) -> str:
    """The name of a candidate's folder in a store."""
    return candidate.digest.removeprefix("sha256:")


def publish(root: Path, candidate: Candidate) -> Path:
    """Publish into a folder, as `python src/train.py` does into the project's root."""
    return publication.publish(candidate, artifact=root / "artifact", export=root / "model_train.pkl")


def lay_out(mount: Path, candidate: Candidate, name: str) -> None:
    """Lay out an artifact as Kubernetes does it with a ConfigMap or a Secret, in place of what was there before.

    Args:
        mount: the folder.
        candidate: the artifact.
        name: of the folder in it that holds the files, such as `..2026_01_01_12_00_00.1`.
    """
    data = mount / "..data"
    before = data.resolve() if data.exists() else None
    (mount / name).mkdir(parents=True)
    for file, content in {**candidate.members, "manifest.json": candidate.manifest.canonical()}.items():
        (mount / name / file).write_bytes(content)
        if before is None:
            (mount / file).symlink_to(f"..data/{file}")
    (mount / "..data_tmp").symlink_to(name)
    (mount / "..data_tmp").rename(data)
    if before is not None:
        shutil.rmtree(before)


def scraps(root: Path) -> list[str]:
    """What a publication has left behind in the pointer's folder and in the store that belongs to no artifact."""
    kept = re.compile(r"artifact|artifacts|model_train\.pkl|artifacts/(\.lock|[0-9a-f]{64})")
    found = [path.relative_to(root).as_posix() for path in (*root.iterdir(), *root.glob("artifacts/*"))]
    beside = {f"{name}{end}" for name in found if kept.fullmatch(name) for end in (".provenance.json", ".sig")}
    return sorted(name for name in found if not kept.fullmatch(name) and name not in beside)

"""Run a workflow file on this machine, with act: no Docker, and no network but what pip asks for.

`python tests/workflows/run.py inference.yml` prints the log. The actions of GitHub are replaced by the stand-ins beside
this file; what crosses between jobs goes through the real artifact client and act's artifact server.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODULES = HERE / "node_modules"
PINNED = re.compile(r"uses: (actions/([\w-]+)@[0-9a-f]{40})")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TIMEOUT = 1200.0

# What of this process's environment a job may see: where programs and packages come from, and no more.
KEPT = re.compile(r"PATH|LANG|LC_\w+|TZ|PIP_\w+|SSL_CERT_\w+|\w*CA_BUNDLE|NODE_EXTRA_CA_CERTS|(?i:\w+_proxy)")


@dataclass
class Job:
    """What the log tells of one job.

    Attributes:
        name: its id; that of a called workflow's job stands behind the calling job's, as in `test/suite`.
        begun: the number of its first line in the log.
        ended: the number of its last line.
        outcome: `success` or `failure`; None where it did not end.
        steps: each step's outcome by its name; a composite action's steps stand among them.
        outputs: each step output's value by its name, the last one set.
        page: what the steps wrote to the job's summary.
        text: everything that was printed.
    """

    name: str
    begun: int
    ended: int = 0
    outcome: str | None = None
    steps: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    page: str = ""
    text: str = ""

    def add(self, number: int, entry: Mapping[str, Any]) -> None:
        """Take one entry of the log."""
        self.ended = number
        if not entry["msg"].startswith("LocalRepositoryCache"):
            self.text += entry["msg"].rstrip("\n") + "\n"
        self.outcome = entry.get("jobResult", self.outcome)
        if "stepResult" in entry and entry.get("stage") == "Main":
            self.steps[re.sub(r"^\W+\w+ - Main | \[[^]]*\]$", "", entry["msg"])] = entry["stepResult"]
        if entry.get("command") == "set-output":
            self.outputs[entry["name"]] = entry["arg"]
        if entry.get("command") == "summary":
            self.page += entry["content"]


@dataclass(frozen=True)
class Run:
    """A run of a workflow: its exit status, its jobs in the order in which they began, and the uploads."""

    status: int
    jobs: Mapping[str, Job]
    uploads: Path
    seconds: float

    def upload(self, prefix: str) -> Path:
        """The zip file of the one workflow artifact whose name begins so, the run's number following."""
        (found,) = self.uploads.glob(f"*/{prefix}-[0-9]*/*.zip")
        return found

    def story(self) -> str:
        """What happened, for an assertion that failed: each job's outcome, and all that the failed ones printed."""
        lines = [f"act ended with {self.status} after {self.seconds:.0f} s"]
        lines += [f"{job.name}: {job.outcome} {job.steps}" for job in self.jobs.values()]
        lines += [f"--- {job.name}\n{job.text}" for job in self.jobs.values() if job.outcome != "success"]
        return "\n".join(lines)


def missing_tool() -> str | None:
    """What is not here that a run needs, with what to do about it; None where everything is."""
    for name in ("git", "make", "node"):
        if shutil.which(name) is None:
            return f"needs {name}: install it{' (Node.js 20 or newer)' if name == 'node' else ''}"
    if not MODULES.exists():
        return "needs the artifact client: install npm, and run make workflows"
    if _act() is None:
        return "needs act: it is in requirements.txt, so remove .venv and run make workflows"
    return None


def copy_tree(target: Path, changes: Mapping[str, str] | None = None, *, branch: str = "main") -> Path:
    """Make a clean repository of what this one holds: files that git ignores stay away.

    Args:
        target: a folder that does not exist.
        changes: each changed or added file's text by its name.
        branch: what its one branch is called.
    """
    listed = _git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    for name, text in (changes or {}).items():
        (target / name).write_text(text)
    _git(target, "init", "--quiet", f"--initial-branch={branch}")
    _git(target, "add", "--all")
    settings = ("user.name=run", "user.email=run@localhost", "commit.gpgsign=false")
    options = (part for setting in settings for part in ("-c", setting))
    _git(target, *options, "commit", "--quiet", "--no-verify", "--message=run")
    return target


def run_workflow(
    tree: Path,
    workflow: str,
    folder: Path,
    *,
    echo: bool = False,
    stop: threading.Event | None = None,
    options: Sequence[str] = (),
) -> Run:
    """Run one workflow file of a tree from `copy_tree`, with everything that it writes in one folder.

    Args:
        tree: the repository.
        workflow: such as `inference.yml`.
        folder: where home, uploads, workspaces and log go.
        echo: print the log for people as it comes, and parse nothing.
        stop: ends the run when it is set.
        options: more of act's.
    """
    stop = stop or threading.Event()
    started = time.monotonic()
    for name in ("home", "temp", "uploads"):
        (folder / name).mkdir(parents=True)
    log = folder / "log.json"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*_command(tree, workflow, folder), *options, *([] if echo else ["--json"])],
            cwd=tree,
            env=_environment(tree, folder),
            stdin=subprocess.DEVNULL,
            stdout=None if echo else stream,
            stderr=None if echo else subprocess.STDOUT,
        )
        try:
            while process.poll() is None and time.monotonic() < started + TIMEOUT and not stop.wait(0.2):
                pass
        finally:
            _end(process)
    jobs = _jobs(log.read_text(errors="replace").splitlines())
    return Run(process.returncode, jobs, folder / "uploads", time.monotonic() - started)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End act where it still runs; told to end, it ends its jobs' processes too."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _command(tree: Path, workflow: str, folder: Path) -> list[str]:
    variables = {"PYTHON": PYTHON, "PYTHONS": json.dumps([PYTHON]), "PYTEST_ARGS": "-m smoke"}
    options = {
        "--workflows": f".github/workflows/{workflow}",
        "--platform": "ubuntu-24.04=-self-hosted",
        "--action-cache-path": folder / "workspaces",
        "--artifact-server-path": folder / "uploads",
        "--artifact-server-addr": "127.0.0.1",
        "--artifact-server-port": _free_port(),
    }
    flags = ["--no-cache-server", "--no-skip-checkout", "--action-offline-mode"]
    return [
        str(_act()),
        _event((tree / ".github" / "workflows" / workflow).read_text()),
        *flags,
        *(str(part) for option in options.items() for part in option),
        *(part for name, value in variables.items() for part in ("--var", f"{name}={value}")),
        *(part for uses, stand_in in _stand_ins(tree) for part in ("--local-repository", f"{uses}={stand_in}")),
    ]


def _event(text: str) -> str:
    """What starts a workflow file: a push, or where it has none a person."""
    return "push" if re.search(r"^(?:on: |  )push\b", text, re.MULTILINE) else "workflow_dispatch"


def _stand_ins(tree: Path) -> Iterable[tuple[str, Path]]:
    """Each pinned action of the tree's files that has a stand-in, with its folder."""
    files = [*(tree / ".github" / "workflows").iterdir(), tree / "action.yml", tree / "verify-predict" / "action.yml"]
    found = {match for file in files for match in PINNED.findall(file.read_text())}
    for uses, name in sorted(found):
        if (HERE / "actions" / name).exists():
            yield uses, HERE / "actions" / name


def _environment(tree: Path, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    # Home is a new one, so that no settings of act's are read; pip's own settings say where packages come from.
    for settings in (".config/pip/pip.conf", ".pip/pip.conf"):
        if (Path.home() / settings).is_file():
            kept.setdefault("PIP_CONFIG_FILE", str(Path.home() / settings))
    cache = subprocess.run([sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=False)
    return {
        **kept,
        "PATH": f"{Path(sys.base_prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "home" / ".cache"),
        "XDG_CONFIG_HOME": str(folder / "home" / ".config"),
        "TMPDIR": str(folder / "temp"),
        "TERM": "dumb",
        # The packages are many; a job may take the wheels that this machine has, and compiles only what it imports.
        # (pip reads the value of a "no" as that of the option without it.)
        "PIP_CACHE_DIR": cache.stdout.strip() or str(folder / "pip"),
        "PIP_NO_COMPILE": "0",
        # For the stand-ins.
        "CHECKOUT_FROM": str(tree),
        "NODE_PATH": str(MODULES),
        "UPLOADS": str(folder / "uploads"),
    }


def _jobs(lines: Iterable[str]) -> dict[str, Job]:
    jobs: dict[str, Job] = {}
    for number, line in enumerate(lines):
        entry = json.loads(line) if line.startswith("{") else {}
        if "jobID" in entry:
            caller, *rest = entry["job"].split("/")
            name = f"{caller}/{entry['jobID']}" if len(rest) > 1 else entry["jobID"]
            jobs.setdefault(name, Job(name, begun=number)).add(number, entry)
    return jobs


def _act() -> str | None:
    return shutil.which("act", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def main(workflow: str) -> int:
    """Run one workflow of this repository as it stands, and print act's log."""
    if missing := missing_tool():
        sys.exit(f"error: {missing}")
    with tempfile.TemporaryDirectory() as folder:
        tree = copy_tree(Path(folder) / "tree")
        return run_workflow(tree, workflow, Path(folder) / "run", echo=True).status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""The image of `serve`, built and run without a daemon: base images from Debian's packages, layers by buildah."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.tools import as_root, mounted, require_tool

from artifact_pipeline.canonical import digest
from servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

# One worker runs them all: an image takes a minute and gigabytes.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "v1"
DIGEST = digest((GOLDEN / "manifest.json").read_bytes())
ENVIRONMENT = "/opt/artifact-pipeline"
USER = "65532"
MB = 10**6
# What distroless's image of Python has of Debian: the interpreter, its standard library, and what C++ needs.
RUNTIME = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "libssl3", "tzdata", "ca-certificates")
LEFT_OUT = "bin/* usr/bin/[!p]* usr/sbin usr/share/doc usr/share/locale usr/share/man var/lib/dpkg"
BUILDING = ("python3-venv", "libc-bin", "dash", "coreutils", "binutils")


class Images:
    """Builds and runs images, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.container = ""

    def buildah(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run buildah with its storage in the folder."""
        storage = ["--storage-driver", "vfs", "--root", self.folder / "store", "--runroot", self.folder / "run"]
        settings = ["BUILDAH_ISOLATION=chroot", f"TMPDIR={self.folder}"]
        command = [*as_root(), "env", *settings, require_tool("buildah"), *storage, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, done.stderr + done.stdout
        return done

    def run(self, *command: str, mount: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in the container, an artifact mounted in the place of its own."""
        volume = [] if mount is None else ["--volume", f"{mount}:/artifact:ro"]
        return self.buildah("run", *volume, self.container, "--", *command, check=False)

    def make_base(self, name: str, packages: tuple[str, ...], *options: str) -> None:
        """Make a base image of Debian 12's packages, as they are unpacked; no registry is asked for one."""
        context = self.folder / name
        context.mkdir()
        command = [require_tool("mmdebstrap"), "--quiet", "--mode=root", "--variant=extract", *options]
        subprocess.run(
            [*as_root(), *command, f"--include={','.join(packages)}", "bookworm", context / "base.tar"], check=True
        )
        (context / "Containerfile").write_text("FROM scratch\nADD base.tar /\n")
        self.buildah("build", "--quiet", "--tag", name, "--file", context / "Containerfile", context)

    def config(self) -> dict[str, Any]:
        """What the image says of itself."""
        told = json.loads(self.buildah("inspect", "--type", "image", "model").stdout)
        return dict(told["Docker"]["config"])


def download_wheels(folder: Path) -> None:
    """The wheels of the image's locks, by the pip that is here: the build itself asks nothing of the network."""
    asked = {
        "requirements-serve.txt": ["--python-version", "3.11", "--only-binary", ":all:"],
        "requirements-build.txt": ["--no-deps"],
    }
    for lock, options in asked.items():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, *options, "--require-hashes", "-r", ROOT / lock, "-d", folder], check=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """The image of a model, and a container of it, in memory: layers are whole copies, gigabytes."""
    folder = tmp_path_factory.mktemp("images")
    with mounted(folder, "--types", "tmpfs", "--options", "size=6g", "tmpfs"):
        images = Images(folder)
        images.make_base("build", BUILDING)
        images.make_base("base", RUNTIME, f'--extract-hook=cd "$1" && rm -rf {LEFT_OUT} && mkdir -p proc dev tmp')
        download_wheels(folder / "wheels")
        arguments = {
            "BUILD": "localhost/build",
            "BASE": "localhost/base",
            "DIGEST": DIGEST,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "/wheels",
        }
        images.buildah(
            *("build", "--pull-never", "--format", "docker", "--tag", "model"),
            *(part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")),
            *("--build-context", f"artifact={GOLDEN}", "--volume", f"{folder / 'wheels'}:/wheels:ro"),
            *("--file", ROOT / "Containerfile", ROOT),
        )
        images.container = images.buildah("from", "--pull-never", "localhost/model").stdout.strip()
        yield images
        images.buildah("umount", "--all")


@contextmanager
def read_only(images: Images, place: Path) -> Iterator[list[str]]:
    """The container's root, mounted so that nothing can be written: what starts a command in it, as its user."""
    root = images.buildah("mount", images.container).stdout.strip()
    place.mkdir()
    environment = images.config()["Env"]
    devices, processes = ("--options", "bind", "/dev"), ("--types", "proc", "proc")
    with (
        mounted(place, "--options", "bind,ro", root),
        mounted(place / "dev", *devices),
        mounted(place / "proc", *processes),
    ):
        yield [
            *as_root(),
            "chroot",
            f"--userspec={USER}:{USER}",
            str(place),
            *("/usr/bin/python3", "-c", EXEC),
            *environment,
        ]


# No `env` and no shell is in the image: Python itself starts the command in the image's environment alone.
EXEC = """
import os, sys
at = sys.argv.index("--")
environment = dict(each.split("=", 1) for each in sys.argv[1:at])
os.execvpe(sys.argv[at + 1], sys.argv[at + 1:], environment)
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def ask(port: int, path: str, body: bytes | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_the_image_is_small(images: Images) -> None:
    """The whole image has at most 300 MB: Python, the locked packages without what is never loaded, the model."""
    told = json.loads(images.buildah("images", "--json", "localhost/model").stdout)
    amount, unit = told[0]["size"].split()
    assert unit == "MB"
    assert float(amount) <= 300


def test_the_image_says_what_it_is(images: Images) -> None:
    """Its label names the artifact digest; it is no root's, is asked by its own health check, ends by SIGTERM."""
    config = images.config()
    assert config["Labels"]["artifact-pipeline.artifact.digest"] == DIGEST
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert config["User"] == f"{USER}:{USER}"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "artifact-pipeline", "health"]
    assert [*config["Entrypoint"], *config["Cmd"]] == ["artifact-pipeline", "serve", "/artifact"]
    assert "ORT_DISABLE_TELEMETRY=1" in config["Env"]


def test_the_image_has_no_shell_and_no_installer(images: Images) -> None:
    """What a person could go on with in a container is not there: no shell, no pip, no package manager."""
    root = Path(images.buildah("mount", images.container).stdout.strip())
    found = {
        path.name
        for folder in ("bin", "usr/bin", "sbin", f"{ENVIRONMENT[1:]}/bin")
        for path in root.glob(f"{folder}/*")
    }
    assert not found & {"sh", "bash", "dash", "env", "pip", "pip3", "apt", "apt-get", "dpkg", "curl"}
    assert not list(root.glob(f"{ENVIRONMENT[1:]}/lib/*/site-packages/pip"))


def test_the_artifact_is_verified_inside(images: Images) -> None:
    """`verify` in the container finds the artifact of the label, and another user than root runs it."""
    done = images.run("artifact-pipeline", "verify", "/artifact", "--expect", DIGEST)
    assert done.returncode == 0, done.stderr
    assert DIGEST in done.stdout
    done = images.run("python3", "-c", "import os; print(os.getuid(), os.getgid())")
    assert done.stdout.split() == [USER, USER]


def test_another_artifact_is_not_served(images: Images, tmp_path: Path) -> None:
    """A flipped byte, or a whole artifact in the place of the label's, ends the start with status 4."""
    tampered = shutil.copytree(GOLDEN, tmp_path / "tampered")
    model = bytearray((tampered / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (tampered / "model.onnx").write_bytes(model)
    other = ROOT / "tests" / "golden" / "v2" / "digits"
    for artifact, words in ((tampered, "model.onnx: "), (other, f"manifest.json: expected {DIGEST}, found ")):
        done = images.run("artifact-pipeline", "serve", "/artifact", "--port", "0", mount=artifact)
        assert (done.returncode, "serving" in done.stderr) == (4, False), done.stderr
        assert words in done.stderr


def test_it_serves_from_a_read_only_root_and_drains(images: Images, tmp_path: Path) -> None:
    """Where nothing can be written it starts, is healthy and answers; by SIGTERM it is not ready, answers on, ends."""
    port = free_port()
    rows = np.zeros((2, 64)).tolist()
    tensor = {"name": "X", "shape": [2, 64], "datatype": "FP64", "data": rows}
    with read_only(images, tmp_path / "root") as start:
        settings = [f"ARTIFACT_PIPELINE_SERVE_PORT={port}", "ARTIFACT_PIPELINE_SERVE_DRAIN=1"]
        health = [*start, *settings, "--", "artifact-pipeline", "health"]
        assert subprocess.run(health, capture_output=True, check=False).returncode == 1
        command = [*start, *settings, "--", "artifact-pipeline", "serve", "/artifact", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            lines = [*iter(server.stdout.readline, "}\n")]
            told = json.loads("".join(lines) + "}")
            try:
                assert told["artifact"] == DIGEST
                status = Path(f"/proc/{told['pid']}/status").read_text()
                assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}" in status
                assert subprocess.run(health, capture_output=True, check=False).returncode == 0
                code, answer = ask(port, "/v2/models/digits/infer", json.dumps({"inputs": [tensor]}).encode())
                assert (code, answer["outputs"][0]["shape"]) == (200, [2])
                subprocess.run([*as_root(), "kill", "-TERM", str(told["pid"])], check=True)
                wait_until(lambda: ask(port, "/v2/health/ready")[0] == 503)
                assert ask(port, "/v2/models/digits/infer", json.dumps({"inputs": [tensor]}).encode())[0] == 200
                assert server.wait(30) == 0
            finally:
                if server.poll() is None:
                    subprocess.run([*as_root(), "kill", "-KILL", str(told["pid"])], check=True)

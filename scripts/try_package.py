"""Build the sdist, a wheel from it, and use that wheel in an empty folder: train, verify, predict, serve.

What it shows beyond the tests: nothing that the package needs is missing from what a release would upload, and nothing
of the checkout is used. The wheel is installed in an environment of its own; the packages that it needs are those of
the environment that runs this script, without the checkout's own editable install.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}
BUILD = "import sys; from flit_core import buildapi; print(getattr(buildapi, sys.argv[1])(sys.argv[2]))"


def main() -> None:
    """Build and use the package.

    Raises:
        CalledProcessError: a step failed; what it printed stands above.
        AssertionError: the server did not answer as it should.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        source = folder / build("build_sdist", ROOT, folder)
        with tarfile.open(source) as archive:
            archive.extractall(folder / "source", filter="data")
        (unpacked,) = (folder / "source").iterdir()
        wheel = folder / build("build_wheel", unpacked, folder)
        command = install(wheel, folder / "environment")
        use(command, folder / "empty")
        print(f"{source.name}, {wheel.name}: trained, verified, predicted and served in an empty folder")


def build(kind: str, source: Path, folder: Path) -> str:
    """Build a sdist or a wheel from a source into a folder, and return its name."""
    command = [sys.executable, "-P", "-c", BUILD, kind, str(folder)]
    return subprocess.run(command, cwd=source, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def install(wheel: Path, environment: Path) -> Path:
    """Install a wheel in an environment of its own, and return its command."""
    venv.create(environment, symlinks=True, with_pip=True)
    python = environment / "bin" / "python"
    quiet = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([str(python), "-m", "pip", "install", *quiet, str(wheel)], check=True)
    # Packages of a folder that a .pth file names are found; .pth files in it, such as an editable install's, are not.
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = [str(python), "-P", "-c", "import artifact_pipeline; print(artifact_pipeline.__file__)"]
    found = subprocess.run(where, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    assert Path(found).is_relative_to(packages), f"another package is used: {found}"
    return environment / "bin" / "artifact-pipeline"


def use(command: Path, folder: Path) -> None:
    """Train, verify, predict and serve in an empty folder."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    environment.pop("PYTHONPATH", None)
    for arguments in (["train", "--config", "config.json"], ["verify", "artifact"], ["predict"]):
        subprocess.run([command, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    serve = [str(command), "serve", "artifact", "--port", "0", "--json"]
    with subprocess.Popen(serve, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            lines = [*iter(server.stdout.readline, "}\n")]  # the server says where it listens, then goes on
            answer(json.loads("".join(lines) + "}")["url"])
        finally:
            server.terminate()
    assert server.returncode == 0, f"the server ended with {server.returncode}"


def answer(url: str) -> None:
    """Ask a server for the label of one row."""
    tensor = {"name": "X", "shape": [1, 64], "datatype": "FP64", "data": [0.0] * 64}
    connection = http.client.HTTPConnection(url.rstrip("/").removeprefix("http://"), timeout=30)
    connection.request("POST", "/v2/models/digits/infer", json.dumps({"inputs": [tensor]}))
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == 200, body
    assert json.loads(body)["outputs"][0]["shape"] == [1], body


if __name__ == "__main__":
    main()

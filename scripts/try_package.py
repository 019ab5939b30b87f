"""Build the sdist, a wheel from it, and use that wheel in an empty folder: train, verify, predict, serve.

    python scripts/try_package.py [DIST]

What it shows beyond the tests: nothing that the package needs is missing from what a release would upload, nothing
of the checkout is used, and a second build in another folder gives the same bytes. The wheel is installed in an
environment of its own; the packages that it needs are those of the environment that runs this script, without the
checkout's own editable install.

Into the folder DIST go the files of a release: `packages/` with sdist and wheel, and `bom.cdx.json`, a bill of material
in CycloneDX form. In a run of GitHub Actions for a tag, the tag must be the version, with a section in the changelog.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import uuid
import venv
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}
BUILD = "import sys; from flit_core import buildapi; print(getattr(buildapi, sys.argv[1])(sys.argv[2]))"


def main(arguments: list[str]) -> None:
    """Build and use the package.

    Raises:
        CalledProcessError: a step failed; what it printed stands above.
        AssertionError: two builds differ, the tag is not the version, or the server did not answer as it should.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        packages = build_both(folder / "first")
        for each, again in zip(packages, build_both(folder / "second"), strict=True):
            assert each.read_bytes() == again.read_bytes(), f"a second build of {each.name} gives other bytes"
        check_tag(packages[1])
        command = install(packages[1], folder / "environment")
        use(command, folder / "empty")
        if arguments:
            release(Path(arguments[0]), packages)
        names = ", ".join(each.name for each in packages)
        print(f"{names}: built twice, trained, verified, predicted and served in an empty folder")


def build_both(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and a wheel from it, in a folder; the times in them are the commit's."""
    folder.mkdir()
    source = folder / build("build_sdist", ROOT, folder)
    with tarfile.open(source) as archive:
        archive.extractall(folder / "source", filter="data")
    (unpacked,) = (folder / "source").iterdir()
    return source, folder / build("build_wheel", unpacked, folder)


def check_tag(wheel: Path) -> None:
    """Compare the tag that a release runs for with the version of the wheel.

    Raises:
        AssertionError: they differ, or the changelog has no section for the version.
    """
    if os.environ.get("GITHUB_REF_TYPE") != "tag":
        return
    version, tag = wheel.name.split("-")[1], os.environ["GITHUB_REF_NAME"]
    assert tag == f"v{version}", f"the tag is {tag}, the version {version}"
    assert f"\n## [{version}] - " in (ROOT / "CHANGELOG.md").read_text(), f"CHANGELOG.md has no section {version}"


def release(dist: Path, packages: tuple[Path, ...]) -> None:
    """Write the files of a release into a folder that is not there yet."""
    (dist / "packages").mkdir(parents=True)
    for each in packages:
        shutil.copyfile(each, dist / "packages" / each.name)
    (dist / "bom.cdx.json").write_text(bill_of_materials(packages[-1]), encoding="utf-8")


def bill_of_materials(wheel: Path) -> str:
    """Return what a wheel needs, by the lock of the base, as CycloneDX has it; the same bytes for the same wheel."""
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    def component(name: str, version: str, digests: list[str], kind: ComponentType) -> Component:
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in digests]
        purl = PackageURL("pypi", name=name, version=version)
        return Component(name=name, version=version, type=kind, purl=purl, bom_ref=str(purl), hashes=hashes)

    lock = (ROOT / "requirements-base.txt").read_text()
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    _, version, *_ = wheel.name.split("-")
    own = component("artifact-pipeline", version, [digest], ComponentType.APPLICATION)
    needed = [component(name, pin, [], ComponentType.LIBRARY) for name, pin in pins]
    bom = Bom(components=needed, serial_number=uuid.uuid5(uuid.NAMESPACE_OID, digest))
    bom.metadata.component = own
    bom.metadata.timestamp = datetime.fromtimestamp(int(epoch()), UTC)
    bom.register_dependency(own, needed)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def epoch() -> str:
    """Return the time that stands in what is built, in seconds: $SOURCE_DATE_EPOCH, or the commit's."""
    command = ["git", "log", "-1", "--format=%ct"]
    found = os.environ.get("SOURCE_DATE_EPOCH")
    return found or subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def build(kind: str, source: Path, folder: Path) -> str:
    """Build a sdist or a wheel from a source into a folder, and return its name."""
    command = [sys.executable, "-P", "-c", BUILD, kind, str(folder)]
    env = {**os.environ, "SOURCE_DATE_EPOCH": epoch()}
    return subprocess.run(command, cwd=source, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


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
    main(sys.argv[1:])

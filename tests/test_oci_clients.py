"""Clients of others read what `push` has put into a registry, and write what `pull` takes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.cli import main
from artifact_pipeline.registry.image import pack
from artifact_pipeline.verification import verify
from registries import docker_registry
from tools import program_of, require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
ORAS = """
import sys
from oras.provider import Registry
client = Registry(insecure=True, tls_verify=False)
if sys.argv[1] == "pull":
    client.pull(target=sys.argv[2], outdir=sys.argv[3])
else:
    client.push(target=sys.argv[2], files=sys.argv[3:], disable_path_validation=True)
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry for this module, without a login."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.resolve().iterdir()}


def skopeo(*arguments: str) -> str:
    """What skopeo prints."""
    command = [require_tool("skopeo"), "--insecure-policy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_skopeo_copies_an_artifact_unchanged(registry: str, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied by skopeo into a folder and another repository, the image keeps its digest, and is pulled from there."""
    monkeypatch.chdir(published)
    assert main(["push", "artifact", f"oci://{registry}/tests/first:v1"]) == 0
    image = pack(verify(published / "artifact"))
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    skopeo("copy", *plain, f"docker://{registry}/tests/first:v1", f"dir:{published / 'copy'}")
    layout = files(published / "copy")
    assert layout["manifest.json"] == image.manifest
    assert {layout[each["digest"].removeprefix("sha256:")] for each in json.loads(image.manifest)["layers"]} == set(
        image.files.values()
    )
    skopeo("copy", *plain, f"dir:{published / 'copy'}", f"docker://{registry}/tests/second:v1")
    assert main(["pull", f"oci://{registry}/tests/second@{image.digest}", "-o", "pulled"]) == 0
    assert files(published / "pulled") == files(published / "artifact")


def test_oras_gets_the_files_and_what_it_pushes_is_no_artifact(
    registry: str, published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files that oras pulls are the very ones; what it pushes by itself is no ModelPack image, and is refused."""
    python = program_of(".venv-clients", "python")
    monkeypatch.chdir(published)

    def oras(*arguments: str) -> None:
        command = [python, "-c", ORAS, *arguments]
        subprocess.run(command, cwd=published / "artifact", env={**os.environ, "HOME": str(published)}, check=True)

    assert main(["push", "artifact", f"oci://{registry}/tests/oras:v1"]) == 0
    oras("pull", f"{registry}/tests/oras:v1", str(published / "theirs"))
    assert files(published / "theirs") == files(published / "artifact")
    assert verify(published / "theirs").digest == verify(published / "artifact").digest
    oras("push", f"{registry}/tests/oras:theirs", NAME, "model.onnx")
    capsys.readouterr()
    assert main(["pull", f"oci://{registry}/tests/oras:theirs", "-o", "pulled", "--json"]) == 4
    (problem,) = json.loads(capsys.readouterr().out)["error"]["problems"]
    assert problem["rule"] == "image-not-artifact"
    assert not (published / "pulled").exists()

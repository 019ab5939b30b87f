"""What stands around the code: the changelog, the files for those who contribute, cite and report, and a release."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version
from tests.tools import require_tool

from artifact_pipeline import __version__

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
HOOKS = ROOT / ".pre-commit-config.yaml"


def load_yaml(path: Path) -> Any:
    """A YAML file, by YAML 1.2's rules."""
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(path.read_text())


# The changelog


def sections() -> dict[str, str]:
    """The sections of the changelog, by their headings."""
    parts = re.split(r"^## (.*)\n", CHANGELOG, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_changelog_keeps_its_form() -> None:
    """Unreleased comes first, then versions with their day, the newest first; each has entries under known heads."""
    first, *released = sections()
    assert first == "[Unreleased]"
    days = []
    for head in released:
        found = re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})", head)
        assert found is not None, head
        days.append((Version(found[1]), found[2]))
    assert all(newer > older and day >= before for (newer, day), (older, before) in pairwise(days))
    for head, text in sections().items():
        kinds = re.split(r"^### (.*)\n", text, flags=re.MULTILINE)[1:]
        assert kinds or head == "[Unreleased]", head
        assert {*kinds[::2]} <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
        assert len(kinds[::2]) == len({*kinds[::2]})
        assert all(entries.strip().startswith("- ") for entries in kinds[1::2])


def test_changelog_knows_this_version() -> None:
    """This version has a section, or is newer than all that have one: then its changes are under Unreleased."""
    found = [Version(number) for number in re.findall(r"^## \[(\d\S*)\]", CHANGELOG, re.MULTILINE)]
    assert Version(__version__) in found or all(Version(__version__) > each for each in found)


# Citation, hooks, container


@pytest.mark.needs("ruamel")
def test_citation_names_this_version_and_licence() -> None:
    """The version and the licence that are cited are the package's."""
    citation = load_yaml(ROOT / "CITATION.cff")
    assert (str(citation["version"]), citation["license"]) == (__version__, "Apache-2.0")


@pytest.mark.slow
@pytest.mark.needs("ruamel")
@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("citation-file-format", "CITATION.cff"),
        ("dependabot", ".github/dependabot.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("github-workflows", ".github/workflows/*.yml"),
    ],
)
def test_files_are_valid_by_their_schemas(schema: str, pattern: str) -> None:
    """The files that other programs read are what their schemas ask for; nothing is fetched for it."""
    files = [str(path) for path in sorted(ROOT.glob(pattern))]
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs("ruamel")
def test_hooks_call_locked_tools_and_fetch_nothing() -> None:
    """Each hook is local, of the system's language, and calls a tool of `.venv` that `make check` calls too."""
    hooks = load_yaml(HOOKS)
    assert [each["repo"] for each in hooks["repos"]] == ["local"]
    makefile = (ROOT / "Makefile").read_text()
    for hook in hooks["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        assert hook.keys() <= {"id", "name", "language", "entry", "types", "types_or", "files", "pass_filenames"}
        (tool,) = re.findall(r"\.venv/bin/([\w-]+)", hook["entry"])
        assert f"$(BIN)/{tool}" in makefile
        re.compile(hook.get("files", ""))


@pytest.mark.slow
@pytest.mark.needs("ruamel")
def test_hooks_pass_on_this_tree() -> None:
    """Each hook passes on the tree as it is."""
    files = {"ruff-check": "scripts", "ruff-format": "scripts"}
    for hook in load_yaml(HOOKS)["repos"][0]["hooks"]:
        command = f"{hook['entry']} {files.get(hook['id'], '')}"
        done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (hook["id"], done.stdout, done.stderr)


def test_container_of_developers_starts_with_commands_that_exist() -> None:
    """The container's set-up is made of targets of the Makefile."""
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    targets = re.findall(r"make ([\w-]+)", container["postCreateCommand"])
    makefile = (ROOT / "Makefile").read_text()
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_contributing_names_files_that_exist() -> None:
    """Each path that CONTRIBUTING.md, SECURITY.md and the template of pull requests name leads somewhere."""
    for page in ("CONTRIBUTING.md", "SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md"):
        text = (ROOT / page).read_text()
        paths = set(re.findall(r"(?:src|tests|docs|config|model|training)/[\w/.-]+\.(?:py|md)", text)) - {
            "model/families/NAME.py",
            "src/artifact_pipeline/model/families/NAME.py",
        }
        for path in paths:
            assert (ROOT / path).exists() or (ROOT / "src" / "artifact_pipeline" / path).exists(), (page, path)
        for link in re.findall(r"\]\((?!https:)([^)#]+)\)", text):
            assert (ROOT / link).exists(), (page, link)


# A release


@pytest.mark.slow
@pytest.mark.needs("cyclonedx")
def test_a_release_is_built_and_described(tmp_path: Path) -> None:
    """`make dist` gives sdist and wheel, built twice to the same bytes, and a bill of materials valid by its schema."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    require_tool("git")
    command = [sys.executable, "scripts/try_package.py", str(tmp_path / "dist")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = {path.name for path in (tmp_path / "dist" / "packages").iterdir()}
    name = f"artifact_pipeline-{__version__}"
    assert built == {f"{name}-py3-none-any.whl", f"{name}.tar.gz"}
    text = (tmp_path / "dist" / "bom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    assert bom["metadata"]["component"]["version"] == __version__
    assert {"click", "numpy", "onnxruntime"} <= {each["name"] for each in bom["components"]}


@pytest.mark.slow
def test_a_release_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag that is not the version ends the release before anything is installed."""
    monkeypatch.setenv("GITHUB_REF_TYPE", "tag")
    monkeypatch.setenv("GITHUB_REF_NAME", "v9.9.9")
    command = [sys.executable, "scripts/try_package.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"the tag is v9.9.9, the version {__version__}" in done.stderr

"""What the tests of the store share: the system's tools, other artifacts than the documented one, a look for scraps."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.pipeline import Candidate


def require_tool(name: str) -> str:
    """The path of a program; without it the test is skipped here, and fails in CI, where nobody reads the skips."""
    found = shutil.which(name)
    if found is None:
        cannot_run(f"needs {name}: install it, such as by apt-get install {name}")
    return found


def cannot_run(reason: str) -> None:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def renamed(candidate: Candidate, name: str) -> Candidate:
    """The same model under another name: another artifact, as whole as the first."""
    return replace(candidate, manifest=msgspec.structs.replace(candidate.manifest, name=name))


def hexadecimal(candidate: Candidate) -> str:
    """The name of a candidate's folder in a store."""
    return candidate.digest.removeprefix("sha256:")


def scraps(root: Path) -> list[str]:
    """What a publication has left behind in the pointer's folder and in the store that belongs to no artifact."""
    kept = re.compile(r"artifact|artifacts|model_train\.pkl|artifacts/(\.lock|[0-9a-f]{64})")
    found = [path.relative_to(root).as_posix() for path in (*root.iterdir(), *(root / "artifacts").iterdir())]
    return sorted(name for name in found if not kept.fullmatch(name))

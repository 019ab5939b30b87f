"""A verb run in this process, and what it says."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.cli import main

if TYPE_CHECKING:
    from pathlib import Path


class Said(NamedTuple):
    """What a verb says."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Standard output, line by line."""
        return self.out.splitlines()

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as the one JSON object that it must be."""
        value: dict[str, Any] = json.loads(self.out)
        return value

    @property
    def problem(self) -> dict[str, str]:
        """The one problem of an error."""
        (problem,) = self.json["error"]["problems"]
        return dict(problem)


def run_verb(*arguments: str | Path) -> Said:
    """Run a verb."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([*map(str, arguments)])
    out.seek(0)
    return Said(status, out.read(), err.getvalue())

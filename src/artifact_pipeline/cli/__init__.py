"""The command line: the verbs, what they print, and the one place where an error becomes an exit status."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb of `artifact-pipeline`, and return its exit status; `argv` as in `boundary.main`."""
    try:
        from artifact_pipeline.cli import boundary

        return boundary.main(argv)
    except KeyboardInterrupt:  # so early that the boundary was not there yet
        return 130

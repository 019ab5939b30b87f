"""The search that gave an artifact, verified first: its results in order, and a plot of them in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.pointer import artifact_places
from artifact_pipeline.artifact.trials import SearchResults
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.files import write_atomic
from artifact_pipeline.registry import remote
from artifact_pipeline.reports.page.drawing import own_settings
from artifact_pipeline.storage.outputs import Place, check_outputs

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Manifest, Verified

ENDINGS = (".svg", ".html", ".png")
_FONT = 'font-family="DejaVu Sans, Verdana, sans-serif" style="background:#fff"'


@dataclass(frozen=True, slots=True)
class _SearchOverview:
    """A search as it is shown.

    Attributes:
        artifact: the artifact digest.
        ordered: the same, the best on the most rows first, those that failed last.
    """

    artifact: str
    manifest: Manifest
    results: SearchResults
    ordered: tuple[SearchResults.Trial, ...]

    @classmethod
    def of(cls, artifact: Verified) -> _SearchOverview:
        """Take what an artifact says.

        Raises:
            ConfigError: it was not searched for.
        """
        from artifact_pipeline.reports.page.trials import ordered

        results = SearchResults.of_artifact(artifact)
        asked: Any = artifact.manifest.recipe.get("search")
        if results is None or not isinstance(asked, dict):
            raise ConfigError("the artifact was not searched for", hint="artifact-pipeline inspect shows it")
        metric = str(asked.get("metric"))
        if not results.ranked(metric):
            raise ConfigError("no trial of the search has scores", hint="artifact-pipeline inspect shows the artifact")
        return cls(artifact.digest, artifact.manifest, results, tuple(ordered(results, metric)))


@own_settings()
def search_overview(artifact: Path | str, to: Path | None = None) -> _SearchOverview:
    """Verify an artifact and return the search that gave it, drawn into a file if one is named.

    Args:
        artifact: a pointer, or an artifact's folder; its gate may have failed.
        to: where the plot is written: an SVG, a page of HTML or a PNG, as its name ends.

    Raises:
        ArtifactRejected: it is not what it claims to be.
        ConfigError: it was not searched for, or the file's name has another end, or is read.
        ModuleNotFoundError: matplotlib is not installed, which the extra `report` brings.
        StorageError: the file cannot be written.
    """
    if to is not None:
        if to.suffix not in ENDINGS:
            raise ConfigError(f"--output: must end in {', '.join(ENDINGS)}", hint="-o search.svg")
        check_outputs([*artifact_places(artifact)], [Place("--output", str(to))])
    verified = remote.verify(artifact, accept_failed_gate=True)
    found = _SearchOverview.of(verified)
    if to is not None:
        write_atomic(to, _plot(verified, to.suffix))
    return found


def _plot(artifact: Verified, ending: str) -> bytes:
    from artifact_pipeline.reports.page.trials import Drawn, section

    if ending == ".png":
        return Drawn(artifact).png()
    if ending == ".svg":
        return str(Drawn(artifact).svg()).replace("<svg ", f"<svg {_FONT} ", 1).encode()
    from artifact_pipeline.reports.page.parts import Page
    from artifact_pipeline.reports.page.render import html

    part = section(artifact)
    assert part is not None
    name = artifact.manifest.name
    page = Page(name, "", (), (("artifact", artifact.digest),), tiles=(), sections=(part,))
    return html(page).encode(errors="backslashreplace")

"""The verb `compare`: a candidate beside its champions, and a page of it for those who decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from artifact_pipeline.artifact.pointer import artifact_places
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.files import write_atomic
from artifact_pipeline.reports.page import drawing
from artifact_pipeline.reports.page import request as pages
from artifact_pipeline.storage.outputs import Place, check_outputs
from artifact_pipeline.training import champion as comparing

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.provenance import Comparison


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """What is asked of a comparison.

    Attributes:
        artifacts: pointers, artifacts' folders, or places elsewhere; the candidate first, then its champions.
        data: the table that all were trained from; None for a built-in data set.
        held_out: the held-out file of all, where they have one.
        margin: by how much the candidate may be worse.
        form: of the page; None makes none.
        output: where the page is written; None writes none.
    """

    artifacts: tuple[Path | str, ...]
    data: Path | None = None
    held_out: Path | None = None
    margin: float = 0.02
    form: Literal["html", "markdown"] | None = None
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class SideBySide:
    """What was found.

    Attributes:
        candidate: its artifact digest.
        place: where it is; of one elsewhere, by its digest.
        comparisons: with each champion.
        page: the page; empty where none is asked for.
    """

    candidate: str
    place: Path | str
    comparisons: tuple[Comparison, ...]
    page: str


@drawing.own_settings()
def compare_side_by_side(request: ComparisonRequest) -> SideBySide:
    """Compare a candidate with its champions on the rows that all held out, and make a page of it.

    Raises:
        ArtifactRejected: one is not what it claims to be, or cannot be compared with.
        ConfigError: rows are needed and not named, there are too many artifacts, or the page would be written over what
            is read.
        DataRejected: the rows cannot be read, or are others.
        ModuleNotFoundError: a page of HTML is asked for, and the extra `report` is not installed.
        StorageError: the page cannot be written; what stood there still stands.
    """
    if len(request.artifacts) > pages.MAX_ARTIFACTS:
        message = f"at most {pages.MAX_ARTIFACTS} artifacts are compared, got {len(request.artifacts)}"
        raise ConfigError(message, hint="leave some away")
    if request.output is not None:
        if request.form is None:
            raise ConfigError("--output writes a page, and none is asked for", hint="--format markdown, or html")
        given = {"the rows": request.data, "the held-out file": request.held_out}
        read = [place for each in request.artifacts for place in artifact_places(each)]
        read += [Place(role, str(path)) for role, path in given.items() if path is not None]
        check_outputs(read, [Place("--output", str(request.output))])
    if request.form is not None:
        pages.check_packages(request.form)
    artifacts, found = comparing.compare(
        request.artifacts, data=request.data, held_out=request.held_out, margin=request.margin
    )
    page = pages.candidate_page(artifacts, found, request.form) if request.form is not None else ""
    if request.output is not None:
        write_atomic(request.output, page.encode(errors="backslashreplace"))
    ours = artifacts[0]
    return SideBySide(ours.digest, ours.reference or request.artifacts[0], found, page)

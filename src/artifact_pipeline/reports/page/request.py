"""The verb `report`: artifacts are verified, rows are answered, and one file is written."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.artifact.pointer import artifact_places
from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ArtifactRejected, ConfigError, Problem
from artifact_pipeline.files import read_bounded, reason_of, write_atomic
from artifact_pipeline.prediction.receipt import MAX_BYTES, RULE, Receipt
from artifact_pipeline.registry import remote
from artifact_pipeline.reports.page.build import page_of, page_of_candidate, page_of_several
from artifact_pipeline.reports.page.drawing import own_settings
from artifact_pipeline.reports.page.render import RENDERED
from artifact_pipeline.reports.page.rows import answer_rows
from artifact_pipeline.rows.sources import find_sources, places_of
from artifact_pipeline.storage.outputs import Place, check_outputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.provenance import Comparison

Form = Literal["html", "markdown"]
MAX_ARTIFACTS = 12
"""Most artifacts beside each other."""


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A report to be written.

    Attributes:
        artifacts: pointers, or artifacts' folders; the others are compared with the first.
        data: a table with labels, as `predict` reads it; None shows rows of a built-in data set alone.
        receipt: of a prediction by one of the artifacts.
        form: HTML, or Markdown without plots.
    """

    artifacts: tuple[Path | str, ...]
    output: Path
    data: str | None = None
    receipt: Path | None = None
    form: Form = "html"


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was written.

    Attributes:
        rows: of each artifact the side of the labelled rows, as `AnsweredRows` has it, and their number; None where
            there were none.
    """

    output: Path
    size: int
    sha256: str
    artifacts: tuple[Verified, ...]
    rows: tuple[tuple[str, int] | None, ...]

    def plain(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "report": str(self.output),
            "size": self.size,
            "sha256": self.sha256,
            "artifacts": [each.digest for each in self.artifacts],
            "rows": [None if each is None else {"which": each[0], "count": each[1]} for each in self.rows],
        }


@own_settings()
def report(request: ReportRequest) -> Report:
    """Verify artifacts, answer the rows that are at hand, and write the page.

    Raises:
        ArtifactRejected: an artifact is not what it claims to be, or the receipt is none or about another one.
        ConfigError: the output is an input, or too many artifacts are named.
        DataRejected: the rows cannot be read, do not fit, or have no label.
        ModuleNotFoundError: matplotlib or Jinja2 is not installed, which the extra `report` brings.
        StorageError: the file cannot be written; what stood before still stands.
    """
    if not 0 < len(request.artifacts) <= MAX_ARTIFACTS:
        raise ConfigError(f"a report is about 1 to {MAX_ARTIFACTS} artifacts, got {len(request.artifacts)}")
    check_outputs(_read(request), [Place("--output", str(request.output))])
    check_packages(request.form)
    artifacts = tuple(remote.verify(each, accept_failed_gate=True) for each in request.artifacts)
    receipt = _receipt(request.receipt, artifacts) if request.receipt is not None else None
    answered = [answer_rows(each, request.data) for each in artifacts]
    if len(artifacts) > 1:
        page = page_of_several(artifacts, answered, receipt)
    else:
        page = page_of(artifacts[0], answered[0], receipt)
    text = RENDERED[request.form](page).encode(errors="backslashreplace")
    write_atomic(request.output, text)
    rows = tuple(None if each is None else (each.side, len(each)) for each in answered)
    return Report(request.output, len(text), digest(text), artifacts, rows)


@own_settings()
def page_alone(artifact: Verified) -> dict[str, bytes]:
    """Return the page of an artifact without any rows, by its name: HTML where the extra `report` is installed.

    Elsewhere it is Markdown, without plots.
    """
    form: Form = "html" if all(map(find_spec, ("jinja2", "matplotlib"))) else "markdown"
    name = "report.html" if form == "html" else "report.md"
    return {name: RENDERED[form](page_of(artifact, None, None)).encode(errors="backslashreplace")}


def candidate_page(artifacts: Sequence[Verified], comparisons: Sequence[Comparison], form: Form) -> str:
    """Return the page of a candidate beside its champions, as `page_of_candidate` has it, under `own_settings`."""
    return RENDERED[form](page_of_candidate(artifacts, comparisons))


def check_packages(form: Form) -> None:
    """Check that a page can be made, before the work; under `own_settings`.

    Raises:
        ModuleNotFoundError: matplotlib or Jinja2 is not installed, which the extra `report` brings.
    """
    if form == "html":
        import jinja2  # noqa: F401
        import matplotlib as mpl  # noqa: F401


def _read(request: ReportRequest) -> list[Place]:
    """The places that are read, which the output must not replace."""
    found = [place for each in request.artifacts for place in artifact_places(each)]
    if request.data is not None:
        found += places_of([request.data], find_sources([request.data]))
    if request.receipt is not None:
        found.append(Place("the receipt", str(request.receipt)))
    return found


def _receipt(place: Path, artifacts: Sequence[Verified]) -> Receipt:
    """Read a receipt of one of the artifacts."""
    try:
        found = Receipt.parse(read_bounded(place, MAX_BYTES), place=str(place), rule=RULE)
    except (OSError, ValueError) as error:
        problem = Problem(str(place), RULE, reason_of(error))
        raise ArtifactRejected("the receipt cannot be read", problems=[problem]) from error
    if found.artifact not in {each.digest for each in artifacts}:
        problem = Problem(str(place), "receipt-artifact", f"is about {found.artifact}")
        hint = "name the receipt of a prediction by this artifact: artifact-pipeline report artifact --receipt FILE"
        raise ArtifactRejected("the receipt is about another artifact", problems=[problem], hint=hint)
    return found

"""The trials of a search, in a page or alone: a table, the best first, and the metric against each drawn parameter."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from artifact_pipeline.artifact.pointer import artifact_places
from artifact_pipeline.artifact.trials import SearchResults
from artifact_pipeline.canonical import dotted
from artifact_pipeline.errors import ConfigError, plural
from artifact_pipeline.files import write_atomic
from artifact_pipeline.registry import remote
from artifact_pipeline.reports.page.drawing import BLUE, FAINT, GREY, INK, ORANGE, label, open_drawing, own_settings
from artifact_pipeline.reports.page.parts import MAX_LISTED, DataTable, Page, Plot, Section, more, short
from artifact_pipeline.reports.page.render import html
from artifact_pipeline.storage.outputs import Place, check_outputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from markupsafe import Markup

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.reports.page.drawing import Drawing

_COLOURS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", GREY, INK)
"""Okabe and Ito's palette; the ninth classifier has the first colour again."""
_MAX_PANELS = 12
_COLUMNS = 3
_LARGEST = 1e300
"""Beyond it a number is a text, since no axis takes it."""
HEAD = ("trial", "estimator", "parameters", "score ± sd", "rows")


@dataclass(frozen=True, slots=True)
class _SearchOverview:
    """A search as it is shown.

    Attributes:
        artifact: the artifact digest.
        asked: the recipe's section `search`.
        ordered: all results: those on the most rows first, of these the best mean; those that failed last.
    """

    artifact: str
    manifest: Manifest
    results: SearchResults
    asked: dict[str, Any]
    ordered: tuple[SearchResults.Trial, ...]

    @classmethod
    def of(cls, artifact: Verified) -> Self | None:
        """Return the search that gave an artifact; None where there was none."""
        results = SearchResults.of_artifact(artifact)
        asked = artifact.manifest.recipe.get("search")
        if results is None or not isinstance(asked, dict):
            return None
        scored = results.ranked(str(asked.get("metric")))
        scored.sort(key=lambda each: -each.rows)  # stable: the best mean first among equal rows
        failed = [each for each in results.trials if not each.scores]
        return cls(artifact.digest, artifact.manifest, results, asked, (*scored, *failed))

    @property
    def metric(self) -> str:
        """The metric of the scores."""
        return str(self.asked.get("metric"))

    @property
    def has_scores(self) -> bool:
        """Whether any trial has scores."""
        return any(each.scores for each in self.ordered)


def section(artifact: Verified) -> Section | None:
    """Return the part of a page about the search that gave an artifact; None where there is nothing to show."""
    found = _SearchOverview.of(artifact)
    return _section(found) if found is not None and found.has_scores else None


def _section(found: _SearchOverview) -> Section:
    ordered = found.ordered
    rows = tuple(cells(each) for each in ordered[:MAX_LISTED])
    note = more(len(ordered), len(rows), "results, the best first,")
    table = DataTable("The results of the search, the best first", HEAD, rows, note=note)
    title = f"{found.metric} against each parameter"
    best = f"the best mean is {ordered[0].mean:.4f}, of trial {ordered[0].trial}"
    words = f"{plural(len(ordered), 'result')} of the search; {best}"
    note = "Small points are folds, large ones means."
    plot = Plot(title, words, lambda: _SearchPlot(found).svg(), table, note=note)
    texts = [SearchResults.PROVES]
    over = found.results.over_first(found.manifest.recipe)
    if over is not None:
        sentence = "On the same folds the chosen trial is {:+.4f} over trial 0, 95 % interval {:+.4f} to {:+.4f}."
        texts.append(sentence.format(*over))
    return Section("search", "Search", tuple(texts), (plot,))


def cells(trial: SearchResults.Trial) -> tuple[str, ...]:
    """Return a result as a row of `HEAD`; one that failed has its reason in the place of a score."""
    score = f"{trial.mean:.4f} ± {trial.deviation:.4f}" if trial.scores else f"failed: {short(trial.error, 90)}"
    values = " ".join(f"{key}={_text(value)}" for key, value in sorted(_values(trial).items()) if key != "estimator")
    return str(trial.trial), trial.estimator, values, score, f"{trial.rows:,}"


def _values(trial: SearchResults.Trial) -> dict[str, Any]:
    """The parameters of a trial, those of a classifier in it by dotted names."""
    model = trial.model["model"]
    return dotted({**model, **{key: value for key, value in trial.model.items() if key != "model"}})


def _is_number(value: Any) -> bool:
    return type(value) in {int, float} and abs(value) < _LARGEST


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


class _SearchPlot:
    """The plot of a search: a panel for each parameter that differs, a colour for each classifier."""

    def __init__(self, found: _SearchOverview) -> None:
        self._metric = found.metric
        self._scored = [each for each in found.results.trials if each.scores]
        self._most = max(each.rows for each in self._scored)
        spaces = found.asked.get("space")
        self._log = {
            key
            for space in (spaces if isinstance(spaces, list) else ())
            if isinstance(space, dict)
            for key in _logarithmic(space)
        }
        names = sorted({each.estimator for each in self._scored})
        self._colours = {name: _COLOURS[at % len(_COLOURS)] for at, name in enumerate(names)}
        self._panels = self._parameters()[:_MAX_PANELS]

    def svg(self) -> Markup:
        """The plot as SVG, for a page."""
        with self._open() as drawing:
            return drawing.svg()

    def png(self) -> bytes:
        """The plot as PNG."""
        with self._open() as drawing:
            return drawing.png()

    def _parameters(self) -> list[str]:
        """The parameters that differ, or that only some classifiers have; the classifier itself comes first."""
        seen: dict[str, set[str]] = {}
        for each in self._scored:
            for key, value in _values(each).items():
                seen.setdefault(key, set()).add(_text(value))
        found = sorted(key for key, texts in seen.items() if len(texts) > 1 and key != "estimator")
        return ["estimator", *found] if len(seen.get("estimator", ())) > 1 or not found else found

    @contextmanager
    def _open(self) -> Iterator[Drawing]:
        columns = min(_COLUMNS, len(self._panels))
        rows = -(-len(self._panels) // columns)
        size = {"width": 0.6 + 3.1 * columns, "height": 0.5 + 2.7 * rows}
        with open_drawing("search", **size, grid=(rows, columns)) as drawing:
            self._fill(drawing)
            yield drawing

    def _fill(self, drawing: Drawing) -> None:
        flat = drawing.axes.ravel()
        for axes, name in zip(flat, self._panels, strict=False):
            self._panel(axes, name)
        for axes in flat[len(self._panels) :]:
            axes.set_axis_off()
        for name, colour in self._colours.items():
            flat[0].plot([], [], "o", color=colour, label=label(name, 30))
        flat[0].legend(loc="best", fontsize=8, handletextpad=0.2)

    def _panel(self, axes: Any, name: str) -> None:
        found = [(each, _values(each)[name]) for each in self._scored if name in _values(each)]
        numbers = all(map(_is_number, (value for _, value in found)))
        places = {} if numbers else {text: at for at, text in enumerate(sorted({_text(value) for _, value in found}))}
        for each, value in found:
            x, colour = (value if numbers else places[_text(value)]), self._colours[each.estimator]
            axes.plot([x] * len(each.scores), each.scores, "o", color=colour, markersize=2, alpha=0.5)
            fill = colour if each.rows == self._most else "none"
            axes.plot([x], [each.mean], "o", color=colour, markerfacecolor=fill, markersize=6)
        if places:
            axes.set_xticks(
                range(len(places)), [label(text.strip('"'), 12) for text in places], rotation=20, ha="right"
            )
        elif name in self._log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("")
        axes.set_xlabel(label(name, 40))
        axes.set_ylabel(label(self._metric, 30))
        axes.grid(color=FAINT)


def _logarithmic(space: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted names of the parameters that are drawn from a logarithmic range."""
    for key, value in space.items():
        if isinstance(value, dict):
            if "log_uniform" in value:
                yield f"{above}{key}"
            yield from _logarithmic(value, f"{above}{key}.")


ENDINGS = (".svg", ".html", ".png")
_FONT = 'font-family="DejaVu Sans, Verdana, sans-serif" style="background:#fff"'


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
    found = _SearchOverview.of(remote.verify(artifact, accept_failed_gate=True))
    if found is None:
        raise ConfigError("the artifact was not searched for", hint="artifact-pipeline inspect shows it")
    if not found.has_scores:
        raise ConfigError("no trial of the search has scores", hint="artifact-pipeline inspect shows the artifact")
    if to is not None:
        write_atomic(to, _plot(found, to.suffix))
    return found


def _plot(found: _SearchOverview, ending: str) -> bytes:
    if ending == ".png":
        return _SearchPlot(found).png()
    if ending == ".svg":
        return str(_SearchPlot(found).svg()).replace("<svg ", f"<svg {_FONT} ", 1).encode()
    page = Page(found.manifest.name, "", (_section(found),), digests=(("artifact", found.artifact),))
    return html(page).encode(errors="backslashreplace")

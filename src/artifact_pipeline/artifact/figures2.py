"""The figures of a model in format 2: an open list by name, and the confusion matrix from which most of them follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from artifact_pipeline.artifact.figures import TOLERANCE, HeldOut, Metrics, recomputed
from artifact_pipeline.artifact.parts import Count, Frozen, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

Rows = Literal["held_out", "training", "all"]
"""Over which rows a figure was measured."""
_Key = tuple[str, Rows, int | str | UnsetType]
LABEL_FIGURES = ("precision", "recall", "f1")
"""The figures that there are of each class."""


class Figure(Frozen, frozen=True):
    """One figure of a model, rounded to six decimals.

    Attributes:
        name: as the registry of metrics has it, such as `accuracy`.
        low: the lower end of its 95 % interval, where it has one; `high` is the upper end.
        label: the class that it is about; a figure about all classes has no such field.
    """

    name: Text
    rows: Rows
    value: float
    better: Literal["higher", "lower"]
    low: float | UnsetType = UNSET
    high: float | UnsetType = UNSET
    label: int | Text | UnsetType = UNSET


class Measured(Frozen, frozen=True):
    """Everything that was measured of a model, by the published bytes.

    The one parser of manifests asks for `problems`: what it gives has every figure that is read here.

    Attributes:
        confusion: counts over the held-out rows; a row for each actual class, a column for each predicted one.
        figures: each once.
    """

    class Counts(Frozen, frozen=True):
        """How many rows there are of each kind."""

        held_out: Count
        training: Count
        all: Count

    counts: Counts
    confusion: tuple[tuple[Count, ...], ...]
    figures: Annotated[tuple[Figure, ...], Meta(max_length=50_000)]

    def by_key(self) -> dict[_Key, Figure]:
        """The figures by name, rows and label."""
        return {(each.name, each.rows, each.label): each for each in self.figures}

    @property
    def held_out(self) -> HeldOut:
        """The figures over the held-out rows that every model has; the log loss is None where there is none."""
        found = self.by_key()
        return HeldOut(
            rows=self.counts.held_out,
            accuracy=_estimate(found["accuracy", "held_out", UNSET]),
            f1_weighted=_estimate(found["f1_weighted", "held_out", UNSET]),
            f1_macro=found["f1_macro", "held_out", UNSET].value,
            log_loss=_log_loss(found, "held_out"),
            classes=tuple(
                HeldOut.ClassFigures(
                    label=label,
                    precision=found["precision", "held_out", label].value,
                    recall=found["recall", "held_out", label].value,
                    f1=found["f1", "held_out", label].value,
                    rows=sum(row),
                )
                for label, row in zip(_recalled(found), self.confusion, strict=True)
            ),
            confusion=self.confusion,
        )

    @property
    def training(self) -> Metrics.Figures | None:
        """The figures over the training rows; None where the model was trained elsewhere, and none is known."""
        return self._plain("training", self.counts.training) if self.counts.training else None

    @property
    def all(self) -> Metrics.Figures:
        """The figures over all rows, training rows included."""
        return self._plain("all", self.counts.all)

    def _plain(self, rows: Rows, count: int) -> Metrics.Figures:
        found = self.by_key()
        return Metrics.Figures(
            rows=count,
            accuracy=found["accuracy", rows, UNSET].value,
            f1_weighted=found["f1_weighted", rows, UNSET].value,
            f1_macro=found["f1_macro", rows, UNSET].value,
            log_loss=_log_loss(found, rows),
        )

    def problems(self, labels: tuple[int | str, ...]) -> Iterator[tuple[str, str]]:
        """Yield the rule and the message of each contradiction in the figures of a model with these classes."""
        count = len(labels)
        if len(self.confusion) != count or any(len(row) != count for row in self.confusion):
            yield "metrics-confusion", f"the confusion matrix must be {count} by {count}"
            return
        counts = self.counts
        if not sum(map(sum, self.confusion)) == counts.held_out > 0 or counts.all != counts.held_out + counts.training:
            yield "metrics-rows", "the confusion matrix does not count the held-out rows"
            return
        yield from self._figure_problems(labels)

    def _figure_problems(self, labels: tuple[int | str, ...]) -> Iterator[tuple[str, str]]:
        found = self.by_key()
        if len(found) < len(self.figures):
            yield "metrics-figures", "a figure stands twice"
        for key, value in _needed(self.confusion, labels).items():
            name, rows, _ = key
            if rows == "training" and not self.counts.training:
                continue
            figure = found.get(key)
            if figure is None:
                yield "metrics-figures", f"{name} of the {rows} rows is missing"
            elif value is not None and abs(figure.value - value) > TOLERANCE:
                yield "metrics-figures", f"{name} does not follow from the confusion matrix"
        for each in self.figures:
            if (each.low is UNSET) != (each.high is UNSET):
                yield "metrics-figures", f"the interval of {each.name} has one end alone"
            elif each.low is not UNSET and each.high is not UNSET and not each.low <= each.high:
                yield "metrics-figures", f"the interval of {each.name} ends before it begins"
        recalled = _recalled(found)
        if recalled != list(labels) and set(labels) <= set(recalled):
            yield "metrics-figures", "the recall of the held_out rows is not that of each class, in their order"


def _estimate(figure: Figure) -> HeldOut.Estimate:
    low, high = (figure.value if each is UNSET else each for each in (figure.low, figure.high))
    return HeldOut.Estimate(value=figure.value, low=low, high=high)


def _recalled(found: dict[_Key, Figure]) -> list[int | str]:
    """The labels whose recall over the held-out rows was measured."""
    return [label for name, rows, label in found if (name, rows) == ("recall", "held_out") and label is not UNSET]


def _log_loss(found: dict[_Key, Figure], rows: Rows) -> float | None:
    figure = found.get(("log_loss", rows, UNSET))
    return None if figure is None else figure.value


def _needed(confusion: tuple[tuple[int, ...], ...], labels: tuple[int | str, ...]) -> dict[_Key, float | None]:
    """Each figure that every model has, and its value where that follows from the confusion matrix."""
    found = recomputed(confusion)
    needed: dict[_Key, float | None] = {}
    for name in ("accuracy", "f1_weighted", "f1_macro"):
        needed |= {(name, "held_out", UNSET): found[name], (name, "training", UNSET): None, (name, "all", UNSET): None}
    for position, label in enumerate(labels):
        needed |= {(name, "held_out", label): found[f"classes[{position}].{name}"] for name in LABEL_FIGURES}
    return needed

"""An evaluation: predictions are scored by labels that came later, and the figures are compared with minimums."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.manifest1 import GateRecord
from artifact_pipeline.errors import ConfigError, GateFailed, Problem
from artifact_pipeline.prediction.labels import ROW, score
from artifact_pipeline.rows.sources import find_sources, places_of
from artifact_pipeline.storage.outputs import check_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.artifact.manifest1 import Metric
    from artifact_pipeline.prediction.labels import Evaluation
    from artifact_pipeline.storage.outputs import Place


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """The arguments of an evaluation.

    Attributes:
        predictions: what `predict` wrote: a file, a folder of parts, a pattern or a URL.
        labels: a table of keys and labels.
        keys: the columns, in both tables, by which labels and predictions are joined.
        label: the label's column; None takes the only one that is no key.
        minimums: the least accuracy and the least weighted F1, 0 to 1; None, or a missing one, asks for none.
        outputs: files that the caller writes; none of them may be an input.
    """

    predictions: str
    labels: str
    keys: tuple[str, ...] = (ROW,)
    label: str | None = None
    minimums: Mapping[Metric, float | None] = field(default_factory=dict)
    outputs: tuple[Place, ...] = ()


def evaluate(
    request: EvaluationRequest, progress: Callable[[int, float], None] = lambda _rows, _share: None
) -> Evaluation:
    """Score predictions by labels that came later.

    Args:
        request: its arguments.
        progress: called with the rows of each batch, and the share of the predictions that has been read.

    Raises:
        ConfigError: the keys, the label or a minimum cannot be used, or an output is an input.
        DataRejected: a file cannot be read or is none of its kind, a key stands twice, a label is missing or
            unknown, or nothing matches.
        GateFailed: a figure is below its minimum; `result` is the evaluation.
    """
    _check(request)
    found = score(request.predictions, request.labels, keys=request.keys, label=request.label, progress=progress)
    found = replace(found, rules=tuple(_rules(found.figures, request.minimums)))
    failed = [rule for rule in found.rules if not rule.passed]
    if failed:
        problems = [Problem("gate", f"gate-{rule.name}", rule.shortfall) for rule in failed]
        error = GateFailed("the gate failed", problems=problems)
        error.result = found
        raise error
    return found


def _check(request: EvaluationRequest) -> None:
    if not request.keys or len(set(request.keys)) < len(request.keys):
        raise ConfigError("--key: name at least one column, and each once")
    if request.label in request.keys:
        raise ConfigError(f"--label: {request.label!r} is a key")
    for metric, minimum in request.minimums.items():
        if minimum is not None and not 0 <= minimum <= 1:
            raise ConfigError(f"the least {metric} must be 0 to 1, not {minimum}")
    if request.outputs:
        predictions = request.predictions
        read = [
            *places_of([predictions], find_sources([predictions], "csv"), role="the predictions"),
            *places_of([request.labels], [], role="the labels"),
        ]
        check_outputs(read, request.outputs)


def _rules(figures: HeldOut, minimums: Mapping[Metric, float | None]) -> Iterator[GateRecord.Rule]:
    observed: dict[Metric, float] = {"accuracy": figures.accuracy.value, "f1_weighted": figures.f1_weighted.value}
    for metric, value in observed.items():
        minimum = minimums.get(metric)
        if minimum is not None:
            yield GateRecord.Rule(metric=metric, minimum=minimum, observed=value, passed=value >= minimum)

"""The published model beside the estimator that it was written from: do they answer alike?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.manifest2 import WrittenModel
from artifact_pipeline.artifact.parts import DECIMALS
from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.training.fitting import last_step
from artifact_pipeline.training.ties import tied_neighbours, tied_votes

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.model.predictor import Answers
    from artifact_pipeline.training.fitting import FittedModel

_PARITY = 1e-6
"""The greatest difference between the published model and the estimator, as a share of scores above 1."""


def measure_parity(fitted: FittedModel, answered: Iterable[tuple[Any, Answers]]) -> WrittenModel.Parity:
    """Compare the published model's answers with the estimator's, row by row; a tied row may get another label.

    Raises:
        ArtifactRejected: a label differs where two answers are no tie, or an answer by more than 1e-6.
    """
    import numpy as np

    rows = ties = unequal = 0
    difference = 0.0
    for taken, answers in answered:
        classifier, prepared = last_step(fitted.model, taken)
        positions, values = _estimator_answers(classifier, prepared, answers)
        by_class = np.ascontiguousarray(values.T)  # NumPy takes several times as long over a few values of each row
        scale = np.maximum(1.0, np.abs(by_class).max(axis=0))
        neighbours = tied_neighbours(classifier, prepared)
        tied = (_margin(by_class) <= _PARITY * scale) | neighbours
        differences = np.where(neighbours, 0.0, np.abs(answers.values.T - by_class).max(axis=0) / scale)
        wrong = (answers.positions != positions) & ~tied
        if wrong.any() or not differences.max() <= _PARITY:
            votes = (wrong | ~(differences <= _PARITY)) & tied_votes(classifier, prepared)
            tied, wrong, differences = tied | votes, wrong & ~votes, np.where(votes, 0.0, differences)
        rows, ties, unequal = rows + len(positions), ties + int(tied.sum()), unequal + int(wrong.sum())
        difference = float(np.max([difference, differences.max()]))
    if unequal or not difference <= _PARITY:
        message = (
            f"{unequal} of {rows} labels differ from the estimator's, and an answer by {difference:.1e} "
            f"({_PARITY:.0e} at most)"
        )
        raise ArtifactRejected(
            "the model that would be published is not the model that was trained",
            problems=[Problem("model.onnx", "parity", message)],
            hint="train another classifier; and report this, with the config, as a bug",
        )
    return WrittenModel.Parity(rows=rows, ties=ties, max_difference=round(difference, DECIMALS))


def _margin(by_class: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each row's best value is above its second; of shape (rows,) for values of shape (classes, rows)."""
    import numpy as np

    first: NDArray[np.float64] = np.maximum(*by_class[:2])
    second: NDArray[np.float64] = np.minimum(*by_class[:2])
    for values in by_class[2:]:
        second = np.maximum(second, np.minimum(first, values))
        first = np.maximum(first, values)
    return first - second


def _estimator_answers(classifier: Any, rows: Any, answers: Answers) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels, as positions, and probabilities, or scores, of the classifier; the published ones where it has none."""
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fit has given them
        labels, values = classifier.predict(rows), answers.values
        if answers.kind == "probabilities":
            values = classifier.predict_proba(rows)
        elif hasattr(classifier, "decision_function"):
            values = classifier.decision_function(rows)
    if values.ndim == 1:
        values = np.column_stack([np.zeros(len(values)), values])
    return np.searchsorted(classifier.classes_, labels), values

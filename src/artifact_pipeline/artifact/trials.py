"""The results of a search: `search.jsonl` in an artifact, a canonical line for each, and which of them is chosen.

The file is a member of the artifact, with the role `search`: the manifest has its digest, and whatever carries,
verifies or signs an artifact does so with it. Its lines are in the order of rows, then of trials.
"""

from __future__ import annotations

from math import fsum, inf, isfinite, sqrt
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, UnsetType, json

from artifact_pipeline.artifact.parts import Count, Frozen
from artifact_pipeline.canonical import canonical_line
from artifact_pipeline.errors import ArtifactRejected, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from artifact_pipeline.artifact.manifest import Verified

ROLE = "search"
RESULTS = "search.jsonl"
_LOWER = {"log_loss", "brier"}
"""The metrics of which less is better."""


class Trial(Frozen, frozen=True):
    """What came of one trial.

    Attributes:
        trial: its number in the plan.
        rows: how many training rows it was fitted and scored on, in all folds together.
        model: what was drawn: the config's `model`, and `preprocess` where the space has it.
        scores: the metric on each fold, of each repeat after the other; none where it failed.
        error: why it failed.
    """

    trial: Count
    rows: Count
    model: dict[str, Any]
    scores: tuple[float, ...] = ()
    error: str | UnsetType = UNSET

    @property
    def mean(self) -> float:
        """The mean of the scores."""
        return fsum(self.scores) / len(self.scores)

    @property
    def standard_error(self) -> float:
        """The standard error of the mean, as if the folds were independent, which they are not."""
        mean, count = self.mean, len(self.scores)
        return sqrt(fsum((each - mean) ** 2 for each in self.scores) / (count - 1) / count) if count > 1 else 0.0

    @property
    def estimator(self) -> str:
        """The name of the classifier."""
        return str(self.model["model"].get("estimator", "LogisticRegression"))

    def line(self) -> bytes:
        """The canonical line of this result."""
        return canonical_line(self.plain())

    @classmethod
    def of_line(cls, line: bytes) -> Trial:
        """Return the result that a line stands for.

        Raises:
            ValueError: it is no canonical line of one.
        """
        trial = json.decode(line, type=cls)
        if trial.line() != line or not all(map(isfinite, trial.scores)):
            raise ValueError("not in canonical form")
        if (not trial.scores) != (trial.error is not UNSET):
            raise ValueError("a trial has scores, or an error")
        return trial


def lines(trials: Iterable[Trial]) -> bytes:
    """Return the bytes of `search.jsonl`."""
    return b"".join(each.line() for each in sorted(trials, key=lambda each: (each.rows, each.trial)))


def trials_of(artifact: Verified) -> tuple[Trial, ...]:
    """Return the results of the search that gave an artifact; none where there was no search.

    Raises:
        ArtifactRejected: the file is none that a search writes.
    """
    record = next((each for each in artifact.manifest.files if each.role == ROLE), None)
    if record is None:
        return ()
    data = artifact.members[record.name]
    try:
        found = tuple(map(Trial.of_line, data.splitlines(keepends=True)))
    except (ValueError, LookupError, AttributeError, RecursionError) as error:
        raise _rejected(record.name, str(error)[:200]) from None
    if lines(found) != data or len({(each.rows, each.trial) for each in found}) != len(found):
        raise _rejected(record.name, "its lines are out of order, or one stands twice")
    return found


def _rejected(name: str, message: str) -> ArtifactRejected:
    problem = Problem(name, "search-invalid", message)
    return ArtifactRejected("the results of the search are not valid", problems=[problem])


def ranked(trials: Iterable[Trial], metric: str) -> list[Trial]:
    """Return the results that have scores, the best mean first; of equal ones the lowest number."""
    sign = 1 if metric in _LOWER else -1
    scored = [each for each in trials if each.scores]
    return sorted(scored, key=lambda each: (sign * each.mean, each.trial))


def choose(trials: Sequence[Trial], metric: str, select: str) -> Trial | None:
    """Return the result whose model is taken: among those on the most rows the best mean, then the lowest number.

    Args:
        trials: all results.
        metric: what the scores are.
        select: `best`; `one_se` takes the simplest model within one standard error of the best mean.

    Returns:
        None where every trial failed.
    """
    most = max((each.rows for each in trials if each.scores), default=0)
    found = ranked((each for each in trials if each.rows == most), metric)
    if not found or select == "best":
        return next(iter(found), None)
    best = found[0]
    near = [each for each in found if abs(each.mean - best.mean) <= best.standard_error]
    return min(near, key=lambda each: (_complexity(each.model["model"]), each.trial))


def _rising(name: str, default: float) -> Callable[[dict[str, Any]], float]:
    """More of a parameter is a more complex model; null is no limit."""
    return lambda model: _number(model.get(name, default), inf)


def _falling(name: str, default: float) -> Callable[[dict[str, Any]], float]:
    """Less of a parameter is a more complex model."""
    return lambda model: -_number(model.get(name, default), 0.0)


def _number(value: Any, null: float) -> float:
    if isinstance(value, list | tuple):
        return fsum(_number(each, 0.0) for each in value)
    if value is None:
        return null
    return float(value) if isinstance(value, int | float) else 0.0


_TREES = (_rising("n_estimators", 100), _rising("max_depth", inf), _falling("min_samples_leaf", 1))
SIMPLER: dict[str, tuple[Callable[[dict[str, Any]], float], ...]] = {
    "NearestCentroid": (),
    "GaussianNB": (_falling("var_smoothing", 1e-9),),
    "RidgeClassifier": (_falling("alpha", 1.0),),
    "LinearDiscriminantAnalysis": (),
    "LogisticRegression": (_rising("C", 1.0),),
    "LinearSVC": (_rising("C", 1.0),),
    "SGDClassifier": (_falling("alpha", 1e-4),),
    "QuadraticDiscriminantAnalysis": (_falling("reg_param", 0.0),),
    "DecisionTreeClassifier": (_rising("max_depth", inf), _falling("min_samples_leaf", 1)),
    "KNeighborsClassifier": (_falling("n_neighbors", 5),),
    "SVC": (_rising("C", 1.0), _rising("gamma", 0.0)),
    "RandomForestClassifier": _TREES,
    "ExtraTreesClassifier": _TREES,
    "GradientBoostingClassifier": (_rising("n_estimators", 100), _rising("max_depth", 3)),
    "HistGradientBoostingClassifier": (_rising("max_iter", 100), _rising("max_leaf_nodes", 31)),
    "MLPClassifier": (_rising("hidden_layer_sizes", 100), _falling("alpha", 1e-4)),
}
"""What `one_se` takes for simpler: an earlier classifier, then less of what is named; others come last, all alike."""


def _complexity(model: dict[str, Any]) -> tuple[float, ...]:
    name = str(model.get("estimator", "LogisticRegression"))
    if name not in SIMPLER:
        return (float(len(SIMPLER)),)
    return (float([*SIMPLER].index(name)), *(each(model) for each in SIMPLER[name]))

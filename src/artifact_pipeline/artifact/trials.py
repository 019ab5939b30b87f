"""The results of a search: `search.jsonl` in an artifact, a canonical line for each, and which of them is chosen.

The file is a member of the artifact, with the role `search`: the manifest has its digest, and whatever carries,
verifies or signs an artifact does so with it. Its lines are in the order of rows, then of trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, inf, sqrt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from msgspec import UNSET, Meta, UnsetType, json

from artifact_pipeline.artifact.parts import Count, Frozen
from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.errors import ArtifactRejected, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from artifact_pipeline.artifact.manifest import Verified

ROLE = "search"
FILE = "search.jsonl"
_LOWER = {"log_loss", "brier"}
"""The metrics of which less is better."""
_Score = Annotated[float, Meta(ge=-1e100, le=1e100)]
"""Within bounds where sums and squares of scores are finite: the file may come from anybody."""


@dataclass(frozen=True, slots=True)
class SearchResults:
    """The results of a search, in the order of their lines."""

    class Trial(Frozen, frozen=True):
        """The result of one trial.

        Attributes:
            trial: its number in the plan.
            rows: how many training rows it was fitted on, at most, in all folds together.
            model: what was drawn: the config's `model`, and `preprocess` where the space has it.
            scores: the metric on each fold, one repeat after the other; none where it failed.
            error: why it failed.
        """

        trial: Count
        rows: Count
        model: dict[str, Any]
        scores: tuple[_Score, ...] = ()
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
        def deviation(self) -> float:
            """The standard deviation of the scores."""
            return self.standard_error * sqrt(len(self.scores))

        @property
        def estimator(self) -> str:
            """The name of the classifier."""
            return str(self.model["model"].get("estimator"))

        def line(self) -> bytes:
            """The canonical line of this result."""
            return canonical_json(self.plain(), in_line=True)

        @classmethod
        def of_line(cls, line: bytes) -> Self:
            """Return the result that a line stands for.

            Raises:
                ValueError: it is no canonical line of one.
            """
            trial = json.decode(line, type=cls)
            if trial.line() != line:
                raise ValueError("not in canonical form")
            if bool(trial.scores) == (trial.error is not UNSET):
                raise ValueError("a trial has scores, or an error")
            if type(trial.model.get("model")) is not dict:
                raise ValueError("a trial has a model")
            return trial

    @dataclass(frozen=True, slots=True)
    class Standing:
        """The state of a search that runs.

        Attributes:
            done: how many results there are.
            taken_up: how many of them an earlier run has found.
            total: how many there will be.
            best: the best results of the current round, the best first.
            metric: what their scores are.
        """

        done: int
        taken_up: int
        total: int
        best: tuple[SearchResults.Trial, ...]
        metric: str

    trials: tuple[Trial, ...]

    PROVES: ClassVar[str] = (
        "Scores are of folds of the training rows. Those of the chosen trial are too good, since it is the best of "
        "many; the held-out rows were read once, by its model."
    )

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> Self:
        """Return results in the order of their lines."""
        return cls(tuple(sorted(trials, key=lambda each: (each.rows, each.trial))))

    @classmethod
    def of_artifact(cls, artifact: Verified) -> Self | None:
        """Return the results of the search that gave an artifact; None where there was no search.

        Raises:
            ArtifactRejected: the file is none that a search writes.
        """
        record = next((each for each in artifact.manifest.files if each.role == ROLE), None)
        if record is None:
            return None
        data = artifact.members[record.name]
        try:
            found = cls.of(map(SearchResults.Trial.of_line, data.splitlines(keepends=True)))
        except (ValueError, RecursionError) as error:
            raise _rejected(record.name, str(error)[:200]) from None
        if found.lines != data or len({(each.rows, each.trial) for each in found.trials}) != len(found.trials):
            raise _rejected(record.name, "its lines are out of order, or one stands twice")
        return found

    @property
    def lines(self) -> bytes:
        """The bytes of `search.jsonl`."""
        return b"".join(each.line() for each in self.trials)

    def ranked(self, metric: str) -> list[Trial]:
        """Return the results that have scores, the best mean first; of equal ones the lowest number."""
        sign = 1 if metric in _LOWER else -1
        return sorted((each for each in self.trials if each.scores), key=lambda each: (sign * each.mean, each.trial))

    def chosen(self, metric: str, select: str) -> Trial | None:
        """Return the result whose model is taken; None where every trial failed.

        Of the results on the most rows, `select` takes the `best` mean, and of equal ones the lowest number; `one_se`
        takes the simplest model within one standard error of the best mean.
        """
        ranked = self.ranked(metric)
        most = max((each.rows for each in ranked), default=0)
        found = [each for each in ranked if each.rows == most]
        if not found:
            return None
        best = found[0]
        if select == "best":
            return best
        near = [each for each in found if abs(each.mean - best.mean) <= best.standard_error]
        return min(near, key=lambda each: (_complexity(each.model["model"]), each.trial))

    def over_first(self, recipe: Mapping[str, Any]) -> tuple[float, float, float] | None:
        """Return how much better than trial 0 the chosen trial of a manifest's recipe is on the same folds.

        It is the mean difference of the metric, and its 95 % interval; None where trial 0 is chosen, or has no scores
        on as many rows, or the folds differ in size.
        """
        from artifact_pipeline.metrics import paired

        asked, split = recipe.get("search"), recipe.get("split")
        if not isinstance(asked, dict) or (isinstance(split, dict) and split.get("by") == "time"):
            return None
        folds, winner = asked.get("folds"), self.chosen(str(asked.get("metric")), str(asked.get("select")))
        if winner is None or not isinstance(folds, int) or folds < 2:
            return None
        first = next((each for each in self.trials if (each.trial, each.rows) == (0, winner.rows)), None)
        if first is None or first is winner or not len(first.scores) == len(winner.scores) > 1:
            return None
        differences = [ours - theirs for ours, theirs in zip(winner.scores, first.scores, strict=True)]
        return paired.resampled_interval(differences, 1 / (folds - 1))


def _rejected(name: str, message: str) -> ArtifactRejected:
    problem = Problem(name, "search-invalid", message)
    return ArtifactRejected("the results of the search are not valid", problems=[problem])


def _rising(name: str, default: float) -> Callable[[dict[str, Any]], float]:
    """The complexity of a model that is more complex with more of a parameter; null is no limit."""
    return lambda model: _number(model.get(name, default), inf)


def _falling(name: str, default: float) -> Callable[[dict[str, Any]], float]:
    """The complexity of a model that is more complex with less of a parameter."""
    return lambda model: -_number(model.get(name, default), 0.0)


def _number(value: Any, null: float) -> float:
    """The value of a parameter, or the sum of its values; whole numbers of any size stay whole."""
    if isinstance(value, list | tuple):
        return sum(each for each in value if isinstance(each, int | float))
    if value is None:
        return null
    return value if isinstance(value, int | float) else 0.0


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
"""The order of `one_se`: an earlier classifier is simpler, then a lower complexity; others come last, all alike."""


def _complexity(model: dict[str, Any]) -> tuple[float, ...]:
    name = str(model.get("estimator"))
    if name not in SIMPLER:
        return (float(len(SIMPLER)),)
    return (float([*SIMPLER].index(name)), *(each(model) for each in SIMPLER[name]))

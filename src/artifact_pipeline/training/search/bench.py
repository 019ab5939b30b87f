"""One trial: a model is drawn, fitted on each fold by the functions of a training, and scored by scikit-learn's.

A bench holds all that a result depends on, so that a result is the same wherever it is computed.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.trials import SearchResults
from artifact_pipeline.config import with_model
from artifact_pipeline.errors import DataRejected, PipelineError, Problem
from artifact_pipeline.rows.folding import fold_rare_levels
from artifact_pipeline.training.estimators import resolved
from artifact_pipeline.training.fitting import fit_model, one_thread
from artifact_pipeline.training.pipeline import known_columns, unfitted
from artifact_pipeline.training.search.folds import Fold, folds_of, ranks_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.features import Column, Features
    from artifact_pipeline.training.dataset import Dataset
    from artifact_pipeline.training.splits import Labels

    TrialKey = tuple[int, int]  # the number of the trial, and how many rows, in the order of halving, are fitted on

_SCORERS = {"log_loss": "neg_log_loss", "brier": "neg_brier_score"}
"""scikit-learn's names for metrics that it has with the other sign."""
_MAX_REASON = 500
"""Characters of the reason of a failure."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The training rows, how they are folded, and the config with its search; one copy serves every trial.

    Attributes:
        columns: the columns of the training rows, with all their levels.
        ranks: the place of each training row in the order of halving.
    """

    config: Config
    columns: tuple[Column, ...]
    features: Features
    y: Labels
    folds: tuple[Fold, ...]
    ranks: NDArray[np.int64]

    @classmethod
    def of(cls, config: Config, data: Dataset) -> Bench:
        """Take the training rows, and fold them.

        Raises:
            DataRejected: they cannot be folded as asked.
        """
        assert config.search is not None
        y = data.y[data.train]
        return cls(
            config,
            tuple(data.rows.columns),
            data.rows.features.take(data.train),
            y,
            folds=folds_of(data, config, config.search),
            ranks=ranks_of(y, config.search.seed),
        )

    def run(self, key: TrialKey) -> SearchResults.Trial:
        """Return the result of a trial; a failure is a result, too."""
        number, rows = key
        drawn = sections(self.config, number)
        try:
            config = resolved(with_model(self.config, drawn))
            parts = [Fold(fold.train[self.ranks[fold.train] < rows], fold.test) for fold in self.folds]
            models = [self._unfitted(config, part.train) for part in parts]
            scorer = self._scorer()
            with one_thread():  # what the models need has been imported
                found = [self._score(*model, part, scorer) for model, part in zip(models, parts, strict=True)]
        except (PipelineError, ValueError) as error:
            return SearchResults.Trial(trial=number, rows=rows, model=drawn, error=_reason(error))
        return SearchResults.Trial(trial=number, rows=rows, model=drawn, scores=tuple(found))

    def _unfitted(self, config: Config, train: NDArray[np.int64]) -> tuple[Any, tuple[Column, ...]]:
        """Return the model of a trial, and the columns as it knows them by some rows."""
        import numpy as np

        columns = known_columns(config, fold_rare_levels(self.columns, self.features, train).columns)
        return unfitted(config, columns, np.unique(self.y).tolist()), columns

    def _score(self, model: Any, columns: tuple[Column, ...], part: Fold, scorer: Any) -> float:
        """Fit on some rows, and score on others."""
        fitted = fit_model(model, columns, self.features.take(part.train), self.y[part.train])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                score = float(scorer(fitted.model, fitted.inputs(self.features.take(part.test)), self.y[part.test]))
            except (AttributeError, ValueError) as error:
                raise _unscored(str(error).splitlines()[0]) from error
        if not math.isfinite(score):
            raise _unscored("the score is not finite")
        assert self.config.search is not None
        return -score if self.config.search.metric in _SCORERS else score

    def _scorer(self) -> Any:
        """scikit-learn's own function for the metric."""
        import numpy as np
        from sklearn.metrics import get_scorer

        assert self.config.search is not None
        metric = self.config.search.metric
        if metric == "roc_auc" and len(np.unique(self.y)) > 2:
            return get_scorer("roc_auc_ovr")
        return get_scorer(_SCORERS.get(metric, metric))


def sections(config: Config, number: int) -> dict[str, Any]:
    """Return the model of a trial, as the config's sections, drawn by seed and number; without a space the config's."""
    assert config.search is not None
    if config.search.space is None:
        assert config.model is not None
        return {"model": config.model.model_dump()}
    import numpy as np

    return config.search.draw(np.random.default_rng([config.search.seed, number]))


def _unscored(why: str) -> DataRejected:
    return DataRejected("the model cannot be scored", problems=[Problem("rows", "unscored", why.removesuffix("."))])


def _reason(error: PipelineError | ValueError) -> str:
    """Why a trial failed, in a line."""
    problems = getattr(error, "problems", ())
    found = problems[0].message if problems else str(error)
    return " ".join(found.split())[:_MAX_REASON]

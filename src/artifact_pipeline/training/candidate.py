"""A training's computation: config and rows become every byte of an artifact, in memory.

`train` touches nothing outside this process; `publication.publish` writes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from artifact_pipeline.errors import plural
from artifact_pipeline.training import sealing1
from artifact_pipeline.training.dataset import Dataset, is_format_1

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.config import Config
    from artifact_pipeline.training.sealed import Candidate


def train(config: Config, data: Dataset | None = None, *, progress: Callable[[str], None], jobs: int = 1) -> Candidate:
    """Train, measure and judge.

    Args:
        config: the resolved config.
        data: the rows and their split; None loads those that the config names.
        progress: is called with each step, in a few words.
        jobs: how many parts of the model are fitted at a time; no bit depends on it.

    Raises:
        ConfigError: the solver cannot learn so many classes, or the config names a label that the rows do not have.
        DataRejected: the rows cannot be read, split or learned.
        ArtifactRejected: the model that would be published is not the one that was trained.
    """
    import numpy as np

    from artifact_pipeline.config.problems import by_label
    from artifact_pipeline.training.fit import Scales, fit

    if data is None:
        progress("loading rows")
        data = Dataset.load(config)
    if isinstance(config.gate.min_recall, dict):
        by_label("gate.min_recall", config.gate.min_recall, np.unique(data.y).tolist())
    progress(f"training on {plural(len(data.train), 'row')}")
    if not is_format_1(config):
        return _of_any_family(config, data, progress, jobs)
    fitted = fit(data.X[data.train], data.y[data.train], config)
    progress("measuring the model that is published")
    candidate = sealing1.seal(config, data, fitted)
    return (
        candidate
        if fitted.converged
        else replace(candidate, scales=Scales.furthest(data.X[data.train], data.rows.names))
    )


def _of_any_family(config: Config, data: Dataset, progress: Callable[[str], None], jobs: int) -> Candidate:
    """Train a model of format 2."""
    import numpy as np

    from artifact_pipeline.rows.folding import fold_rare_levels
    from artifact_pipeline.training import sealing2
    from artifact_pipeline.training.fitting import fit_model
    from artifact_pipeline.training.pipeline import known_columns, unfitted

    rows = data.rows
    folded = fold_rare_levels(rows.columns, rows.features, data.train)
    columns = known_columns(config, folded.columns)
    y = data.y[data.train]
    model = unfitted(config, columns, np.unique(y).tolist())
    fitted = fit_model(model, columns, rows.features.take(data.train), y, jobs=jobs)
    progress("measuring the model that is published")
    return replace(sealing2.seal(config, data, fitted), notes=(*folded.notes, *fitted.notes))

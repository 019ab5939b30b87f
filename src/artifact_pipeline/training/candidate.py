"""A training's computation: config and rows become every byte of an artifact, in memory.

`train` touches nothing outside this process; `publication.publish` writes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from artifact_pipeline.config.problems import by_label
from artifact_pipeline.errors import plural
from artifact_pipeline.rows.folding import fold_rare_levels
from artifact_pipeline.training import sealing
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.fitting import fit_model
from artifact_pipeline.training.pipeline import known_columns, unfitted
from artifact_pipeline.training.scales import Scales
from artifact_pipeline.training.search.run import Searched, search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.config import Config
    from artifact_pipeline.training.sealed import Candidate


def train(
    config: Config,
    data: Dataset | None = None,
    *,
    progress: Callable[[str], None],
    jobs: int = 1,
    searched: Searched | None = None,
) -> Candidate:
    """Train, measure and judge.

    Args:
        config: the resolved config.
        data: the rows and their split; None loads those that the config names.
        progress: is called with each step, in a few words.
        jobs: how many parts of the model, and trials of a search, are fitted at a time; no bit depends on it.
        searched: what the search of the config gave; None searches, where the config has one.

    Raises:
        ConfigError: the solver cannot learn so many classes, the columns need a step that the config does not have, or
            the config names a label that the rows do not have.
        DataRejected: the rows cannot be read, split or learned.
        ArtifactRejected: the model that would be published is not the one that was trained.
    """
    import numpy as np

    if data is None:
        progress("loading rows")
        data = Dataset.load(config)
    if isinstance(config.gate.min_recall, dict):
        by_label("gate.min_recall", config.gate.min_recall, np.unique(data.y).tolist())
    chosen, results = config, b""
    if config.search is not None:
        if searched is None:
            progress("searching")
            searched = search(config, data, at=jobs)
        config, chosen, results = searched.config, searched.chosen, searched.results.lines
    progress(f"training on {plural(len(data.train), 'row')}")
    rows = data.rows
    folded = fold_rare_levels(rows.columns, rows.features, data.train)
    columns = known_columns(chosen, folded.columns)
    y = data.y[data.train]
    model = unfitted(chosen, columns, np.unique(y).tolist())
    fitted = fit_model(model, columns, rows.features.take(data.train), y, jobs=jobs)
    progress("measuring the model that is published")
    candidate = sealing.seal(config, data, fitted, results=results)
    scaled = fitted.converged or chosen.preprocess != "none"
    return replace(
        candidate,
        notes=(*_of_feedback(config, data), *folded.notes, *fitted.notes),
        left_out=data.left_out,
        scales=None if scaled else Scales.furthest(data.X[data.train], rows.names),
    )


def _of_feedback(config: Config, data: Dataset) -> Iterator[str]:
    if data.left_out:
        yield f"{plural(data.left_out, 'row')} of the feedback left out: held out to measure on"
    elif config.feedback and not data.rows.feedback:
        yield "the feedback has no row yet, and nothing is learned from it"

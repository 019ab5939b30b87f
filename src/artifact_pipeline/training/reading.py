"""A training's config: read, compared with scikit-learn's own constraints, and resolved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifact_pipeline.config import from_mapping, load_config
from artifact_pipeline.config.estimators import WRITTEN
from artifact_pipeline.config.problems import Fault
from artifact_pipeline.training import estimators

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from artifact_pipeline.config import Config

_METRICS = ("min_balanced_accuracy", "min_roc_auc", "max_log_loss", "max_brier")
_LATER: dict[tuple[str, ...], tuple[str | None, str]] = {
    ("preprocess",): ("none", "columns cannot be prepared yet"),
    ("dataset", "columns"): (None, "the kinds of columns cannot be chosen yet"),
    **{("gate", name): (None, "no gate judges it yet") for name in _METRICS},
}
"""Keys that are read and that no training uses yet, the one value that they may have, and why."""


def read_config(source: Path | Mapping[str, object], overrides: Sequence[str] = ()) -> Config:
    """Return the config of a training.

    Args:
        source: a file, or the values.
        overrides: win over it, such as `gate.min_f1=0.9`.

    Raises:
        ConfigError: with every problem, those of scikit-learn's parameters too.
    """
    if isinstance(source, Path):
        return estimators.resolved(load_config(source, overrides, check=_faults))
    return estimators.resolved(from_mapping(source, overrides, check=_faults))


def _faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    yield from estimators.faults(values)
    yield from _not_yet(values)


def _not_yet(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what a config may say and format 1 cannot write."""
    model, split = values.get("model"), values.get("split")
    name = model.get("estimator") if isinstance(model, dict) else None
    if name in WRITTEN and name != "LogisticRegression":
        yield Fault(("model", "estimator"), "not-yet", "LogisticRegression, which alone can be trained yet", value=name)
    if isinstance(split, dict) and split.get("by") == "held_out":
        yield Fault(
            ("split", "by"), "not-yet", "random, hash, group or time, which alone are made yet", value="held_out"
        )
    for path, (only, why) in _LATER.items():
        found: Any = values
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if found not in (None, only):
            yield Fault(path, "not-yet", f"left away: {why}", value=found)

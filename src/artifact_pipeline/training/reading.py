"""A training's config: read, compared with scikit-learn's own constraints, and resolved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from artifact_pipeline.config import from_mapping, load_config
from artifact_pipeline.training import estimators

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.config import Config


def read_config(
    source: Path | Mapping[str, object], overrides: Sequence[str] = (), *, data: bytes | None = None
) -> Config:
    """Return the config of a training.

    Args:
        source: a file, or the values.
        overrides: win over it, such as `gate.min_f1=0.9`.
        data: what the file holds, where it has been read.

    Raises:
        ConfigError: with every problem, those of scikit-learn's parameters too.
    """
    if isinstance(source, Path):
        return estimators.resolved(load_config(source, overrides, check=estimators.faults, data=data))
    values = {key: _plain(value) for key, value in source.items()}
    return estimators.resolved(from_mapping(values, overrides, check=estimators.faults))


def _plain(value: object) -> object:
    """A value of Python as JSON has it: a path is its text, a tuple an array, and a number of NumPy a number."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, PurePath):
        return str(value)
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value

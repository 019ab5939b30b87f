"""What a config says of single classes, for the labels that the rows have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.config.jsontext import shown
from artifact_pipeline.config.problems import suggestion
from artifact_pipeline.errors import ConfigError, Problem, listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST = 20
"""Labels that a message names."""


def by_label(key: str, values: Mapping[str, float], labels: Sequence[int | str]) -> dict[int | str, float]:
    """What a key of the config says by label, for the labels themselves and in their order.

    Args:
        key: the key, such as `gate.min_recall`.
        values: a number for each label, which JSON writes as text.
        labels: the labels that the rows have.

    Raises:
        ConfigError: a label that the rows have not; each is a problem.
    """
    there = {str(label): label for label in labels}
    problems = [
        Problem("config", "unknown-label", f"{key}.{shown(name)}: no row has this label{_instead(name, list(there))}")
        for name in values
        if name not in there
    ]
    if problems:
        raise ConfigError(
            "the config names labels that the rows have not",
            problems=problems,
            hint="write each label as the target column has it",
        )
    return {label: values[name] for name, label in there.items() if name in values}


def _instead(name: str, there: Sequence[str]) -> str:
    """What may have been meant by a label, or else which ones there are."""
    return suggestion(name, there) or f", the labels are {listing([shown(each) for each in there], _MOST)}"

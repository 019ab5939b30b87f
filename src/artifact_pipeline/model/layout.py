"""What a fitted model of scikit-learn consists of: a classifier alone, or behind the steps that prepare the columns.

A `Pipeline` may stand in a `Pipeline`, and begin with a `ColumnTransformer`, whose columns were chosen by names, by
positions or by a function. scikit-learn is not imported: a step is known by its class's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.model.families.encoders import (
    ENCODERS,
    accepts_unknown,
    is_missing_level,
    level_text,
    levels_at,
    levels_of,
)
from artifact_pipeline.model.families.family import not_written, of_step
from artifact_pipeline.rows.features import MAX_LEVEL_BYTES, MAX_LEVELS, MISSING, Column

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

_UNSEEN_NUMBER = 2.0**31
"""An unknown level among levels that are numbers."""
_COLUMN_TRANSFORMER = "ColumnTransformer"
_NO_STEPS = {
    "FunctionTransformer": "compute such columns before, in the data; or take one of scikit-learn's scalers",
    "FeatureUnion": "take a ColumnTransformer",
    _COLUMN_TRANSFORMER: "let it be the first step, and no step of another one",
}
"""Steps that no model can have, and what to use instead."""


class NamedStep(NamedTuple):
    """A fitted step, and its name with those of the pipelines around it."""

    name: str
    step: Any


@dataclass(frozen=True, slots=True)
class Branch:
    """Some columns, and the steps on them.

    Attributes:
        columns: their positions among those that the model was fitted on.
        imputer: the imputer before the encoder; None where there is none, or no encoder.
        encoder: what makes numbers of categories; None where the columns are numbers.
    """

    name: str
    columns: tuple[int, ...]
    imputer: NamedStep | None
    encoder: NamedStep | None
    steps: tuple[NamedStep, ...]

    def takes(self, names: Sequence[str], booleans: Collection[str]) -> list[Column]:
        """The columns, each as if it could be missing.

        Raises:
            ConfigError: a level is none that a model can have.
        """
        own = [names[position] for position in self.columns]
        if self.encoder is None:
            return [Column(name, "boolean" if name in booleans else "number", nullable=True) for name in own]
        encoder, found = self.encoder.step, []
        with of_step(self.encoder.name):
            for name, levels in zip(own, levels_of(encoder), strict=True):
                _check_levels(name, levels)
                other: Any = "accept" if accepts_unknown(encoder) and name not in booleans else "refuse"
                found.append(Column(name, "category", nullable=True, levels=tuple(sorted(levels)), other=other))
        return found

    def takes_missing(self, at: int) -> bool:
        """Whether the column at `at` may be missing: the model imputes it, or knows it as a level."""
        if self.encoder is None:
            return any(type(each.step).__name__ == "SimpleImputer" for each in self.steps)
        encoder = self.encoder.step
        levels = levels_at(encoder, at)
        imputed = self.imputer is not None and level_text(self.imputer.step.statistics_[at]) in levels
        return MISSING in levels or imputed or accepts_unknown(encoder)

    def as_fitted(self, texts: NDArray[Any], at: int) -> NDArray[Any]:
        """Return levels as the encoder learned them: as numbers where they were numbers, missing ones as it has them.

        `texts` are levels of the column at `at` as an artifact has them, objects of shape (rows,).
        """
        import numpy as np

        assert self.encoder is not None
        encoder = self.encoder.step
        own = dict(zip(levels_at(encoder, at), encoder.categories_[at].tolist(), strict=True))
        kinds = {type(value) for value in own.values() if not is_missing_level(value)}
        numbers = bool(kinds) and str not in kinds
        if MISSING not in own:
            own[MISSING] = np.nan if self.imputer is None else self.imputer.step.missing_values
        values = [own.get(text, _UNSEEN_NUMBER if numbers else text) for text in texts.tolist()]
        if numbers and encoder.categories_[at].dtype.kind in "iuf":
            return np.array(values, dtype=np.float64)
        found = np.empty(len(values), dtype=object)
        found[:] = values
        return found


@dataclass(frozen=True, slots=True)
class Layout:
    """The steps of a fitted model.

    Attributes:
        branches: the groups of columns and their steps; their results are put side by side.
        joined: the steps on all of these results together.
        width: how many columns the model was fitted on.
    """

    branches: tuple[Branch, ...]
    joined: tuple[NamedStep, ...]
    classifier: NamedStep
    width: int

    def takes(self, names: Sequence[str], booleans: Collection[str]) -> tuple[Column, ...]:
        """Return the columns that the model takes, in the order in which it was fitted; each as if it could be missing.

        Raises:
            ConfigError: a level is none that a model can have, or a column is a number and a category.
        """
        found: dict[int, Column] = {}
        for branch in self.branches:
            for position, column in zip(branch.columns, branch.takes(names, booleans), strict=True):
                if found.setdefault(position, column) != column:
                    both = f"is encoded in {branch.name!r}, and otherwise in another step"
                    hint = "give the step a copy of the column, with a name of its own"
                    with of_step(branch.name):
                        raise not_written(f"the column {column.name!r:.80} {both}", hint=hint)
        return tuple(found[position] for position in sorted(found))

    def nullable(self, names: Sequence[str], columns: Sequence[Column], missing: Mapping[str, int]) -> list[bool]:
        """Whether each column may be missing: the model imputes it, knows it as a level, or was given such rows.

        `names` are the columns that the model was fitted on, `columns` those that it takes, and `missing` counts the
        missing values of each in the given rows.
        """
        safe = dict.fromkeys([each.name for each in columns], True)
        for branch in self.branches:
            for at, position in enumerate(branch.columns):
                safe[names[position]] &= branch.takes_missing(at)
        return [safe[each.name] or missing[each.name] > 0 for each in columns]


def layout_of(model: Any) -> Layout:
    """Say what a fitted model consists of.

    Raises:
        ConfigError: it has a step that no model can have; the problem names the step.
    """
    *steps, classifier = _flat("" if _is_pipeline(model) else "classifier", model)
    width = (steps[0] if steps else classifier).step.n_features_in_
    if not steps or type(steps[0].step).__name__ != _COLUMN_TRANSFORMER:
        return Layout((_branch("columns", tuple(range(width)), steps),), (), classifier, width)
    branches = tuple(_branches(steps[0]))
    if not branches:
        raise not_written("the ColumnTransformer takes no column")
    return Layout(branches, tuple(_number_steps(steps[1:])), classifier, width)


def _is_pipeline(model: Any) -> bool:
    return type(model).__name__ == "Pipeline"


def _flat(name: str, step: Any) -> Iterator[NamedStep]:
    """The step, or in place of a pipeline its steps, with the pipeline's name; those that do nothing are left out."""
    if _is_pipeline(step):
        for own, each in step.steps:
            yield from _flat(f"{name}.{own}" if name else own, each)
    elif not _does_nothing(step):
        yield NamedStep(name, step)


def _does_nothing(step: Any) -> bool:
    """Whether a step returns its columns unchanged."""
    import numpy as np

    if type(step).__name__ == "FunctionTransformer":
        return step.func in {None, np.asarray}
    return step is None or (isinstance(step, str) and step == "passthrough")


def _branches(chosen: NamedStep) -> Iterator[Branch]:
    """The branches of a fitted `ColumnTransformer`, in the order in which their columns come out of it."""
    transformer = chosen.step
    if transformer.transformer_weights:
        with of_step(chosen.name):
            raise not_written("a ColumnTransformer with transformer_weights", hint="leave the weights out")
    positions = transformer._transformer_to_input_indices  # noqa: SLF001 - the public names may be functions
    for name, step, _ in transformer.transformers_:
        columns = tuple(map(int, positions[name]))
        if not columns or (isinstance(step, str) and step == "drop"):
            continue
        path = f"{chosen.name}.{name}"
        yield _branch(path, columns, [*_flat(path, step)])


def _branch(name: str, columns: tuple[int, ...], steps: Sequence[NamedStep]) -> Branch:
    """Some columns, with the encoder among the steps that they have."""
    kinds = [type(each.step).__name__ for each in steps]
    at = next((place for place, kind in enumerate(kinds) if kind in ENCODERS), None)
    if at is None:
        return Branch(name, columns, None, None, tuple(_number_steps(steps)))
    if kinds[:at] not in ([], ["SimpleImputer"]):
        with of_step(steps[0].name):
            hint = "let a SimpleImputer alone stand before an encoder"
            raise not_written(f"{kinds[0]} before {kinds[at]}", hint=hint)
    return Branch(name, columns, steps[0] if at else None, steps[at], tuple(_number_steps(steps[at + 1 :])))


def _number_steps(steps: Sequence[NamedStep]) -> Iterator[NamedStep]:
    """The same steps, all on numbers; kinds that can never be one are refused."""
    for each in steps:
        kind = type(each.step).__name__
        if kind in _NO_STEPS or kind in ENCODERS:
            with of_step(each.name):
                message = f"{kind} has no place there in a model"
                raise not_written(message, hint=_NO_STEPS.get(kind, "let it be the first step on its columns"))
        yield each


def _check_levels(name: str, levels: Sequence[str]) -> None:
    """Refuse levels that no model can have."""
    wrong = ""
    if len(levels) > MAX_LEVELS:
        wrong = f"has {len(levels):,} levels, allowed are {MAX_LEVELS:,}"
    elif any(len(each.encode(errors="surrogatepass")) > MAX_LEVEL_BYTES for each in levels):
        wrong = f"has a level of more than {MAX_LEVEL_BYTES:,} bytes"
    elif any("\0" in each for each in levels):
        wrong = "has a level with a null character"
    if wrong:
        hint = "drop the column, or fit the encoder with max_categories"
        raise not_written(f"the column {name!r:.80} {wrong}", hint=hint)

"""What each column adds to the scores of a row, where scores are sums of coefficients times transformed values.

Each number that the classifier gets belongs to the column of which it was computed. Principal components belong to all
columns: then each column has its share of each component.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec import convert

from artifact_pipeline.artifact.manifest2 import WrittenModel
from artifact_pipeline.model import linear
from artifact_pipeline.model.check import numbers_of
from artifact_pipeline.model.families.family import unprefixed
from artifact_pipeline.model.plan import CLASSIFIER
from artifact_pipeline.model.spec import Impute, Linear, NumberPart, Pca, Scale, Steps
from artifact_pipeline.rows.features import MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.model.spec import CategoryPart, NumberStep
    from artifact_pipeline.rows.features import Column, Features

    Floats = NDArray[np.float64]


_UNSCALED = {"scale": 1.0, "center": 0.0}
"""What a number is divided by, and what is subtracted from it before, where a scaler does not."""


class _Numbers(NamedTuple):
    """The numbers that a row has become, each as the sum of what columns add to it.

    Attributes:
        values: what one column adds to one number, float64 of shape (entries,).
        owners: that column.
        places: the position of that number.
        mixed: whether the number is made of several columns; then a constant that is added to it is of none of them.
        width: how many numbers there are.
    """

    values: Floats
    owners: NDArray[np.int64]
    places: NDArray[np.int64]
    mixed: NDArray[np.bool_]
    width: int

    def times(self, weights: Floats, columns: int) -> Floats:
        """What each column adds to each product: of shape (columns, products); `weights` are (numbers, products)."""
        added = [np.bincount(self.owners, self.values * each[self.places], minlength=columns) for each in weights.T]
        return np.stack(added, axis=1)

    def beside(self, other: _Numbers) -> _Numbers:
        """These numbers, and then others."""
        return _Numbers(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.owners, other.owners]),
            np.concatenate([self.places, other.places + self.width]),
            np.concatenate([self.mixed, other.mixed]),
            self.width + other.width,
        )


@dataclass(frozen=True, slots=True)
class LinearScores:
    """A model whose scores are linear in its transformed columns.

    Attributes:
        arrays: its numbers by their names.
        weights: the coefficients, float64 of shape (classes, transformed columns).
    """

    columns: tuple[Column, ...]
    steps: Steps
    arrays: Mapping[str, Floats]
    weights: Floats

    @classmethod
    def of(cls, manifest: Manifest, data: bytes) -> LinearScores | None:
        """Read the scores of a model, whose bytes were checked; None where they are not linear."""
        said = manifest.model
        if not isinstance(said, WrittenModel):
            weights = np.array(linear.coefficients(data))
            return cls(said.columns, Steps(classifier=Linear(probabilities="softmax")), {}, weights)
        steps = convert(said.steps, Steps)
        if not isinstance(steps.classifier, Linear):
            return None
        arrays = {
            name: np.frombuffer(raw, dtype="<f8").reshape(shape)
            for name, (dtype, shape, raw) in numbers_of(data, said).items()
            if dtype == "float64"
        }
        return cls(said.columns, steps, arrays, arrays[f"{CLASSIFIER}.coefficients"])

    def contributions(self, row: Features) -> Floats:
        """Return what each column adds to each score of one row: float64 of shape (columns, classes).

        Beside a constant that no column changes, they add up to the scores.
        """
        parts = []
        for position, part in enumerate(self.steps.parts):
            taken = self._numbers(part, row) if isinstance(part, NumberPart) else self._codes(part, row)
            parts.append(self._stepped(taken, f"part.{position}", part.steps))
        joined = self._stepped(reduce(_Numbers.beside, parts), "joined", self.steps.joined)
        return joined.times(self.weights.T, len(self.columns))

    @property
    def scaled(self) -> bool:
        """Whether numbers are divided by their spread, so that their weights can be compared."""
        steps = [*(step for part in self.steps.parts for step in part.steps), *self.steps.joined]
        return any(isinstance(step, Scale) and step.scale for step in steps)

    def names(self) -> list[str] | None:
        """Return the names of a class's weights: a column, a level, or that a column is missing.

        None where the classifier gets principal components.
        """
        names: list[str] = []
        for part in self.steps.parts:
            if isinstance(part, NumberPart):
                taken = [self.columns[owner].name for _, owner in self._places(part)]
            else:
                taken = self._level_names(part)
            stepped = _names_behind(taken, part.steps)
            if stepped is None:
                return None
            names += stepped
        return _names_behind(names, self.steps.joined)

    def _level_names(self, part: CategoryPart) -> list[str]:
        names = []
        for at, (_, owner) in enumerate(self._places(part)):
            column = self.columns[owner]
            if part.encoding != "one_hot":
                names.append(f"{column.name} (its code)")
                continue
            codes, unknown = _codes_of(part, at, column)
            for code in range(max(*codes, unknown) + 1):
                levels = [level or "missing" for level, own in zip(column.levels, codes, strict=True) if own == code]
                names.append(f"{column.name} = {' or '.join(levels) if levels else 'any other'}")
        return names

    def _places(self, part: NumberPart | CategoryPart) -> list[tuple[int, int]]:
        """For each column that a part takes its position among those of its kind, and among all."""
        category = not isinstance(part, NumberPart)
        all_of_kind = [at for at, column in enumerate(self.columns) if (column.kind == "category") == category]
        return [(each, all_of_kind[each]) for each in part.columns or range(len(all_of_kind))]

    def _numbers(self, part: NumberPart, row: Features) -> _Numbers:
        places = self._places(part)
        values = row.X[0].astype(np.float64)[[each for each, _ in places]]
        return _owned(values, [owner for _, owner in places])

    def _codes(self, part: CategoryPart, row: Features) -> _Numbers:
        values: list[float] = []
        owners: list[int] = []
        for at, (place, owner) in enumerate(self._places(part)):
            levels = self.columns[owner].levels
            codes, unknown = _codes_of(part, at, self.columns[owner])
            text = row.S[0, place]
            if text == MISSING and part.missing and part.missing[at]:
                text = part.missing[at]
            code = codes[levels.index(text)] if text in levels else unknown
            encoded = [float(code)]
            if part.encoding == "one_hot":
                encoded = [float(each == code) for each in range(max(*codes, unknown) + 1)]
            values += encoded
            owners += [owner] * len(encoded)
        return _owned(np.array(values), owners)

    def _stepped(self, numbers: _Numbers, part: str, steps: Sequence[NumberStep]) -> _Numbers:
        """The numbers behind some steps."""
        for position, step in enumerate(steps):
            arrays = unprefixed(f"{part}.{position}", self.arrays)
            if isinstance(step, Impute):
                numbers = _imputed(numbers, step, arrays["values"][0])
            elif isinstance(step, Pca):
                components = arrays["components"] / arrays["scale"] if step.whiten else arrays["components"]
                numbers = _mixed(numbers.times(components, len(self.columns)))
            else:
                numbers = _scaled(numbers, arrays)
        return numbers


def _codes_of(part: CategoryPart, at: int, column: Column) -> tuple[Sequence[int], int]:
    """The code of each level of the column that a part takes at a place, and that of an unknown level."""
    codes = part.codes[at] if part.codes else range(len(column.levels))
    return codes, part.unknown[at] if part.unknown else -1


def _names_behind(names: list[str], steps: Sequence[NumberStep]) -> list[str] | None:
    """The names of the numbers behind some steps; None where one mixes them."""
    for step in steps:
        if isinstance(step, Pca):
            return None
        if isinstance(step, Impute):
            names = [*names, *(f"{names[position]} is missing" for position in step.indicators)]
    return names


def _owned(values: Floats, owners: Sequence[int]) -> _Numbers:
    """Numbers that are made of one column each."""
    count = len(values)
    return _Numbers(values, np.array(owners), np.arange(count), np.zeros(count, dtype=bool), count)


def _mixed(shares: Floats) -> _Numbers:
    """Numbers that are made of all columns; `shares` are of shape (columns, numbers)."""
    owners, places = np.indices(shares.shape).reshape(2, -1)
    return _Numbers(shares.ravel(), owners, places, np.ones(shares.size, dtype=bool), shares.shape[1])


def _imputed(numbers: _Numbers, step: Impute, values: Floats) -> _Numbers:
    gaps = np.isnan(numbers.values)
    filled = numbers._replace(values=np.where(gaps, values[numbers.places], numbers.values))
    said = np.isin(numbers.places, step.indicators)
    places = np.searchsorted(step.indicators, numbers.places[said])
    missing = gaps[said].astype(np.float64)
    return filled.beside(_Numbers(missing, numbers.owners[said], places, numbers.mixed[said], len(step.indicators)))


def _scaled(numbers: _Numbers, arrays: Mapping[str, Floats]) -> _Numbers:
    """The numbers behind `Scale`, which subtracts and divides, or `MinMaxScale`, which multiplies and adds."""
    scale, center = (arrays.get(name, np.full((1, numbers.width), default)) for name, default in _UNSCALED.items())
    factors, offsets = arrays.get("factors", 1 / scale)[0], arrays.get("offsets", -center / scale)[0]
    added = np.where(numbers.mixed, 0, offsets[numbers.places])
    return numbers._replace(values=numbers.values * factors[numbers.places] + added)

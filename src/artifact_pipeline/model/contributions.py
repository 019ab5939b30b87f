"""What each column adds to the scores of a row, where scores are sums of coefficients times transformed values.

Each number that the classifier gets belongs to the column that it was made of. Principal components belong to several:
then each column has the share that the components give it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec import convert

from artifact_pipeline.artifact.manifest2 import WrittenModel
from artifact_pipeline.model import linear
from artifact_pipeline.model.check import numbers_of
from artifact_pipeline.model.families.family import own
from artifact_pipeline.model.plan import CLASSIFIER
from artifact_pipeline.model.spec import Impute, Linear, MinMaxScale, NumberPart, Pca, Scale, Steps
from artifact_pipeline.rows.features import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.model.spec import CategoryPart, NumberStep
    from artifact_pipeline.rows.features import Column, Features

    Floats = NDArray[np.float64]


class _Own(NamedTuple):
    """Numbers of a row, each made of one column."""

    values: Floats
    owners: NDArray[np.int64]

    def times(self, weights: Floats, columns: int) -> Floats:
        """What each column adds to each product: of shape (columns, products); `weights` are (numbers, products)."""
        found = np.zeros((columns, weights.shape[1]))
        np.add.at(found, self.owners, self.values[:, None] * weights)
        return found


class _Mixed(NamedTuple):
    """Numbers of a row, each made of several columns: what each column adds to each, of shape (columns, numbers)."""

    shares: Floats

    def times(self, weights: Floats, columns: int) -> Floats:  # noqa: ARG002 - of `_Own` it is not known
        """As of `_Own`."""
        return self.shares @ weights


@dataclass(frozen=True, slots=True)
class LinearScores:
    """A model whose scores are linear in its transformed columns.

    Attributes:
        columns: the columns that it takes.
        steps: its spec.
        arrays: its numbers by their names.
        weights: the coefficients, float64 of shape (classes, transformed columns).
    """

    columns: tuple[Column, ...]
    steps: Steps
    arrays: Mapping[str, Floats]
    weights: Floats

    @classmethod
    def of(cls, manifest: Manifest, data: bytes) -> LinearScores | None:
        """Return what makes the scores of a model, whose bytes were checked; None where they are not linear."""
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
        blocks: list[_Own | _Mixed] = []
        for position, part in enumerate(self.steps.parts):
            taken = self._numbers(part, row) if isinstance(part, NumberPart) else self._codes(part, row)
            blocks += self._stepped([taken], f"part.{position}", part.steps)
        blocks = self._stepped(blocks, "joined", self.steps.joined)
        found = np.zeros((len(self.columns), len(self.weights)))
        for block, weights in _beside(blocks, self.weights.T):
            found += block.times(weights, len(self.columns))
        return found

    @property
    def scaled(self) -> bool:
        """Whether numbers are divided by their spread, so that their weights can be compared."""
        steps = [*(step for part in self.steps.parts for step in part.steps), *self.steps.joined]
        return any(isinstance(step, Scale) and step.scale for step in steps)

    def names(self) -> list[str] | None:
        """Return what each weight of a class is of: a column, a level, or that a column is missing.

        None where the classifier gets numbers that are mixed of several columns.
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
            codes = part.codes[at] if part.codes else range(len(column.levels))
            unknown = part.unknown[at] if part.unknown else -1
            if part.encoding != "one_hot":
                names.append(f"{column.name} (its code)")
                continue
            for code in range(max(*codes, unknown) + 1):
                levels = [level or "missing" for level, own in zip(column.levels, codes, strict=True) if own == code]
                names.append(f"{column.name} = {' or '.join(levels) if levels else 'any other'}")
        return names

    def _places(self, part: NumberPart | CategoryPart) -> list[tuple[int, int]]:
        """For each column that a part takes its position among those of its kind, and among all."""
        category = not isinstance(part, NumberPart)
        all_of_kind = [at for at, column in enumerate(self.columns) if (column.kind == "category") == category]
        return [(each, all_of_kind[each]) for each in part.columns or range(len(all_of_kind))]

    def _numbers(self, part: NumberPart, row: Features) -> _Own:
        places = self._places(part)
        values = row.X[0].astype(np.float64)[[each for each, _ in places]]
        return _Own(values, np.array([owner for _, owner in places]))

    def _codes(self, part: CategoryPart, row: Features) -> _Own:
        values: list[float] = []
        owners: list[int] = []
        for at, (place, owner) in enumerate(self._places(part)):
            levels = self.columns[owner].levels
            codes = part.codes[at] if part.codes else range(len(levels))
            unknown = part.unknown[at] if part.unknown else -1
            text = row.S[0, place]
            if text == MISSING and part.missing and part.missing[at]:
                text = part.missing[at]
            code = codes[levels.index(text)] if text in levels else unknown
            encoded = [float(code)]
            if part.encoding == "one_hot":
                encoded = [float(each == code) for each in range(max(*codes, unknown) + 1)]
            values += encoded
            owners += [owner] * len(encoded)
        return _Own(np.array(values), np.array(owners))

    def _stepped(self, blocks: list[_Own | _Mixed], part: str, steps: Sequence[NumberStep]) -> list[_Own | _Mixed]:
        for position, step in enumerate(steps):
            blocks = self._behind(blocks, step, own(f"{part}.{position}", self.arrays))
        return blocks

    def _behind(
        self, blocks: list[_Own | _Mixed], step: NumberStep, arrays: Mapping[str, Floats]
    ) -> list[_Own | _Mixed]:
        """The numbers behind one step, of those before it."""
        if isinstance(step, Impute):
            return _imputed(blocks, step, arrays["values"])
        if isinstance(step, Scale | MinMaxScale):
            return _scaled(blocks, step, arrays)
        components = arrays["components"] / arrays["scale"] if step.whiten else arrays["components"]
        return [_Mixed(sum(block.times(each, len(self.columns)) for block, each in _beside(blocks, components)))]  # type: ignore[arg-type]


def _names_behind(names: list[str], steps: Sequence[NumberStep]) -> list[str] | None:
    """The names of the numbers behind some steps; None where one mixes them."""
    for step in steps:
        if isinstance(step, Pca):
            return None
        if isinstance(step, Impute):
            names = [*names, *(f"{names[position]} is missing" for position in step.indicators)]
    return names


def _beside(blocks: Sequence[_Own | _Mixed], rows: Floats) -> Iterator[tuple[_Own | _Mixed, Floats]]:
    """Each block, and the rows of a matrix that belong to its numbers."""
    start = 0
    for block in blocks:
        end = start + (len(block.values) if isinstance(block, _Own) else block.shares.shape[1])
        yield block, rows[start:end]
        start = end


def _imputed(blocks: list[_Own | _Mixed], step: Impute, values: Floats) -> list[_Own | _Mixed]:
    found: list[_Own | _Mixed] = []
    missing, owners = [], []
    for block, filled in _beside(blocks, values.T):
        if isinstance(block, _Own):  # what is mixed has no gap
            gaps = np.isnan(block.values)
            missing.append(gaps)
            owners.append(block.owners)
            found.append(_Own(np.where(gaps, filled[:, 0], block.values), block.owners))
        else:
            missing.append(np.zeros(len(filled), dtype=bool))
            owners.append(np.zeros(len(filled), dtype=np.int64))
            found.append(block)
    if step.indicators:
        chosen = np.array(step.indicators)
        found.append(_Own(np.concatenate(missing)[chosen].astype(np.float64), np.concatenate(owners)[chosen]))
    return found


def _scaled(
    blocks: list[_Own | _Mixed], step: Scale | MinMaxScale, arrays: Mapping[str, Floats]
) -> list[_Own | _Mixed]:
    """Each number of one column becomes its transformed value; of mixed ones the shift is a constant, and left out."""
    if isinstance(step, Scale):
        either = next(iter(arrays.values()), None)
        if either is None:
            return blocks
        scale, center = arrays.get("scale", np.ones_like(either)), arrays.get("center", np.zeros_like(either))
        factors, offsets = 1 / scale, -center / scale
    else:
        factors, offsets = arrays["factors"], arrays["offsets"]
    both = np.concatenate([factors, offsets]).T
    return [
        block._replace(values=block.values * each[:, 0] + each[:, 1])
        if isinstance(block, _Own)
        else _Mixed(block.shares * each[:, 0])
        for block, each in _beside(blocks, both)
    ]

"""What an estimator of scikit-learn takes for each parameter, read from the constraints that it holds itself.

They are the data by which its own `fit` refuses a value. JSON writes fewer values than Python has, so what takes a
callable or another object alone is left out, and an array must be one of numbers.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from types import NoneType
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import either, listing

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_LISTED = 12
"""Options that a message names."""
_LARGEST = 2**31 - 1
_TEXTS = {
    ("SVC", "kernel"): {"linear", "poly", "rbf", "sigmoid"},
    ("NuSVC", "kernel"): {"linear", "poly", "rbf", "sigmoid"},
    ("SVC", "decision_function_shape"): {"ovr"},
    ("NuSVC", "decision_function_shape"): {"ovr"},
    ("KNeighborsClassifier", "metric"): {"euclidean", "manhattan", "minkowski"},
    ("CalibratedClassifierCV", "method"): {"sigmoid"},
    ("StackingClassifier", "cv"): set(),
}
"""Texts of which a model can be written, where scikit-learn takes others too."""
_NO_NULL = {("KNeighborsClassifier", "p")}
"""Parameters for which scikit-learn takes null, and fails with it."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One kind of value that a parameter takes.

    Attributes:
        words: what such a value is, as messages say it.
        has_type_of: whether a value is of this kind, if perhaps out of range.
        takes: whether a value is taken.
        number: whether it is a number that has a fraction.
        options: the texts that are taken, of a parameter that takes some texts.
        schema: the same as a JSON Schema, which cannot tell 1 from 1.0 and bounds no float from above.
    """

    words: str
    has_type_of: Callable[[object], bool]
    takes: Callable[[object], bool]
    number: bool = False
    options: tuple[str, ...] = ()
    schema: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Constraints:
    """The parameters of an estimator.

    Attributes:
        estimator: the name of the estimator.
        names: of all of them.
        defaults: the default of each.
        raw: what scikit-learn says of each.
    """

    estimator: str
    names: tuple[str, ...]
    defaults: dict[str, Any]
    raw: dict[str, Any]

    @classmethod
    def of(cls, estimator: Any) -> Constraints:
        """Return the parameters of a class of scikit-learn."""
        parameters = inspect.signature(estimator).parameters
        raw = {name: estimator._parameter_constraints.get(name, []) for name in parameters}  # noqa: SLF001
        defaults = {name: each.default for name, each in parameters.items()}
        return cls(estimator.__name__, tuple(parameters), defaults, raw)

    def alternatives(self, name: str) -> list[Alternative]:
        """Return the kinds of value that a parameter takes and JSON can write; none where that is null alone."""
        from sklearn.utils._param_validation import make_constraint

        raw = self.raw[name]
        found = []
        for constraint in map(make_constraint, raw if isinstance(raw, list) else [raw]):
            made = _ALTERNATIVES.get(type(constraint).__name__)
            if made is None or constraint.hidden:
                continue
            if (alternative := self._narrowed(name, made(constraint))) is not None:
                found.append(alternative)
        return found if any(each is not _NULL for each in found) else []

    def _narrowed(self, name: str, found: Alternative | None) -> Alternative | None:
        """Return an alternative without the values of which no model can be written; None where none is left."""
        place = (self.estimator, name)
        if found is _NULL and place in _NO_NULL:
            return None
        if found is _BY_LABEL and name != "class_weight":  # by the names of columns, which no estimator here knows
            return None
        if found is None or not found.options or place not in _TEXTS:
            return found
        return _texts([each for each in found.options if each in _TEXTS[place]])

    def words(self, name: str) -> str:
        """Return what a value must be."""
        return either([each.words for each in self.alternatives(name)])

    def schema(self, name: str) -> dict[str, Any]:
        """Return the JSON Schema of a parameter's value, with its default."""
        choices = [each.schema for each in self.alternatives(name)]
        found = choices[0] if len(choices) == 1 else {"anyOf": choices}
        return found | {"default": _as_lists(self.defaults[name])}

    def canonical(self, name: str, value: Any) -> Any:
        """Return a value that is taken as its recipe writes it: whole only where a whole number is asked."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and not any(each.takes(value) and not each.number for each in self.alternatives(name)):
            value = float(value)
        return value + 0.0 if isinstance(value, float) else value


def tuples(value: Any) -> Any:
    """Return a value with each array in it a tuple, which no estimator can change."""
    return tuple(tuples(each) for each in value) if isinstance(value, list | tuple) else value


def _as_lists(value: Any) -> Any:
    """Return a value with each tuple in it an array of JSON."""
    return [_as_lists(each) for each in value] if isinstance(value, list | tuple) else value


def _interval(constraint: Any) -> Alternative:
    """A number within bounds; `RealNotInt` stands where a whole number means something else."""
    kind = constraint.type
    whole = kind is Integral
    number = Integral if whole else Real if kind is Real else float

    def has_type_of(value: object) -> bool:
        return isinstance(value, number) and not isinstance(value, bool) and _is_bounded(value)

    def takes(value: object) -> bool:
        return has_type_of(value) and constraint.is_satisfied_by(value)

    schema = {"type": "integer" if whole else "number"} | _bounds(constraint, whole=whole)
    return Alternative(_in_words(constraint, whole=whole), has_type_of, takes, number=not whole, schema=schema)


def _bounds(interval: Any, *, whole: bool) -> dict[str, float]:
    """Return an interval's ends as a JSON Schema has them."""
    found: dict[str, float] = {"maximum": _LARGEST} if whole else {}
    if interval.left is not None and math.isfinite(interval.left):
        found["minimum" if interval.closed in {"left", "both"} else "exclusiveMinimum"] = interval.left
    if interval.right is not None and math.isfinite(interval.right):
        found["maximum" if interval.closed in {"right", "both"} else "exclusiveMaximum"] = interval.right
    return found


def _in_words(interval: Any, *, whole: bool) -> str:
    """Return an interval in words, such as `a number above 0 and at most 1`."""
    low_closed, high_closed = interval.closed in {"left", "both"}, interval.closed in {"right", "both"}
    bounds = []
    if interval.left is not None and math.isfinite(interval.left):
        bounds.append(f"{'of at least' if low_closed else 'above'} {interval.left:g}")
    if interval.right is not None and math.isfinite(interval.right):
        bounds.append(f"{'at most' if high_closed else 'below'} {interval.right:g}")
    return " ".join(["a whole number" if whole else "a finite number", " and ".join(bounds)]).rstrip()


def _options(constraint: Any) -> Alternative | None:
    """Some texts, without those that scikit-learn is about to remove."""
    deprecated: set[str] = getattr(constraint, "deprecated", set())
    return _texts(sorted(each for each in constraint.options if isinstance(each, str) and each not in deprecated))


def _texts(options: list[str]) -> Alternative | None:
    if not options:
        return None
    words = listing([f'"{each}"' for each in options], _MAX_LISTED)
    words = f"one of {words}" if len(options) > 1 else words
    schema = {"enum": options} if len(options) > 1 else {"const": options[0]}
    return Alternative(words, _of_type(str), lambda value: value in options, options=tuple(options), schema=schema)


def _of_type(*types: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, types)


def _is_array(value: object) -> bool:
    return (
        isinstance(value, list | tuple) and bool(value) and all(_is_number(each) or _is_array(each) for each in value)
    )


def _is_bounded(value: Any) -> bool:
    """Whether a number is finite, and a whole one no larger than scikit-learn can count."""
    return -_LARGEST <= value <= _LARGEST if isinstance(value, int) else math.isfinite(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_bounded(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_fold_count(value: Any) -> bool:
    return value is None or (_is_whole(value) and value >= 2)


def _instances(constraint: Any) -> Alternative | None:
    """A dict is one by label; other types are no values of JSON, or arrays by another name."""
    if constraint.type is dict:
        return _BY_LABEL
    if constraint.type is tuple:  # a list beside it means arrays; alone it means outputs, of which there is one
        return _ARRAY
    return None


def _is_by_label(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(_is_number(each) and each > 0 for each in value.values())


_NULL = Alternative("null", _of_type(NoneType), _of_type(NoneType), schema={"type": "null"})
_BOOLEAN = Alternative("true or false", _of_type(bool), _of_type(bool), schema={"type": "boolean"})
_ARRAY = Alternative(
    "an array of numbers",
    _of_type(list, tuple),
    _is_array,
    schema={"type": "array", "minItems": 1, "items": {"type": ["number", "array"]}},
)
_FOLDS = Alternative(
    "a whole number of at least 2, or null",
    _is_whole,
    _is_fold_count,
    schema={"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]},
)
"""The folds of a cross-validation; Python could give an object."""
_BY_LABEL = Alternative(
    'an object by label such as {"malignant": 10}',
    _of_type(Mapping),
    _is_by_label,
    schema={"type": "object", "minProperties": 1, "additionalProperties": {"type": "number", "exclusiveMinimum": 0}},
)
_ALTERNATIVES: dict[str, Callable[[Any], Alternative | None]] = {
    "Interval": _interval,
    "Options": _options,
    "StrOptions": _options,
    "_NoneConstraint": lambda _: _NULL,
    "_Booleans": lambda _: _BOOLEAN,
    "_ArrayLikes": lambda _: _ARRAY,
    "_CVObjects": lambda _: _FOLDS,
    "_InstancesOf": _instances,
}
"""How each kind of scikit-learn's constraints is said and asked; what is not here takes no value of JSON."""

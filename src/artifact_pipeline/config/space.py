"""The spaces of a search: ranges in the place of values, what is wrong with them, and what is drawn from them.

A range is an object with one key: `{"choice": [...]}`, `{"int": [low, high]}`, `{"uniform": [low, high]}` or
`{"log_uniform": [low, high]}`. A model is checked at both ends of each range, as if it stood in the config.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from artifact_pipeline.config.models import NESTED_KEYS
from artifact_pipeline.config.problems import Fault, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from artifact_pipeline.config.jsontext import KeyPath

    Choose = Callable[[KeyPath, str, Sequence[Any]], Any]
    Instance = tuple[dict[str, Any], Callable[[KeyPath], KeyPath]]

_PREPROCESS = "preprocess"
_WANTED = {
    "choice": "an array of at least one value",
    "int": "an array of two whole numbers, the lower one first",
    "log_uniform": "an array of two numbers above 0, the lower one first",
    "uniform": "an array of two numbers, the lower one first",
}
"""The kinds of range, and what each holds."""


def spaces_of(values: Mapping[str, Any]) -> list[tuple[KeyPath, Mapping[str, Any]]]:
    """Return each space of a config that is an object, with the path that leads to it."""
    search = values.get("search")
    spaces = search.get("space") if isinstance(search, Mapping) else None
    if not isinstance(spaces, list | tuple):
        return []
    return [(("search", "space", at), each) for at, each in enumerate(spaces) if isinstance(each, Mapping)]


def range_faults(value: object, path: KeyPath) -> Iterator[Fault]:
    """Yield the faults in the form of a space's ranges."""
    if not isinstance(value, Mapping):
        return
    found = _range_of(value)
    if found is not None:
        kind, ends = found
        if not _FORMS[kind](ends):
            yield Fault((*path, kind), "out-of-range", _WANTED[kind], value=ends)
        return
    key = str(path[-1])
    if len(path) > 3 and key not in {"estimators", *NESTED_KEYS, _PREPROCESS} and "estimator" not in value:
        strange = next((each for each, ends in value.items() if each in _WANTED or isinstance(ends, list)), None)
        if strange in _WANTED:
            words = f"an array alone in its object: {_WANTED[strange]}"
            yield Fault((*path, strange), "not-allowed", words, value=value[strange])
        elif strange is not None:
            words = f"no kind of range{suggestion(str(strange), list(_WANTED)) or ', they are ' + ', '.join(_WANTED)}"
            yield Fault((*path, strange), "unknown-key", words)
        return
    for inner, part in value.items():
        yield from range_faults(part, (*path, inner))


def instances(space: Mapping[str, Any], path: KeyPath) -> Iterator[Instance]:
    """Yield the models that stand at the ends of a space's ranges.

    Each differs from the first, which has the first value of each range, in one range.

    Args:
        space: one space, whose ranges have their form.
        path: where it stands in the config.

    Returns:
        The config's sections `model` and perhaps `preprocess`, and what turns a path in them into one of the config.
    """
    ranges: dict[KeyPath, tuple[str, Sequence[Any]]] = {}

    def record(at: KeyPath, kind: str, ends: Sequence[Any]) -> Any:
        ranges[at] = kind, ends
        return None

    _replace_ranges(space, record)
    turns = [(at, number) for at, (_, ends) in ranges.items() for number in range(len(ends))]
    for turn in turns or [((), 0)]:
        chosen = dict.fromkeys(ranges, 0) | dict([turn])
        yield _sections(_replace_ranges(space, partial(_value_at_end, chosen))), partial(_place, path, ranges, chosen)


def _value_at_end(chosen: Mapping[KeyPath, int], at: KeyPath, kind: str, ends: Sequence[Any]) -> Any:
    value = ends[chosen[at]]
    return float(value) if kind in {"uniform", "log_uniform"} else value


def _place(
    space: KeyPath, ranges: Mapping[KeyPath, tuple[str, Any]], chosen: Mapping[KeyPath, int], path: KeyPath
) -> KeyPath:
    """Return where the value at a path of an instance stands in the config."""
    inner = path[1:] if path[:1] == ("model",) else path
    found = space
    for depth, key in enumerate(inner, 1):
        found = (*found, key)
        if (at := inner[:depth]) in ranges:
            found = (*found, ranges[at][0], chosen[at])
    return found


def in_space(fault: Fault, place: Callable[[KeyPath], KeyPath]) -> Fault:
    """Return what is wrong with an instance as what is wrong with its space: an unknown key is one, whatever it holds.

    Args:
        fault: at a path of the instance.
        place: what `instances` gives beside it.
    """
    if fault.rule == "unknown-key":
        return replace(fault, path=(*place(fault.path[:-1]), fault.path[-1]))
    path = place(fault.path)
    if fault.rule == "wrong-type" and path[-2:-1] in {("uniform",), ("log_uniform",)}:
        return replace(fault, path=path, meant=f": {path[-2]} draws fractions, int draws whole numbers")
    return replace(fault, path=path)


def draw(spaces: Sequence[Mapping[str, Any]], random: Any) -> dict[str, Any]:
    """Return a model that is drawn from one of the spaces, as the config's sections `model` and perhaps `preprocess`.

    The keys are drawn in their alphabetical order, so that a recipe, whose keys are sorted, gives the same models.

    Args:
        spaces: of which each has the same chance.
        random: a `numpy.random.Generator`.
    """
    return _sections(_replace_ranges(spaces[int(random.integers(len(spaces)))], partial(_draw_value, random)))


def _draw_value(random: Any, _: KeyPath, kind: str, ends: Sequence[Any]) -> Any:
    if kind == "choice":
        return ends[int(random.integers(len(ends)))]
    low, high = ends
    if kind == "int":
        return int(random.integers(low, high, endpoint=True))
    if kind == "uniform":
        return float(random.uniform(low, high))
    drawn = math.exp(random.uniform(math.log(low), math.log(high)))
    return min(max(drawn, float(low)), float(high))  # the exponential of a logarithm may lie beyond it


def _sections(drawn: Mapping[str, Any]) -> dict[str, Any]:
    model = dict(drawn)
    given = {_PREPROCESS: model.pop(_PREPROCESS)} if _PREPROCESS in model else {}
    return {"model": model, **given}


def _replace_ranges(value: Any, choose: Choose, path: KeyPath = ()) -> Any:
    """Return a value with `choose` in the place of each range."""
    if not isinstance(value, Mapping):
        return value
    if (found := _range_of(value)) is not None:
        return choose(path, *found)
    return {key: _replace_ranges(value[key], choose, (*path, key)) for key in sorted(value, key=str)}


def _range_of(value: Mapping[str, Any]) -> tuple[str, Sequence[Any]] | None:
    """Return the kind and the ends of a range; None where the object is another one."""
    if len(value) == 1:
        ((kind, ends),) = value.items()
        if kind in _WANTED and isinstance(ends, list | tuple):
            return kind, ends
    return None


def _is_interval(ends: Sequence[Any], kinds: type[int] | tuple[type[int], type[float]]) -> bool:
    numbers = all(isinstance(each, kinds) and not isinstance(each, bool) and math.isfinite(each) for each in ends)
    return len(ends) == 2 and numbers and ends[0] < ends[1]


_FORMS: dict[str, Callable[[Sequence[Any]], bool]] = {
    "choice": lambda ends: len(ends) > 0,
    "int": lambda ends: _is_interval(ends, int) and abs(ends[0]) < 2**63 and abs(ends[1]) < 2**63,
    "log_uniform": lambda ends: _is_interval(ends, (int, float)) and ends[0] > 0,
    "uniform": lambda ends: _is_interval(ends, (int, float)),
}
"""Whether what a range of each kind holds has its form."""

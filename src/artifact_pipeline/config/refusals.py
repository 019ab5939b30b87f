"""The errors of pydantic, which the config's types raise, as problems at their places."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

from artifact_pipeline.config.problems import find, shown_path, shown_value, suggestion
from artifact_pipeline.config.schema import REMOVED, SHORT_FORMS, Config
from artifact_pipeline.config.sections import MustBe

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from artifact_pipeline.config.jsontext import KeyPath
    from artifact_pipeline.config.problems import Origin, PlacedProblem

_RULES = {
    "missing": "missing-key",
    "extra_forbidden": "unknown-key",
    "invalid_key": "unknown-key",
    "finite_number": "not-finite",
    "string_unicode": "lone-surrogate",
    "string_pattern_mismatch": "not-allowed",
    "not_allowed": "not-allowed",
    "names_of_columns": "not-allowed",
    "not_written": "not-allowed",
}
"""Our rule for pydantic's error type; `_rule` decides the others."""


def problem_of(
    error: ErrorDetails,
    origins: Sequence[Origin],
    *,
    short: Collection[str] = (),
    place: Callable[[KeyPath], KeyPath] = tuple,
) -> PlacedProblem:
    """Return an error of pydantic as a problem at its place.

    Args:
        error: the error.
        origins: where the config comes from.
        short: the sections whose keys stand at the top of the config.
        place: returns where a value stands in the config, for one that was checked elsewhere.
    """
    path, about_key = _own_path(error)
    rule = _rule(error)
    checked = path[1:] if path[:1] and path[0] in short else path
    written = (*place(checked[:-1]), *checked[-1:]) if rule == "unknown-key" else place(checked)
    if rule == "unknown-key":
        spot = find(written, origins, key=True)
        words = f"unknown key{_unknown_key_remark(checked, short)}"
    elif rule == "missing-key":
        spot = find(place(checked[:-1]), origins)
        words = f"is missing, must be {_expected_value(path, error)}"
    elif about_key and rule != "lone-surrogate":
        spot = find(written, origins, key=True)
        words = "the key must be text of at most 256 characters"
    else:
        spot = find(written, origins)
        found = shown_value(error["input"], spot.written)
        words = f"must be {_expected_value(path, error)}, got {found}{_remark(path, error)}"
    return spot.problem(rule, f"{shown_path(written) or 'a key'}: {words}")


def _own_path(error: ErrorDetails) -> tuple[KeyPath, bool]:
    """Return the path in the config, without what pydantic adds, and whether the error is about the last key itself."""
    path: KeyPath = error["loc"]
    # Behind a key that can be none stands "[key]"; a label of that name holds a number, whose error is another one.
    about_key = path[-1:] == ("[key]",) and error["type"].startswith("string_")
    found: KeyPath = ()
    keys = iter(path[:-1] if about_key else path)
    for key in keys:
        found += (key,)
        if _has_kinds(found):
            next(keys, None)  # behind it stands the kind of value
    if found[:1] in {("dataset",), ("split",)}:
        found = tuple(key for key in found if isinstance(key, str))  # of an array, not which of its names
    return found, about_key


def _has_kinds(path: KeyPath) -> bool:
    """Return whether the value at a path has one of several kinds; pydantic names the kind behind the key."""
    match path:
        case ("dataset" | "preprocess" | "model",) | (_, "class_weight") | ("gate", "min_recall"):
            return True
        case ("preprocess", "number", int()):
            return True
        case ("model", *_, "estimators", _) | ("model", *_, "base_estimator" | "final_estimator" | "class_weight"):
            return True
    return False


def _rule(error: ErrorDetails) -> str:
    kind, value = error["type"], error["input"]
    if kind in _RULES:
        return _RULES[kind]
    if kind == "literal_error":
        return "not-allowed" if isinstance(value, str) else "wrong-type"
    if not kind.endswith("_type"):
        return "out-of-range"
    # A whole number too large for a float has the wrong type to pydantic.
    too_large = kind == "float_type" and type(value) is int
    not_finite = isinstance(value, float) and not math.isfinite(value)
    return "not-finite" if too_large or not_finite else "wrong-type"


def _types(annotation: object) -> list[type[BaseModel]]:
    """Return the types of objects that a value may have."""
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for each in get_args(annotation) for found in _types(each)]


def _walk(path: KeyPath) -> tuple[list[type[BaseModel]], FieldInfo | None, bool]:
    """Return the types that the value at a path may have, its field, and whether the path leads into an open object."""
    types: list[type[BaseModel]] = [Config]
    field, inside = None, False
    for key in path:
        for each in types:
            each.model_rebuild()  # a type that names itself has no fields before; it costs nothing where it has
        found = next((each.model_fields[str(key)] for each in types if key in each.model_fields), None)
        inside = found is None  # the position in an array, or a key of an object that takes any key
        if found is not None:
            field, types = found, _types(found.annotation) or types
    return types, field, inside


def _field(path: KeyPath) -> tuple[FieldInfo, bool]:
    """Return the field to which a path leads, and whether it leads to one of several values in it."""
    _, field, inside = _walk(path)
    assert field is not None
    return field, inside


def _fields(path: KeyPath) -> list[str]:
    """Return the keys that are allowed beside the last key of `path`."""
    if len(path) == 1:
        return [key for name in Config.model_fields for key in (name, *SHORT_FORMS.get(name, ()))]
    types = [each for each in _walk(path[:-1])[0] if each.model_config.get("extra") == "forbid"]
    return list(dict.fromkeys(key for each in types for key in each.model_fields))


def _expected_value(path: KeyPath, error: ErrorDetails) -> str:
    if error["type"] == "string_unicode":
        return "text that UTF-8 can write"
    if "words" in error.get("ctx", {}):
        return error["msg"]
    field, of_label = _field(path)
    wanted = next(each for each in field.metadata if isinstance(each, MustBe))
    if error["type"] == "names_of_columns":
        return f"{wanted.words} ({error['msg']})"
    if error["type"] == "less_than_equal" and field.annotation is int:
        return f"a whole number of at most {error['ctx']['le']}"
    return wanted.each if of_label else wanted.words


def _remark(path: KeyPath, error: ErrorDetails) -> str:
    """Return what may have been meant, as the end of a message."""
    value = error["input"]
    if error["type"] == "not_written":
        return suggestion(str(value), error["ctx"]["allowed"])
    if error["type"] == "literal_error" and isinstance(value, str):
        return suggestion(value, list(_literals_of(_field(path)[0].annotation)))
    if error["type"] == "int_type" and isinstance(value, float) and value.is_integer():
        return ", which has a point or an exponent"
    return ""


def _literals_of(annotation: object) -> Iterator[str]:
    """Yield the strings that a type's literals allow."""
    for each in get_args(annotation):
        if isinstance(each, str):
            yield each
        else:
            yield from _literals_of(each)


def _unknown_key_remark(path: KeyPath, short: Collection[str]) -> str:
    """Return what may have been meant by an unknown key, or else the keys that are allowed in its object."""
    for section, keys in SHORT_FORMS.items():
        if len(path) == 1 and path[0] in keys:
            if section in short:  # and was not moved into it, because there is a space
                return f": beside search.space it stands in there, as {path[0]} of an estimator"
            return f": beside {section} it must be written {section}.{path[0]}"
    if path[-1] in REMOVED:
        return f": {REMOVED[str(path[-1])]}"
    allowed = _fields(path)
    # A section's key that stands in the root is a common slip.
    below = [f"{name}.{key}" for name in ("dataset", "gate", "search", "split") for key in _fields((name, ""))]
    near = allowed if len(path) > 1 else [*allowed, *below]
    return suggestion(str(path[-1]), near) or f", allowed are {', '.join(allowed)}"

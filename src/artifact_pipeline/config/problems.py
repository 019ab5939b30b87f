"""What is wrong with a config, in our own words and at the place where it was written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

from artifact_pipeline.config.fields import Wanted
from artifact_pipeline.config.jsontext import line_and_column, shown
from artifact_pipeline.config.schema import BRANCHED, REMOVED, SECTIONS, Config
from artifact_pipeline.config.sources import Spot, find
from artifact_pipeline.errors import ConfigError, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from artifact_pipeline.config.jsontext import KeyPath
    from artifact_pipeline.config.sources import Located, Source

_RULES = {
    "missing": "missing-key",
    "extra_forbidden": "unknown-key",
    "invalid_key": "unknown-key",
    "finite_number": "not-finite",
    "string_unicode": "lone-surrogate",
    "string_pattern_mismatch": "not-allowed",
    "solver_needs_two_classes": "not-allowed",
    "solver_without_l1": "not-allowed",
    "penalty_contradicts": "not-allowed",
    "names_of_columns": "not-allowed",
}
"""Our rule for pydantic's error type; `_rule` decides the others."""

_HINTS = {
    "missing-file": 'a config needs no more than {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}',
    "unreadable": "name a regular file that you may read",
    "syntax": "JSON has keys and strings in double quotes, no comments, and no comma before a closing bracket",
    "byte-order-mark": "save the file as UTF-8 without a byte order mark",
    "not-utf-8": "save the file as UTF-8 without a byte order mark",
}
_HINT = "`artifact-pipeline schema` prints every key, type and default"


def refusal(located: Iterable[Located]) -> ConfigError:
    """One error for everything that is wrong, in the order of the text; options follow the file."""
    problems = [each.problem for each in sorted(located, key=lambda each: each.order)]
    count = plural(len(problems), "problem")
    hint = _HINTS.get(problems[0].rule, _HINT)
    return ConfigError(f"the config has {count}", problems=problems, hint=hint)


def duplicate_keys(source: Source) -> list[Located]:
    """Keys that stand twice in one object."""
    found = []
    for twice in source.document.duplicates if source.document else ():
        first = f"in line {line_and_column(source.text, twice.first)[0]} already" if source.text else "twice"
        message = f"{_dotted((*source.base, *twice.path))}: stands {first}"
        found.append(Spot(source, twice.offset).problem("duplicate-key", message))
    return found


def refused(errors: Iterable[ErrorDetails], sources: Sequence[Source]) -> list[Located]:
    """Pydantic's errors, each at its place and in our words."""
    return [_refused(error, sources) for error in errors]


def _refused(error: ErrorDetails, sources: Sequence[Source]) -> Located:
    path, about_key = _own_path(error)
    rule = _rule(error)
    if rule == "unknown-key":
        spot = find(path, sources, key=True)
        words = f"unknown key{_instead(path)}"
    elif rule == "missing-key":
        spot = find(path[:-1], sources)
        words = f"is missing, must be {_wanted(path, error)}"
    elif about_key and rule != "lone-surrogate":
        spot = find(path, sources, key=True)
        words = "the key must be text of at most 256 characters"
    else:
        spot = find(path, sources)
        words = f"must be {_wanted(path, error)}, got {got(error['input'], spot.written)}{_remark(path, error)}"
    return spot.problem(rule, f"{_dotted(path) or 'a key'}: {words}")


def _own_path(error: ErrorDetails) -> tuple[KeyPath, bool]:
    """The path in the config, without what pydantic adds, and whether the error is about the last key itself."""
    path: KeyPath = error["loc"]
    if path[:1] == ("dataset",):
        path = tuple(key for key in path if isinstance(key, str))  # of an array, not which of its names
    for key in BRANCHED:  # behind it stands the kind of value
        if path[: len(key)] == key:
            path = (*key, *path[len(key) + 1 :])
    # Behind a key that can be none stands "[key]"; a label of that name holds a number, whose error is another one.
    about_key = path[-1:] == ("[key]",) and error["type"].startswith("string_")
    return (path[:-1] if about_key else path), about_key


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
    return "not-finite" if too_large or _not_finite(value) else "wrong-type"


def _not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _fields(path: KeyPath) -> Mapping[str, FieldInfo]:
    """The fields of the object in which the last key of `path` stands; pydantic knows no objects but ours."""
    return SECTIONS[str(path[0])].model_fields if len(path) > 1 else Config.model_fields


def _field(path: KeyPath) -> tuple[FieldInfo, bool]:
    """The field to which a path leads, and whether it leads to the value of a label in it."""
    section = SECTIONS.get(str(path[0])) if len(path) > 1 else None
    depth = 2 if section else 1
    return _fields(path[:depth])[str(path[depth - 1])], len(path) > depth


def _wanted(path: KeyPath, error: ErrorDetails) -> str:
    if error["type"] == "string_unicode":
        return "text that UTF-8 can write"
    if "words" in error.get("ctx", {}):
        return error["msg"]
    field, of_label = _field(path)
    if error["type"] == "names_of_columns":
        return f"{next(each.words for each in field.metadata if isinstance(each, Wanted))} ({error['msg']})"
    if error["type"] == "less_than_equal" and field.annotation is int:
        return f"a whole number of at most {error['ctx']['le']}"
    wanted = next(each for each in field.metadata if isinstance(each, Wanted))
    return wanted.each if of_label else wanted.words


def got(value: object, written: str | None) -> str:
    """The value that was found, as it is written or as Python writes it."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    if written is not None:
        return shown(written)
    try:
        return shown(repr(value))
    except ValueError:  # Python does not write out whole numbers of more than a few thousand digits
        return "a number of thousands of digits"


def _remark(path: KeyPath, error: ErrorDetails) -> str:
    """What may have been meant."""
    value = error["input"]
    if error["type"] == "literal_error" and isinstance(value, str):
        allowed = get_args(_field(path)[0].annotation)
        return suggestion(value, [each for each in allowed if isinstance(each, str)])
    if error["type"] == "int_type" and isinstance(value, float) and value.is_integer():
        return ", which has a point or an exponent"
    return ""


def _instead(path: KeyPath) -> str:
    """What may have been meant by an unknown key, or else what is allowed in its object."""
    if path[-1] in REMOVED:
        return f": {REMOVED[str(path[-1])]}"
    allowed = list(_fields(path))
    # A section's key that stands in the root is a common slip.
    below = [f"{name}.{key}" for name, section in SECTIONS.items() for key in section.model_fields]
    near = allowed if len(path) > 1 else [*allowed, *below]
    return suggestion(str(path[-1]), near) or f", allowed are {', '.join(allowed)}"


def suggestion(word: str, allowed: Sequence[str]) -> str:
    """What may have been meant by a word, as the end of a message; empty where nothing is near."""
    import difflib

    by_lower = {each.lower(): each for each in allowed}
    # A longer word is near none of them, and the comparison's time grows with its square.
    close = difflib.get_close_matches(word.lower(), by_lower, n=1) if len(word) <= 64 else []
    return f", did you mean {by_lower[close[0]]}?" if close else ""


def _dotted(path: KeyPath) -> str:
    return ".".join(shown(str(key)) for key in path)

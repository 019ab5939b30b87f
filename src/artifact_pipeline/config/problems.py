"""What is wrong with a config, in our own words and at the place where it was written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from artifact_pipeline.config.jsontext import shown
from artifact_pipeline.config.schema import BRANCHED, REMOVED, SECTIONS, Config
from artifact_pipeline.config.sections import MustBe
from artifact_pipeline.errors import ConfigError, Problem, listing, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from artifact_pipeline.config.jsontext import Document, KeyPath

    Located = tuple[int, int, Problem]

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
_MAX_LISTED = 20
"""Labels that a message names."""
_HINT = "`artifact-pipeline schema` prints every key, type and default"


@dataclass(frozen=True, slots=True)
class Origin:
    """A file, an option or a dict that the config, or a part of it, comes from.

    Attributes:
        name: the file, the option, or `config` for values given by hand.
        number: its order: the file is 0, the options follow.
        text: a file's text, which gives its places a line and a column; else None.
        document: its content, if that is JSON text.
        base: the key whose value the document is; the file's is the root.
        top: the highest key that it added: `-S dataset.path=…` makes the whole of a missing `dataset`.
    """

    name: str
    number: int = 0
    text: str | None = None
    document: Document | None = None
    base: KeyPath = ()
    top: KeyPath = ()

    def duplicate_keys(self) -> list[Located]:
        """Keys that stand twice in one object."""
        found = []
        for twice in self.document.duplicates if self.document else ():
            first = f"in line {_line_and_column(self.text, twice.first)[0]} already" if self.text else "twice"
            message = f"{_dotted((*self.base, *twice.path))}: stands {first}"
            found.append(Spot(self, twice.offset).problem("duplicate-key", message))
        return found


@dataclass(frozen=True, slots=True)
class Spot:
    """A character of an origin.

    Attributes:
        written: the value that starts there, as it is written; None where there is no text, or no such value.
    """

    origin: Origin
    offset: int = 0
    written: str | None = None

    def problem(self, rule: str, message: str) -> Located:
        """A problem at this place, behind the number and the offset by which problems are sorted."""
        place = self.origin.name
        if self.origin.text is not None:
            line, column = _line_and_column(self.origin.text, self.offset)
            place = f"{place}:{line}:{column}"
        return self.origin.number, self.offset, Problem(place, rule, message)


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    """The line and the column of a character, both from 1; columns in characters."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def find(path: KeyPath, origins: Sequence[Origin], *, key: bool = False) -> Spot:
    """Where the last of the origins that have it has the value at `path`, or its key; else the object around it.

    The first origin has the root, so there is always one.
    """
    origin = next(each for each in reversed(origins) if path[: len(each.top)] == each.top)
    if (document := origin.document) is None:
        return Spot(origin)
    inner = path[len(origin.base) :]
    if key and inner in document.keys:
        return Spot(origin, document.keys[inner])
    if path == origin.base + inner and inner in document.spans:
        start, end = document.spans[inner]
        return Spot(origin, start, document.text[start:end])
    while inner not in document.spans:
        inner = inner[:-1]
    return Spot(origin, document.spans[inner][0])


def refusal(problems_at: Iterable[Located]) -> ConfigError:
    """The error for everything that is wrong, in the order of the text; options follow the file."""
    problems = [problem for *_, problem in sorted(problems_at, key=lambda each: each[:2])]
    count = plural(len(problems), "problem")
    hint = _HINTS.get(problems[0].rule, _HINT)
    return ConfigError(f"the config has {count}", problems=problems, hint=hint)


def located(error: ErrorDetails, origins: Sequence[Origin]) -> Located:
    """An error of pydantic at its place and in our words."""
    path, about_key = _own_path(error)
    rule = _rule(error)
    if rule == "unknown-key":
        spot = find(path, origins, key=True)
        words = f"unknown key{_instead(path)}"
    elif rule == "missing-key":
        spot = find(path[:-1], origins)
        words = f"is missing, must be {_wanted(path, error)}"
    elif about_key and rule != "lone-surrogate":
        spot = find(path, origins, key=True)
        words = "the key must be text of at most 256 characters"
    else:
        spot = find(path, origins)
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
        return f"{next(each.words for each in field.metadata if isinstance(each, MustBe))} ({error['msg']})"
    if error["type"] == "less_than_equal" and field.annotation is int:
        return f"a whole number of at most {error['ctx']['le']}"
    wanted = next(each for each in field.metadata if isinstance(each, MustBe))
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
        return _suggestion(value, list(_words_of(_field(path)[0].annotation)))
    if error["type"] == "int_type" and isinstance(value, float) and value.is_integer():
        return ", which has a point or an exponent"
    return ""


def _words_of(annotation: object) -> Iterator[str]:
    """Yield the strings that a type's literals allow."""
    for each in get_args(annotation):
        if isinstance(each, str):
            yield each
        else:
            yield from _words_of(each)


def _instead(path: KeyPath) -> str:
    """What may have been meant by an unknown key, or else what is allowed in its object."""
    if path[-1] in REMOVED:
        return f": {REMOVED[str(path[-1])]}"
    allowed = list(_fields(path))
    # A section's key that stands in the root is a common slip.
    below = [f"{name}.{key}" for name, section in SECTIONS.items() for key in section.model_fields]
    near = allowed if len(path) > 1 else [*allowed, *below]
    return _suggestion(str(path[-1]), near) or f", allowed are {', '.join(allowed)}"


def _suggestion(word: str, allowed: Sequence[str]) -> str:
    """What may have been meant by a word, as the end of a message; empty where nothing is near."""
    import difflib

    by_lower = {each.lower(): each for each in allowed}
    # A longer word is near none of them, and the comparison's time grows with its square.
    close = difflib.get_close_matches(word.lower(), by_lower, n=1) if len(word) <= 64 else []
    return f", did you mean {by_lower[close[0]]}?" if close else ""


def _dotted(path: KeyPath) -> str:
    return ".".join(shown(str(key)) for key in path)


def by_label(key: str, values: Mapping[str, float], labels: Sequence[int | str]) -> dict[int | str, float]:
    """The numbers that a key of the config has by label, under the labels themselves and in their order.

    Args:
        key: the key, such as `gate.min_recall`.
        values: a number for each label, which JSON writes as text.
        labels: the labels that the rows have.

    Raises:
        ConfigError: a label that no row has; each is a problem.
    """
    there = {str(label): label for label in labels}
    problems = [
        Problem(
            "config",
            "unknown-label",
            f"{key}.{shown(name)}: no row has this label{_label_meant(name, list(there))}",
        )
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


def _label_meant(name: str, there: Sequence[str]) -> str:
    """What may have been meant by a label, or else which ones there are."""
    return _suggestion(name, there) or f", the labels are {listing([shown(each) for each in there], _MAX_LISTED)}"

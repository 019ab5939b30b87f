"""The problems of a config: each at the line and column where it was written, with a message of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.config.jsontext import shown
from artifact_pipeline.errors import ConfigError, Problem, listing, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from artifact_pipeline.config.jsontext import Document, KeyPath

    PlacedProblem = tuple[int, int, Problem]

_HINTS = {
    "missing-file": "--config config.json takes the one that `artifact-pipeline init TABLE` writes; a config of the "
    'digits needs no more than {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}',
    "unreadable": "name a regular file that you may read",
    "syntax": "JSON has keys and strings in double quotes, no comments, and no comma before a closing bracket",
    "byte-order-mark": "save the file as UTF-8 without a byte order mark",
    "not-utf-8": "save the file as UTF-8 without a byte order mark",
    "missing-key": "`artifact-pipeline init TABLE` writes one for a table; `artifact-pipeline schema` prints every key",
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

    def duplicate_keys(self) -> list[PlacedProblem]:
        """Return the keys that stand twice in one object."""
        found = []
        for twice in self.document.duplicates if self.document else ():
            first = f"in line {_line_and_column(self.text, twice.first)[0]} already" if self.text else "twice"
            message = f"{shown_path((*self.base, *twice.path))}: stands {first}"
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

    def problem(self, rule: str, message: str) -> PlacedProblem:
        """Return a problem at this place, behind the number and the offset by which problems are sorted."""
        place = self.origin.name
        if self.origin.text is not None:
            line, column = _line_and_column(self.origin.text, self.offset)
            place = f"{place}:{line}:{column}"
        return self.origin.number, self.offset, Problem(place, rule, message)


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and the column of a character, both from 1; columns in characters."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def find(path: KeyPath, origins: Sequence[Origin], *, key: bool = False) -> Spot:
    """Return where the value at `path`, or its key, stands in the last origin that has it; else the object around it.

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


def refusal(problems_at: Iterable[PlacedProblem]) -> ConfigError:
    """Return the error with all problems, in the order of the text; options follow the file."""
    problems = [problem for *_, problem in sorted(problems_at, key=lambda each: each[:2])]
    count = plural(len(problems), "problem")
    hint = _HINTS.get(problems[0].rule, _HINT)
    return ConfigError(f"the config has {count}", problems=problems, hint=hint)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a value of the config, found by another rule than its type.

    Attributes:
        wanted: what it must be, the end of `must be …`; for an unknown key the whole message.
        meant: what may have been meant, as the end of the message.
    """

    path: KeyPath
    rule: str
    wanted: str
    meant: str = ""
    value: object = None

    def problem_in(self, origins: Sequence[Origin]) -> PlacedProblem:
        """Return it as a problem at its place."""
        about_key = self.rule == "unknown-key"
        spot = find(self.path, origins, key=about_key)
        found = shown_value(self.value, spot.written)
        words = self.wanted if about_key else f"must be {self.wanted}, got {found}{self.meant}"
        return spot.problem(self.rule, f"{shown_path(self.path)}: {words}")


def shown_value(value: object, written: str | None) -> str:
    """Return a value as it is written in the config, or as Python writes it."""
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


def suggestion(word: str, allowed: Sequence[str]) -> str:
    """Return the nearest of the allowed words, as the end of a message; empty where none is near."""
    import difflib

    by_lower = {each.lower(): each for each in allowed}
    # A longer word is near none of them, and the comparison's time grows with its square.
    close = difflib.get_close_matches(word.lower(), by_lower, n=1) if len(word) <= 64 else []
    return f", did you mean {by_lower[close[0]]}?" if close else ""


def shown_path(path: KeyPath) -> str:
    """Return the keys that lead to a value, as messages show them."""
    return ".".join(shown(str(key)) for key in path)


def by_label(key: str, values: Mapping[str, float], labels: Sequence[int | str]) -> dict[int | str, float]:
    """Return the numbers that a key of the config has by label, under the labels themselves and in their order.

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
    """Return the nearest label, or else which labels there are, as the end of a message."""
    return suggestion(name, there) or f", the labels are {listing([shown(each) for each in there], _MAX_LISTED)}"

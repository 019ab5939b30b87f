"""JSON text to a value that knows the place of each key and value.

The standard library's parser knows no places, and takes the last of two equal keys silently. This one gives the same
value, refuses what is nested too deeply, and refuses lone surrogates.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.canonical import Json

_MAX_DEPTH = 32
"""Objects and arrays inside each other."""

_SHOWN = 60
"""Characters of a text from outside that a message shows."""

KeyPath = tuple[str | int, ...]
"""The keys and positions that lead from the root to a value; the root's is empty."""

_SPACE = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"[^\s,:\[\]{}\"]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LITERALS = {
    "null": None,
    "true": True,
    "false": False,
    # No JSON, but Python's parser takes them. No type of the config does, and it says so with the key's name.
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
# Python refuses to convert more than a few thousand digits; such a number is no larger to any bound than this one.
_HUGE = 10**400
_STRINGS = json.JSONDecoder()


class JsonTextError(ValueError):
    """The text is no JSON, or is refused by a bound.

    Attributes:
        offset: the character, counted from 0, at which it was found.
        rule: `syntax`, `too-deep` or `lone-surrogate`.
    """

    def __init__(self, offset: int, rule: str, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.rule = rule


@dataclass(frozen=True, slots=True)
class _Duplicate:
    """A key that its object already had, with the offsets of both."""

    path: KeyPath
    offset: int
    first: int


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text.

    Attributes:
        text: the whole text.
        value: what it stands for; of equal keys the last one counts, as in Python.
        spans: where each value starts and ends, in characters from 0.
        keys: where each key's opening quote stands.
        duplicates: keys that their object already had, in the text's order.
    """

    text: str
    value: Json
    spans: dict[KeyPath, tuple[int, int]]
    keys: dict[KeyPath, int]
    duplicates: tuple[_Duplicate, ...]


def parse(text: str) -> Document:
    """Parse one JSON text.

    Raises:
        JsonTextError: it is none, is nested deeper than `_MAX_DEPTH`, or holds a lone surrogate.
    """
    return _Parser(text).document()


def has_lone_surrogate(text: str) -> bool:
    """Return whether `text` holds half of a surrogate pair, which UTF-8 cannot write."""
    return _SURROGATE.search(text) is not None


def printable(text: str) -> str:
    """Return `text` on one line, with every character escaped that a terminal might act on."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def shown(text: str) -> str:
    """Return a text from outside as a message shows it: printable and short."""
    return printable(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


@dataclass(slots=True)
class _Parser:
    """One pass over the text; `at` is the next character."""

    text: str
    at: int = 0
    spans: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    keys: dict[KeyPath, int] = field(default_factory=dict)
    duplicates: list[_Duplicate] = field(default_factory=list)

    def document(self) -> Document:
        """Return the value of the whole text, with the place of each part."""
        self._skip_space()
        value = self._value(())
        self._skip_space()
        if self.at < len(self.text):
            raise self._expected("the end of the text")
        return Document(self.text, value, self.spans, self.keys, tuple(self.duplicates))

    def _value(self, path: KeyPath) -> Json:
        start = self.at
        value: Json
        match self.text[start : start + 1]:
            case "{" | "[" if len(path) == _MAX_DEPTH:
                raise JsonTextError(start, "too-deep", f"nested deeper than {_MAX_DEPTH} levels")
            case "{":
                value = self._object(path)
            case "[":
                value = self._array(path)
            case '"':
                value = self._string()
            case _:
                value = self._literal_or_number()
        self.spans[path] = (start, self.at)
        return value

    def _object(self, path: KeyPath) -> dict[str, Json]:
        members: dict[str, Json] = {}
        for _ in self._items("}"):
            offset = self.at
            if not self.text.startswith('"', offset):
                raise self._expected("a key in double quotes")
            key = self._string()
            self._skip_space()
            if not self._accept(":"):
                raise self._expected("a colon")
            here = (*path, key)
            if key in members:
                self.duplicates.append(_Duplicate(here, offset, self.keys[here]))
            self._skip_space()
            members[key] = self._value(here)
            self.keys[here] = offset
        return members

    def _array(self, path: KeyPath) -> list[Json]:
        items: list[Json] = []
        for _ in self._items("]"):
            items.append(self._value((*path, len(items))))
        return items

    def _items(self, closer: str) -> Iterator[None]:
        """Yield before each item of an object or array, from its opening bracket to past its closing one."""
        self.at += 1
        self._skip_space()
        if self._accept(closer):
            return
        while True:
            yield
            self._skip_space()
            if self._accept(closer):
                return
            comma = self.at
            if not self._accept(","):
                raise self._expected(f"a comma or {closer}")
            self._skip_space()
            if self.text.startswith(closer, self.at):
                raise JsonTextError(comma, "syntax", f"the comma before {closer} is one too many")

    def _string(self) -> str:
        start = self.at
        value: str
        try:
            value, self.at = _STRINGS.raw_decode(self.text, start)
        except json.JSONDecodeError as error:
            raise self._bad_string(start, error.pos) from None
        if has_lone_surrogate(value):
            raise JsonTextError(start, "lone-surrogate", "half of a surrogate pair, which UTF-8 cannot write")
        return value

    def _bad_string(self, start: int, offset: int) -> JsonTextError:
        if offset == start:
            return JsonTextError(start, "syntax", "the string that starts here is not closed")
        if self.text[offset : offset + 1] < " ":
            return JsonTextError(offset, "syntax", "a line break or another control character inside a string")
        return JsonTextError(offset, "syntax", "no escape of JSON; a backslash itself is written \\\\")

    def _literal_or_number(self) -> Json:
        word = _WORD.match(self.text, self.at)
        if word is None:
            raise self._expected("a value")
        text = word.group()
        if text in _LITERALS:
            value: Json = _LITERALS[text]
        elif number := _NUMBER.fullmatch(text):
            value = float(text) if any(number.groups()) else _integer(text)
        else:
            raise self._expected("a value")
        self.at = word.end()
        return value

    def _skip_space(self) -> None:
        space = _SPACE.match(self.text, self.at)
        assert space is not None  # it matches nothing, too
        self.at = space.end()

    def _accept(self, character: str) -> bool:
        found = self.text.startswith(character, self.at)
        self.at += found
        return found

    def _expected(self, what: str) -> JsonTextError:
        if self.text.startswith(("//", "/*", "#"), self.at):
            message = "a comment, which JSON does not have"
        elif self.at == len(self.text):
            message = f"expected {what}, found the end of the text"
        else:
            word = _WORD.match(self.text, self.at)
            message = f"expected {what}, found {shown(word.group() if word else self.text[self.at])}"
        return JsonTextError(self.at, "syntax", message)


def _integer(text: str) -> int:
    if len(text) <= 400:
        return int(text)
    return -_HUGE if text.startswith("-") else _HUGE

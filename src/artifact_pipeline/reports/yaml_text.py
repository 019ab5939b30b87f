"""YAML of any texts: the metadata of a model card, the `MLmodel` of MLflow.

Each text is written in double quotes, where YAML knows a few escapes and no other rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Value = str | bool | int | float | Sequence["Value"] | Mapping[str, "Value"]


def yaml_text(values: Mapping[str, Value]) -> str:
    """Return YAML in block style; the keys must be plain words, and neither an array nor an object may be empty."""
    return "\n".join(_lines(values)) + "\n"


def _lines(value: Value) -> Iterator[str]:
    """Yield the lines of a value in block style, the first one without indentation."""
    if isinstance(value, str | bool | int | float):
        yield _scalar(value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if isinstance(each, str | bool | int | float):
                yield f"{key}: {_scalar(each)}"
            else:
                yield f"{key}:"
                yield from (f"  {line}" for line in _lines(each))
    else:
        for each in value:
            first, *rest = _lines(each)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)


def _scalar(value: str | float) -> str:
    """A bool, a number or a text; of a number in exponential form the point that YAML wants."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{"".join(map(_escaped, value))}"'
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _escaped(letter: str) -> str:
    if letter in {'"', "\\"}:
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"

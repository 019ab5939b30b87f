"""YAML for readers of other projects, whatever its texts hold: the metadata of a model card, the `MLmodel` of MLflow.

Each text is written in double quotes, in which a few escapes are all that YAML knows, and none of its other rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Value = str | bool | int | float | Sequence["Value"] | Mapping[str, "Value"]


def yaml_text(values: Mapping[str, Value]) -> str:
    """Return YAML in block style; the keys must be plain words, and neither an array nor an object may be empty."""
    return "\n".join(_lines(values)) + "\n"


def _lines(value: Value) -> Iterator[str]:
    """Yield the lines of a value in block style, the first one without indentation."""
    if isinstance(value, str | bool | int | float):
        yield _scalar(value)
        return
    inner = (
        value.items() if not isinstance(value, str) and hasattr(value, "items") else ((None, each) for each in value)
    )
    for key, each in inner:
        first, *rest = _lines(each)
        nested = not isinstance(each, str | bool | int | float)
        if key is None:
            yield f"- {first}"
        elif nested:
            yield f"{key}:"
            rest = [first, *rest]
        else:
            yield f"{key}: {first}"
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

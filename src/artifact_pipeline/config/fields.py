"""What the fields of the config are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

STRICT = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a key's value must be, as the end of `must be …`; it stands beside the bounds that it tells.

    Attributes:
        words: what the value must be.
        each: what each value of an object by label must be, where the key takes such an object.
    """

    words: str
    each: str = ""


@dataclass(frozen=True, slots=True)
class WhenAsked:
    """Marks a key that stands in the recipe only where its value is not the default.

    So a config that does not use the key has the recipe, and the artifact digest, that it had before the key came.
    """


def positive_zero(value: float) -> float:
    """Minus zero is zero: one recipe."""
    return value + 0.0


def text_keys(value: object) -> object:
    """Write whole numbers among the keys of a dict as text: a caller from Python names a label as it is."""
    if not isinstance(value, Mapping):
        return value
    keys = [str(key) if isinstance(key, Integral) else key for key in value]
    return dict(zip(keys, value.values(), strict=True)) if len(set(keys)) == len(keys) else value


def kind_of_value(value: object) -> str:
    """The kind of a value that may be null, one plain value for all classes, or an object by label."""
    if value is None:
        return "null"
    return "labels" if isinstance(value, Mapping) else "plain"


Label = Annotated[str, Field(max_length=256)]
Share = Annotated[
    float, Field(ge=0, le=1), AfterValidator(positive_zero), Wanted("a number from 0 to 1, both included")
]

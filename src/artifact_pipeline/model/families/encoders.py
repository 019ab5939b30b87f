"""Encoders: categories become numbers, before the steps on numbers and the classifier."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import is_nan, not_written
from artifact_pipeline.model.graph import ML, Constant, Matrix
from artifact_pipeline.model.spec import CategoryPart
from artifact_pipeline.model.wire import DTYPES, require
from artifact_pipeline.rows.features import MISSING
from artifact_pipeline.rows.limits import MAX_WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from artifact_pipeline.model.graph import Graph

ENCODERS = ("OneHotEncoder", "OrdinalEncoder")
_NONE = -1
"""The code of a level without a column of its own."""


def describe_encoder(imputer: Any, encoder: Any, levels: Sequence[Sequence[str]]) -> CategoryPart:
    """The spec of a fitted encoder, without its columns and the steps behind it.

    Args:
        imputer: a fitted `SimpleImputer` before it; None where there is none.
        encoder: a fitted `OneHotEncoder` or `OrdinalEncoder`.
        levels: those of each category, as the model knows them.

    Raises:
        ConfigError: they have no place in a model.
    """
    one_hot = type(encoder).__name__ == "OneHotEncoder"
    codes, unknown = [], []
    for position, (known, own, rare) in enumerate(zip(levels, levels_of(encoder), _infrequent(encoder), strict=True)):
        if sorted(own) != sorted(known):
            raise not_written("the encoder has other levels than the columns")
        found = _one_hot_codes(encoder, position, rare) if one_hot else _ordinal_codes(encoder, position, rare)
        by_level = dict(zip(own, found, strict=True))
        codes.append(tuple(by_level[level] for level in known))
        unknown.append(_unknown_code(encoder, rare, by_level))
    positions = all(each == tuple(range(len(each))) for each in codes)
    return CategoryPart(
        encoding="one_hot" if one_hot else "ordinal",
        missing=() if imputer is None else _imputed_levels(imputer, levels),
        codes=() if positions else tuple(codes),
        unknown=() if set(unknown) == {_NONE} else tuple(unknown),
    )


def levels_of(encoder: Any) -> list[list[str]]:
    """The levels of each column of a fitted encoder, in its own order, as texts; a missing value is the empty one.

    Raises:
        ConfigError: a level is none of a model's, or two are the same text.
    """
    return [levels_at(encoder, position) for position in range(len(encoder.categories_))]


def levels_at(encoder: Any, position: int) -> list[str]:
    """The levels of one column; as `levels_of`."""
    texts = [level_text(each) for each in encoder.categories_[position].tolist()]
    twice = [text for text, count in Counter(texts).items() if count > 1]
    if twice:
        shown = "a missing value" if twice[0] == MISSING else f"the level {twice[0]!r:.40}"
        message = f"{type(encoder).__name__} has {shown} in two ways, in column {position + 1} that it takes"
        raise not_written(message, hint="write it in one way, and fit again")
    return texts


def level_text(value: Any) -> str:
    """A level of an encoder as a file writes it: whole numbers without a point, booleans in lower case.

    Raises:
        ConfigError: it is a number with decimals, or of another type.
    """
    if is_missing_level(value):
        return MISSING
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and float(value).is_integer() and abs(value) <= MAX_WHOLE:
        return str(int(value))
    message = f"an encoder has the level {value!r:.40}, and levels are texts, whole numbers or booleans"
    raise not_written(message, hint="write such a column as text, and fit again; or leave it as numbers")


def is_missing_level(value: Any) -> bool:
    """Whether a level of an encoder is a missing value, as files write it too."""
    from artifact_pipeline.rows.values import MISSING_TEXTS

    if isinstance(value, str):
        return value.strip(" \t") in MISSING_TEXTS
    return value is None or type(value).__name__ == "NAType" or is_nan(value)


def _infrequent(encoder: Any) -> list[list[Any] | None]:
    """For each column the levels that the encoder groups as infrequent; None where it groups none."""
    if encoder.min_frequency is None and encoder.max_categories is None:
        return [None] * len(encoder.categories_)
    return [None if rare is None else rare.tolist() for rare in encoder.infrequent_categories_]


def _one_hot_codes(encoder: Any, position: int, rare: list[Any] | None) -> list[int]:
    """The code of each level: its column among those of this category, or -1."""
    codes = _grouped(encoder.categories_[position].tolist(), rare)
    dropped = None if encoder.drop_idx_ is None else encoder.drop_idx_[position]
    if dropped is None:
        return codes
    gone = codes[dropped]
    return [_NONE if code == gone else code - (code > gone) for code in codes]


def _ordinal_codes(encoder: Any, position: int, rare: list[Any] | None) -> list[int]:
    """The code of each level; NaN, and no other missing value, has one that was asked for."""
    categories = encoder.categories_[position].tolist()
    codes = iter(_grouped([value for value in categories if not is_nan(value)], rare))
    missing = encoder.encoded_missing_value
    return [_whole(missing, "encoded_missing_value") if is_nan(value) else next(codes) for value in categories]


def _whole(value: Any, name: str) -> int:
    if isinstance(value, int | float) and float(value).is_integer() and abs(value) < 2**31:
        return int(value)
    raise not_written(f"OrdinalEncoder with {name}={value!r:.40}", hint=f"fit it with {name}=-1")


def _grouped(categories: Sequence[Any], rare: list[Any] | None) -> list[int]:
    """The code of each level, where the infrequent ones have the last code together."""
    names = {level_text(each) for each in rare or ()}
    frequent, last = iter(range(len(categories))), len(categories) - len(names)
    return [last if level_text(each) in names else next(frequent) for each in categories]


def accepts_unknown(encoder: Any) -> bool:
    """Whether an encoder takes a level that it does not know."""
    return bool(encoder.handle_unknown != "error")


def _unknown_code(encoder: Any, rare: list[Any] | None, codes: Mapping[str, int]) -> int:
    """The code of a level that the encoder does not know; `codes` are those of its own levels."""
    if encoder.handle_unknown == "use_encoded_value":
        return _whole(encoder.unknown_value, "unknown_value")
    if rare is None or encoder.handle_unknown in {"error", "ignore"}:
        return _NONE
    return codes[level_text(rare[0])]


def _imputed_levels(imputer: Any, levels: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """For each category the level that a missing value counts as; "" where the model does not know it."""
    if not is_missing_level(imputer.missing_values):
        message = f"SimpleImputer with missing_values={imputer.missing_values!r:.40} before an encoder"
        raise not_written(message, hint="fit it with missing_values=numpy.nan, and with NaN where a value is missing")
    if imputer.add_indicator:
        raise not_written("SimpleImputer with add_indicator=True before an encoder", hint="fit it without")
    if any(MISSING in known for known in levels):
        message = "a SimpleImputer leaves some missing values, such as None beside NaN, and the encoder learned them"
        raise not_written(message, hint="write what is missing in one way, and fit again")
    filled = [level_text(each) for each in imputer.statistics_.tolist()]
    return tuple(level if level in known else MISSING for level, known in zip(filled, levels, strict=True))


def plan_categories(graph: Graph, spec: CategoryPart, name: str, levels: Mapping[int, Sequence[str]]) -> Matrix:
    """Add an encoder to a graph; `levels` are those of each category that it takes, by its position."""
    count = len(levels)
    codes = spec.codes or tuple(tuple(range(len(known))) for known in levels.values())
    missing, unknown = spec.missing or (MISSING,) * count, spec.unknown or (_NONE,) * count
    said = {len(missing), len(unknown), len(codes)} == {count}
    require(said, "onnx-shape", "what stands for a missing, an unknown or a known level is not said for each category")
    one_hot, parts, width = spec.encoding == "one_hot", [], 0
    for known, own, filled, other, position in zip(levels.values(), codes, missing, unknown, levels, strict=True):
        column = graph.column(name, position)
        code = _code(graph, column, dict(zip(known, own, strict=False)), missing=filled, unknown=other)
        columns = max(*own, other) + 1 if one_hot else 1
        fits = not one_hot or (min(*own, other) >= _NONE and 1 <= columns <= len(known))
        require(fits and len(own) == len(known), "onnx-shape", "the codes of a category are not those of its levels")
        if one_hot:
            code = graph.add("Equal", code, graph.numbers_to(columns))
        width += columns
        parts.append(graph.add("Cast", code, to=DTYPES["float64"]))
    return Matrix(parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1), width)


def _code(graph: Graph, column: str, codes: Mapping[str, int], *, missing: str, unknown: int) -> str:
    """The code of each value."""
    require(bool(codes), "onnx-shape", "a category has no level")
    if missing:
        known = missing in codes and MISSING not in codes
        require(known, "onnx-constant", "what stands for a missing value is no level")
        codes = {**codes, MISSING: codes[missing]}
    texts, numbers = Constant.of_texts([*codes]), Constant.of_integers([*codes.values()])
    more: dict[str, Any] = {} if unknown == _NONE else {"default_tensor": Constant.of_integers([unknown])}
    return graph.add("LabelEncoder", column, domain=ML, keys_tensor=texts, values_tensor=numbers, **more)

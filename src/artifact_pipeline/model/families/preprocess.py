"""Steps on numbers and on categories, before the classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import Arrays, not_written
from artifact_pipeline.model.graph import ML, Constant, Matrix
from artifact_pipeline.model.spec import Categories, Impute, MinMaxScale, NumberStep, Pca, Scale
from artifact_pipeline.model.wire import DTYPES, require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.model.graph import Graph

_DOUBLE = DTYPES["float64"]


def describe_numbers(step: Any) -> tuple[NumberStep, Arrays]:
    """The spec and the numbers of a fitted step on numbers.

    Raises:
        ConfigError: the step has no place in a model.
    """
    kind = type(step).__name__
    if kind == "SimpleImputer":
        return _described_imputer(step)
    if kind == "StandardScaler":
        return _described_scaler(step.mean_ if step.with_mean else None, step.scale_)
    if kind == "RobustScaler":
        center = step.center_ if step.with_centering else None
        return _described_scaler(center, step.scale_ if step.with_scaling else None)
    if kind == "MinMaxScaler" and not step.clip:
        return MinMaxScale(), {"factors": step.scale_[None], "offsets": step.min_[None]}
    if kind == "PCA":
        return _described_pca(step)
    raise not_written(f"{kind} with these parameters is no step on numbers that a model can have")


def _described_imputer(step: Any) -> tuple[Impute, Arrays]:
    import numpy as np

    values = np.asarray(step.statistics_, dtype=np.float64)
    if np.isnan(values).any():
        column = int(np.flatnonzero(np.isnan(values))[0])
        raise not_written(f"number {column + 1} is missing in each training row", hint="drop the column")
    indicators = tuple(step.indicator_.features_.tolist()) if step.add_indicator else ()
    return Impute(indicators=indicators), {"values": values[None]}


def _described_scaler(center: Any, scale: Any) -> tuple[Scale, Arrays]:
    arrays = {"center": center, "scale": scale}
    spec = Scale(center=center is not None, scale=scale is not None)
    return spec, {name: array[None] for name, array in arrays.items() if array is not None}


def _described_pca(step: Any) -> tuple[Pca, Arrays]:
    """As `PCA.transform` computes: the product first, then that of the mean is subtracted from it."""
    import numpy as np

    components = np.asarray(step.components_, dtype=np.float64)
    arrays: Arrays = {"components": components.T, "means": step.mean_[None] @ components.T}
    if step.whiten:
        scale = np.sqrt(step.explained_variance_)
        smallest = np.finfo(scale.dtype).eps
        arrays["scale"] = np.maximum(scale, smallest)[None]
    return Pca(components=len(components), whiten=bool(step.whiten)), arrays


def plan_numbers(graph: Graph, spec: NumberStep, x: Matrix) -> Matrix:
    """Add a step on numbers to a graph."""
    if isinstance(spec, Impute):
        return _imputed(graph, spec, x)
    if isinstance(spec, Scale):
        return _scaled(graph, spec, x)
    if isinstance(spec, MinMaxScale):
        product = graph.add("Mul", x.name, graph.parameter("factors", 1, x.width))
        return Matrix(graph.add("Add", product, graph.parameter("offsets", 1, x.width)), x.width)
    product = graph.add("MatMul", x.name, graph.parameter("components", x.width, spec.components))
    result = graph.add("Sub", product, graph.parameter("means", 1, spec.components))
    if spec.whiten:
        result = graph.add("Div", result, graph.parameter("scale", 1, spec.components, positive=True))
    return Matrix(result, spec.components)


def _imputed(graph: Graph, spec: Impute, x: Matrix) -> Matrix:
    missing = graph.add("IsNaN", x.name)
    filled = graph.add("Where", missing, graph.parameter("values", 1, x.width), x.name)
    if not spec.indicators:
        return Matrix(filled, x.width)
    ordered = list(spec.indicators) == sorted(set(spec.indicators))
    require(ordered and spec.indicators[-1] < x.width, "onnx-shape", "an indicator of a column that is not there")
    columns = graph.constant(f"{filled} indicators", Constant.of_integers(spec.indicators))
    said = graph.add("Cast", graph.add("Gather", missing, columns, axis=1), to=_DOUBLE)
    return Matrix(graph.add("Concat", filled, said, axis=1), x.width + len(spec.indicators))


def _scaled(graph: Graph, spec: Scale, x: Matrix) -> Matrix:
    """By a subtraction and a division, never by a product with a reciprocal: those are scikit-learn's own bits."""
    result = x.name
    if spec.center:
        result = graph.add("Sub", result, graph.parameter("center", 1, x.width))
    if spec.scale:
        result = graph.add("Div", result, graph.parameter("scale", 1, x.width, positive=True))
    return Matrix(result, x.width)


def describe_categories(steps: Sequence[Any], levels: Sequence[Sequence[str]]) -> Categories:
    """The spec of the fitted steps on categories: an encoder, with an imputer before it or not.

    Args:
        steps: the steps.
        levels: those of each category, which the encoder must have.

    Raises:
        ConfigError: the steps have no place in a model.
    """
    *before, encoder = steps
    kinds = [type(step).__name__ for step in steps]
    missing: tuple[str, ...] = ()
    if before and kinds[:-1] == ["SimpleImputer"] and before[0].missing_values == "":
        missing = tuple(map(str, before[0].statistics_))
    elif before:
        raise not_written(f"{kinds[0]} with these parameters is no step on categories that a model can have")
    if [list(map(str, found)) for found in encoder.categories_] != list(map(list, levels)):
        raise not_written("the encoder has other levels than the columns")
    missing = tuple(level if level in known else "" for level, known in zip(missing, levels, strict=False))
    if kinds[-1] == "OneHotEncoder" and encoder.handle_unknown == "ignore" and encoder.drop is None:
        return Categories(encoding="one_hot", missing=missing)
    if kinds[-1] == "OrdinalEncoder" and encoder.unknown_value == -1:
        return Categories(encoding="ordinal", missing=missing)
    raise not_written(f"{kinds[-1]} with these parameters is no encoder that a model can have")


def plan_categories(graph: Graph, spec: Categories, name: str, levels: Sequence[Sequence[str]]) -> Matrix:
    """Add the encoder of all categories to a graph; `levels` are those of each category, in order."""
    missing = spec.missing or ("",) * len(levels)
    require(len(missing) == len(levels), "onnx-shape", "what stands for a missing value is not said for each category")
    parts = []
    for position, known in enumerate(levels):
        column = graph.add("Gather", name, graph.axis(position), axis=1)
        code = _code(graph, column, known, missing[position])
        if spec.encoding == "one_hot":
            numbers = graph.constant(f"numbers to {len(known)}", Constant.of_integers(range(len(known))))
            code = graph.add("Equal", code, numbers)
        parts.append(graph.add("Cast", code, to=_DOUBLE))
    width = sum(map(len, levels)) if spec.encoding == "one_hot" else len(levels)
    return Matrix(parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1), width)


def _code(graph: Graph, column: str, levels: Sequence[str], missing: str) -> str:
    """The position of each value in the levels, -1 where it is none of them."""
    require(bool(levels), "onnx-shape", "a category has no level")
    keys, values = list(levels), list(range(len(levels)))
    if missing:
        require(missing in keys and "" not in keys, "onnx-constant", "what stands for a missing value is no level")
        keys, values = [*keys, ""], [*values, keys.index(missing)]
    texts, codes = Constant.of_texts(keys), Constant.of_integers(values)
    return graph.add("LabelEncoder", column, domain=ML, keys_tensor=texts, values_tensor=codes)

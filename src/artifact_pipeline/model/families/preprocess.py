"""Steps on numbers, before the classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import Arrays, is_nan, not_written
from artifact_pipeline.model.graph import Constant, Matrix
from artifact_pipeline.model.spec import Impute, MinMaxScale, NumberStep, Pca, Scale
from artifact_pipeline.model.wire import DTYPES, require

if TYPE_CHECKING:
    from artifact_pipeline.model.graph import Graph

_HINT = "take StandardScaler, MinMaxScaler, RobustScaler, SimpleImputer or PCA"


def describe_numbers(step: Any) -> tuple[NumberStep, Arrays]:
    """The spec and the numbers of a fitted step on numbers.

    Raises:
        ConfigError: the step has no place in a model.
    """
    kind = type(step).__name__
    if kind == "SimpleImputer":
        return _describe_imputer(step)
    if kind == "StandardScaler":
        return _describe_scaler(step.mean_ if step.with_mean else None, step.scale_)
    if kind == "RobustScaler":
        center = step.center_ if step.with_centering else None
        return _describe_scaler(center, step.scale_ if step.with_scaling else None)
    if kind == "MinMaxScaler":
        if step.clip:
            raise not_written("MinMaxScaler with clip=True", hint="fit it with clip=False")
        return MinMaxScale(), {"factors": step.scale_[None], "offsets": step.min_[None]}
    if kind == "PCA":
        return _describe_pca(step)
    raise not_written(f"{kind} is no step on numbers that a model can have", hint=_HINT)


def _describe_imputer(step: Any) -> tuple[Impute, Arrays]:
    import numpy as np

    if not is_nan(step.missing_values):
        message = f"SimpleImputer with missing_values={step.missing_values!r:.40}"
        raise not_written(message, hint="fit it with missing_values=numpy.nan, and with NaN where a number is missing")
    values = np.asarray(step.statistics_, dtype=np.float64)
    if np.isnan(values).any():
        column = int(np.flatnonzero(np.isnan(values))[0])
        raise not_written(f"number {column + 1} is missing in each training row", hint="drop the column")
    indicators = tuple(step.indicator_.features_.tolist()) if step.add_indicator else ()
    return Impute(indicators=indicators), {"values": values[None]}


def _describe_scaler(center: Any, scale: Any) -> tuple[Scale, Arrays]:
    arrays = {"center": center, "scale": scale}
    spec = Scale(center=center is not None, scale=scale is not None)
    return spec, {name: array[None] for name, array in arrays.items() if array is not None}


def _describe_pca(step: Any) -> tuple[Pca, Arrays]:
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
        return _plan_imputer(graph, spec, x)
    if isinstance(spec, Scale):
        return _plan_scaler(graph, spec, x)
    if isinstance(spec, MinMaxScale):
        product = graph.add("Mul", x.name, graph.parameter("factors", 1, x.width))
        return Matrix(graph.add("Add", product, graph.parameter("offsets", 1, x.width)), x.width)
    product = graph.add("MatMul", x.name, graph.parameter("components", x.width, spec.components))
    result = graph.add("Sub", product, graph.parameter("means", 1, spec.components))
    if spec.whiten:
        result = graph.add("Div", result, graph.parameter("scale", 1, spec.components, positive=True))
    return Matrix(result, spec.components)


def _plan_imputer(graph: Graph, spec: Impute, x: Matrix) -> Matrix:
    missing = graph.add("IsNaN", x.name)
    filled = graph.add("Where", missing, graph.parameter("values", 1, x.width), x.name)
    if not spec.indicators:
        return Matrix(filled, x.width)
    ordered = list(spec.indicators) == sorted(set(spec.indicators))
    require(ordered and spec.indicators[-1] < x.width, "onnx-shape", "an indicator of a column that is not there")
    columns = graph.constant(f"{filled} indicators", Constant.of_integers(spec.indicators))
    said = graph.add("Cast", graph.add("Gather", missing, columns, axis=1), to=DTYPES["float64"])
    return Matrix(graph.add("Concat", filled, said, axis=1), x.width + len(spec.indicators))


def _plan_scaler(graph: Graph, spec: Scale, x: Matrix) -> Matrix:
    """By a subtraction and a division, never by a product with a reciprocal: those are scikit-learn's own bits."""
    result = x.name
    if spec.center:
        result = graph.add("Sub", result, graph.parameter("center", 1, x.width))
    if spec.scale:
        result = graph.add("Div", result, graph.parameter("scale", 1, x.width, positive=True))
    return Matrix(result, x.width)

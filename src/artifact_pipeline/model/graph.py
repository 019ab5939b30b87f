"""The graph of a model, format 2, built step by step, without its numbers.

A family adds its steps and gets the names of their outputs. Numbers that the model chooses are declared with their
names and sizes; everything else, constants too, is part of the graph.
"""

from __future__ import annotations

import struct
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.bounds import MAX_WIDTH
from artifact_pipeline.model.wire import DTYPES, MAX_MODEL_BYTES, Numbers, require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from artifact_pipeline.model.wire import DType, Message

PRODUCER = "artifact-pipeline"
IR_VERSION = 10
OPSET = 18
ML_OPSET = 5
ML = "ai.onnx.ml"
"""The domain of the operators on categories and trees."""
ROWS = "rows"
"""The name of the one dimension without a fixed size."""
MAX_STEPS = 32_768
"""Most steps of a graph: a spec of a few bytes may ask for some thousands."""
_INT, _TENSOR, _INTS = 2, 4, 7
"""The types of attributes, as ONNX numbers them."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of float64 inside a graph: the name of the step's output, and how many columns it has."""

    name: str
    width: int


@dataclass(frozen=True, slots=True)
class Scores:
    """What a classifier answers, as names of outputs of rows x classes, both float64.

    Attributes:
        scores: the greatest one, and the first of those that are equal, decides the label.
        probabilities: None where the estimator has none.
        decision: adds what scikit-learn's `decision_function` gives, and returns its name; of two classes that is the
            second column less the first. None where the estimator has none.
    """

    scores: str
    probabilities: str | None
    decision: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor that is the same in each model with this spec; strings, or bytes, little-endian."""

    dtype: DType
    dims: tuple[int, ...]
    data: bytes | Sequence[str]

    @property
    def least_bytes(self) -> int:
        """How many bytes it takes at least in a model: a string takes two beside its characters."""
        return len(self.data) if isinstance(self.data, bytes) else sum(len(text) + 2 for text in self.data)

    @classmethod
    def of_doubles(cls, values: Sequence[float]) -> Constant:
        """A vector of float64."""
        return cls("float64", (len(values),), struct.pack(f"<{len(values)}d", *values))

    @classmethod
    def of_integers(cls, values: Sequence[int]) -> Constant:
        """A vector of int64."""
        return cls("int64", (len(values),), struct.pack(f"<{len(values)}q", *values))

    @classmethod
    def of_texts(cls, values: Sequence[str]) -> Constant:
        """A vector of strings."""
        return cls("string", (len(values),), values)


Attribute = int | Constant | Numbers


class Graph:
    """A graph to which steps are added."""

    def __init__(self) -> None:
        self._nodes: list[Message] = []
        self._initializers: dict[str, Message] = {}
        self._numbers: dict[str, Numbers] = {}
        self._sizes = {"widest": 1, "constants": 0}
        self._part = ""

    def within(self, part: str) -> Graph:
        """The same graph for a part of the model, whose numbers have the part's name in theirs."""
        inner: Graph = copy(self)  # the lists and dicts are the same ones
        inner._part = f"{self._part}{part}."
        return inner

    @property
    def widest(self) -> int:
        """The width of the widest matrix that was held."""
        return self._sizes["widest"]

    def hold(self, width: int) -> None:
        """Note that a step gives a matrix of this width: the widest one decides how many rows go in one call."""
        self._sizes["widest"] = max(self._sizes["widest"], width)

    def hold_matrix(self, width: int) -> None:
        """Note the width of a matrix that a step on columns takes.

        Raises:
            RuleBroken: it has no column, or more than `MAX_WIDTH`.
        """
        message = f"a matrix has {width:,} columns, allowed are 1 to {MAX_WIDTH:,}"
        require(1 <= width <= MAX_WIDTH, "onnx-shape", message)
        self.hold(width)

    @property
    def numbers(self) -> tuple[Numbers, ...]:
        """All numbers that the model chooses."""
        return tuple(self._numbers.values())

    def add(
        self, operator: str, *inputs: str, domain: str = "", output: str | None = None, **attributes: Attribute
    ) -> str:
        """Add a step, and return the name of its output.

        Raises:
            RuleBroken: the graph has `MAX_STEPS` already, or its constants are larger than a model may be.
        """
        require(len(self._nodes) < MAX_STEPS, "onnx-too-large", f"more than {MAX_STEPS:,} steps in one model")
        self._sizes["constants"] += sum(
            value.least_bytes for value in attributes.values() if isinstance(value, Constant)
        )
        message = f"its constants have more than {MAX_MODEL_BYTES:,} bytes"
        require(self._sizes["constants"] <= MAX_MODEL_BYTES, "onnx-too-large", message)
        output = output or f"{operator}_{len(self._nodes)}"
        node: Message = {"op_type": operator} | ({"domain": domain} if domain else {})
        node |= {"input": list(inputs), "output": [output]}
        node["attribute"] = [_attribute(name, attributes[name]) for name in sorted(attributes)]
        self._nodes.append(node)
        return output

    def add_two(self, operator: str, *inputs: str, **attributes: int) -> tuple[str, str]:
        """Add a step with two outputs, and return their names; raises as `add`."""
        first = self.add(operator, *inputs, domain="", output=None, **attributes)
        second = f"{first}_second"
        self._nodes[-1]["output"].append(second)
        return first, second

    def declare(self, name: str, *dims: int, dtype: DType = "float64", positive: bool = False) -> Numbers:
        """Numbers of an attribute that is a tensor."""
        return self._declared(Numbers(self._part + name, dtype, dims, positive=positive))

    def declare_list(self, name: str, count: int) -> Numbers:
        """Numbers of an attribute that is a list of int64, none of them negative."""
        return self._declared(Numbers(self._part + name, "int64", (count,), packed=True))

    def _declared(self, numbers: Numbers) -> Numbers:
        assert numbers.name not in self._numbers  # of two with one name, a model could hold one alone
        self._numbers[numbers.name] = numbers
        return numbers

    def parameter(self, name: str, *dims: int, dtype: DType = "float64", positive: bool = False) -> str:
        """A tensor of numbers that the model chooses; returns its name, for a step's input."""
        numbers = self.declare(name, *dims, dtype=dtype, positive=positive)
        self._initializers[numbers.name] = _tensor(dtype, dims, numbers, numbers.name)
        return numbers.name

    def constant(self, name: str, value: Constant) -> str:
        """A tensor that does not depend on the model; the same name is the same tensor everywhere."""
        tensor = _tensor(value.dtype, value.dims, value.data, name)
        stored = self._initializers.setdefault(name, tensor)
        assert stored == tensor
        return name

    def double(self, value: float) -> str:
        """One number, as a vector of one item."""
        return self.constant(f"double {value}", Constant.of_doubles([value]))

    def scalar(self, value: float) -> str:
        """One number, as a tensor without dimensions."""
        return self.constant(f"scalar {value}", replace(Constant.of_doubles([value]), dims=()))

    def axis(self, axis: int) -> str:
        """One axis, position or count, as a vector of one item."""
        return self.constant(f"axis {axis}", Constant.of_integers([axis]))

    def index(self, position: int) -> str:
        """One position, as a tensor without dimensions."""
        return self.constant(f"index {position}", replace(Constant.of_integers([position]), dims=()))

    def numbers_to(self, count: int) -> str:
        """The first `count` whole numbers from 0, as a vector."""
        return self.constant(f"numbers to {count}", Constant.of_integers(range(count)))

    def column(self, name: str, position: int) -> str:
        """Add a step that gives one column of a matrix, rows x 1."""
        return self.add("Gather", name, self.axis(position), axis=1)

    def message(self, inputs: Sequence[Message], outputs: Sequence[Message]) -> Message:
        """The whole model, as `wire.encode` takes it."""
        return {
            "ir_version": IR_VERSION,
            "producer_name": PRODUCER,
            "graph": {
                "node": self._nodes,
                "name": PRODUCER,
                "initializer": list(self._initializers.values()),
                "input": list(inputs),
                "output": list(outputs),
            },
            "opset_import": [{"domain": "", "version": OPSET}, {"domain": ML, "version": ML_OPSET}],
        }


def port(name: str, dtype: DType, *columns: int) -> Message:
    """An input or output of the model: rows, or rows x columns."""
    dims = [{"dim_param": ROWS}, *({"dim_value": width} for width in columns)]
    return {"name": name, "type": {"tensor_type": {"elem_type": DTYPES[dtype], "shape": {"dim": dims}}}}


def _attribute(name: str, value: Attribute) -> Message:
    if isinstance(value, int):
        return {"name": name, "i": value, "type": _INT}
    if isinstance(value, Numbers) and value.packed:
        return {"name": name, "ints": value, "type": _INTS}
    data: Any = value if isinstance(value, Numbers) else value.data
    return {"name": name, "t": _tensor(value.dtype, value.dims, data), "type": _TENSOR}


def _tensor(dtype: DType, dims: tuple[int, ...], data: Any, name: str = "") -> Message:
    """A tensor; `data` is a list of strings, bytes, or numbers that the model chooses."""
    held = {"string_data": list(data)} if dtype == "string" else {"raw_data": data}
    return {"data_type": DTYPES[dtype], "dims": list(dims)} | ({"name": name} if name else {}) | held

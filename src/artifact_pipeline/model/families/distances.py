"""How far rows are from rows that a model holds: column by column, and never by the product of the two.

‖x‖² - 2xy + ‖y‖² takes less memory, and loses the last bits: two equal rows have a distance then, and the order of
neighbours depends on the processor. The rows of a call are bounded instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from artifact_pipeline.model.graph import Graph, Matrix


def distances(graph: Graph, metric: str, x: Matrix, references: str, *, count: int) -> str:
    """Add the distance of each row to each of `count` references, in the order of the true one, rows x references.

    `euclidean` gives squares; `minkowski` sums of powers, whose exponent is the parameter `power`.
    """
    graph.hold(count * x.width)
    rows = graph.add("Unsqueeze", x.name, graph.axis(1))
    apart = graph.add("Sub", rows, references)
    apart = graph.add("Mul", apart, apart) if metric == "euclidean" else graph.add("Abs", apart)
    if metric == "minkowski":
        apart = graph.add("Pow", apart, graph.parameter("power", 1, positive=True))
    return graph.add("ReduceSum", apart, graph.axis(2), keepdims=0)

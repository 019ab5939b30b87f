"""One row that is tried on the page: its answer, and how much each column contributes to it.

Where scores are linear, a contribution is exact: what the column adds to the score of the answer, less what it adds to
that of the second-best class. Of any other model it is how much the answer would lose if the column were typical.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from artifact_pipeline.model.contributions import LinearScores
from artifact_pipeline.rows.coded import decoded
from artifact_pipeline.rows.features import Features
from artifact_pipeline.serving.http import Refusal, Response
from artifact_pipeline.serving.page.typical import typical_row
from artifact_pipeline.serving.tensors import parse_inference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.serving.http import Request
    from artifact_pipeline.serving.model import Served

_LINEAR: dict[str, LinearScores | None] = {}
"""The linear scores of the latest models, by artifact digest; None where the scores are not linear."""
By = Literal["contributions", "typical"]
MAX_TRIED = 256
"""Columns at most that are set to their typical value one by one: the first that differ from it."""


def answer_row(served: Served, request: Request) -> Response:
    """Answer an inference request of one row, in JSON; drift is not judged over this row.

    Raises:
        Refusal: the request is not what the protocol asks for, or has more rows.
        DataRejected: the model cannot answer the row.
    """
    import numpy as np

    sent = parse_inference(request.body, None, served).rows
    if len(sent.X) != 1:
        raise Refusal(400, "the page asks for one row at a time")
    S = np.empty((1, 0), dtype=object) if sent.S is None else sent.S
    row = Features(sent.X.astype(np.float64), S)
    labels, values = served.predictor.checked(*sent)
    best = int(served.predictor.positions(labels)[0])
    others = np.where(np.arange(values.shape[1]) == best, -np.inf, values[0])
    by, spoke = what_spoke(served, row, best, int(others.argmax()))
    answer = {"best": best, "values": values[0].tolist(), "by": by, "spoke": spoke.tolist()}
    return Response(200, msgspec.json.encode(answer), rows=1)


def what_spoke(served: Served, row: Features, best: int, second: int | None = None) -> tuple[By, NDArray[np.float64]]:
    """Return in which of the two ways contributions were computed, and the contributions.

    Args:
        served: the model.
        row: one row.
        best: the position of its answer in the model's classes.
        second: the position of the class with which it is compared, or None.

    Returns:
        The way, and for each column a number that is positive where it speaks for the answer: float64, (columns,).
    """
    linear = _linear(served.verified)
    if linear is None:
        return "typical", _changes(served, row, best)
    added = linear.contributions(row)
    return "contributions", added[:, best] - (0 if second is None else added[:, second])


def _linear(verified: Verified) -> LinearScores | None:
    """The linear scores of a model, or None; computed once for each model."""
    if verified.digest not in _LINEAR:
        while len(_LINEAR) > 1:  # after a reload, the model before this one still has requests
            _LINEAR.pop(next(iter(_LINEAR)), None)
        _LINEAR[verified.digest] = LinearScores.of(verified.manifest, verified.role("model"))
    return _LINEAR[verified.digest]


def _changes(served: Served, row: Features, best: int) -> NDArray[np.float64]:
    """How much the answer would lose if each column were typical; 0 where the column is."""
    import numpy as np

    columns = served.verified.manifest.model.columns
    typical = decoded([typical_row(served)], columns)
    rows, place = [row], {"X": 0, "S": 0}
    changed: list[int] = []
    for position, column in enumerate(columns):
        part = "S" if column.kind == "category" else "X"
        at = place[part]
        place[part] += 1
        own, usual = getattr(row, part)[0, at], getattr(typical, part)[0, at]
        if own == usual or (own != own and usual != usual) or len(changed) == MAX_TRIED:  # noqa: PLR0124 - NaN
            continue
        other = Features(row.X.copy(), row.S.copy())
        getattr(other, part)[0, at] = usual
        rows.append(other)
        changed.append(position)
    tried = Features.concatenate(rows)
    values = served.predictor.predict_rows(tried.X, tried.S).values[:, best]
    spoke = np.zeros(len(columns))
    spoke[changed] = values[0] - values[1:]
    return spoke

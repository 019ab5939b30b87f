"""One row that is tried on the page: its answer, and which columns spoke for it.

What spoke is exact where scores are linear: what each column adds to the score of the answer, less what it adds to that
of the second-best one. Of any other model it is how much less the answer would get if the column were typical.
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
"""What makes the scores of the latest models, by artifact digest; None where it is not linear."""
By = Literal["contributions", "typical"]
MAX_TRIED = 256
"""Columns at most that are set to their typical value one by one; of more, the first that differ from it."""


def answer_row(served: Served, request: Request) -> Response:
    """Answer one row; it is not among those over which drift is judged.

    Args:
        served: the model.
        request: an inference request of the protocol, in JSON.

    Raises:
        Refusal: it is not one that the protocol has, or has more rows.
        DataRejected: the row is one that the model cannot answer.
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
    """Return what spoke for an answer, and by which of the two ways that was found.

    Args:
        served: the model.
        row: one row.
        best: the position of its answer in the model's classes.
        second: the position of the class that it is compared with, or None.

    Returns:
        For each column a number, positive where it spoke for the answer; float64 of shape (columns,).
    """
    linear = _linear(served.verified)
    if linear is None:
        return "typical", _changes(served, row, best)
    added = linear.contributions(row)
    return "contributions", added[:, best] - (0 if second is None else added[:, second])


def _linear(verified: Verified) -> LinearScores | None:
    """What makes the scores of a model; made once for each model."""
    if verified.digest not in _LINEAR:
        while len(_LINEAR) > 1:  # the model before this one is kept, while its last requests end
            _LINEAR.pop(next(iter(_LINEAR)), None)
        _LINEAR[verified.digest] = LinearScores.of(verified.manifest, verified.role("model"))
    return _LINEAR[verified.digest]


def _changes(served: Served, row: Features, best: int) -> NDArray[np.float64]:
    """How much less the answer would get if each column were typical; 0 where it is."""
    import numpy as np

    typical = decoded([typical_row(served)], served.verified.manifest.model.columns)
    rows, place = [row], {"X": 0, "S": 0}
    changed: list[int] = []
    for position, column in enumerate(served.verified.manifest.model.columns):
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
    spoke = np.zeros(len(served.verified.manifest.model.columns))
    spoke[changed] = values[0] - values[1:]
    return spoke

"""How far two models of one training are apart: in their numbers, and in their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.manifest2 import Manifest2
from artifact_pipeline.artifact.parameters import parse_parameters
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.model.predictor import open_predictor, predictor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.training.sealed import Candidate

    _Array = tuple[str, tuple[int, ...], bytes]


def compare_answers(artifact: Verified, candidate: Candidate, rows: Rows) -> tuple[int | None, float | None]:
    """How many labels of the two models differ over all rows, and the greatest difference of a probability."""
    import numpy as np

    recorded, here = artifact.manifest.model, candidate.manifest.model
    if recorded.digest == here.digest:
        return 0, 0.0
    if recorded.classes != here.classes or recorded.columns != here.columns:
        return None, None
    new = predictor_of(candidate.manifest, candidate.members).predict_rows(rows.X, rows.S)
    try:
        old = open_predictor(artifact).predict_rows(rows.X, rows.S)
    except DataRejected:  # a value of other rows that the artifact's model cannot take
        return None, None
    labels = int((old.positions != new.positions).sum())
    return labels, float(np.abs(old.values - new.values).max())


def parameters_of(manifest: Manifest, members: Mapping[str, bytes]) -> dict[str, _Array]:
    """The fitted numbers of a model, by name."""
    if isinstance(manifest, Manifest2):
        from artifact_pipeline.model.check import numbers_of

        return numbers_of(members[manifest.file("model").name], manifest.model)
    found = parse_parameters(members[manifest.file("parameters").name])
    names = {"coef": "classifier.coefficients", "intercept": "classifier.intercepts"}
    return {names[name]: ("float64", found[name].shape, bytes(found[name].data)) for name in names}


def compare_parameters(recorded: dict[str, _Array], here: dict[str, _Array]) -> float | None:
    """The greatest difference of a number, as a share of the greatest one of its array; None if not comparable."""
    import numpy as np

    if {name: each[:2] for name, each in recorded.items()} != {name: each[:2] for name, each in here.items()}:
        return None
    shares = []
    with np.errstate(over="ignore", invalid="ignore"):
        for name, (dtype, _, old_bytes) in recorded.items():
            if dtype != "float64":  # positions: of another one all else is another, too
                if old_bytes != here[name][2]:
                    return None
                continue
            old, new = np.frombuffer(old_bytes, dtype="<f8"), np.frombuffer(here[name][2], dtype="<f8")
            if not len(old):
                continue
            scale, difference = np.abs([new, old]).max(), np.abs(new - old).max()
            shares.append(float(difference / scale) if scale else 0.0)
    return max(shares, default=0.0) if np.isfinite(shares).all() else None

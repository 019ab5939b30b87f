"""The estimator: written as a pickle, and rebuilt from its numbers; only this module needs scikit-learn."""

from __future__ import annotations

from pickle import dumps  # it only writes: nothing in this project unpickles
from typing import TYPE_CHECKING

from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.files import read_bounded
from artifact_pipeline.pickles.logistic import FittedLogisticRegression, read_export
from artifact_pipeline.pickles.nodes import MAX_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from sklearn.linear_model import LogisticRegression

_PROTOCOL = 5


def export_bytes(estimator: LogisticRegression) -> bytes:
    """The pickle of a fitted estimator: equal numbers give equal bytes, in every process.

    What is written is the estimator as it will be read back. So the reader has judged it before anybody needs
    it, and the bytes depend neither on which objects share memory nor on the order of the attributes.

    Raises:
        ArtifactRejected: it is no fitted `LogisticRegression` with finite numbers.
    """
    return dumps(rebuild(read_export(dumps(estimator, _PROTOCOL), name=type(estimator).__name__)), _PROTOCOL)


def rebuild(numbers: FittedLogisticRegression) -> LogisticRegression:
    """A fitted estimator of the installed scikit-learn, with these numbers bit for bit."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    estimator = LogisticRegression(**numbers.parameters)
    if numbers.feature_names_in_ is not None:
        estimator.feature_names_in_ = np.array(numbers.feature_names_in_, dtype=object)
    estimator.n_features_in_ = numbers.n_features_in_
    estimator.classes_ = numbers.classes_
    # The order of the attributes is a part of a pickle: liblinear sets its iterations last.
    liblinear = numbers.parameters["solver"] == "liblinear"
    if not liblinear:
        estimator.n_iter_ = numbers.n_iter_
    estimator.coef_ = numbers.coef_
    estimator.intercept_ = numbers.intercept_ if numbers.intercept_.shape else numbers.intercept_.item()
    if liblinear:
        estimator.n_iter_ = numbers.n_iter_
    return estimator


def load_model(path: Path) -> LogisticRegression:
    """Read an export, ours or another's, and rebuild the estimator; nothing in the file is executed.

    Raises:
        ArtifactRejected: the file is missing, unreadable, too large, or is not a fitted `LogisticRegression`.
    """
    try:
        data = read_bounded(path, MAX_BYTES)
    except FileNotFoundError:
        raise _rejected(path, "export-missing", "no such file", "run artifact-pipeline train first") from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise _rejected(path, "export-unreadable", reason) from error
    except ValueError as error:
        rule = "export-too-large" if path.is_file() else "export-unreadable"
        raise _rejected(path, rule, str(error)) from None
    return rebuild(read_export(data, name=str(path)))


def _rejected(path: Path, rule: str, message: str, hint: str | None = None) -> ArtifactRejected:
    return ArtifactRejected(
        f"{path} is not an export that can be read", problems=[Problem(str(path), rule, message)], hint=hint
    )

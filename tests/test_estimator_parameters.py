"""The estimator's parameters: each survives the model's bytes, the export, its reader, and a training again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from artifact_pipeline.api import reproduce
from artifact_pipeline.config import from_mapping
from artifact_pipeline.documented import load_model
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from tables import blobs, write_table

if TYPE_CHECKING:
    from pathlib import Path

CASES: dict[str, tuple[list[int] | list[str], dict[str, Any]]] = {
    "no intercept": ([3, 5, 9], {"fit_intercept": False}),
    "no intercept of liblinear": (["no", "yes"], {"solver": "liblinear", "fit_intercept": False}),
    "L1 by liblinear": (["no", "yes"], {"solver": "liblinear", "l1_ratio": 1, "C": 0.01}),
    "L1 by saga": ([3, 5, 9], {"solver": "saga", "l1_ratio": 1.0, "C": 0.01, "tol": 1e-3}),
    "elastic net": (["no", "yes"], {"solver": "saga", "l1_ratio": 0.5, "tol": 1e-3}),
    "weights of numbers": ([3, 5, 9], {"class_weight": {"9": 4.0, "3": 0.5}}),
    "weights of texts": (["no", "yes", "é.: "], {"class_weight": {"é.: ": 4.0, "no": 1e-3}}),
    "balanced": (["no", "yes"], {"class_weight": "balanced", "solver": "newton-cholesky"}),
}


def weights(asked: Any, labels: list[Any]) -> Any:
    """`class_weight` as scikit-learn takes it."""
    return {label: asked[str(label)] for label in labels if str(label) in asked} if isinstance(asked, dict) else asked


@pytest.mark.parametrize("case", CASES)
def test_a_parameter_survives_the_whole_way(case: str, tmp_path: Path) -> None:
    """Published model, export and estimator answer alike, bit for bit the same numbers, and all comes back again."""
    labels, asked = CASES[case]
    path = write_table(tmp_path / "rows.parquet", blobs(labels))
    dataset = {"path": str(path), "target": "label"}
    plain = {"gate": {"min_accuracy": 0.5, "beats_baseline": False}, "split": {"by": "random"}, "preprocess": "none"}
    config = from_mapping({"C": 1.0, "solver": "lbfgs", "max_iter": 5000, "dataset": dataset, **plain, **asked})
    candidate = train(config, progress=lambda _: None)
    publish(candidate, artifact=tmp_path / "artifact", export=tmp_path / "model_train.pkl")
    artifact = verify(tmp_path / "artifact")

    data = Dataset.load(config)
    own = LogisticRegression(**{"max_iter": 5000, "random_state": 42, **asked})
    own.set_params(class_weight=weights(asked.get("class_weight"), labels)).fit(data.X[data.train], data.y[data.train])
    told = artifact.manifest.model.parameters
    assert {key: told[key] for key in asked} == asked
    for model in (load_model(tmp_path / "model_train.pkl"), joblib.load(tmp_path / "model_train.pkl")):
        assert model.get_params() == own.get_params()
        assert np.array_equal(model.coef_, own.coef_)
        assert np.array_equal(model.intercept_, own.intercept_)
        assert np.array_equal(open_predictor(artifact).predict(data.X).labels, model.predict(data.X))
    assert "fit_intercept" not in asked or not np.any(own.intercept_)
    assert (own.coef_ == 0).any() == ("l1_ratio" in asked)
    assert reproduce(tmp_path / "artifact", data=path, progress=lambda _: None).grade == "bytes"

"""From a JSON file to a scikit-learn model in production, provably.

The flow, and where to read on:

    config.json ──config──▶ Config ──training──▶ model.onnx, measured and judged ──artifact.store──▶ artifact/
                                                                                                        │
    predictions ◀──prediction── Verified ◀──────────────────verification────────────────────────────────┘

`training` and `prediction` meet at the artifact alone; `cli` is the one place that prints.
Nothing is imported here before it is asked for, so that `verify` starts without NumPy and `predict` without
scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from artifact_pipeline.artifact.verified import Verified
    from artifact_pipeline.config import Config, load_config
    from artifact_pipeline.errors import PipelineError
    from artifact_pipeline.model.predictor import open_predictor
    from artifact_pipeline.prediction.outcome import Predictions
    from artifact_pipeline.prediction.predictions import predict
    from artifact_pipeline.prediction.scoring import Options
    from artifact_pipeline.training.candidate import train
    from artifact_pipeline.training.publication import publish
    from artifact_pipeline.verification import verify

__all__ = [
    "Config",
    "Options",
    "PipelineError",
    "Predictions",
    "Verified",
    "load_config",
    "open_predictor",
    "predict",
    "publish",
    "train",
    "verify",
]

_HOMES = {
    "Config": "config",
    "Options": "prediction.scoring",
    "PipelineError": "errors",
    "Predictions": "prediction.predictions",
    "Verified": "verification",
    "load_config": "config",
    "open_predictor": "model.predictor",
    "predict": "prediction.predictions",
    "publish": "training.publication",
    "train": "training.candidate",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(f"{__name__}.{home}"), name)

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
    from artifact_pipeline.api import (
        compare,
        evaluate,
        open_artifact,
        predict_files,
        reproduce,
        rollback,
        runs,
        sign,
        train,
    )
    from artifact_pipeline.errors import PipelineError
    from artifact_pipeline.prediction.model import Model
    from artifact_pipeline.training.packaging import package
    from artifact_pipeline.training.request import Training

__all__ = [
    "Model",
    "PipelineError",
    "Training",
    "compare",
    "evaluate",
    "open_artifact",
    "package",
    "predict_files",
    "reproduce",
    "rollback",
    "runs",
    "sign",
    "train",
]

_ELSEWHERE = {
    "Model": "prediction.model",
    "PipelineError": "errors",
    "Training": "training.request",
    "package": "training.packaging",
}
_HOMES = {name: _ELSEWHERE.get(name, "api") for name in __all__}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(f"{__name__}.{home}"), name)

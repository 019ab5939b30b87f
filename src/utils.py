"""The documented helpers for config, data and models; the package behind them is artifact_pipeline."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.insert(0, HERE)

import _preflight

_preflight.check(_preflight.TRAIN, __name__)

from artifact_pipeline.documented import (
    evaluate_model,
    load_config,
    load_data,
    load_digits_data,
    load_model,
    save_model,
    train_model,
)

__all__ = [
    "evaluate_model",
    "load_config",
    "load_data",
    "load_digits_data",
    "load_model",
    "save_model",
    "train_model",
]

"""The documented helpers for config, data and models; the package behind them is artifact_pipeline."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import _preflight

_preflight.check(_preflight.TRAIN)

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

"""The door to training: `python src/train.py`, from any folder; `--help` lists its options."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.insert(0, HERE)

import _preflight

_preflight.check(_preflight.TRAIN, __name__)

from pathlib import Path

from artifact_pipeline.cli.boundary import train_door
from artifact_pipeline.documented import evaluate_model, load_config, load_data, load_model, save_model, train_model

__all__ = ["evaluate_model", "load_config", "load_data", "load_model", "main", "save_model", "train_model"]


def main(argv=None):
    """Train from config/config.json, write artifact and model_train.pkl, and return the exit status.

    `argv` are options as on the command line; None is none, whatever the options of the caller's own process are.
    """
    return train_door(Path(_preflight.ROOT), argv or ())


if __name__ == "__main__":
    sys.exit(train_door(Path(_preflight.ROOT)))

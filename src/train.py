"""The door to training: `python src/train.py`, from any folder; `--help` tells its options."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.insert(0, HERE)

import _preflight

_preflight.check(_preflight.TRAIN, __name__)

from pathlib import Path

from artifact_pipeline.cli.boundary import train_door
from artifact_pipeline.documented import load_config, train_model

__all__ = ["load_config", "main", "train_model"]


def main(argv=None):
    """Train from config/config.json, write artifact and model_train.pkl, and return the exit status."""
    return train_door(Path(_preflight.ROOT), argv)


if __name__ == "__main__":
    sys.exit(main())

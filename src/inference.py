"""The door to inference: `python src/inference.py`, from any folder; `--help` lists its options."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.insert(0, HERE)

import _preflight

_preflight.check(_preflight.BASE, __name__)

from pathlib import Path

from artifact_pipeline.cli.boundary import inference_door
from artifact_pipeline.documented import load_model

__all__ = ["load_model", "main"]


def main(argv=None):
    """Verify the artifact, predict the digits, write predictions.csv, and return the exit status.

    `argv` are options as on the command line; None is none, whatever the options of the caller's own process are.
    """
    return inference_door(Path(_preflight.ROOT), argv or ())


if __name__ == "__main__":
    sys.exit(inference_door(Path(_preflight.ROOT)))

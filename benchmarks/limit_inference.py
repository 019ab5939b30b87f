"""Do of an inference what libraries do: load them, open a session of the model, and answer as many rows of zeros."""

import gc
import hashlib  # noqa: F401 - what is loaded is measured
from pathlib import Path

import click  # noqa: F401
import msgspec  # noqa: F401

gc.set_threshold(100_000)

import numpy as np  # noqa: E402
import onnxruntime as ort  # noqa: E402

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 3
model = Path("artifact", "model.onnx").read_bytes()
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
session.run(None, {"X": np.zeros((1797, 64))})
gc.freeze()

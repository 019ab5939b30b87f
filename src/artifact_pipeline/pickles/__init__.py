"""The pickle export for Python users, and its reading back without unpickling.

`nodes` holds what an opcode may leave behind, `stream` and `machine` turn bytes into such inert values,
`arrays` turns these into NumPy arrays, `parameters` and `logistic` check that they are a fitted logistic
regression, and `estimator` writes the export and rebuilds the estimator from its numbers. No name in a file is
ever imported, and nothing in it is called.
"""

from artifact_pipeline.pickles.estimator import export_bytes, load_model, rebuild
from artifact_pipeline.pickles.logistic import FittedLogisticRegression, read_export

__all__ = ["FittedLogisticRegression", "export_bytes", "load_model", "read_export", "rebuild"]

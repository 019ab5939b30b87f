"""The pickle export for Python users, and its reading back without unpickling."""

from artifact_pipeline.pickles.logistic import FittedLogisticRegression, export_bytes, load_model, read_export, rebuild

__all__ = ["FittedLogisticRegression", "export_bytes", "load_model", "read_export", "rebuild"]

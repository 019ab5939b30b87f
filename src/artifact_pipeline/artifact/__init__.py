"""The artifact: a folder that proves itself. docs/artifact-format.md describes it."""

ARTIFACT = "artifact"
"""Where a training writes its pointer, unless the user says another place, and where all others look for it."""
EXPORT = "model_train.pkl"
"""Likewise the pickle for Python users, beside the pointer."""

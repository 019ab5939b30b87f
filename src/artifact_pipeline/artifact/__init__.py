"""The artifact: a folder that proves itself. docs/artifact-format.md describes it."""

ARTIFACT = "artifact"
"""The default path of the pointer, which a training writes and all other verbs read."""
EXPORT = "model_train.pkl"
"""The default path of the pickle for Python users."""

"""The command line: the verbs, what they print, and the one place where an error becomes an exit status."""

from artifact_pipeline.cli.boundary import inference_door, main, train_door

__all__ = ["inference_door", "main", "train_door"]

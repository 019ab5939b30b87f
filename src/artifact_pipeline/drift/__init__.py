"""Drift: the rows of inference beside the rows of training."""

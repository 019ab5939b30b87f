"""Inference: an artifact answers rows. Knows only the artifact and rows, nothing of training."""

"""Metrics on arrays, NumPy alone."""

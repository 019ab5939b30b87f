"""Rows: one reader of tables."""

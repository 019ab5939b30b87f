"""A search that can be proven: its plan, its folds, its trials, where they run, and what is chosen."""

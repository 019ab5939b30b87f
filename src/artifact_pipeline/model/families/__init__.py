"""The families of a model's steps: each describes what scikit-learn fitted, and plans its part of the graph."""

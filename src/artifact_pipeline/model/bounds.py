"""The bounds of a model, format 2: without them a manifest of a few bytes could ask for any memory."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

MAX_WIDTH = 65_536
"""Most columns of a matrix inside a model."""
MAX_CLASSES = 10_000
MAX_CLASS_STEPS = 1_000
"""Most classes of an estimator whose graph has steps for each class."""
MAX_NODES = 2_000_000
"""Most nodes that split, of all trees of a model together."""
MAX_TREES = 2_000
"""Most trees of a forest: each is a step of its own, and the check of so many takes three seconds."""
MAX_TREE_DEPTH = 512
"""Most nodes that split on the way to a leaf: ONNX Runtime follows a tree by recursion."""
MAX_DEPTH = 8
"""How deep estimators may be nested."""
MAX_INNER = 1_000
"""Most estimators directly in another one."""
MAX_REFERENCES = 2_000_000
"""Most rows that a model holds, to compare others with them."""

Width = Annotated[int, Meta(ge=1, le=MAX_WIDTH)]
Position = Annotated[int, Meta(ge=0, lt=MAX_WIDTH)]

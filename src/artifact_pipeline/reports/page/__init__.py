"""The page of a model: what it is, how right it is, where it is wrong, and how to prove that."""

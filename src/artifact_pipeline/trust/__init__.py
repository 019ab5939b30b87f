"""Trust: whose signature counts, what a consumer asks of an artifact, and what stands beside it."""

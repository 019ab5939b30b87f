"""Trust: whose signature counts, what a consumer asks of an artifact, and the files beside it."""

"""Training: from a config to a published artifact."""

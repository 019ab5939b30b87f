"""Trust: keys, signatures, and the policy of who uses an artifact."""

"""Trust: keys, signatures, policies and statements."""

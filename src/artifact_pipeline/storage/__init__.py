"""A path or the URL of an object store: opened, hashed, written whole."""

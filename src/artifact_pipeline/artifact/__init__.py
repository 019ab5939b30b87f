"""The artifact: a folder that proves itself. docs/artifact-format.md describes it."""

"""Artifacts in an OCI registry, in the form of CNCF ModelPack."""

"""`artifact-pipeline schema`: the config's JSON Schema."""

from __future__ import annotations

import sys

import click

from artifact_pipeline.cli.options import common


@click.command(short_help="Print the config's JSON Schema.")
@common
def schema() -> None:
    """Print the JSON Schema of the config: every key with its type, bounds and default.

    Name the file in the config's `$schema`, and an editor completes and checks while you type.
    """
    from artifact_pipeline.config import schema_text

    sys.stdout.write(schema_text())

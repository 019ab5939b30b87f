"""The group of verbs, and the help that stands above them."""

from __future__ import annotations

import click

from artifact_pipeline import __version__
from artifact_pipeline.cli.history import rollback, runs
from artifact_pipeline.cli.inference import predict
from artifact_pipeline.cli.inspection import inspect, verify
from artifact_pipeline.cli.schema import schema
from artifact_pipeline.cli.training import train

STATUSES = """\b
Exit statuses:
    0  done
    1  another error, or a bug of ours
    2  the config or an option breaks a rule
    3  the gate failed; what stood before still stands
    4  the artifact is missing or not what it claims to be
    5  rows cannot be read or do not fit the model
    6  a training again gave something else
    7  the rows have drifted
    8  the disk is full, read-only or busy
  130  interrupted by Ctrl-C
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=STATUSES,
    help="From a JSON file to a scikit-learn model in production, provably.",
)
@click.version_option(__version__, prog_name="artifact-pipeline", message="%(prog)s %(version)s")
def app() -> None:
    """Hold the verbs together."""


for verb in (train, verify, predict, inspect, runs, rollback, schema):
    app.add_command(verb)

"""The group of verbs, and the help that stands above them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from artifact_pipeline import __version__
from artifact_pipeline.cli.comparison import compare
from artifact_pipeline.cli.completion import completion
from artifact_pipeline.cli.evaluation import evaluate
from artifact_pipeline.cli.exporting import bom, card, export, report
from artifact_pipeline.cli.garbage import gc
from artifact_pipeline.cli.history import rollback, runs
from artifact_pipeline.cli.inference import predict
from artifact_pipeline.cli.init import init
from artifact_pipeline.cli.inspection import inspect, verify
from artifact_pipeline.cli.manual import man
from artifact_pipeline.cli.options import HELP, STATUSES, statuses, verb
from artifact_pipeline.cli.promotion import demote, history, promote
from artifact_pipeline.cli.registry import pull, push
from artifact_pipeline.cli.reproduction import reproduce
from artifact_pipeline.cli.searching import search
from artifact_pipeline.cli.serving import health, serve
from artifact_pipeline.cli.signing import sign
from artifact_pipeline.cli.training import train

if TYPE_CHECKING:
    from artifact_pipeline.cli.output import Output

_COMPLETION = """\b
Shell completion: artifact-pipeline completion install; or in your shell's start file
(zsh_source and fish_source for the others):
  eval "$(_ARTIFACT_PIPELINE_COMPLETE=bash_source artifact-pipeline)"
"""


@verb("Print the config's JSON Schema.")
@click.pass_obj
def schema(output: Output) -> None:
    """Print the JSON Schema of the config: every key with its type, bounds and default.

    Name the file in the config's `$schema`, and an editor completes and checks while you type.
    """
    from artifact_pipeline.config import schema_text

    output.print(schema_text())
    output.log(f"next: {output.typed('artifact-pipeline train --dry-run')}")


class _Verbs(click.Group):
    """A group that lists its verbs in the order of their use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's form
        """The names, in the order in which they were given."""
        return list(self.commands)


@click.group(
    cls=_Verbs,
    commands=[
        init,
        train,
        verify,
        sign,
        predict,
        serve,
        health,
        evaluate,
        inspect,
        search,
        report,
        compare,
        reproduce,
        card,
        bom,
        export,
        runs,
        rollback,
        push,
        pull,
        gc,
        promote,
        demote,
        history,
        schema,
        completion,
        man,
    ],
    context_settings=HELP,
    epilog=f"{_COMPLETION}\n{statuses(*STATUSES)}",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def app() -> None:
    """From a JSON file to a scikit-learn model in production, provably."""

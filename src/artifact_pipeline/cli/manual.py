"""`artifact-pipeline man`: the manual page, from the help of the verbs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from artifact_pipeline import __version__
from artifact_pipeline.cli.commands import NAME
from artifact_pipeline.cli.examples import EXAMPLES
from artifact_pipeline.cli.options import HELP, STATUSES, verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.cli.output import Output

_ESCAPES = str.maketrans({"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"})
"""What roff would take for a command, or for a typographic sign."""


@verb("Print the manual page.")
@click.pass_context
def man(context: click.Context) -> None:
    """Print the manual page: every verb with its options and examples, in the form that man reads."""
    output: Output = context.obj
    page = manual_page(context.find_root().command)
    output.document(page, {"page": page})


def manual_page(app: click.Command) -> str:
    """Return the manual page of all verbs of the group, in roff."""
    context = click.Context(app, info_name=NAME, **HELP)
    about = _text(app.help or "").rstrip(".")
    lines = [
        f'.TH ARTIFACT-PIPELINE 1 "" "artifact-pipeline {__version__}" "User Commands"',
        ".SH NAME",
        rf"artifact\-pipeline \- {about[:1].lower()}{about[1:]}",
        ".SH SYNOPSIS",
        r".B artifact\-pipeline",
        r".I verb",
        r"[\fIoption\fR]... [\fIargument\fR]...",
        ".SH VERBS",
    ]
    for name, command in app.commands.items() if isinstance(app, click.Group) else ():
        lines += _verb(name, command, click.Context(command, info_name=name, parent=context, **HELP))
    lines.append(".SH EXIT STATUS")
    for status, words in STATUSES.items():
        lines += [".TP", f".B {status}", _text(words)]
    return "\n".join(lines) + "\n"


def _verb(name: str, command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the lines of one verb: how it is called, what it does, its options, its examples."""
    yield f".SS {_text(' '.join([name, *command.collect_usage_pieces(context)]))}"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from (".PP", _text(paragraph))
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if record is not None and isinstance(option, click.Option):
            yield from (".TP", rf"\fB{_text(record[0])}\fR", _text(record[1]))
    if examples := EXAMPLES.get(name):
        yield from (".PP", "Examples:", ".PP", ".nf", ".RS 4")
        yield from map(_text, examples)
        yield from (".RE", ".fi")


def _text(words: str) -> str:
    """Return text as roff prints it: in one line, and nothing in it a command."""
    escaped = " ".join(words.split()).translate(_ESCAPES)
    escaped = "".join(each if each.isascii() else f"\\[u{ord(each):04X}]" for each in escaped)
    return rf"\&{escaped}" if escaped.startswith(".") else escaped

"""`artifact-pipeline init`: look at a table, and write a config that runs as it stands."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import file_option, verb
from artifact_pipeline.errors import ConfigError, listing, plural
from artifact_pipeline.files import shown
from artifact_pipeline.plugins import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training.drafted import Draft

_SHOWN = 10
_WIDTH = 60


@verb("Look at a table, and write a config that runs as it stands.", 5, 8)
@click.argument("table", required=False, type=click.Path())
@click.option("--dataset", type=click.Choice(NAMES), help="A data set that comes with the package, in place of TABLE.")
@click.option("--target", metavar="COLUMN", help="The column that holds the class of each row; by default it is found.")
@file_option("-o", "--output", "to", default="config.json", words="Where the config is written.")
@click.option("--force", is_flag=True, help="Replace a file that stands there.")
@click.pass_obj
def init(
    output: Output, /, table: str | None, *, dataset: str | None, target: str | None, to: Path, force: bool
) -> None:
    """Look at TABLE (a file, a folder of parts, or a pattern), and write a config for it.

    It prints what each column is and why, which one is the target, what is left out, and what looks wrong. The config
    names the table relative to its own folder; its gate asks that the model beats the most frequent class. Nothing is
    trained. A file that stands already is not replaced without --force.
    """
    from artifact_pipeline.training.draft import draft
    from artifact_pipeline.training.drafted import DraftRequest

    if (table is None) == (dataset is None):
        raise ConfigError("name a table, or a data set that comes with the package", hint=_HINT)
    with output.progress() as progress:
        found = draft(DraftRequest(table, dataset, target, to, force=force), progress)
    _say(output, found)
    output.next(f"artifact-pipeline train --config {shlex.quote(shown(to))}")
    output.result(_result(found))


_HINT = f"artifact-pipeline init data.csv, or artifact-pipeline init --dataset {NAMES[1]}"


def _say(output: Output, found: Draft) -> None:
    files = f" of {plural(found.files, 'file')}" if found.files > 1 else ""
    output.say(f"{plural(found.rows, 'row')}{files}")
    output.say()
    rows = []
    for column in found.columns:
        name, values, why = (_clipped(text) for text in (column.name, column.values, column.why))
        rows.append((name, column.use, column.kind or "", f"{column.missing:,}" if column.missing else "", values, why))
    output.table(("column", "use", "kind", "missing", "values", "why"), rows)
    output.say()
    target = found.target
    classes = [f"{label!r} {count:,}" for label, count in zip(target.labels, target.counts, strict=True)]
    output.say(
        f"target: {target.name!r}, since {target.why}; {plural(len(classes), 'class')}: {listing(classes, _SHOWN)}"
    )
    output.say(f"model: {found.config['model']['estimator']}, since {found.model}")
    for each in found.alternatives:
        model = json.dumps(each)
        output.say(f"or: -S {shlex.quote(f'model={model}')}")
    for warning in found.warnings:
        output.log(f"warning: {warning}")
    for suggestion in found.suggestions:
        output.log(f"note: {suggestion}")
    output.say(f"written: {' and '.join(shown(each) for each in found.written)}")


def _clipped(text: str) -> str:
    """Return a text, cut for a table; `--json` has it whole."""
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _result(found: Draft) -> dict[str, Any]:
    target = found.target
    classes = [{"label": label, "rows": count} for label, count in zip(target.labels, target.counts, strict=True)]
    return {
        "config": found.config,
        "written": [shown(each) for each in found.written],
        "rows": found.rows,
        "files": found.files,
        "target": {"name": target.name, "why": target.why, "classes": classes},
        "columns": [asdict(column) for column in found.columns],
        "model": {"why": found.model, "alternatives": list(found.alternatives)},
        "warnings": list(found.warnings),
        "suggestions": list(found.suggestions),
    }

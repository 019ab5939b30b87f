"""Write the pages of the reference: the keys of the config from its JSON Schema, the commands from their own help.

`python scripts/reference.py` writes the pages in `docs/reference` but `python.md`; `make docs` runs it before
it builds the site. A test compares the pages with what this script gives.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.app import app
from artifact_pipeline.config import json_schema
from artifact_pipeline.config.estimators import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}

CONFIG = """\
# The keys of the config

Written by `scripts/reference.py` from the JSON Schema, `config/config.schema.json`.
[Configuration](../configuration.md) says how the keys are used together.

| key | type | default | what it is |
| --- | --- | --- | --- |
"""
PARAMETERS = """\
# The parameters of each classifier

Written by `scripts/reference.py` from the JSON Schema: types, bounds and defaults are scikit-learn's own constraints,
descriptions come from its docstrings. [The classifiers](../estimators.md) says how exactly each one is written.
`LogisticRegression` stands among [the keys of the config](config.md).
"""
CLI = """\
# The commands and their options

Written by `scripts/reference.py` from the commands' own help.
[Commands](../commands.md) has an overview and the exit statuses.
"""


def config_page() -> str:
    """The page of the config: a row for each key, in the order of the schema."""
    return CONFIG + "".join(f"| {' | '.join(row)} |\n" for row in _keys(json_schema()))


def _keys(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """The key, type, default and description of each key; a key inside another key has that one's name before it."""
    for name, part in schema["properties"].items():
        inner = _definition(part, schema["$defs"])
        if "$ref" not in part and not name.startswith("$"):
            yield _row(name, part, schema)
        if inner is not None:
            for key, each in inner["properties"].items():
                yield _row(f"{name}.{key}", each, inner)


def _definition(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The object that a key's value is, or may be; None where it is no object with keys of its own."""
    for each in (part, *part.get("oneOf", ()), *part.get("anyOf", ())):
        if "$ref" in each:
            found: Mapping[str, Any] = definitions[each["$ref"].rpartition("/")[2]]
            return found
    return None


def _row(key: str, part: Mapping[str, Any], parent: Mapping[str, Any]) -> tuple[str, str, str, str]:
    needed = [*parent.get("required", ()), *(key for way in parent.get("oneOf", ()) for key in way["required"])]
    missing = "*needed*" if key.rpartition(".")[2] in needed else "*by dataset*"
    default = _code(part["default"]) if "default" in part else missing
    return f"`{key}`", _type(part), default, _cell(part["description"])


def _type(part: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    choices = part.get("anyOf", part.get("oneOf"))
    if choices is not None:
        return " or ".join(map(_type, choices))
    if "$ref" in part:
        return (
            "an object"
            if part["$ref"].endswith(("/Step", "/Classifier", "/Space"))
            else "an object with the keys below"
        )
    values = [part["const"]] if "const" in part else part.get("enum")
    return _plain(part) if values is None else ", ".join(map(_code, values))


def _plain(part: Mapping[str, Any]) -> str:
    """What a value of one type may be, with its bounds."""
    if part["type"] == "array":
        if isinstance(part["items"].get("type"), list):  # numbers, or arrays of them
            return "array of numbers"
        return f"array of {_type(part['items'])}"
    if part["type"] == "object":
        inner = part["additionalProperties"]
        return "object of classifiers by name" if "$ref" in inner else f"object by label of {_type(inner)}"
    bounds = [f"{word} {part[bound]:.10g}" for bound, word in BOUNDS.items() if bound in part]
    return " ".join([part["type"], ", ".join(bounds)]).rstrip()


def parameters_page() -> str:
    """The page of the classifiers: for each what it is, and a row for each parameter."""
    definitions = json_schema()["$defs"]
    return PARAMETERS + "".join(
        _classifier(name, definitions[name]) for name in WRITTEN if name != "LogisticRegression"
    )


def _classifier(name: str, found: Mapping[str, Any]) -> str:
    rows = [_row(key, part, found) for key, part in found["properties"].items() if key != "estimator"]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    head = "| parameter | type | default | what it is |\n| --- | --- | --- | --- |\n"
    return f"\n## {name}\n\n{_cell(found['description'])}\n\n{head}{table}"


def cli_page() -> str:
    """The page of the commands: for each its usage, its help, and a row for each option."""
    return CLI + "".join(_verb(name, command) for name, command in app.commands.items())


def _verb(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"artifact-pipeline {name}", **app.context_settings)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "")
    options = [each for each in command.get_params(context) if isinstance(each, click.Option) and not each.hidden]
    rows = "".join(_option(each, context) for each in options)
    return f"\n## {name}\n\n```text\n{usage}\n```\n\n{text}\n\n| option | what it is |\n| --- | --- |\n{rows}"


def _option(option: click.Option, context: click.Context) -> str:
    """The row of an option, in the words of its help."""
    record = option.get_help_record(context)
    assert record is not None
    names, text = record
    return f"| {_code_text(names)} | {_cell(text)} |\n"


def _code(value: object) -> str:
    return _code_text(json.dumps(value, ensure_ascii=False))


def _code_text(text: str) -> str:
    """Text as code in a cell of a table."""
    return f"`{text.replace('|', chr(92) + '|')}`"


def _cell(text: str) -> str:
    """Text in a cell of a table, without Markdown."""
    return re.sub(r"([|<>*_\[\]])", r"\\\1", " ".join(text.split()))


PAGES = {"config.md": config_page, "parameters.md": parameters_page, "cli.md": cli_page}
"""The page of each file of the reference that is generated."""


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

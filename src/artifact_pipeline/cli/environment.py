"""Options that a variable of the environment has given: a refusal names the variable, as it has given the value."""

from __future__ import annotations

import functools
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from artifact_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SERVICE_LINK = re.compile(r"(?:tcp|udp|sctp)://")
"""How the value begins that Kubernetes gives to `NAME_PORT` for a Service `name`."""


def naming_variables(function: Callable[..., None]) -> Callable[..., None]:
    """Let a verb's refusals name the variables that have given its options."""

    @functools.wraps(function)
    def _run(*arguments: object, **options: object) -> None:
        try:
            function(*arguments, **options)
        except PipelineError as error:
            name_variables(error, click.get_current_context())
            raise

    return _run


def name_variables(error: PipelineError, context: click.Context) -> None:
    """Name in a refusal each variable that has given an option which the refusal is about."""
    for option, variable, value in _given(context):
        spelled = re.compile(rf"{re.escape(option)}(?![\w-])")
        texts = [error.message, error.hint or "", *map(str, error.problems)]
        if not any(spelled.search(text) or _holds(text, value) for text in texts):
            continue
        error.message = spelled.sub(variable, error.message)
        error.problems = tuple(
            replace(each, place=spelled.sub(variable, each.place), message=spelled.sub(variable, each.message))
            for each in error.problems
        )
        if _SERVICE_LINK.match(value):
            error.hint = f"enableServiceLinks: false in the pod's spec keeps Kubernetes from setting {variable}"
        else:
            error.hint = "; ".join(filter(None, [error.hint, f"{variable} is {value!r:.200} in the environment"]))


def _given(context: click.Context) -> Iterator[tuple[str, str, str]]:
    """Yield each option that a variable has given, with the variable and its value."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
            variable = f"{context.auto_envvar_prefix}_{name.upper()}"
            yield max(parameter.opts, key=len), variable, os.environ.get(variable, "")


def _holds(text: str, value: str) -> bool:
    """Return whether a text holds a path, a name or a digest as a word; a number may mean anything."""
    if not value or value.isdigit():
        return False
    return re.search(rf"(?<![\w/.-]){re.escape(value)}(?![\w/-])", text) is not None

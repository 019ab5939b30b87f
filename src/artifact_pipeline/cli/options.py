"""Options that several verbs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

Verb = TypeVar("Verb", bound="Callable[..., Any]")

ARTIFACT = "artifact"
EXPORT = "model_train.pkl"


def common(verb: Verb) -> Verb:
    """`--json`, `--quiet` and `--debug`: they are read in `Output.for_arguments`, and stand here for parser and help."""
    for name, words in (
        ("--debug", "Print a traceback with each error."),
        (("--quiet", "-q"), "Print nothing but errors."),
        ("--json", "Print one JSON object on standard output, and nothing else there."),
    ):
        names = (name,) if isinstance(name, str) else name
        verb = click.option(*names, is_flag=True, expose_value=False, help=words)(verb)
    return verb


def artifact_option(words: str) -> Callable[[Verb], Verb]:
    """`--artifact PATH`, with what the verb does with it."""
    return click.option(
        "--artifact", default=ARTIFACT, show_default=True, metavar="PATH", type=click.Path(path_type=_path()), help=words
    )


def export_option(words: str) -> Callable[[Verb], Verb]:
    """`--export FILE`, with what the verb does with it."""
    return click.option(
        "--export", default=EXPORT, show_default=True, metavar="FILE", type=click.Path(path_type=_path()), help=words
    )


def trust_options(verb: Verb) -> Verb:
    """`--expect` and `--accept-failed-gate`: what a consumer asks of an artifact."""
    verb = click.option(
        "--accept-failed-gate", is_flag=True, help="Use a model whose gate is missing or failed; nothing else allows it."
    )(verb)
    return click.option(
        "--expect", metavar="DIGEST", help="The artifact digest known from elsewhere, sha256:…; any other is refused unread."
    )(verb)


def _path() -> type:
    from pathlib import Path

    return Path

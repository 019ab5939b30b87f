"""What several verbs share: options, exit statuses, and how their help is laid out."""

from __future__ import annotations

import math
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.artifact import ARTIFACT, EXPORT
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.cli.environment import naming_variables
from artifact_pipeline.cli.examples import EXAMPLES
from artifact_pipeline.files import shown
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.outputs import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from artifact_pipeline.trust.policy import Trust

    Option = Callable[[Callable[..., None]], Callable[..., None]]

HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

STATUSES = {
    0: "done",
    1: "another error, or a bug in this program",
    2: "the config or an option breaks a rule",
    3: "the gate failed; a model that stood before still stands",
    4: "the artifact is missing or not what it claims to be",
    5: "rows cannot be read or do not fit the model",
    6: "a training again gave something else",
    7: "the rows have drifted",
    8: "the disk is full, read-only or busy",
    130: "interrupted by Ctrl-C",
}


def statuses(*numbers: int) -> str:
    """Return the part of a help that lists exit statuses."""
    return "\n".join(["\b", "Exit statuses:", *(f"  {number:>3}  {STATUSES[number]}" for number in numbers)])


def verb(short: str, *failures: int, environment: str | None = None) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function a verb.

    Args:
        short: one line for the list of verbs.
        failures: the exit statuses that are the verb's own, beside those that every verb has.
        environment: the prefix of the variables that can give its options, too; None where none can.
    """
    settings = HELP if environment is None else {**HELP, "auto_envvar_prefix": environment}
    flags = (
        (("--json", "as_json"), "Print one JSON object on standard output, and nothing else there."),
        (("-q", "--quiet"), "Print nothing but errors."),
        (("--debug",), "Print a traceback with each error."),
    )
    # Eager: an error in another option is printed as these say.
    common: list[click.Parameter] = [
        click.Option(names, is_flag=True, is_eager=True, expose_value=False, callback=_set_flag, help=words)
        for names, words in flags
    ]
    epilog = statuses(*sorted({0, 1, 2, *failures, 130}))

    def _decorate(function: Callable[..., None]) -> click.Command:
        if environment is not None:
            function = naming_variables(function)
        examples = "\n".join(["\b", "Examples:", *(f"  {each}" for each in EXAMPLES.get(function.__name__, ()))])
        command = click.command(short_help=short, epilog=f"{epilog}\n\n{examples}", context_settings=settings)(function)
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                parameter.show_envvar = environment is not None
        command.params += common
        return command

    return _decorate


def _set_flag(context: click.Context, flag: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's form
    assert flag.name is not None
    setattr(context.obj, flag.name, value)


def group(*options: Option) -> Option:
    """Make one decorator of several options, which the help lists in this order."""

    def _decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            function = option(function)
        return function

    return _decorate


def file_option(*names: str, words: str, metavar: str = "FILE", default: str | None = None) -> Option:
    """Return an option that names a file, read as a `Path`; `words` are its help, which shows the default."""
    settings: dict[str, Any] = {} if default is None else {"default": default, "show_default": True}
    return click.option(*names, metavar=metavar, type=click.Path(path_type=Path), help=words, **settings)


def artifact_option(words: str, *, kind: click.Path | None = None) -> Option:
    """Return `--artifact PATH` with its help; `kind` is an `ArtifactPlace` where the verb only reads it."""
    kind = kind or click.Path(path_type=Path)
    return click.option("--artifact", default=ARTIFACT, show_default=True, metavar="PATH", type=kind, help=words)


class ArtifactPlace(click.Path):
    """Where an artifact is that is read: a pointer, a folder, or, as a text, a place in a registry."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """Return a path, or the text of a place in a registry."""
        found = storage.artifact_place(value)
        return found if isinstance(found, str) else Path(str(super().convert(found, param, ctx)))


class NumberRange(click.FloatRange):
    """A range of numbers. NaN lies in none, though no comparison with a bound refuses it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


artifact_argument = click.argument("artifact", default=ARTIFACT, type=ArtifactPlace())
held_out_option = file_option("--held-out", words="The held-out file, where the rows were split by one.")


def feedback_option(words: str) -> Option:
    """Return `--with FILE` with its help; it can be repeated."""
    return click.option("--with", "feedback", multiple=True, metavar="FILE", help=words)


def jobs_option(words: str) -> Option:
    """Return `--jobs N` with its help."""
    return click.option("--jobs", default=1, show_default=True, metavar="N", type=click.IntRange(1, 1024), help=words)


def scheduler_option(words: str) -> Option:
    """Return `--scheduler URL` with its help."""
    return click.option("--scheduler", metavar="URL", help=words)


def export_option(words: str) -> Option:
    """Return `--export FILE` with its help."""
    return file_option("--export", default=EXPORT, words=words)


expect_option = click.option(
    "--expect",
    metavar="DIGEST",
    help="The artifact digest known from elsewhere, sha256:…; any other is refused unread.",
)
digest_options = group(
    expect_option,
    click.option(
        "--accept-failed-gate",
        is_flag=True,
        help="Use a model whose gate is missing or failed; nothing else allows it.",
    ),
)
"""A consumer's checks that need no extra."""
policy_options = group(
    file_option("--public-key", words="The key that must have signed it (extra [sign])."),
    file_option("--policy", words="Whom and what you trust; everything else is refused."),
)
"""Whom a consumer trusts, whichever artifact it is."""
trust_options = group(
    digest_options,
    policy_options,
    file_option("--signature", words="Where the signature is; by default beside the artifact."),
)
"""All checks of a consumer; `trust_from` reads those beside `digest_options`."""


def trust_from(options: Mapping[str, Any]) -> Trust | None:
    """Return what `trust_options` or `policy_options` ask for beside `--expect`; None if none of them is given.

    Raises:
        ConfigError: the policy or the key cannot be used, or the options contradict each other.
    """
    given = {name: options.get(name) for name in ("policy", "public_key", "signature")}
    if not any(given.values()):
        return None
    from artifact_pipeline.trust.policy import Trust

    return Trust.load(**given, expected=options.get("expect") is not None)


_FORMATS = ["csv", "csv.gz", "csv.zst", "parquet", "arrow", "npz", "npy", "jsonl", "jsonl.gz", "jsonl.zst", "image"]
batch_options = group(
    click.option(
        "--from", "form", type=click.Choice(_FORMATS), help="The inputs' format; by default that of each name's end."
    ),
    click.option(
        "--to",
        type=click.Choice(["parquet", "csv", "jsonl"]),
        help="The output's format; by default that of its name's end, and Parquet for a folder.",
    ),
    click.option(
        "--keep",
        multiple=True,
        metavar="COLUMN,…",
        help="Columns of the input that are carried through to the output; can be repeated.",
    ),
    click.option(
        "--on-error",
        type=click.Choice(["stop", "quarantine"]),
        default="stop",
        show_default=True,
        help="At a bad row stop and write nothing, or set it aside with its reason in OUTPUT.rejected.jsonl.",
    ),
    click.option(
        "--out-of-range",
        type=click.Choice(["warn", "reject", "ignore"]),
        default="warn",
        show_default=True,
        help="What becomes of a row with a value beyond the trained range and its margin; rejected it is bad.",
    ),
    click.option("--resume", is_flag=True, help="Go on with a folder of parts where an earlier run ended."),
    click.option("--drift/--no-drift", default=True, help="Compare the rows with the training data, or do not."),
    click.option("--fail-on-drift", is_flag=True, help="End with status 7 where the rows have drifted."),
    click.option(
        "--receipt", metavar="FILE", type=click.Path(), help="Where the receipt goes; by default beside OUTPUT."
    ),
    click.option("--workers", type=click.IntRange(1), metavar="N", help="Score by N processes (extra [scale])."),
    scheduler_option("Score by a Dask cluster, tcp://host:8786 (extra [scale])."),
)
"""How `predict` reads, answers and writes rows."""

summary_option = file_option(
    "--summary", words="Append a page of Markdown to this file, as $GITHUB_STEP_SUMMARY wants it."
)
outputs_option = file_option(
    "--outputs",
    words="Append digest, verdict, accuracy and artifact-path as key=value lines, as $GITHUB_OUTPUT wants them.",
)


def short_digest(digest: str) -> str:
    """Return the first digits of a digest, as tables show it."""
    return digest.removeprefix(PREFIX)[:12]


def is_given(name: str) -> bool:
    """Return whether the command line gives this parameter."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def first_given(*names: str) -> str | None:
    """Return the option of the first of these parameters that the command line gives; None where it gives none."""
    name = next(filter(is_given, names), None)
    parameters = click.get_current_context().command.params
    return next((max(each.opts, key=len) for each in parameters if each.name == name), None)


def report_places(options: Mapping[str, Any]) -> list[Place]:
    """Return the files that `--summary` and `--outputs` append to."""
    return [Place(f"--{name}", str(options[name]), "append") for name in ("summary", "outputs") if options.get(name)]


def trust_places(artifact: Path | str, options: Mapping[str, Any]) -> Iterator[Place]:
    """Yield what is read with an artifact: its files, the key, the policy, its signature and its export."""
    from artifact_pipeline.artifact import pointer

    yield from pointer.artifact_places(artifact)
    for role, name in (("the public key", "public_key"), ("the policy", "policy"), ("the signature", "signature")):
        if options[name] is not None:
            yield Place(role, str(options[name]))
    if isinstance(artifact, str):
        return
    if os.path.lexists(artifact):
        yield Place("the signature", str(pointer.beside(pointer.resolve(artifact))))
    yield Place("the export", str(options.get("export") or artifact.parent / EXPORT))


def with_artifact(command: str, artifact: Path | str, *, option: str = "") -> str:
    """Return a command with this artifact; it is left away in its usual place, where each verb finds it."""
    place = shown(artifact)
    return command if place == ARTIFACT else " ".join(filter(None, [command, option, shlex.quote(place)]))

"""The one error boundary: every error becomes text on standard error and an exit status."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import re
import shlex
import signal
import sys
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import pairwise, takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING

from artifact_pipeline.artifact import ARTIFACT, EXPORT
from artifact_pipeline.cli.commands import COMPLETION_VARIABLE, NAME
from artifact_pipeline.cli.output import Output
from artifact_pipeline.errors import INTERRUPTED, ConfigError, PipelineError
from artifact_pipeline.extras import not_installed
from artifact_pipeline.runtime import pin_numerics, without_pandas

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import click

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb of `artifact-pipeline`, and return its exit status.

    Args:
        argv: the arguments after the program's name. None takes the process's own, and the process with them: its
            reaction to Ctrl-C and to an exception that is a bug of ours. So the console script calls it; a caller from
            Python gives a list.
    """
    return _run("app.app", argv, program=NAME)


def train_door(root: Path, argv: Sequence[str] | None = None) -> int:
    """`python src/train.py`: the verb `train`, with its files in the project's root; `argv` as in `main`."""
    files = {"config": root / "config" / "config.json", "artifact": root / ARTIFACT, "export": root / EXPORT}
    return _run("training.train", argv, program="python src/train.py", root=root, files=files)


def inference_door(root: Path, argv: Sequence[str] | None = None) -> int:
    """`python src/inference.py`: the verb `predict`, with its files in the project's root; `argv` as in `main`."""
    files = {"artifact": root / ARTIFACT, "export": root / EXPORT, "destination": root / "predictions.csv"}
    return _run("inference.predict", argv, program="python src/inference.py", root=root, files=files)


def _run(
    command: str,
    argv: Sequence[str] | None,
    *,
    program: str,
    root: Path | None = None,
    files: Mapping[str, Path] = MappingProxyType({}),
) -> int:
    """Run a command, `module.name`, and turn how it ends into an exit status; `files` are defaults of its options."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    output = Output.for_arguments(arguments, program=program, root=root)
    with ExitStack() as streams:
        try:
            if argv is None:
                _set_up_process(output)
                streams.enter_context(without_pandas())
            _guard_streams(streams, for_good=argv is None)
            pin_numerics()
            with _raising_interrupts(output):
                module, _, name = command.partition(".")
                loaded = getattr(import_module(f"artifact_pipeline.cli.{module}"), name)  # where Ctrl-C is caught
                status = _invoke(loaded, arguments, output, {option: str(path) for option, path in files.items()})
        except PipelineError as error:
            if output.debug:
                output.trace(error)
            status = output.error(error)
        except ModuleNotFoundError as error:
            status = output.error(not_installed(error))
        except BrokenPipeError as error:  # click prints the help by itself; `| head -1` has seen enough of it
            status = output.discard_stdout(error)
        except OSError as error:  # of standard output: an error about a file names it
            if error.filename is not None or error.errno not in _FULL:
                raise
            status = output.discard_stdout(error)
        except KeyboardInterrupt:
            status = output.error(PipelineError("interrupted; nothing is left half-written"), INTERRUPTED)
        lost = output.finish()
        return status or lost


def _guard_streams(streams: ExitStack, *, for_good: bool) -> None:
    """Let no printed text be a command to a runner of GitHub Actions, until `streams` ends or for good."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from artifact_pipeline.cli.github import guard_streams

    restore = guard_streams()
    if not for_good:
        streams.callback(restore)


@contextmanager
def _raising_interrupts(output: Output) -> Iterator[None]:
    """Raise KeyboardInterrupt for any error after Ctrl-C, which a library in C or C++ may report as its own error."""
    try:
        yield
    except BaseException as error:
        if output.interrupted and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise


def _set_up_process(output: Output) -> None:
    """Set what belongs to the whole process: hooks, signals, streams, garbage collection."""
    sys.excepthook = output.report_bug
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # or it would look for some in every package
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller; without this, the next file gets its number
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 - open for as long as the process
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a label may have letters that a terminal has not
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a shell sets that for what runs in the background
        signal.signal(signal.SIGINT, output.interrupt)
    # scikit-learn's import makes a hundred thousand objects, and none of them is garbage.
    gc.set_threshold(100_000)
    atexit.register(_tear_down_process)


def _tear_down_process() -> None:
    """Ignore a late Ctrl-C, which would change nothing, and look for no garbage, which the end of the process frees."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    gc.freeze()


def _invoke(command: click.Command, arguments: list[str], output: Output, files: dict[str, str]) -> int:
    """Parse and run, by our exit statuses and handling of Ctrl-C, and not click's."""
    import click

    if output.root is None and COMPLETION_VARIABLE in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(command, {}, output.program, COMPLETION_VARIABLE, os.environ[COMPLETION_VARIABLE])
    _refuse_dashed(arguments)
    try:
        with command.make_context(output.program, arguments, obj=output, default_map=files) as context:
            command.invoke(context)
    except click.exceptions.Exit as end:  # after --help and --version
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(f"{error.format_message()}\n\n")
        raise ConfigError("a verb is missing", hint=f"{output.program} train is the first one") from error
    except click.UsageError as error:
        message = re.sub(r"\. (\(?)Did", r"; \1did", error.format_message()).removesuffix(".")
        where = error.ctx.command_path if error.ctx else output.program
        hint = _dashed_hint(arguments) or f"{where} --help lists what can be said"
        refusal = ConfigError(message[:1].lower() + message[1:], hint=hint)
        if error.ctx is not None:
            from artifact_pipeline.cli.environment import name_variables

            name_variables(refusal, error.ctx)
        raise refusal from error
    return 0


def _refuse_dashed(arguments: Sequence[str]) -> None:
    """Refuse a file's name that would be read as an option with its value: `-old.csv` as `-o ld.csv`."""
    for before, name in pairwise(["", *takewhile("--".__ne__, arguments)]):
        glued = len(name) > 2 and name.startswith("-") and not name.startswith("--") and not before.startswith("-")
        if glued and (hint := _dashed_hint([name])):
            raise ConfigError(f"{name} is a file, and its name begins as an option does", hint=hint)


def _dashed_hint(arguments: Sequence[str]) -> str | None:
    """Return how to name a file among the arguments that begins as an option does; None where there is none."""
    names = [name for name in takewhile("--".__ne__, arguments) if name.startswith("-") and name != "-"]
    name = next(filter(os.path.lexists, names), None)
    return None if name is None else f"name the file as {shlex.quote(f'./{name}')}, or behind --"

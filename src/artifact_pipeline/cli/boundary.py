"""The one error boundary: every error becomes text on standard error and an exit status."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import INTERRUPTED, PipelineError
from artifact_pipeline.runtime import pin_numerics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    import click


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb of `artifact-pipeline`, and return its exit status.

    Args:
        argv: the arguments after the program's name; None takes the process's own.
    """
    from artifact_pipeline.cli.app import app

    return _run(app, sys.argv[1:] if argv is None else argv, "artifact-pipeline", None)


def train_door(root: Path, argv: Sequence[str] | None = None) -> int:
    """`python src/train.py`: the verb `train`, with its files in the project's root."""
    from artifact_pipeline.cli.training import train

    files = {
        "config": root / "config" / "config.json",
        "artifact": root / "artifact",
        "export": root / "model_train.pkl",
    }
    return _run(train, sys.argv[1:] if argv is None else argv, "python src/train.py", files)


def inference_door(root: Path, argv: Sequence[str] | None = None) -> int:
    """`python src/inference.py`: the verb `predict`, with its files in the project's root."""
    from artifact_pipeline.cli.inference import predict

    files = {
        "artifact": root / "artifact",
        "export": root / "model_train.pkl",
        "output": root / "predictions.csv",
    }
    return _run(predict, sys.argv[1:] if argv is None else argv, "python src/inference.py", files)


def _run(command: click.Command, arguments: Sequence[str], program: str, files: dict[str, Path] | None) -> int:
    import click

    from artifact_pipeline.cli.output import Output

    pin_numerics()
    output = Output.for_arguments(arguments, door=files is not None)
    if not output.debug:
        sys.excepthook = _say_bug
    extra: dict[str, Any] = {"default_map": {name: str(path) for name, path in (files or {}).items()}, "obj": output}
    try:
        status = command.main(list(arguments), prog_name=program, standalone_mode=False, **extra)
    except PipelineError as error:
        if output.debug:
            sys.__excepthook__(type(error), error, error.__traceback__)
        output.error(error, error.exit_status)
        return error.exit_status
    except click.ClickException as error:
        usage = PipelineError(error.format_message(), hint=f"{program} --help tells what can be said")
        output.error(usage, error.exit_code)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        output.error(PipelineError("interrupted; what stood before still stands"), INTERRUPTED)
        return INTERRUPTED
    return int(status or 0)


def _say_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What is printed for an exception that nobody foresaw; Python then ends with status 1."""
    import traceback

    last = traceback.extract_tb(trace)[-1] if trace else None
    where = f" ({last.filename}:{last.lineno})" if last else ""
    sys.stderr.write(
        f"error: {kind.__name__}: {error}{where}\n"
        "hint: this is a bug of artifact-pipeline, not yours; please report it with what the same command prints "
        "with --debug, at the project's issue tracker\n"
    )

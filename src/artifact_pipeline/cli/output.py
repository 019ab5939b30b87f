"""What is printed, and where: results on standard output, notes and errors on standard error.

On a terminal tables and a spinner come from rich; in a log there are plain lines. With `--json` standard output holds
one JSON object and nothing else.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TextIO

from artifact_pipeline.errors import PipelineError, StorageError, plural
from artifact_pipeline.reports.tables import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType, TracebackType


@dataclass(slots=True)
class Output:
    """The output of one command.

    Attributes:
        program: how the command was started: `artifact-pipeline`, or `python src/….py`.
        root: the project's root for a door, else None.
        as_json: one JSON object on standard output, and no other line there.
        quiet: nothing but errors and `--json`.
        debug: a traceback with each error.
        stdout_taken: standard output is for rows or a log; lines of the result go to standard error.
        stdout_error: why standard output took no more, or None.
        interrupted: whether Ctrl-C has come.
        beside_error: what `--json` prints beside an error, where a verb has found something before it.
    """

    program: str
    root: Path | None = None
    as_json: bool = False
    quiet: bool = False
    debug: bool = False
    stdout_taken: bool = False
    stdout_error: OSError | None = None
    interrupted: bool = False
    beside_error: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], *, program: str, root: Path | None) -> Output:
        """Guess the three flags before anything is parsed, so that a usage error obeys them; the parser corrects it."""
        flags = set(takewhile(lambda argument: argument != "--", arguments))
        return cls(
            program,
            root,
            as_json="--json" in flags,
            quiet=not flags.isdisjoint({"--quiet", "-q"}),
            debug="--debug" in flags,
        )

    def print(self, text: str) -> None:
        """Print a text as it is, such as a JSON Schema."""
        self._write(sys.stdout, text)

    def document(self, text: str, value: dict[str, Any]) -> None:
        """Print a text as it is, or with `--json` the object that holds it."""
        if self.as_json:
            self.result(value)
        else:
            self.print(text)

    def say(self, text: str = "") -> None:
        """Print a line of the result."""
        if not self.quiet and not self.as_json:
            self._write(self._stream, f"{clean(text)}\n")

    def log(self, text: str) -> None:
        """Print a note or a warning as a line of standard error."""
        if not self.quiet:
            self._write(sys.stderr, f"{clean(text)}\n")

    def next(self, command: str) -> None:
        """Name the next useful command, as the last line."""
        self.say(f"next: {self.typed(command)}")

    def typed(self, text: str) -> str:
        """Return a text with our commands, `artifact-pipeline VERB`, as they can be typed here."""
        from artifact_pipeline.cli.commands import typed

        return typed(text, self.root)

    def result(self, value: dict[str, Any]) -> None:
        """Print one JSON object, where `--json` is set."""
        if self.as_json:
            self.print(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) + "\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, diagonal: bool = False) -> None:
        """Print a table, numbers to the right; on a terminal a diagonal of counts has a colour of its own."""
        if self.quiet or self.as_json:
            return
        head, *body = [[clean(cell) for cell in row] for row in (columns, *rows)]
        numeric = [all(map(_is_number, column)) for column in zip(*body, strict=True)]
        if self._stream.isatty() and not self.stdout_taken:
            from artifact_pipeline.cli.terminal import print_table

            print_table(head, body, numeric, diagonal=diagonal)
            return
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        for row in (head, *body):
            cells = zip(row, widths, numeric, strict=True)
            line = "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells)
            self._write(self._stream, f"  {line}".rstrip() + "\n")

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self.stdout_taken else sys.stdout

    @contextmanager
    def meter(self) -> Iterator[Callable[[int, float], None]]:
        """Show how far long work is, in rows and as a share: a bar on a terminal, a line now and then in a log."""
        if self.quiet or not sys.stderr.isatty():
            yield ProgressLog(self.log).update
            return
        from artifact_pipeline.cli.terminal import bar

        with bar() as update:
            yield update

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Show the steps of long work: a spinner on a terminal, a line each in a log."""
        if self.quiet or not sys.stderr.isatty():
            yield self.log
            return
        from artifact_pipeline.cli.terminal import spinner

        with spinner() as describe:
            yield lambda text: describe(clean(text))

    def error(self, error: PipelineError, status: int | None = None) -> int:
        """Print an error, every problem and the hint, and return the exit status, by default the error's own."""
        status = error.exit_status if status is None else status
        lines = [f"error: {error.message}", *(f"  {problem}" for problem in error.problems)]
        hint = self.typed(error.hint) if error.hint else None
        if hint:
            lines.append(f"hint: {hint}")
        self._write(sys.stderr, "".join(f"{clean(line)}\n" for line in lines))
        self._annotate(error)
        problems = [asdict(problem) for problem in error.problems]
        found = {"message": error.message, "problems": problems, "hint": hint, "status": status}
        self.result({**self.beside_error, "error": found})
        return status

    def _annotate(self, error: PipelineError) -> None:
        command = getattr(sys.stderr, "command", None)  # it is a `github.Log`
        if command is None:
            return
        from artifact_pipeline.cli.github import error_annotations

        try:
            for line in error_annotations(error):
                command(clean(line))
        except OSError:
            _redirect_to_null(sys.stderr)

    def interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        """End what is being done, as the handler of Ctrl-C.

        Raises:
            KeyboardInterrupt: always.
        """
        self.interrupted = True
        raise KeyboardInterrupt

    def trace(self, error: BaseException) -> None:
        """Print a traceback."""
        import traceback

        self._write(sys.stderr, "".join(traceback.format_exception(error)))

    def report_bug(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Print an exception that is a bug of ours, as `sys.excepthook`; Python then ends with status 1."""
        if issubclass(kind, KeyboardInterrupt):
            # Too early or too late to be caught here; Python then ends by the signal, which a shell shows as 130.
            self._write(sys.stderr, "error: interrupted\n")
            return
        if self.debug:
            self.trace(error)
        while trace and trace.tb_next:
            trace = trace.tb_next
        where = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""
        hint = "this is a bug of artifact-pipeline; please report it with what the same command prints with --debug"
        self.error(PipelineError(f"{kind.__name__}: {error}{where}", hint=hint))
        self.finish()

    def flush(self) -> None:
        """Flush standard output, where the command goes on for long."""
        try:
            sys.stdout.flush()
        except OSError as error:
            self.discard_stdout(error)

    def finish(self) -> int:
        """Flush standard output, and return the status of `StorageError` if it did not take everything, else 0.

        A reader who has seen enough (`| head -1`) is no error.
        """
        self.flush()
        if self.stdout_error is None or self.stdout_error.errno == errno.EPIPE:
            return 0
        self.as_json = False  # there is nowhere to print it
        reason = os.strerror(self.stdout_error.errno or 0).lower()
        return self.error(StorageError(f"cannot write to standard output: {reason}"))

    def discard_stdout(self, error: OSError) -> int:
        """Send standard output, which takes no more, to /dev/null; the work goes on, and this returns status 0."""
        self.stdout_error = error
        _redirect_to_null(sys.stdout)
        return 0

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
        except OSError as error:
            if stream is sys.stdout:
                self.discard_stdout(error)
            else:
                _redirect_to_null(stream)


class LogTimer:
    """Says when a log may get its next line: each pause is twice the one before, up to ten minutes."""

    def __init__(self, pause: float = 10.0) -> None:
        self.begun = self._last = time.monotonic()
        self._pause = pause

    def is_due(self) -> bool:
        """Whether the pause is over; if so, the next one begins."""
        now = time.monotonic()
        if now - self._last < self._pause:
            return False
        self._last, self._pause = now, min(2 * self._pause, 600.0)
        return True


class ProgressLog:
    """Lines in a log of how far long work is, some seconds apart."""

    def __init__(self, log: Callable[[str], None], pause: float = 10.0) -> None:
        self._log, self._rows, self._timer = log, 0, LogTimer(pause)

    def update(self, rows: int, share: float) -> None:
        """Add rows that were done; `share` of all work is done by now."""
        self._rows += rows
        if self._timer.is_due():
            spent = time.monotonic() - self._timer.begun
            left = f", about {spent / share - spent:,.0f} s left" if share else ""
            self._log(f"{plural(self._rows, 'row')}, {self._rows / spent:,.0f} rows/s{left}")


def _redirect_to_null(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _is_number(text: str) -> bool:
    return text.replace(".", "").replace(",", "").replace("-", "").isdigit() or text in {".", ""}

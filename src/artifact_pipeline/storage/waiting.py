"""Calls in other threads: Ctrl-C ends the wait for a store, and several places are looked at in parallel."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Place = TypeVar("_Place")
_Answer = TypeVar("_Answer")

_THREADS = 16


class Outcome(Future[Any]):
    """The result of a block in another thread; `result` raises the error with which the block ended."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if error is not None:
            self.set_exception(error)
        return True


def interruptible(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns; Ctrl-C ends the wait for it, which the library of the stores does not allow."""
    if threading.current_thread() is not threading.main_thread():
        return call(*arguments)
    outcome = Outcome()

    def _run() -> None:
        with outcome:
            outcome.set_result(call(*arguments))

    # Not an executor's thread: the process would wait for it before it ends.
    threading.Thread(target=_run, daemon=True).start()
    return outcome.result()


def ask_several(ask: Callable[[_Place], _Answer], places: Sequence[_Place]) -> list[_Answer]:
    """Call `ask` for several places in parallel, and return the answers in the order of the places.

    After the first error no further call begins; the error of the first place that has one is raised.
    """
    outcomes = [Outcome() for _ in places]
    left, stopped = iter(zip(places, outcomes, strict=True)), threading.Event()

    def _run() -> None:
        for place, outcome in left:
            if stopped.is_set():
                return
            with outcome:
                outcome.set_result(ask(place))

    for _ in range(min(_THREADS, len(places))):
        threading.Thread(target=_run, daemon=True).start()
    try:
        return [each.result() for each in outcomes]
    finally:
        stopped.set()

"""Waiting for a store: Ctrl-C ends it, and several places are asked at a time."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Place = TypeVar("_Place")
_Answer = TypeVar("_Answer")

_AT_ONCE = 16
"""Places that are asked at a time."""


class _Outcome(Future[Any]):
    """The result of a call in another thread; an error of its block is raised where the result is awaited."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if error is not None:
            self.set_exception(error)
        return True


def awaited(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returns that waits for a store; Ctrl-C ends the waiting, which the library itself would not do."""
    if threading.current_thread() is not threading.main_thread():
        return call(*arguments)
    outcome = _Outcome()

    def _run() -> None:
        with outcome:
            outcome.set_result(call(*arguments))

    # Not an executor's thread: the process would wait for it before it ends.
    threading.Thread(target=_run, daemon=True).start()
    return outcome.result()


def ask_several(ask: Callable[[_Place], _Answer], places: Sequence[_Place]) -> list[_Answer]:
    """Ask about several places at a time, since most of it is waiting; the answers are in the places' order.

    The error of the first place that has one is raised, and no further place is asked then.
    """
    outcomes = [_Outcome() for _ in places]
    left, stopped = iter(zip(places, outcomes, strict=True)), threading.Event()

    def _run() -> None:
        for place, outcome in left:
            if stopped.is_set():
                return
            with outcome:
                outcome.set_result(ask(place))

    for _ in range(min(_AT_ONCE, len(places))):
        threading.Thread(target=_run, daemon=True).start()
    try:
        return [each.result() for each in outcomes]
    finally:
        stopped.set()

"""Asking something slow, again and again, on a thread of its own, so that reading its answer never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from agent.errors import HardwareError

T = TypeVar("T")

FIRST_ANSWER_SECONDS = 2.0
STOP_LIMIT_SECONDS = 5.0


class Polled(Generic[T]):
    """The newest answer of ``ask``, which may wait but not for ever, and raises HardwareError when there is none.

    Opening waits for the first answer, at most 2 s, and raises nothing: ``newest`` does.
    """

    def __init__(self, name: str, ask: Callable[[], T], every_seconds: float, stale_seconds: float) -> None:
        self._name, self._ask = name, ask
        self._every_seconds, self._stale_seconds = every_seconds, stale_seconds
        self._answer: tuple[float, T | HardwareError] | None = None
        self._answered, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._answered.wait(FIRST_ANSWER_SECONDS)

    def newest(self) -> T:
        """Never waits; raises HardwareError when the last asking failed or none has ended for too long."""
        answer = self._answer
        if answer is None:
            raise HardwareError(f"{self._name} has not answered yet")
        if time.monotonic() - answer[0] > self._stale_seconds:
            # The same words each time, so that whoever logs a change logs it once.
            raise HardwareError(f"{self._name} has not answered for {self._stale_seconds:g} s")
        if isinstance(answer[1], HardwareError):
            # A new one each time: an exception that is raised twice drags along where it was raised before.
            raise HardwareError(str(answer[1]))
        return answer[1]

    def close(self) -> None:
        """Asks no more; waits for an asking under way, at most 5 s. Harmless when repeated."""
        self._stopping.set()
        self._thread.join(STOP_LIMIT_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._answer = (time.monotonic(), self._outcome())
            self._answered.set()
            self._stopping.wait(self._every_seconds)

    def _outcome(self) -> T | HardwareError:
        try:
            return self._ask()
        except HardwareError as error:
            return error

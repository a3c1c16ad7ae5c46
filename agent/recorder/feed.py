"""One part during one capture: started, watched, and started again when it falls silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

from agent.errors import HardwareError
from agent.hardware.parts import FaultHandler
from agent.recorder.watch import Change, Limits, Seen, Watch, watch

JOIN_SECONDS: Final = 12.0
"""A restart is a stop and a start, each bounded to 5 s by the part."""


class Delivered(Protocol):
    """What a part delivers."""

    @property
    def captured_ns(self) -> int:
        """The moment of capture (CLOCK_MONOTONIC, ns)."""


T = TypeVar("T", bound=Delivered)


T_co = TypeVar("T_co", bound=Delivered, covariant=True)


class Startable(Protocol[T_co]):
    """What all delivering parts have in common."""

    def start(self, deliver: Callable[[T_co], None], fault: FaultHandler) -> None:
        """Begins to deliver; raises HardwareError."""

    def stop(self) -> None:
        """Nothing is delivered afterwards. At most 5 s."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The part fell silent (the time missing is not known yet), serves again, or is given up."""

    state: Literal["silent", "resumed", "lost"]
    missing_us: int | None
    why: str


class Feed(Generic[T]):
    """Any thread may call it; ``deliver`` is called on the part's own thread. Restarts have a thread of their own."""

    def __init__(
        self,
        name: str,
        part: Startable[T],
        deliver: Callable[[T], None],
        limits: Limits,
        begins: Callable[[T], bool] = lambda item: True,
    ) -> None:
        """``begins``: what the part delivers after a restart can be used from this item on."""
        self._name, self._part, self._deliver, self._limits, self._begins = name, part, deliver, limits, begins
        self._watch = Watch()
        self._starting = threading.Lock()
        self._helper: threading.Thread | None = None
        self._started_ns = time.monotonic_ns()
        self._stopped = self._failed = self._told = self._anew = False
        self._why = ""
        self._arrived_ns: int | None = None
        self.captured_ns = 0
        """Of the newest delivery; 0 before any."""
        self._before_ns = 0
        """Of the last delivery before the silence."""
        self._after_ns: int | None = None
        """Of the first delivery after it."""

    def start(self) -> None:
        """Starts the part for the first time. Raises HardwareError; the watch then goes on trying all the same."""
        self._started_ns = time.monotonic_ns()
        try:
            self._part.start(self._take, self._fault)
        except HardwareError as error:
            self._fault(error)
            raise

    def _take(self, item: T) -> None:
        if self._stopped:
            return
        self._arrived_ns = time.monotonic_ns()
        if self._anew and not self._begins(item):
            return
        self._anew = False
        if self._watch.silent_since_ns is not None and self._after_ns is None:
            self._after_ns = item.captured_ns
        self.captured_ns = item.captured_ns
        self._deliver(item)

    def _fault(self, error: HardwareError) -> None:
        self._why, self._failed = str(error), True

    def look(self, now_ns: int, gate_ns: int | None) -> Missing | None:
        """Has the part started again where due; says what has to be told. Before ``gate_ns`` nothing was to be kept, so
        nothing is missing. One thread only."""
        arrived_ns = self._arrived_ns
        seen = Seen(
            arrived_ns or self._started_ns, arrived_ns is not None, self._failed, resumed=self._after_ns is not None
        )
        self._watch, change = watch(self._watch, now_ns, seen, self._limits)
        if change is Change.SILENT:
            self._before_ns, self._after_ns = self.captured_ns, None
        elif change is Change.RESTART:
            self._restart()
        return self._tell(change, now_ns, gate_ns)

    def _tell(self, change: Change | None, now_ns: int, gate_ns: int | None) -> Missing | None:
        if change is Change.LOST:
            return self._missing("lost", now_ns, gate_ns)
        if change is Change.RESUMED and self._told:
            self._told = False
            resumed, self._after_ns = self._missing("resumed", self._after_ns or now_ns, gate_ns), None
            return resumed
        silent = self._watch.silent_since_ns is not None
        if silent and gate_ns is not None and not self._told:
            self._told = True
            return Missing("silent", None, self._why or f"{self._name} is silent")
        return None

    def _missing(self, state: Literal["resumed", "lost"], until_ns: int, gate_ns: int | None) -> Missing:
        since_ns = max(self._before_ns, gate_ns or 0)
        known = gate_ns is not None and since_ns > 0
        missing_us = max(0, until_ns - since_ns) // 1000 if known else None
        return Missing(state, missing_us, self._why or f"{self._name} was silent")

    def _restart(self) -> None:
        if self._helper is None or not self._helper.is_alive():
            self._helper = threading.Thread(target=self._start_again, name=f"{self._name} restart", daemon=True)
            self._helper.start()

    def _start_again(self) -> None:
        with self._starting:
            if not self._stopped:
                self._failed = False
                try:
                    self._part.stop()
                    self._anew = True
                    self._part.start(self._take, self._fault)
                except HardwareError as error:
                    self._fault(error)
        if self._stopped:
            self.stop()

    def stop(self) -> None:
        """Nothing is delivered after this returns. A restart that is under way stops the part itself; see ``join``."""
        self._stopped = True
        if self._starting.acquire(blocking=False):
            try:
                self._part.stop()
            finally:
                self._starting.release()

    def join(self) -> None:
        """Waits, bounded, until a restart that was under way has let go of the part."""
        helper = self._helper
        if helper is not None and helper is not threading.current_thread():
            helper.join(JOIN_SECONDS)


AnyFeed = Feed[Any]

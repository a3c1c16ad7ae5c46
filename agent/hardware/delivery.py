"""What all delivering parts share: a gate that can be shut for good, threads with an end, a watch over silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from agent.errors import HardwareError
from agent.hardware.parts import FaultHandler

T = TypeVar("T")

STOP_LIMIT_SECONDS = 5.0
"""How long a part may take to stop (the Protocols promise it)."""


class Gate(Generic[T]):
    """Passes values from a part's thread to its listener until it is shut; any thread.

    Nothing passes after ``shut`` has returned. A fault passes once, and shuts the gate.
    """

    def __init__(self, deliver: Callable[[T], None], fault: FaultHandler) -> None:
        self._deliver, self._fault = deliver, fault
        # Re-entrant, so that a listener may stop the part from inside a delivery without hanging itself.
        self._lock = threading.RLock()
        self._shut = threading.Event()
        self.last_passed_ns = time.monotonic_ns()

    @property
    def is_open(self) -> bool:
        """Whether values still pass."""
        return not self._shut.is_set()

    def pass_on(self, value: T) -> None:
        """Hands ``value`` to the listener, or drops it when the gate is shut."""
        with self._lock:
            if self.is_open:
                self.last_passed_ns = time.monotonic_ns()
                self._deliver(value)

    def fail(self, error: HardwareError) -> None:
        """Hands the fault over, unless the gate is shut already, and shuts it."""
        with self._lock:
            if self.is_open:
                self._shut.set()
                self._fault(error)

    def shut(self) -> None:
        """Waits for a delivery that is under way; afterwards nothing passes."""
        with self._lock:
            self._shut.set()

    def wait_shut(self, seconds: float) -> bool:
        """Sleeps up to ``seconds``; True as soon as the gate is shut."""
        return self._shut.wait(seconds)


class Worker:
    """A part's own thread. Whatever ends ``body`` while the gate is open is a fault of the part."""

    def __init__(self, name: str, gate: Gate[T], body: Callable[[], None]) -> None:
        def run() -> None:
            try:
                body()
            except HardwareError as error:
                gate.fail(error)
            # A thread that dies unseen would be a recording that stops unseen: whatever it was, it is reported.
            except Exception as error:  # noqa: BLE001
                gate.fail(HardwareError(f"{name}: {type(error).__name__}: {error}"))
            else:
                gate.fail(HardwareError(f"{name} ended by itself"))

        self._shut = gate.shut
        self._thread = threading.Thread(target=run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Shuts the gate and waits for the thread, at most STOP_LIMIT_SECONDS; False if it hangs in its driver."""
        self._shut()
        if self._thread is not threading.current_thread():
            self._thread.join(STOP_LIMIT_SECONDS)
        return not self._thread.is_alive() or self._thread is threading.current_thread()


def watch_silence(name: str, gate: Gate[T], limit_seconds: float) -> None:
    """Starts a watch that reports a fault when nothing passes the gate for ``limit_seconds``; it ends with the gate."""

    def watch() -> None:
        while not gate.wait_shut(limit_seconds / 4):
            silent_seconds = (time.monotonic_ns() - gate.last_passed_ns) / 1e9
            if silent_seconds > limit_seconds:
                gate.fail(HardwareError(f"{name} has delivered nothing for {silent_seconds:.1f} s"))

    threading.Thread(target=watch, name=f"{name} watch", daemon=True).start()


def bounded(what: str, call: Callable[[], object], limit_seconds: float = STOP_LIMIT_SECONDS) -> None:
    """Runs ``call`` for at most ``limit_seconds``: some drivers wait for ever on a device that is gone.

    Raises HardwareError when the call fails or does not come back; in the latter case its thread is left behind.
    """
    failures: list[Exception] = []

    def run() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - carried over to the waiting thread and raised there
            failures.append(error)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    thread.join(limit_seconds)
    if thread.is_alive():
        raise HardwareError(f"{what}: no answer within {limit_seconds:g} s")
    if failures:
        raise HardwareError(f"{what}: {failures[0]}") from failures[0]

"""What the simulated camera and microphone share: a part that joins the stage's running performance, and leaves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from agent.errors import HardwareError
from agent.hardware.delivery import Gate, Worker
from agent.hardware.parts import FaultHandler
from agent.hardware.simulated.stage import Stage

LATE_LIMIT_NS = 1_000_000_000
"""What is later than this is lost, as it is when a real driver runs out of buffers."""


T = TypeVar("T")


class Performer(Generic[T]):
    """Runs ``_perform`` on a thread of its own from ``start`` until ``stop``; may be started again until ``close``."""

    NAME = "simulated part"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._worker: Worker | None = None
        self._closed = False

    def start(self, deliver: Callable[[T], None], fault: FaultHandler) -> None:
        """Joins the running performance at this moment. Raises HardwareError when closed."""
        if self._closed:
            raise HardwareError(f"the {self.NAME} is closed")
        self.stop()
        gate = Gate(deliver, fault)
        self._worker = Worker(self.NAME, gate, lambda: self._perform(gate))

    def _perform(self, gate: Gate[T]) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """Nothing is delivered after this returns. Harmless when not running."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def close(self) -> None:
        """Gives the part back. Harmless when repeated."""
        self._closed = True
        self.stop()

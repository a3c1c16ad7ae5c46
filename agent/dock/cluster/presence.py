"""Which worker is to serve a device: the same answer from all who hear the same workers, and nothing depends on it.

Workers say over MQTT that they are there. Each device belongs to the one of them that ranks highest for it (rendezvous
hashing), so that when a worker comes or goes only its own devices change hands. Two workers that see it differently for
a while both claim the device; the journal in the bucket lets one of them write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from agent.custody.wire import ROOT
from agent.evidence.shapes import STRICT, Count, Flag, FormatVersion, Name


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker's sign of life; its last will, with ``online`` false. Never retained: what is old says nothing."""

    v: FormatVersion
    worker: Name
    session: Count
    online: Flag
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


def worker_topic(dock: str, worker: str) -> str:
    """Where a worker says that it is there. Devices cannot read it."""
    return f"{ROOT}/dock/{dock}/worker/{worker}"


def preferred(device: str, workers: Iterable[str]) -> str:
    """Whose the device is. ``workers`` must not be empty."""
    return max(workers, key=lambda worker: hashlib.sha256(f"{device}/{worker}".encode()).digest())


class Presence:
    """The workers heard of lately, this one included. Times are seconds of any one clock. One thread."""

    def __init__(self, me: str, silence_seconds: float) -> None:
        self._me, self._silence = me, silence_seconds
        self._heard: dict[str, tuple[int, float]] = {}

    def hear(self, state: WorkerState, now: float) -> None:
        """A sign of life; or an end, which counts only for the session that it names."""
        if state.worker == self._me:
            return
        if state.online:
            self._heard[state.worker] = (state.session, now)
        elif self._heard.get(state.worker, (-1, 0.0))[0] == state.session:
            del self._heard[state.worker]

    def forget(self) -> None:
        """Our own link was down: we no longer know."""
        self._heard.clear()

    def alive(self, now: float) -> list[str]:
        """The workers that count now."""
        self._heard = {name: seen for name, seen in self._heard.items() if now - seen[1] < self._silence}
        return [self._me, *self._heard]

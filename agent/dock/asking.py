"""Other witnesses are asked here, in a thread of its own: taking evidence in never waits for them.

Of each device only the newest checkpoint waits, so what waits is bounded by the devices. Answers and failures go into
the dock's inbox like messages; nothing else is touched from this thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.errors import DisputedError, FormatError, WitnessError
from agent.evidence.checkpoint import open_note
from agent.witness.client import Offer, Target, ask

FIRST_PAUSE_SECONDS: Final = 15.0
LONGEST_PAUSE_SECONDS: Final = 900.0
_STOP_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A witness has cosigned; the note bears its verified cosignature."""

    device: str
    witness: str
    note: bytes


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """A witness did not; ``disputed`` when it has seen another ledger or more of it."""

    device: str
    witness: str
    reason: str
    disputed: bool


News = Answered | NotAnswered


@dataclass(frozen=True, slots=True)
class _Task:
    """One device's newest checkpoint for one witness."""

    target: Target
    device: str
    offer: Offer
    due: float
    pause: float


class Asker:
    """Asks each witness about each device's newest checkpoint, and again after a pause when it fails.

    ``post`` must not wait; it says whether the news found room. ``attempt`` is what asks; tests give another.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        post: Callable[[News], bool],
        attempt: Callable[[Target, Offer, int], bytes] = ask,
        first_pause_seconds: float | None = None,
    ) -> None:
        self._targets, self._post, self._attempt = targets, post, attempt
        self._pause = FIRST_PAUSE_SECONDS if first_pause_seconds is None else first_pause_seconds
        self._waiting: dict[tuple[str, str], _Task] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._change = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="asking", daemon=True)

    def start(self) -> None:
        """Begins to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Asks no more. A request under way is left behind: it ends by its own time limit, or with the process."""
        with self._change:
            self._stopping = True
            self._change.notify()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def offer(self, device: str, offer: Offer) -> None:
        """A newer checkpoint of a device: takes the place of the one that waits, and of its pause. Any thread."""
        with self._change:
            for target in self._targets:
                task = _Task(target, device, offer, time.monotonic(), self._pause)
                self._waiting[target.name, device] = task
            self._change.notify()

    def _run(self) -> None:
        while (task := self._next()) is not None:
            self._settle(task, self._ask(task))

    def _next(self) -> _Task | None:
        with self._change:
            while not self._stopping:
                task = min(self._waiting.values(), key=lambda one: one.due, default=None)
                left = None if task is None else task.due - time.monotonic()
                if task is not None and left is not None and left <= 0:
                    return task
                self._change.wait(left)
        return None

    def _ask(self, task: _Task) -> News:
        place = task.target.name, task.device
        try:
            note = self._attempt(task.target, task.offer, self._sizes.get(place, 0))
            self._sizes[place] = open_note(note).checkpoint.size
        except (WitnessError, FormatError) as error:
            reason = f"{task.target.name}: {error.code} {error}"
            return NotAnswered(task.device, task.target.name, reason, isinstance(error, DisputedError))
        return Answered(task.device, task.target.name, note)

    def _settle(self, task: _Task, news: News) -> None:
        delivered = self._post(news)
        place = task.target.name, task.device
        with self._change:
            if self._waiting.get(place) is not task:
                return  # a newer checkpoint has come meanwhile
            if delivered and (isinstance(news, Answered) or news.disputed):
                del self._waiting[place]  # a dispute does not end by asking again; the next checkpoint asks anew
            else:
                due = time.monotonic() + task.pause
                self._waiting[place] = replace(task, due=due, pause=min(task.pause * 2, LONGEST_PAUSE_SECONDS))

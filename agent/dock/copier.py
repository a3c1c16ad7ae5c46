"""Keeps further copies of the archive up to date: one thread for each, so that no disk can hold up the intake.

What is to be done follows from the folders, never from memory alone: at the start, and whenever a copy comes back, all
of the archive is compared with it. What has just come in goes before that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from agent.dock.copies import CopyFolder
from agent.dock.settings import DockSettings
from agent.dock.status import CopyState
from agent.errors import CopyDiffersError, StorageError
from agent.evidence.documents import TrustBundle
from agent.evidence.entries import ObjectRef
from agent.system.logs import logger

STUCK_SECONDS: Final = 60.0
"""A copy whose disk has not answered for so long is called unreachable, though nothing has failed."""
_MOST_WAITING: Final = 8_192
_POST_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 2.0
_log = logger("copies")


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy holds this object of a device, read back."""

    copy: str
    device: str
    digest: str


@dataclass(frozen=True, slots=True)
class CopyTrouble:
    """A copy was lost, has come back, or differs; ``device`` is ``*`` when it concerns all."""

    kind: Literal["copy_lost", "copy_back", "copy_differs"]
    device: str
    reason: str


CopyNews = Copied | CopyTrouble
Job = tuple[str, str]
"""Device and file name of an object; an empty name: the ledger alone."""


class Copier:
    """One copy and its thread. ``post`` must not wait; it says whether the news found room."""

    def __init__(self, folder: CopyFolder, post: Callable[[CopyNews], bool], retry_seconds: float) -> None:
        self._folder, self._post, self._retry_seconds = folder, post, retry_seconds
        self.name = str(folder.root)
        self._wanted: dict[Job, None] = {}
        self._differing: set[Job] = set()
        """Told once, and left alone until the copy has been away."""
        self._scan: Iterator[Job] | None = None
        self._change = threading.Condition()
        self._stopping = self._scan_due = False
        self._lost: str | None = ""
        """Why it cannot be written; empty before the first look."""
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="copies", daemon=True)

    def start(self) -> None:
        """Begins to copy."""
        self._thread.start()

    def stop(self) -> None:
        """Copies no more. A disk that does not answer is left behind, and the rest for the next start."""
        with self._change:
            self._stopping = True
            self._change.notify()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def want(self, jobs: Iterable[Job]) -> None:
        """These have come in. Any thread; never waits. Too many at once: everything is compared afterwards instead."""
        with self._change:
            for job in jobs:
                if len(self._wanted) >= _MOST_WAITING:
                    self._scan_due = True
                    break
                if job not in self._differing:
                    self._wanted[job] = None
            self._change.notify()

    def state(self) -> CopyState:
        """For the console; any thread."""
        since, waiting = self._busy_since, len(self._wanted)
        if since is not None and time.monotonic() - since > STUCK_SECONDS:
            return CopyState(self.name, "unreachable", waiting, f"no answer for {time.monotonic() - since:.0f} s")
        if self._lost:
            return CopyState(self.name, "unreachable", waiting, self._lost[:500])
        behind = waiting > 0 or self._scan is not None or self._lost is not None
        return CopyState(self.name, "catching_up" if behind else "current", waiting, "")

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            if self._watched(self._reach):
                job = self._next()
                if job is not None:
                    self._watched(lambda job=job: self._do(job))  # type: ignore[misc]

    def _watched(self, work: Callable[[], bool]) -> bool:
        self._busy_since = time.monotonic()
        try:
            return work()
        except StorageError as error:
            self._lose(f"{error.code} {error}")
            return False
        finally:
            self._busy_since = None

    def _reach(self) -> bool:
        self._folder.check()
        if self._lost is not None:
            if self._lost:
                self._tell(CopyTrouble("copy_back", "*", self.name))
            self._lost = None
            self._folder.forget()
            self._differing.clear()
            self._scan = self._folder.missing()
        return True

    def _lose(self, reason: str) -> None:
        self._scan, self._busy_since = None, None
        if not self._lost:
            self._tell(CopyTrouble("copy_lost", "*", f"{self.name}: {reason}"))
        self._lost = reason
        with self._change:
            self._change.wait_for(lambda: self._stopping, self._retry_seconds)

    def _next(self) -> Job | None:
        """What to do next; None after a while without anything, or at the end."""
        with self._change:
            if not self._wanted and self._scan is None and self._scan_due:
                self._scan, self._scan_due = self._folder.missing(), False
            if not self._wanted and self._scan is None:
                self._change.wait_for(lambda: self._stopping or self._wanted, self._retry_seconds)
            if self._stopping:
                return None
            if self._wanted:
                return next(iter(self._wanted))
        return self._next_of_scan()

    def _next_of_scan(self) -> Job | None:
        if self._scan is None:
            return None
        try:
            job = next(self._scan, None)
        except StorageError as error:
            self._lose(f"{error.code} {error}")
            return None
        if job is None:
            self._scan = None
        return job

    def _do(self, job: Job) -> bool:
        device, name = job
        try:
            if name == "" or job in self._wanted:
                self._folder.bring_ledger(device)
            held = name != "" and self._folder.bring_object(device, name)
        except CopyDiffersError as error:
            self._differ(device, job, error)
            held = False
        except StorageError:
            with self._change:
                if job in self._wanted:  # behind the others: it alone may be what cannot be done
                    self._wanted[job] = self._wanted.pop(job)
            raise
        with self._change:
            self._wanted.pop(job, None)  # only now: after a failure it is tried again
        if held:
            self._tell(Copied(self.name, device, name.partition(".")[0]))
        return held

    def _differ(self, device: str, job: Job, error: CopyDiffersError) -> None:
        if (device, str(error)) not in self._differing:
            self._tell(CopyTrouble("copy_differs", device, f"{error.code} {error}"))
        self._differing |= {job, (device, str(error))}

    def _tell(self, news: CopyNews) -> None:
        if isinstance(news, CopyTrouble):
            _log.warning(news.kind, device=news.device, reason=news.reason)
        while not self._post(news) and not self._stopping:
            time.sleep(_POST_SECONDS)  # the dock is busy; only this thread waits


class Copiers:
    """All copies of a dock."""

    def __init__(self, settings: DockSettings, post: Callable[[CopyNews], bool], trust: TrustBundle) -> None:
        folders = [CopyFolder(root, settings.id, settings.archive, trust) for root in settings.copies]
        self._all = [Copier(folder, post, settings.copy_retry_seconds) for folder in folders]

    def start(self) -> None:
        """Begins to copy."""
        for one in self._all:
            one.start()

    def stop(self) -> None:
        """Copies no more."""
        for one in self._all:
            one.stop()

    def want(self, device: str, refs: Iterable[ObjectRef]) -> None:
        """New lines, and these objects, of a device have come in."""
        if self._all:
            jobs = [(device, ref.file_name) for ref in refs] or [(device, "")]
            for one in self._all:
                one.want(jobs)

    def states(self) -> list[CopyState]:
        """For the console."""
        return [one.state() for one in self._all]

"""Keeps the browsable tree up to date, in a thread of its own: the intake never waits for it.

A recording is laid out when its device has nothing more on the way. What a crash leaves undone is found at the next
start, by the manifests themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from agent.dock.catalogue import Recording
from agent.dock.layout import Layout
from agent.errors import FormatError, StorageError
from agent.system.logs import logger

_STOP_SECONDS = 2.0
_log = logger("layout")


class Shelver:
    """One thread that writes manifests."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._wanted: dict[tuple[str, str], tuple[Recording, bool]] = {}
        self._change = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="layout", daemon=True)

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def stop(self) -> None:
        """Writes no more; the rest is found at the next start."""
        with self._change:
            self._stopping = True
            self._change.notify()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def want(self, rows: Iterable[Recording], unless_complete: bool = False) -> None:
        """These are to be laid out, ``unless_complete`` those that are so already. Any thread; never waits."""
        with self._change:
            for row in rows:
                self._wanted[row.device, row.recording] = (row, unless_complete)
            self._change.notify()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            row, unless_complete = found
            try:
                if not (unless_complete and self._layout.is_complete(row)):
                    self._layout.shelve(row)
            except (StorageError, FormatError) as error:
                _log.warning("not laid out", device=row.device, recording=row.recording, error=str(error))

    def _next(self) -> tuple[Recording, bool] | None:
        with self._change:
            self._change.wait_for(lambda: self._stopping or self._wanted)
            if self._stopping:
                return None
            return self._wanted.pop(next(iter(self._wanted)))

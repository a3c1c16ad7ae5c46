"""R12.2: the assignments that the agency gave to this dock for its devices, read again whenever their folder changes.

The dock judges nothing of them but whose they are: it publishes none that its device would have to refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.errors import TrustError
from agent.evidence.dispatch import MAX_DISPATCH_BYTES, read_dispatch
from agent.evidence.documents import TrustBundle
from agent.system.logs import logger

FOLDER_NAME: Final = "assignments"
"""In the dock's credentials; ``DEVICE.jws``, the newest of each device."""

_log = logger("dock")


class Assignments:
    """What each device is to work on. Not thread-safe."""

    def __init__(self, credentials: Path, trust: TrustBundle) -> None:
        """Reads the folder; none is the same as an empty one."""
        self._folder, self._trust = credentials / FOLDER_NAME, trust
        self._seen: tuple[object, ...] = ()
        self._tokens: dict[str, bytes] = {}
        self._published: set[str] = set()
        self.refresh()

    def refresh(self) -> bool:
        """Reads the folder again if it changed, and says so. A file that cannot be used is logged and left out."""
        try:
            paths = sorted(self._folder.glob("*.jws"))
            seen = tuple((path.name, stat.st_ino, stat.st_mtime_ns) for path in paths for stat in [path.stat()])
        except OSError as error:
            _log.error("assignments", error=str(error))
            return False
        if seen == self._seen:
            return False
        self._seen = seen
        self._tokens = dict(one for path in paths for one in self._read(path))
        return True

    def _read(self, path: Path) -> Iterator[tuple[str, bytes]]:
        try:
            with path.open("rb") as file:
                token = file.read(MAX_DISPATCH_BYTES + 1).strip()
            read_dispatch(token, self._trust, path.stem)
            yield path.stem, token
        except (OSError, TrustError) as error:
            _log.error("assignment left out", file=path.name, error=str(error))

    def retained(self, accepted: frozenset[str]) -> dict[str, bytes]:
        """What is to stand retained now, by device; empty bytes where something stood that is to stand no longer."""
        wanted = {device: token for device, token in self._tokens.items() if device in accepted}
        gone = dict.fromkeys(self._published - wanted.keys(), b"")
        self._published = set(wanted)
        return gone | wanted

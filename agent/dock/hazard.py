"""R13.1: the hazard flags that the agency gave to this dock, read again whenever their folder changes.

The dock judges nothing of them but whose they are and which is the newest: who acts on a flag verifies it himself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agent.errors import TrustError
from agent.evidence.documents import TrustBundle
from agent.evidence.hazard_flag import MAX_FLAG_BYTES, HazardFlag, read_hazard_flag
from agent.system.logs import logger

FOLDER_NAME: Final = "hazard"
"""In the dock's credentials; one ``VERSION.jws`` for each flag that is still the newest for somebody."""

_log = logger("dock")


class HazardFlags:
    """The newest flag for each device. Not thread-safe."""

    def __init__(self, credentials: Path, trust: TrustBundle) -> None:
        """Reads the folder; none is the same as an empty one."""
        self._folder, self._trust = credentials / FOLDER_NAME, trust
        self._seen: tuple[object, ...] = ()
        self._flags: list[tuple[HazardFlag, bytes]] = []
        self.refresh()

    def refresh(self) -> bool:
        """Reads the folder again if it changed, and says so. A file that cannot be used is logged and left out."""
        try:
            paths = sorted(self._folder.glob("*.jws"))
            seen = tuple((path.name, stat.st_ino, stat.st_mtime_ns) for path in paths for stat in [path.stat()])
        except OSError as error:
            _log.error("hazard flags", error=str(error))
            return False
        if seen == self._seen:
            return False
        self._seen = seen
        found = [(flag, token) for path in paths for flag, token in self._read(path)]
        self._flags = sorted(found, key=lambda one: one[0].version, reverse=True)
        return True

    def _read(self, path: Path) -> list[tuple[HazardFlag, bytes]]:
        try:
            with path.open("rb") as file:
                token = file.read(MAX_FLAG_BYTES + 1)
            return [(read_hazard_flag(token, self._trust), token)]
        except (OSError, TrustError) as error:
            _log.error("hazard flag left out", file=path.name, error=str(error))
            return []

    def newest(self, device: str) -> bytes | None:
        """What is to stand retained for this device."""
        return next((token for flag, token in self._flags if flag.concerns(device)), None)

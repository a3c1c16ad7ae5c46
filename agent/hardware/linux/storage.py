"""Room on a volume."""

from __future__ import annotations

import os
from pathlib import Path

from agent.errors import StorageError


class LinuxStorage:
    """The volume that holds ``folder``. See ``Storage``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def free_bytes(self) -> int:
        """See ``Storage.free_bytes``; raises StorageError when the volume is gone."""
        try:
            volume = os.statvfs(self._folder)
        except OSError as error:
            raise StorageError(f"the volume of {self._folder} does not answer: {error}") from error
        return volume.f_bavail * volume.f_frsize

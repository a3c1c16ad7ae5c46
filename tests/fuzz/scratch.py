"""Where targets put their files: in memory where there is such a place, and gone when the process is."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

_MEMORY = Path("/dev/shm")


@cache
def scratch() -> Path:
    """A folder of this process and those forked from it."""
    base = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    made = Path(tempfile.mkdtemp(prefix="er-fuzz-", dir=base))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def clean(name: str) -> Path:
    """An empty folder of this name in it."""
    place = scratch() / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place


def written(name: str, data: bytes) -> Path:
    """A file of this name in it."""
    path = scratch() / name
    path.write_bytes(data)
    return path

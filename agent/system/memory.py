"""Memory that has been freed goes back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final

_TRIM: Final[Callable[[int], int] | None] = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Hands what the C library keeps of freed memory back to the kernel; a few milliseconds. Without glibc: nothing.

    A film's pictures are large and of many sizes: the library would keep the most that was ever needed, in pieces.
    """
    if _TRIM is not None:
        _TRIM(0)

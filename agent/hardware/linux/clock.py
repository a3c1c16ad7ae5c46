"""The kernel's clocks, and who vouches for the wall clock."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

from agent.errors import HardwareError
from agent.hardware.parts import ClockReading, TimeSource

_STA_UNSYNC = 0x0040
_TRIES = 4
_CLOSE_ENOUGH_NS = 5_000


class _Timex(ctypes.Structure):
    """``struct timex`` of <sys/timex.h>, up to what is read here; the rest is room for the kernel to fill."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


class LinuxClock:
    """The kernel's two clocks, the boot's id, and what the kernel's NTP state says (chrony and others keep it)."""

    def __init__(self, boot_id: Path = Path("/proc/sys/kernel/random/boot_id")) -> None:
        try:
            self._boot_id = boot_id.read_text(encoding="ascii").strip()
            self._ntp_adjtime = ctypes.CDLL(None, use_errno=True).ntp_adjtime
        except (OSError, AttributeError) as error:
            raise HardwareError(f"the kernel's clock state cannot be read: {error}") from error

    def read(self) -> ClockReading:
        """See ``Clock.read``; raises HardwareError when the kernel refuses its clock state."""
        utc_ns, monotonic_ns = _read_together()
        source, error_us = self._vouched()
        return ClockReading(utc_ns // 1000, monotonic_ns // 1000, self._boot_id, source, error_us)

    def _vouched(self) -> tuple[TimeSource, int | None]:
        state = _Timex()  # modes 0: read only, no privilege needed
        if self._ntp_adjtime(ctypes.byref(state)) < 0:
            raise HardwareError(f"ntp_adjtime: errno {ctypes.get_errno()}")
        if state.status & _STA_UNSYNC:
            return TimeSource.NONE, None
        return TimeSource.NTP, int(state.maxerror)


def _read_together() -> tuple[int, int]:
    """Wall and monotonic time (ns) of one moment: the closest of a few tries, should the thread lose the CPU."""
    best: tuple[int, int, int] | None = None
    for _ in range(_TRIES):
        before = time.monotonic_ns()
        utc = time.time_ns()
        apart = time.monotonic_ns() - before
        if best is None or apart < best[0]:
            best = (apart, utc, before + apart // 2)
        if apart < _CLOSE_ENOUGH_NS:
            break
    assert best is not None
    return best[1], best[2]

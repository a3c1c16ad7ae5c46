"""The kernel's clocks, and who vouches for the wall clock."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.errors import HardwareError
from agent.hardware.linux.gpsd import GnssTime
from agent.hardware.parts import ClockReading, TimeSource

_STA_UNSYNC = 0x0040
_TRIES = 4
_CLOSE_ENOUGH_NS = 5_000
_UNSTATED_US = 5_000_000
"""systemd-timesyncd tells the kernel that its error is zero; it follows servers up to this far off (timesyncd.conf)."""
_GNSS_FRESH_US = 5_000_000
_GNSS_LATE_US = 1_000_000
"""A receiver's report arrives up to this long after the moment that it names."""
_GNSS_APART_US = 2_000_000
"""A wall clock that is further off than this is not confirmed by a receiver but contradicted."""
_DRIFT_PER_MILLION = 500
"""The kernel's own figure for a clock that nobody disciplines (MAXFREQ)."""
_EARLIEST_US = 1_767_225_600_000_000
"""2026-01-01: no unit ran this before. A battery clock that says so has lost its battery."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who vouches for the wall clock, and within which bound (None: within none)."""

    source: TimeSource
    error_us: int | None


@dataclass(frozen=True, slots=True)
class TimeFacts:
    """What can be known about the wall clock at one moment."""

    utc_us: int
    monotonic_us: int
    kernel_error_us: int | None
    """The kernel's bound; None when it calls the clock unsynchronised."""
    kernel_estimate_us: int = 1
    """The kernel's estimate of the error; zero where whoever disciplines the clock states none."""
    reference: TimeSource | None = None
    """What chrony follows; None when it does not say."""
    gnss_us: int | None = None
    """Wall clock minus satellites' time, when a fresh report came."""
    held: ClockReading | None = None
    """The last reading for which somebody vouched at that moment, in this process."""
    from_rtc: bool = False
    """The kernel set the clock from a battery-backed one when it started."""


def vouched(facts: TimeFacts) -> Vouched:
    """The best of what the facts support: somebody's word now, one of not long ago, or at least a battery's."""
    if found := vouched_now(facts) or _lasting(facts):
        return found
    if facts.from_rtc and facts.utc_us >= _EARLIEST_US:
        return Vouched(TimeSource.RTC, None)
    return Vouched(TimeSource.NONE, None)


def vouched_now(facts: TimeFacts) -> Vouched | None:
    """Who vouches at this very moment.

    The kernel's word comes first: whoever disciplines the clock, chrony, systemd-timesyncd or ntpd, keeps it there. A
    clock that nobody disciplines may still be confirmed by a receiver.
    """
    if facts.kernel_error_us is not None:
        if facts.reference in (TimeSource.GNSS, TimeSource.NTP):
            return Vouched(facts.reference, facts.kernel_error_us)
        unstated_us = 0 if facts.kernel_estimate_us else _UNSTATED_US
        return Vouched(TimeSource.NTP, facts.kernel_error_us + unstated_us)
    if facts.gnss_us is not None and abs(facts.gnss_us) <= _GNSS_APART_US:
        return Vouched(TimeSource.GNSS, abs(facts.gnss_us) + _GNSS_LATE_US)
    return None


def _lasting(facts: TimeFacts) -> Vouched | None:
    """What was vouched for before, its bound grown by the time since; None when the clock was set in between."""
    held = facts.held
    if held is None or held.error_us is None:
        return None
    since_us = facts.monotonic_us - held.monotonic_us
    bound_us = held.error_us + since_us * _DRIFT_PER_MILLION // 1_000_000
    stepped_us = abs(facts.utc_us - held.utc_us - since_us)
    return Vouched(held.source, bound_us) if stepped_us <= bound_us else None


class LinuxClock:
    """The kernel's two clocks, the boot's id, and who vouches for the first. See ``Clock``.

    ``reference`` and ``gnss`` say what chrony follows and what a receiver reported last; neither may wait.
    """

    def __init__(
        self,
        reference: Callable[[], TimeSource | None] | None = None,
        gnss: Callable[[], GnssTime | None] | None = None,
        boot_id: Path = Path("/proc/sys/kernel/random/boot_id"),
        rtc: Path = Path("/sys/class/rtc"),
    ) -> None:
        self._reference, self._gnss = reference, gnss
        self._held: ClockReading | None = None
        try:
            self._boot_id = boot_id.read_text(encoding="ascii").strip()
            self._ntp_adjtime = ctypes.CDLL(None, use_errno=True).ntp_adjtime
        except (OSError, AttributeError) as error:
            raise HardwareError(f"the kernel's clock state cannot be read: {error}") from error
        self._from_rtc = set_from_rtc(rtc)

    def read(self) -> ClockReading:
        """See ``Clock.read``; raises HardwareError when the kernel refuses its clock state."""
        utc_ns, monotonic_ns = _read_together()
        utc_us, monotonic_us = utc_ns // 1000, monotonic_ns // 1000
        error_us, estimate_us = self._kernel_errors_us()
        facts = TimeFacts(
            utc_us,
            monotonic_us,
            error_us,
            estimate_us,
            self._reference() if self._reference else None,
            gnss_apart_us(self._gnss(), utc_us, monotonic_us) if self._gnss else None,
            self._held,
            self._from_rtc,
        )
        found = vouched(facts)
        reading = ClockReading(utc_us, monotonic_us, self._boot_id, found.source, found.error_us)
        if vouched_now(facts):
            self._held = reading
        return reading

    def _kernel_errors_us(self) -> tuple[int | None, int]:
        """Bound and estimate; the bound is None when the clock is not synchronised."""
        state = _Timex()  # modes 0: read only, no privilege needed
        if self._ntp_adjtime(ctypes.byref(state)) < 0:
            raise HardwareError(f"ntp_adjtime: errno {ctypes.get_errno()}")
        return None if state.status & _STA_UNSYNC else int(state.maxerror), int(state.esterror)


def gnss_apart_us(report: GnssTime | None, utc_us: int, monotonic_us: int) -> int | None:
    """How far the wall clock is ahead of what a receiver reported; None when the report is missing or old."""
    if report is None:
        return None
    age_us = monotonic_us - report.taken_ns // 1000
    return utc_us - age_us - report.utc_us if age_us <= _GNSS_FRESH_US else None


def set_from_rtc(root: Path) -> bool:
    """Whether the kernel set its clock from a battery-backed one (Documentation/ABI/testing/sysfs-class-rtc)."""
    try:
        return any(one.read_text(encoding="ascii").strip() == "1" for one in root.glob("rtc*/hctosys"))
    except OSError:
        return False


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

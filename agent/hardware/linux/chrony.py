"""Where chronyd's time comes from, as its own client says."""

from __future__ import annotations

import csv
import ipaddress
import shutil
import subprocess

from agent.errors import HardwareError
from agent.hardware.parts import TimeSource
from agent.hardware.polling import Polled

COMMAND = ("chronyc", "-n", "-c", "-h", "127.0.0.1", "tracking")
"""Over the loopback: chronyd's socket is open to nobody but its own user."""
ANSWER_SECONDS = 5.0
EVERY_SECONDS, STALE_SECONDS = 16.0, 120.0

_GNSS = ("GPS", "GNSS", "NMEA", "PPS", "SHM", "SOC", "GLO", "GAL", "BDS")
"""How reference clocks fed by a receiver are called: chronyd's own names for them, and customary ``refid``s."""
_FIELDS = 14


def reference_of(tracking: str) -> TimeSource:
    """What ``chronyc -c tracking`` names as its reference.

    NONE when there is none or the time is chronyd's own ("local"). A reference clock of another kind than a receiver,
    such as PTP's, counts as network time. Raises ValueError for what is no such line.
    """
    fields = next(csv.reader([tracking.strip()]), [])
    if len(fields) != _FIELDS:
        raise ValueError(f"not the {_FIELDS} fields of chronyc tracking: {tracking!r}")
    name, leap = fields[1], fields[13]
    if leap == "Not synchronised" or not name or name == "127.127.1.1":
        return TimeSource.NONE
    if _is_address(name):
        return TimeSource.NTP
    return TimeSource.GNSS if name.upper().startswith(_GNSS) else TimeSource.NTP


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def ask(command: tuple[str, ...] = COMMAND) -> TimeSource:
    """Runs chronyc, for at most 5 s. Raises HardwareError when there is no answer."""
    if shutil.which(command[0]) is None:
        raise HardwareError("chronyc is not installed: nobody says where the time comes from")
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
        return reference_of(found.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise HardwareError(f"chronyd does not say where its time comes from: {error}") from error


class ChronyReference:
    """Asks at intervals, on a thread of its own."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._polled = Polled("chronyd", lambda: ask(command), EVERY_SECONDS, STALE_SECONDS)

    def newest(self) -> TimeSource | None:
        """The reference as of at most two minutes ago; None when chronyd does not say. Never waits, never raises."""
        try:
            return self._polled.newest()
        except HardwareError:
            return None

    def close(self) -> None:
        """Asks no more; at most 5 s. Harmless when repeated."""
        self._polled.close()

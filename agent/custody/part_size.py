"""How large a part may be so that it gets through. Pure.

MQTT 3.1.1 has no word for "too large": a broker only ends the connection, as a bad link does. So whoever sends the same
again goes round for ever. Here parts become smaller after a few connections that ended before one of them was
acknowledged, or known to be with the dock. That helps on a link that hardly lives long enough as well. When even the
smallest does not get through, none are offered for a while.
"""

from __future__ import annotations

from typing import Final

LEAST_PART_BYTES: Final = 16_384
FAILURES: Final = 3
"""Connections in a row that ended with a part unacknowledged, none as large acknowledged, and nothing gained."""
FAILURES_AT_THE_FLOOR: Final = 10
"""As before, but with the smallest parts: a bad link alone has three in a row now and then, and waiting costs more."""
WITHHELD_SECONDS: Final = 60.0


class PartSize:
    """``bytes``: for objects that are begun now. Times are monotonic seconds."""

    def __init__(self, configured_bytes: int) -> None:
        self.bytes = configured_bytes
        self.withheld_until_seconds = 0.0
        """No part is offered before."""
        self._failures = 0

    def ended(self, unacknowledged_bytes: int, acknowledged_bytes: int, now_seconds: float) -> bool:
        """A connection ended; the largest payloads of either kind. Returns whether something has changed by it."""
        if acknowledged_bytes >= max(unacknowledged_bytes, LEAST_PART_BYTES // 2):
            self._failures = 0
        elif unacknowledged_bytes >= LEAST_PART_BYTES // 2:
            self._failures += 1
        if self._failures < (FAILURES if self.bytes > LEAST_PART_BYTES else FAILURES_AT_THE_FLOOR):
            return False
        self._failures = 0
        if self.bytes > LEAST_PART_BYTES:
            self.bytes = max(LEAST_PART_BYTES, min(self.bytes, unacknowledged_bytes) // 2)
        else:
            self.withheld_until_seconds = now_seconds + WITHHELD_SECONDS
        return True

    def gained(self) -> None:
        """The dock holds more than before: what was sent last has got through, acknowledged or not."""
        self._failures = 0

    def withheld(self, now_seconds: float) -> bool:
        """Whether no part, however small, has got through lately."""
        return now_seconds < self.withheld_until_seconds

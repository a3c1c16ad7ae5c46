"""Two of the same device: sessions that return after they were replaced, and ledgers that leave the one held.

A certificate copied to a second unit shows itself in one of two ways. Both units are connected at once: each session is
drawn anew for every connection, so one that speaks again after another took its place is a second unit. Or they come
one after the other: their ledgers then part at some line, and both sides of the fork are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.custody.wire import DeviceState

_REMEMBERED: Final = 64
_CHUNK_LINES: Final = 256


class Sessions:
    """The sessions of one device id, as their states come in."""

    def __init__(self) -> None:
        self.current: DeviceState | None = None
        self._replaced: dict[int, int] = {}
        """Session and the last round heard of it, before another took its place."""

    def is_second(self, state: DeviceState) -> bool:
        """Takes in a state; whether it comes from a second unit. A message that is merely doubled does not."""
        if state.session in self._replaced:
            return state.round > self._replaced[state.session]
        before = self.current
        if before is not None and before.session != state.session:
            self._replaced[before.session] = before.round
            while len(self._replaced) > _REMEMBERED:
                del self._replaced[next(iter(self._replaced))]
        self.current = state
        return False


class Branch:
    """The lines of a ledger from where it leaves the one held, handed in whole pieces to ``keep(name, data)``."""

    def __init__(self, first: int, keep: Callable[[str, bytes], None]) -> None:
        self._begin = self.next = first
        self._keep = keep
        self._lines: list[bytes] = []

    def take(self, seq: int, line: bytes) -> None:
        """The next line; any other is passed over."""
        if seq == self.next:
            self.next += 1
            self._lines.append(line + b"\n")
            if len(self._lines) >= _CHUNK_LINES:
                self.flush()

    def flush(self) -> None:
        """Keeps what has come. Raises what ``keep`` raises."""
        lines, self._lines = self._lines, []
        if lines:
            self._keep(f"branch-{self._begin}-{self.next - 1}.jws", b"".join(lines))
        self._begin = self.next

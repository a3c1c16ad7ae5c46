"""What a screen shows of a running unit besides its phase: what it told and entered, what is left, what is trusted."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from agent.evidence.entries import Body, Gap, Notice
from agent.hardware.parts import Clock, Parts, Positioning
from agent.hardware.prompts import Prompt
from agent.recorder.announcer import Rank
from agent.recorder.feedback import PROMPTS, SIGNALS, Signal
from agent.recorder.levels import SoundLevel
from agent.recorder.settings import EncoderSettings

_KEPT: Final = 8


@dataclass(slots=True)
class Noted:
    """The newest of what was told and entered in this run; for showing only, the ledger is the truth."""

    warnings: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    entries: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    lost: set[str] = field(default_factory=set)
    """Parts that the running recording goes on without."""

    def told(self, prompt: Prompt) -> None:
        """Keeps a warning; confirmations are no trouble."""
        if PROMPTS[prompt].rank is Rank.WARNING:
            self.warnings.append({"at": _now(), "zh": prompt.chinese, "en": prompt.english})

    def entered(self, body: Body, size: int) -> None:
        """Keeps an entry's place and type. A gap without an end is a part that is gone until its end is entered."""
        self.entries.append({"at": _now(), "seq": size - 1, "type": body.TYPE})
        match body:
            case Gap(cause=cause, missing_us=None) if cause in ("camera", "microphone"):
                self.lost.add(cause)
            case Gap(cause=cause):
                self.lost.discard(cause)
            case Notice():
                self.lost.clear()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Showing(Protocol):
    """What the facts are read from."""

    noted: Noted
    signal: Signal | None

    @property
    def sound_level(self) -> SoundLevel | None:
        """At the microphone, now."""

    @property
    def minimum_free_bytes(self) -> int:
        """Below this no recording starts."""


def seconds_of_space(free_bytes: int, minimum_bytes: int, encoder: EncoderSettings) -> int:
    """How long may still be recorded, at the encoder's highest rate: never more than there is."""
    bits_per_second = encoder.maximum_bit_rate + encoder.sound_bit_rate
    return max(0, free_bytes - minimum_bytes) * 8 // bits_per_second


def facts(parts: Parts, showing: Showing, encoder: EncoderSettings) -> dict[str, Any]:
    """For ``recorder status`` and ``recorder watch``: plain values."""
    level, signal = showing.sound_level, showing.signal
    return {
        "signal": signal.value if signal else None,
        "signal_zh": SIGNALS[signal].chinese if signal else None,
        "signal_en": SIGNALS[signal].english if signal else None,
        "sound_dbfs": {"peak": round(level.peak_dbfs, 1), "rms": round(level.rms_dbfs, 1)} if level else None,
        "space_seconds": seconds_of_space(parts.storage.free_bytes(), showing.minimum_free_bytes, encoder),
        "clock": _clock(parts.clock),
        "position": _position(parts.positioning),
        "lost_parts": sorted(showing.noted.lost),
        "warnings": list(showing.noted.warnings),
        "entries": list(showing.noted.entries),
    }


def _clock(clock: Clock) -> dict[str, Any]:
    now = clock.read()
    return {"source": now.source.value, "error_us": now.error_us}


def _position(positioning: Positioning | None) -> dict[str, Any] | None:
    """How good the position is, not where it is: a screen may be looked at by anybody."""
    fix = positioning.fix() if positioning else None
    if fix is None:
        return None
    return {"error_metres": fix.error_metres, "age_seconds": round((time.monotonic_ns() - fix.taken_ns) / 1e9, 1)}

"""Protocols of the parts, and the plain values that pass between a part and the recorder.

Every part delivers on a thread of its own and must never block there; whoever listens only enqueues. Times named
``*_ns`` are CLOCK_MONOTONIC nanoseconds. A part that dies calls its ``fault`` callback once with a HardwareError and
delivers no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

import av
import numpy as np
import numpy.typing as npt

from agent.errors import HardwareError

Samples = npt.NDArray[np.int16]
FaultHandler = Callable[[HardwareError], None]


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One picture, yuv420p, with the moment of its exposure (CLOCK_MONOTONIC, ns)."""

    picture: av.VideoFrame
    captured_ns: int


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Consecutive samples, shape (n, channels), signed 16 bit, and the moment of the first (CLOCK_MONOTONIC, ns)."""

    samples: Samples
    captured_ns: int


@dataclass(frozen=True, slots=True)
class CameraFormat:
    """What a camera delivers: pixels and nominal frames per second."""

    width: int
    height: int
    frames_per_second: int


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a microphone delivers: samples per second and channels."""

    sample_rate: int
    channels: int


class Camera(Protocol):
    """Delivers yuv420p frames from ``start`` until ``stop``; may be started again."""

    @property
    def format(self) -> CameraFormat:
        """Size and nominal rate, known before the first start."""

    def start(self, deliver: Callable[[VideoFrame], None], fault: FaultHandler) -> None:
        """Returns once the camera has been asked to run; raises HardwareError when it cannot."""

    def stop(self) -> None:
        """No frame is delivered after this returns. At most 5 s. Harmless when not running."""

    def close(self) -> None:
        """Gives the part back. Harmless when repeated."""


class Microphone(Protocol):
    """Delivers blocks of about 20 ms from ``start`` until ``stop``; may be started again."""

    @property
    def format(self) -> AudioFormat:
        """Rate and channels, known before the first start."""

    def start(self, deliver: Callable[[AudioBlock], None], fault: FaultHandler) -> None:
        """Returns once sound is being taken; raises HardwareError when it cannot."""

    def stop(self) -> None:
        """No block is delivered after this returns. At most 5 s. Harmless when not running."""

    def close(self) -> None:
        """Gives the part back. Harmless when repeated."""


@dataclass(frozen=True, slots=True)
class PlaybackProof:
    """What the output really consumed of a sound (R12.1: proof that the notice was played)."""

    frames_total: int
    frames_consumed: int
    sample_rate: int
    underruns: int
    started_ns: int
    """When the first sample was handed to the output device."""
    ended_ns: int
    """When the last sample had left the output, its latency included."""
    failure: str | None = None

    @property
    def completed(self) -> bool:
        """Whether every frame was consumed with no underrun and no failure."""
        return self.failure is None and self.underruns == 0 and self.frames_consumed == self.frames_total > 0


class Speaker(Protocol):
    """Plays WAV files (16 bit PCM), one at a time."""

    def play(
        self, sound: Path, ended: Callable[[PlaybackProof], None], started: Callable[[int], None] | None = None
    ) -> None:
        """Returns at once. ``started(ns)`` comes with the first sample, ``ended(proof)`` exactly once, also on failure.

        A sound that is playing is cut short first (its ``ended`` is called with failure "interrupted").
        """

    def stop(self) -> None:
        """Cuts the running sound short. Harmless when silent."""

    def close(self) -> None:
        """Gives the part back. Harmless when repeated."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A button or switch that went down (True) or up (False)."""

    active: bool
    at_ns: int


class Contact(Protocol):
    """A button, a switch or a dock contact: an input that is active or not."""

    @property
    def active(self) -> bool:
        """The state right now; raises HardwareError if it cannot be read."""

    def listen(self, deliver: Callable[[Edge], None]) -> None:
        """From now on every change is delivered; raw edges, no debounce (the recorder does that, with given times)."""

    def close(self) -> None:
        """Gives the pin back. Harmless when repeated."""


@runtime_checkable
class Drivable(Protocol):
    """A simulated contact that a script can move; no real part has this."""

    def drive(self, active: bool) -> None:
        """Moves the mock pin; the real library class above it sees the edge."""


@runtime_checkable
class Scriptable(Protocol):
    """A simulated part whose readings a script can set; no real part has this."""

    def script(self, words: Sequence[str]) -> None:
        """Sets what is read from now on, in words that a person types; raises UsageError naming those it knows."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """On and off in ms, ``times`` times (0: until changed). ``on_ms`` 0 is off; ``off_ms`` 0 is steady, or one long
    pulse."""

    on_ms: int
    off_ms: int = 0
    times: int = 0


OFF = Pattern(0)


class Indicator(Protocol):
    """A lamp or a buzzer."""

    def show(self, pattern: Pattern) -> None:
        """Replaces the running pattern. Returns at once."""

    def close(self) -> None:
        """Switches off and gives the pin back. Harmless when repeated."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A position (WGS 84 degrees) with its error (metres) and the moment it was taken."""

    latitude: float
    longitude: float
    error_metres: float
    """Radius that holds the true place with 95 % confidence."""
    taken_ns: int
    altitude_metres: float | None = None
    """Above mean sea level; None where the receiver sees too few satellites to tell."""


class Positioning(Protocol):
    """Where the unit is."""

    def fix(self) -> Fix | None:
        """The newest position, or None when there is none; ``taken_ns`` says how old it is. Never waits or raises."""

    def check(self) -> None:
        """Raises HardwareError saying why no position can come; a receiver that sees no sky is well. Never waits."""

    def close(self) -> None:
        """Gives the part back. Harmless when repeated."""


class TimeSource(StrEnum):
    """Where the wall clock was set from."""

    GNSS = "gnss"
    NTP = "ntp"
    RTC = "rtc"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Wall clock and monotonic clock read together.

    Sources RTC and NONE: since this boot nobody trusted has set or confirmed the wall clock.
    """

    utc_us: int
    monotonic_us: int
    boot_id: str
    source: TimeSource
    error_us: int | None
    """Bound on the wall clock's error; None when nobody vouches for it."""


class Clock(Protocol):
    """Both clocks of the unit."""

    def read(self) -> ClockReading:
        """Reads both clocks within a few microseconds of each other. Never waits."""


@dataclass(frozen=True, slots=True)
class PowerReading:
    """State of charge in percent and what is left; None where the part cannot tell."""

    percent: int | None
    minutes_left: int | None
    on_mains: bool | None


class Power(Protocol):
    """Battery and mains."""

    def read(self) -> PowerReading:
        """Never waits; raises HardwareError when the gauge does not answer."""


class Thermometer(Protocol):
    """How warm the unit is inside."""

    def read(self) -> int | None:
        """Thousandths of a degree Celsius; None when the sensor has no value just now.

        Never waits; raises HardwareError when there is no such sensor.
        """


class Storage(Protocol):
    """The volume that holds the evidence."""

    def free_bytes(self) -> int:
        """Room left for this user, in bytes."""


class Closable(Protocol):
    """Anything that is given back in the end."""

    def close(self) -> None:
        """Gives it back. Harmless when repeated."""


@dataclass(slots=True)
class Parts:
    """All parts of one unit. ``kinds`` names which implementation serves each; it is stamped into the ledger."""

    camera: Camera | PacketCamera
    microphone: Microphone | None
    speaker: Speaker
    record_button: Contact
    photo_button: Contact
    hazard_switch: Contact | None
    dock_contact: Contact
    lamp: Indicator
    buzzer: Indicator
    positioning: Positioning | None
    clock: Clock
    power: Power
    storage: Storage
    kinds: Mapping[str, str] = field(default_factory=dict)
    shared: Sequence[Closable] = ()
    """What several parts stand on, such as the board's pins, or what watches for them; closed after them."""
    thermometer: Thermometer | None = None

    def close(self) -> None:
        """Closes every part, the camera last; a part that fails to close does not keep the others open.

        Raises the first failure, when all have been closed. Harmless when repeated.
        """
        owned = (
            self.microphone,
            self.speaker,
            self.record_button,
            self.photo_button,
            self.hazard_switch,
            self.dock_contact,
            self.lamp,
            self.buzzer,
            self.positioning,
            *self.shared,
            self.camera,
        )
        failures: list[HardwareError] = []
        for part in owned:
            try:
                if part is not None:
                    part.close()
            except HardwareError as error:
                failures.append(error)
        if failures:
            raise failures[0]


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One coded picture, H.264 in Annex B form without B frames, and the moment of its exposure (ns).

    A keyframe brings its parameter sets with it.
    """

    data: bytes
    captured_ns: int
    keyframe: bool


@runtime_checkable
class PacketCamera(Protocol):
    """A camera that encodes by itself: a fixed one on the network, or one with an encoder beside it."""

    @property
    def format(self) -> CameraFormat:
        """Size and nominal rate, known before the first start."""

    @property
    def sound(self) -> AudioFormat | None:
        """The sound that comes with the picture, decoded; None when the camera sends none."""

    def start(self, deliver: Callable[[EncodedPicture | AudioBlock], None], fault: FaultHandler) -> None:
        """Returns once the camera has been asked to run; raises HardwareError when it cannot."""

    def request_keyframe(self) -> None:
        """Asks for a keyframe as soon as possible. Returns at once; does nothing where the camera cannot be asked."""

    def stop(self) -> None:
        """Nothing is delivered after this returns. At most 5 s. Harmless when not running."""

    def close(self) -> None:
        """Gives the part back. Harmless when repeated."""

"""Which part serves what: the section ``[hardware]`` of the configuration.

A kind is chosen here and nowhere else; nothing is guessed and nothing is silently replaced by something else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

Pin = Annotated[int, Ge(0), Le(27)]
"""A GPIO number of the 40-pin header (BCM numbering)."""


@dataclass(frozen=True, slots=True)
class GpioSettings:
    """Pins (BCM numbers). Buttons and the dock contact close to ground; lamp and buzzer are driven high."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    record_button: Pin = 17
    photo_button: Pin = 27
    hazard_switch: Pin = 22
    dock_contact: Pin = 23
    lamp: Pin = 24
    buzzer: Pin = 25
    hazard_switch_opens: bool = True
    """The switch opens its circuit when the hazard is set, so that a cut wire counts as a hazard too (R13.1)."""

    def __post_init__(self) -> None:
        pins = (
            self.record_button,
            self.photo_button,
            self.hazard_switch,
            self.dock_contact,
            self.lamp,
            self.buzzer,
        )
        if len(set(pins)) != len(pins):
            raise ValueError("two parts share one GPIO pin")


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """What is asked of the camera; ``Camera.format`` says what it really delivers.

    Left out, size and rate are the clip's own for the simulated camera and 1280 x 720 at 30 for the others. The
    simulated camera scales to the size but always keeps the clip's own rate.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    device: str = "/dev/video0"
    input_format: str | None = None
    """V4L2 only: the pixel format to ask for, such as "mjpeg"; many webcams reach their full rate only with it."""
    width: Annotated[int, Ge(64), Le(7680)] | None = None
    height: Annotated[int, Ge(64), Le(4320)] | None = None
    frames_per_second: Annotated[int, Ge(1), Le(120)] | None = None

    def __post_init__(self) -> None:
        if (self.width is None) != (self.height is None):
            raise ValueError("video.width and video.height are given together or not at all")
        if (self.width or 0) % 2 or (self.height or 0) % 2:
            raise ValueError("video.width and video.height must be even (yuv420p)")


@dataclass(frozen=True, slots=True)
class AudioSettings:
    """PortAudio devices by name (or part of it) or number; None is the system's default."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    input_device: str | int | None = None
    output_device: str | int | None = None
    sample_rate: Annotated[int, Ge(8000), Le(192000)] = 48000
    """Samples per second of the microphone, and of the speaker where the device refuses the rate of a sound."""
    channels: Annotated[int, Ge(1), Le(2)] = 1


@dataclass(frozen=True, slots=True)
class SimulatedSettings:
    """The stage on which the simulated parts play."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    footage: Path | None = None
    """A clip with picture and, where possible, sound, at most 10 minutes; None is the packaged one."""
    speaker_wav: Path | None = None
    """Where what was played is collected; None is ``simulated-speaker.wav`` beside the evidence folder."""
    realtime: bool = True
    """False: nothing waits, stamps run ahead of the clock. For tests; a queue behind it fills at once."""
    speaker_heard: Annotated[float, Ge(0.0), Le(4.0)] = 1.0
    """How loud the microphone hears the speaker, as a factor; 0 is a covered speaker."""
    latitude: Annotated[float, Ge(-90.0), Le(90.0)] | None = None
    longitude: Annotated[float, Ge(-180.0), Le(180.0)] | None = None
    position_error_metres: Annotated[float, Ge(0.0)] = 5.0
    battery_percent: Annotated[int, Ge(0), Le(100)] = 100
    battery_minutes_left: Annotated[int, Ge(0)] = 480
    on_mains: bool = False

    def __post_init__(self) -> None:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("simulated.latitude and simulated.longitude are given together or not at all")


@dataclass(frozen=True, slots=True)
class HardwareSettings:
    """One kind for each part.

    ``controls`` covers the buttons, the dock contact, the lamp and the buzzer; "none" is a computer without any:
    gestures then come only over the control socket.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    camera: Literal["simulated", "v4l2", "picamera2"]
    microphone: Literal["simulated", "portaudio", "none"]
    speaker: Literal["simulated", "portaudio"]
    controls: Literal["simulated", "gpio", "none"] = "none"
    hazard_switch: Literal["simulated", "gpio", "none"] = "none"
    positioning: Literal["simulated", "none"] = "none"
    power: Literal["linux", "simulated"] = "linux"
    clock: Literal["linux"] = "linux"
    gpio: GpioSettings = field(default_factory=GpioSettings)
    video: VideoSettings = field(default_factory=VideoSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    simulated: SimulatedSettings = field(default_factory=SimulatedSettings)

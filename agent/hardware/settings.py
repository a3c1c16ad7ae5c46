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


Coding = Literal["recorder", "auto", "hardware", "software"]


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
    coding: Coding = "recorder"
    """picamera2 only: "recorder" encodes what the camera delivers; the others let picamera2 do it, with the chip's
    encoder where there is one ("auto"), with nothing else ("hardware"), or always on the processor ("software")."""
    bit_rate: Annotated[int, Ge(100_000), Le(50_000_000)] = 6_000_000
    """Bits per second of picamera2's encoder; the recorder's own has settings in ``[recorder]``."""

    def __post_init__(self) -> None:
        if (self.width is None) != (self.height is None):
            raise ValueError("video.width and video.height are given together or not at all")
        if (self.width or 0) % 2 or (self.height or 0) % 2:
            raise ValueError("video.width and video.height must be even (yuv420p)")


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Where the fixed camera of kind "rtsp" is found; the password stands in a file of its own."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    url: str = ""
    """``rtsp://HOST[:PORT]/PATH``, without user and password."""
    user: str | None = None
    password_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("stream.user and stream.password_file are given together or not at all")
        if "@" in self.url.partition("://")[2].partition("/")[0]:
            raise ValueError("stream.url holds no user and no password: they have keys of their own")
        if self.url and not self.url.startswith(("rtsp://", "rtsps://")):
            raise ValueError("stream.url begins with rtsp:// or rtsps://")


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
class GpsdSettings:
    """Where gpsd listens."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    host: str = "localhost"
    port: Annotated[int, Ge(1), Le(65535)] = 2947


@dataclass(frozen=True, slots=True)
class GaugeSettings:
    """Where the fuel gauge, a MAX17048, answers on the I2C bus."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    bus: Annotated[int, Ge(0), Le(255)] = 1
    """The number in ``/dev/i2c-1``."""
    address: Annotated[int, Ge(0x08), Le(0x77)] = 0x36


@dataclass(frozen=True, slots=True)
class ThermalSettings:
    """Which of the kernel's thermal zones is the unit's own."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    zone: str = "cpu-thermal"
    """As in ``/sys/class/thermal/thermal_zone*/type``."""


@dataclass(frozen=True, slots=True)
class TimekeepingSettings:
    """Whom the clock of kind "linux" asks besides the kernel."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    chrony: bool = True
    """Asks chronyd where the time came from; without it a disciplined clock counts as set over the network."""


@dataclass(frozen=True, slots=True)
class SimulatedSettings:
    """The stage on which the simulated parts play."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    footage: Path | None = None
    """A clip with picture and, where possible, sound, at most 10 minutes; None is the packaged one."""
    speaker_wav: Path | None = None
    """Where what was played is collected; None is ``simulated-speaker.wav`` beside the evidence folder."""
    camera_encodes: bool = False
    """The camera delivers coded pictures, as a fixed one or one with an encoder does."""
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
    temperature_millicelsius: Annotated[int, Ge(-55_000), Le(150_000)] = 36_000
    time_source: Literal["gnss", "ntp", "rtc", "none"] = "ntp"
    time_error_us: Annotated[int, Ge(0)] = 1_000
    """Ignored where nobody vouches for the time: sources "rtc" and "none"."""

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

    camera: Literal["simulated", "v4l2", "picamera2", "rtsp"]
    microphone: Literal["simulated", "portaudio", "none"]
    speaker: Literal["simulated", "portaudio"]
    controls: Literal["simulated", "gpio", "none"] = "none"
    hazard_switch: Literal["simulated", "gpio", "none"] = "none"
    positioning: Literal["gpsd", "simulated", "none"] = "none"
    power: Literal["linux", "i2c_gauge", "simulated"] = "linux"
    clock: Literal["linux", "simulated"] = "linux"
    thermometer: Literal["linux", "simulated", "none"] = "none"
    gpio: GpioSettings = field(default_factory=GpioSettings)
    video: VideoSettings = field(default_factory=VideoSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    gpsd: GpsdSettings = field(default_factory=GpsdSettings)
    gauge: GaugeSettings = field(default_factory=GaugeSettings)
    thermal: ThermalSettings = field(default_factory=ThermalSettings)
    timekeeping: TimekeepingSettings = field(default_factory=TimekeepingSettings)
    simulated: SimulatedSettings = field(default_factory=SimulatedSettings)

    def __post_init__(self) -> None:
        if self.camera == "rtsp" and not self.stream.url:
            raise ValueError("a camera of kind rtsp needs stream.url")
        if self.video.coding != "recorder" and self.camera != "picamera2":
            raise ValueError("video.coding is for a camera of kind picamera2")

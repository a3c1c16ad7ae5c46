"""Opens the configured parts of one unit. Libraries are imported only for the kinds that are configured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agent.errors import HardwareLibraryMissingError, RecorderError
from agent.hardware.absent import AbsentContact, AbsentIndicator
from agent.hardware.parts import (
    Camera,
    Clock,
    Contact,
    Indicator,
    Microphone,
    PacketCamera,
    Parts,
    Positioning,
    Power,
    PowerReading,
    Speaker,
    Storage,
    Thermometer,
    TimeSource,
)
from agent.hardware.settings import HardwareSettings

if TYPE_CHECKING:
    from agent.hardware.linux.gpsd import GpsdPositioning

T = TypeVar("T")


def open_parts(settings: HardwareSettings, evidence_folder: Path) -> Parts:
    """All parts, ready to be started; nothing is delivered before each part's own ``start``.

    Raises HardwareLibraryMissingError (naming what to install) or HardwareError when a configured part cannot be had;
    the parts that were open already are closed again. Nothing is replaced by anything else.
    """
    opening = _Opening(settings, evidence_folder)
    try:
        return opening.parts()
    except BaseException:
        opening.abandon()
        raise


class _Opening:
    """Opens one part after the other and remembers them."""

    def __init__(self, settings: HardwareSettings, evidence_folder: Path) -> None:
        self._settings, self._evidence_folder = settings, evidence_folder
        self._opened: list[Any] = []
        self._shared: dict[str, Any] = {}

    def parts(self) -> Parts:
        """Every part, in the order of ``Parts``."""
        kinds, pins = self._settings, self._settings.gpio
        return Parts(
            camera=self._open("camera", self._camera),
            microphone=self._open("microphone", self._microphone),
            speaker=self._open("speaker", self._speaker),
            record_button=self._open("record button", lambda: self._contact(kinds.controls, pins.record_button)),
            photo_button=self._open("photo button", lambda: self._contact(kinds.controls, pins.photo_button)),
            hazard_switch=self._open("hazard switch", self._hazard_switch),
            dock_contact=self._open("dock contact", lambda: self._contact(kinds.controls, pins.dock_contact)),
            lamp=self._open("lamp", lambda: self._indicator("lamp", pins.lamp)),
            buzzer=self._open("buzzer", lambda: self._indicator("buzzer", pins.buzzer)),
            positioning=self._open("positioning", self._positioning),
            clock=self._open("clock", self._clock),
            power=self._open("power", self._power),
            storage=self._open("storage", self._storage),
            thermometer=self._open("thermometer", self._thermometer),
            kinds=kinds_of(kinds),
            shared=tuple(part for part in self._shared.values() if hasattr(part, "close")),
        )

    def _open(self, name: str, make: Callable[[], T]) -> T:
        try:
            part = make()
        except ImportError as error:
            raise HardwareLibraryMissingError(f"{name}: the library {error.name or error} is not installed") from error
        self._opened.append(part)
        return part

    def abandon(self) -> None:
        """Closes what was opened; the failure that led here is the one worth reporting."""
        for part in reversed([*self._shared.values(), *self._opened]):
            close = getattr(part, "close", None)
            if close is None:
                continue
            try:
                close()
            except RecorderError:
                continue

    def _once(self, name: str, make: Callable[[], T]) -> T:
        if name not in self._shared:
            self._shared[name] = make()
        shared: T = self._shared[name]
        return shared

    def _stage(self) -> Any:
        from agent.hardware.simulated.stage import Stage, packaged_footage, read_clip

        wanted = self._settings.simulated
        path = Path(wanted.footage) if wanted.footage else packaged_footage()
        return self._once(
            "stage", lambda: Stage(read_clip(path), realtime=wanted.realtime, speaker_heard=wanted.speaker_heard)
        )

    def _camera(self) -> Camera | PacketCamera:
        video = self._settings.video
        match self._settings.camera:
            case "simulated":
                return self._simulated_camera()
            case "v4l2":
                from agent.hardware.linux.camera import V4l2Camera

                return V4l2Camera(video)
            case "picamera2" if video.coding == "recorder":
                from agent.hardware.pi.camera import Picamera2Camera

                return Picamera2Camera(video)
            case "picamera2":
                from agent.hardware.pi.coding import CodingPicamera2

                return CodingPicamera2(video)
            case "rtsp":
                from agent.hardware.linux.rtsp import RtspCamera

                return RtspCamera(self._settings.stream, video.frames_per_second)

    def _simulated_camera(self) -> Camera | PacketCamera:
        from agent.hardware.simulated.camera import SimulatedCamera
        from agent.hardware.simulated.packets import SimulatedPacketCamera

        video = self._settings.video
        size = (video.width, video.height) if video.width and video.height else None
        encodes = self._settings.simulated.camera_encodes
        return (SimulatedPacketCamera if encodes else SimulatedCamera)(self._stage(), size)

    def _microphone(self) -> Microphone | None:
        match self._settings.microphone:
            case "simulated":
                from agent.hardware.simulated.microphone import SimulatedMicrophone

                return SimulatedMicrophone(self._stage(), self._settings.audio.channels)
            case "portaudio":
                from agent.hardware.linux.microphone import PortAudioMicrophone

                return PortAudioMicrophone(self._settings.audio)
            case "none":
                return None

    def _speaker(self) -> Speaker:
        match self._settings.speaker:
            case "simulated":
                from agent.hardware.simulated.speaker import SimulatedSpeaker, WavLog

                wanted = self._settings.simulated.speaker_wav
                path = Path(wanted) if wanted else self._evidence_folder.parent / "simulated-speaker.wav"
                return SimulatedSpeaker(WavLog(path), self._stage())
            case "portaudio":
                from agent.hardware.linux.speaker import PortAudioSpeaker

                return PortAudioSpeaker(self._settings.audio)

    def _pins(self, kind: str) -> Any:
        if kind == "gpio":
            from agent.hardware.pi.gpio import open_lgpio

            return self._once("gpio", open_lgpio)
        from agent.hardware.simulated.controls import open_mock

        return self._once("mock pins", open_mock)

    def _contact(self, kind: str, pin: int, *, opens: bool = False) -> Contact:
        if kind == "none":
            return AbsentContact()
        if kind == "gpio":
            from agent.hardware.pi.gpio import GpioContact

            return GpioContact(pin, self._pins(kind), opens=opens)
        from agent.hardware.simulated.controls import SimulatedContact

        return SimulatedContact(pin, self._pins(kind), opens=opens)

    def _hazard_switch(self) -> Contact | None:
        kind, pins = self._settings.hazard_switch, self._settings.gpio
        return None if kind == "none" else self._contact(kind, pins.hazard_switch, opens=pins.hazard_switch_opens)

    def _indicator(self, name: str, pin: int) -> Indicator:
        kind = self._settings.controls
        if kind == "none":
            return AbsentIndicator()
        from agent.hardware.pi import gpio

        return (gpio.lamp if name == "lamp" else gpio.buzzer)(pin, self._pins(kind))

    def _positioning(self) -> Positioning | None:
        match self._settings.positioning:
            case "none":
                return None
            case "gpsd":
                return self._gpsd()
            case "simulated":
                from agent.hardware.simulated.scripted import ScriptedPositioning

                wanted = self._settings.simulated
                return ScriptedPositioning(wanted.latitude, wanted.longitude, wanted.position_error_metres)

    def _gpsd(self) -> GpsdPositioning:
        from agent.hardware.linux.gpsd import GpsdPositioning

        return self._once("gpsd", lambda: GpsdPositioning(self._settings.gpsd))

    def _clock(self) -> Clock:
        if self._settings.clock == "simulated":
            from agent.hardware.simulated.scripted import ScriptedClock

            wanted = self._settings.simulated
            return ScriptedClock(TimeSource(wanted.time_source), wanted.time_error_us)
        from agent.hardware.linux.chrony import ChronyReference
        from agent.hardware.linux.clock import LinuxClock

        chrony = self._once("chrony", ChronyReference) if self._settings.timekeeping.chrony else None
        gpsd = self._gpsd() if self._settings.positioning == "gpsd" else None
        return LinuxClock(chrony.newest if chrony else None, gpsd.time if gpsd else None)

    def _power(self) -> Power:
        match self._settings.power:
            case "linux":
                from agent.hardware.linux.power import LinuxPower

                return LinuxPower()
            case "i2c_gauge":
                from agent.hardware.linux.gauge import I2cGauge

                return self._once("gauge", lambda: I2cGauge(self._settings.gauge))
            case "simulated":
                from agent.hardware.simulated.scripted import ScriptedPower

                wanted = self._settings.simulated
                return ScriptedPower(PowerReading(wanted.battery_percent, wanted.battery_minutes_left, wanted.on_mains))

    def _thermometer(self) -> Thermometer | None:
        match self._settings.thermometer:
            case "none":
                return None
            case "linux":
                from agent.hardware.linux.thermal import LinuxThermometer

                return LinuxThermometer(self._settings.thermal.zone)
            case "simulated":
                from agent.hardware.simulated.scripted import ScriptedThermometer

                return ScriptedThermometer(self._settings.simulated.temperature_millicelsius)

    def _storage(self) -> Storage:
        from agent.hardware.linux.storage import LinuxStorage

        return LinuxStorage(self._evidence_folder)


def kinds_of(settings: HardwareSettings) -> dict[str, str]:
    """Which implementation serves each part, by the names of ``Parts``."""
    controls = dict.fromkeys(("record_button", "photo_button", "dock_contact", "lamp", "buzzer"), settings.controls)
    return {
        "camera": settings.camera,
        "microphone": settings.microphone,
        "speaker": settings.speaker,
        **controls,
        "hazard_switch": settings.hazard_switch,
        "positioning": settings.positioning,
        "clock": settings.clock,
        "power": settings.power,
        "storage": "linux",
        "thermometer": settings.thermometer,
    }

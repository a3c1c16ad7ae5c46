"""Opening and closing a whole unit, and the settings that say what it is made of."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from agent.errors import HardwareError, HardwareLibraryMissingError
from agent.hardware.assembly import open_parts
from agent.hardware.parts import Drivable, Edge
from agent.hardware.settings import HardwareSettings

ALL_SIMULATED = {
    "camera": "simulated",
    "microphone": "simulated",
    "speaker": "simulated",
    "controls": "simulated",
    "hazard_switch": "simulated",
    "positioning": "simulated",
    "power": "simulated",
    "clock": "simulated",
    "thermometer": "simulated",
    "simulated": {"latitude": 41.85, "longitude": 123.8, "battery_percent": 64},
}


def _settings(**changes: Any) -> HardwareSettings:
    return TypeAdapter(HardwareSettings).validate_python(ALL_SIMULATED | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"camera": "webcam"},
        {"lidar": "simulated"},
        {"gpio": {"lamp": 28}},
        {"gpio": {"lamp": 17}},  # the record button's
        {"gpio": {"horn": 5}},
        {"video": {"width": 640}},
        {"video": {"width": 641, "height": 480}},
        {"audio": {"sample_rate": 1}},
        {"gpsd": {"port": 0}},
        {"gauge": {"address": 0x78}},
        {"positioning": "gps"},
        {"simulated": {"time_source": "sundial"}},
        {"simulated": {"latitude": 41.8}},
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _settings(**changes)


def test_a_simulated_unit_opens_says_what_it_is_made_of_and_closes_twice(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    parts = open_parts(_settings(), evidence)
    assert set(parts.kinds) == {name for name in parts.__slots__ if name not in ("kinds", "shared")}
    assert {kind for name, kind in parts.kinds.items() if name != "storage"} == {"simulated"}
    assert parts.hazard_switch is not None and not parts.hazard_switch.active
    assert parts.power.read().percent == 64
    assert parts.positioning is not None and parts.positioning.fix() is not None
    edges: list[Edge] = []
    parts.record_button.listen(edges.append)
    assert isinstance(parts.record_button, Drivable)
    parts.record_button.drive(True)
    assert [edge.active for edge in edges] == [True]
    parts.close()
    parts.close()
    assert (tmp_path / "simulated-speaker.wav").exists()


def test_parts_that_the_computer_does_not_have_are_absent_and_stamped_so(tmp_path: Path) -> None:
    settings = TypeAdapter(HardwareSettings).validate_python(
        {"camera": "simulated", "microphone": "none", "speaker": "simulated"}
    )
    parts = open_parts(settings, tmp_path)
    assert parts.microphone is None and parts.hazard_switch is None and parts.positioning is None
    names = ("microphone", "record_button", "dock_contact", "lamp", "buzzer", "hazard_switch", "positioning")
    assert {parts.kinds[name] for name in (*names, "thermometer")} == {"none"}
    parts.close()


def test_parts_that_may_come_later_open_without_them_say_what_is_wrong_and_close(tmp_path: Path) -> None:
    """A recorder whose gauge or receiver is broken still records."""
    real = {"positioning": "gpsd", "power": "i2c_gauge", "clock": "linux", "thermometer": "linux"}
    places = {"gpsd": {"port": 1}, "gauge": {"bus": 250}, "thermal": {"zone": "no-such-zone"}}
    parts = open_parts(_settings(**real, **places), tmp_path)
    assert {name: parts.kinds[name] for name in real} == real
    assert parts.positioning is not None and parts.positioning.fix() is None
    assert parts.thermometer is not None
    assert parts.clock.read().boot_id
    for attempt, said in ((parts.power.read, "i2c-250"), (parts.thermometer.read, "no-such-zone")):
        with pytest.raises(HardwareError, match=said):
            attempt()
    before = {thread.name for thread in threading.enumerate()}
    assert {"gpsd", "chronyd", "the fuel gauge"} <= before
    parts.close()
    parts.close()
    assert not {"gpsd", "chronyd", "the fuel gauge"} & {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("library", "changes", "named"),
    [
        ("picamera2", {"camera": "picamera2"}, "python3-picamera2"),
        ("sounddevice", {"microphone": "portaudio"}, "libportaudio2"),
        ("sounddevice", {"speaker": "portaudio"}, "libportaudio2"),
        ("gpiozero", {}, "gpiozero"),
        ("lgpio", {"controls": "gpio"}, "python3-lgpio"),
        ("smbus2", {"power": "i2c_gauge"}, "smbus2"),
    ],
)
def test_a_missing_library_is_named_and_nothing_takes_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str, changes: dict[str, Any], named: str
) -> None:
    for module in [name for name in sys.modules if name.startswith(("gpiozero", "agent.hardware.pi"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "agent.hardware.simulated.controls", raising=False)
    monkeypatch.setitem(sys.modules, library, None)  # makes "import library" fail
    with pytest.raises(HardwareLibraryMissingError, match=named):
        open_parts(_settings(**changes), tmp_path)


def test_what_was_open_before_a_failure_is_closed_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from agent.hardware.simulated.camera import SimulatedCamera

    closed: list[str] = []
    monkeypatch.setattr(SimulatedCamera, "close", lambda self: closed.append("camera"))
    bad = tmp_path / "taken.wav"
    bad.write_bytes(b"somebody else's file")
    with pytest.raises(HardwareError, match="taken"):
        open_parts(_settings(simulated={"speaker_wav": str(bad)}), tmp_path)
    assert closed == ["camera"]


def test_a_part_that_fails_to_close_does_not_keep_the_others_open(tmp_path: Path) -> None:
    parts = open_parts(_settings(), tmp_path)
    assert parts.microphone is not None
    closed: list[str] = []
    camera_close = parts.camera.close

    def fail() -> None:
        raise HardwareError("the microphone hangs")

    parts.microphone.close = fail  # type: ignore[method-assign]
    parts.camera.close = lambda: (closed.append("camera"), camera_close())  # type: ignore[method-assign,assignment]
    with pytest.raises(HardwareError, match="hangs"):
        parts.close()
    assert closed == ["camera"]


def test_no_hardware_library_is_loaded_for_a_kind_that_is_not_configured(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from agent.hardware.assembly import open_parts;"
        "from agent.hardware.settings import HardwareSettings as S;"
        f"open_parts(S('simulated', 'simulated', 'simulated'), Path({str(tmp_path)!r})).close();"
        "libraries = ('gpiozero', 'sounddevice', 'picamera2', 'lgpio', 'libcamera', 'smbus2');"
        "print([library for library in libraries if library in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"

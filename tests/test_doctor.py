"""What the doctor says of the parts that tell time, place, charge and warmth."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import doctor
from agent.doctor import examine

SIMULATED = """
[recorder]
evidence = "evidence"
credentials = "none-here"
control = "control.sock"
assignment = "assignment.json"
[hardware]
camera = "simulated"
microphone = "none"
speaker = "simulated"
"""


def rows(folder: Path, hardware: str) -> dict[str, tuple[str, bool]]:
    """Text of each row by its English name, and whether it is well."""
    file = folder / "recorder.toml"
    file.write_text(SIMULATED + hardware)
    return {row.item.split()[-1]: (row.text, row.error is None) for row in examine(file)}


def test_a_unit_that_is_well_has_its_time_its_place_its_charge_and_its_warmth(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        'positioning = "simulated"\npower = "simulated"\nclock = "simulated"\nthermometer = "simulated"\n'
        '[hardware.simulated]\ntime_source = "gnss"\ntime_error_us = 250\nlatitude = 41.8512345\nlongitude = 123.8\n',
    )
    assert found["clock"] == ("gnss, ± 250 µs", True)
    assert found["position"] == ("41.851, 123.800, ± 5 m", True), "to a hundred metres: a report is sent on"
    assert found["power"] == ("100 %, 480 min, 电池供电 battery", True)
    assert found["temperature"] == ("36.0 °C", True)


@pytest.mark.parametrize(("source", "said"), [("rtc", "not set since power-on"), ("none", "no trusted time source")])
def test_a_time_that_nobody_vouches_for_is_said(tmp_path: Path, source: str, said: str) -> None:
    found = rows(
        tmp_path, f'power = "simulated"\nclock = "simulated"\n[hardware.simulated]\ntime_source = "{source}"\n'
    )
    assert said in found["clock"][0]
    assert "position" not in found and "temperature" not in found, "what is configured away is not asked for"


def test_a_receiver_without_sky_is_well_and_one_that_is_gone_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "FIX_SECONDS", 0.3)
    well = rows(tmp_path, 'positioning = "simulated"\npower = "simulated"\n')
    assert well["position"] == ("尚无定位，请到室外再试 no fix yet: try again under open sky", True)
    gone = rows(tmp_path, 'positioning = "gpsd"\npower = "simulated"\n[hardware.gpsd]\nport = 1\n')
    assert "gpsd at localhost:1" in gone["position"][0] and not gone["position"][1]


def test_a_gauge_and_a_sensor_that_are_gone_are_said_each_in_its_row(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        'power = "i2c_gauge"\nthermometer = "linux"\n'
        '[hardware.gauge]\nbus = 250\n[hardware.thermal]\nzone = "no-such-zone"\n',
    )
    assert "check the battery board" in found["power"][0] and not found["power"][1]
    assert "no-such-zone" in found["temperature"][0] and not found["temperature"][1]
    assert found["clock"][1]

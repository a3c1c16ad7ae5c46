"""What the kernel's power supplies come to: one battery or several, and gauges that tell little."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hardware_lanes import supply
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import HardwareError
from agent.hardware.linux.power import Edges, LinuxPower, minutes_by_fall, noted
from agent.hardware.parts import PowerReading


@pytest.mark.parametrize(
    ("battery", "minutes"),
    [
        ({"energy_now": 20_000_000, "power_now": 5_000_000}, 240),
        ({"charge_now": 1_500_000, "current_now": -500_000}, 180),
        ({"energy_now": 20_000_000, "power_now": 5_000_000, "charge_now": 1, "current_now": 1}, 240),
        ({"time_to_empty_now": 5400}, 90),
        ({"time_to_empty_avg": 5400, "time_to_empty_now": 0}, 90),
        ({"time_to_empty_now": 5400, "energy_now": 20_000_000, "power_now": 5_000_000}, 90),
        ({"energy_now": 20_000_000, "power_now": 0}, None),
        ({"energy_now": 20_000_000, "power_now": 1}, None),  # more than a week: no drain but noise
        ({"energy_now": 20_000_000}, None),
        ({}, None),
    ],
)
def test_minutes_left_come_from_whatever_the_gauge_offers(
    tmp_path: Path, battery: dict[str, int], minutes: int | None
) -> None:
    supply(tmp_path, "BAT0", type="Battery", capacity=57, status="Discharging", **battery)
    assert LinuxPower(tmp_path).read() == PowerReading(57, minutes, False)


FULL, HALF = {"energy_full": 30_000_000}, {"energy_full": 10_000_000}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # Together 28 of 40 Wh; only the second is being drained, but both will be: 28 Wh at 7 W.
        (
            {"status": "Not charging", "capacity": 80, "energy_now": 24_000_000, "power_now": 0, **FULL},
            {"status": "Discharging", "capacity": 40, "energy_now": 4_000_000, "power_now": 7_000_000, **HALF},
            PowerReading(70, 240, False),
        ),
        # No amounts to add: the lower percentage, and the time until the first is empty.
        (
            {"status": "Discharging", "capacity": 80, "time_to_empty_now": 7200},
            {"status": "Discharging", "capacity": 40, "time_to_empty_now": 3600},
            PowerReading(40, 60, False),
        ),
        # Watt-hours and ampere-hours do not add.
        (
            {"status": "Discharging", "capacity": 80, "energy_now": 24_000_000, "power_now": 1_000_000, **FULL},
            {"status": "Discharging", "capacity": 40, "charge_now": 4_000_000, "current_now": 1, "charge_full": 1},
            PowerReading(40, None, False),
        ),
        # A bay without a battery in it.
        (
            {"status": "Discharging", "capacity": 57, "time_to_empty_now": 5400, "present": 1},
            {"status": "Unknown", "capacity": 0, "present": 0},
            PowerReading(57, 90, False),
        ),
    ],
)
def test_several_batteries_are_told_as_one(
    tmp_path: Path, first: dict[str, object], second: dict[str, object], expected: PowerReading
) -> None:
    supply(tmp_path, "BAT0", type="Battery", **first)
    supply(tmp_path, "BAT1", type="Battery", **second)
    assert LinuxPower(tmp_path).read() == expected


def test_a_battery_that_tells_only_amounts_has_a_percentage_all_the_same(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", type="Battery", status="Discharging", charge_now=2, charge_full=8, current_now=1)
    assert LinuxPower(tmp_path).read() == PowerReading(25, 120, False)


@pytest.mark.parametrize(
    ("online", "status", "expected"),
    [
        ([1], "Charging", PowerReading(80, None, True)),
        ([1], "Discharging", PowerReading(80, None, True)),
        ([0, 1], "Full", PowerReading(80, None, True)),
        ([0], "Discharging", PowerReading(80, 60, False)),
        ([0, 0], "Unknown", PowerReading(80, None, False)),
        ([], "Full", PowerReading(80, None, True)),
        ([], "Unknown", PowerReading(80, None, None)),
        ([1], None, PowerReading(None, None, True)),  # mains only
        ([0], None, PowerReading(None, None, False)),
    ],
)
def test_mains_are_seen_and_a_charging_battery_has_no_end(
    tmp_path: Path, online: list[int], status: str | None, expected: PowerReading
) -> None:
    for number, value in enumerate(online):
        supply(tmp_path, f"AC{number}", type="Mains" if number else "USB", online=value)
    if status:
        supply(tmp_path, "BAT0", type="Battery", capacity=80, status=status, energy_now=1, power_now=1)
    assert LinuxPower(tmp_path).read() == expected


def test_the_battery_of_a_mouse_does_not_count_and_no_supply_means_no_answer(tmp_path: Path) -> None:
    supply(tmp_path, "hid-mouse", type="Battery", scope="Device", capacity=3, status="Discharging")
    assert LinuxPower(tmp_path).read() == PowerReading(None, None, None)
    assert LinuxPower(tmp_path / "nowhere").read() == PowerReading(None, None, None)


def test_a_gauge_that_answers_nonsense_is_a_hardware_error(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", type="Battery", capacity="unknown", status="Discharging")
    with pytest.raises(HardwareError, match="gauge"):
        LinuxPower(tmp_path).read()


@pytest.mark.parametrize("status", ["Discharging", "Unknown"])
def test_a_gauge_that_tells_only_percent_has_its_minutes_learnt_from_the_fall(tmp_path: Path, status: str) -> None:
    """A percent every three minutes: at 90 %, 270 minutes. The kernel's driver of a MAX17040 tells no more."""
    seconds = [0.0]
    battery = supply(tmp_path, "BAT0", type="Battery", status=status, capacity=93)
    power, minutes = LinuxPower(tmp_path, lambda: seconds[0]), []
    for percent in (93, 92, 91, 90):
        (battery / "capacity").write_text(f"{percent}\n")
        minutes.append(power.read().minutes_left)
        seconds[0] += 180
    assert minutes == [None, None, 273, 270]
    (battery / "capacity").write_text("95\n")
    assert power.read().minutes_left is None, "it was charged meanwhile"


def test_mains_end_what_was_learnt(tmp_path: Path) -> None:
    seconds = [0.0]
    battery, cable = supply(tmp_path, "BAT0", type="Battery", capacity=93), supply(tmp_path, "AC", type="Mains")
    power = LinuxPower(tmp_path, lambda: seconds[0])

    def read(percent: int, online: int) -> int | None:
        (battery / "capacity").write_text(f"{percent}\n")
        (cable / "online").write_text(f"{online}\n")
        seconds[0] += 180
        return power.read().minutes_left

    assert [read(93, 0), read(92, 0), read(91, 0), read(91, 1), read(91, 0), read(90, 0)] == [
        *(None, None, 273),
        *(None, None, None),
    ]


def test_a_step_that_is_overdue_slows_the_pace_before_it_comes() -> None:
    edges: Edges = ((0.0, 52), (10.0, 51), (70.0, 50))
    assert minutes_by_fall(edges, 70.0) == 50
    assert minutes_by_fall(edges, 100.0) == 49
    assert minutes_by_fall(edges, 10.0 + 10 * 60) == 50 * 5 - 9


@given(st.lists(st.tuples(st.floats(1, 600), st.integers(0, 100)), max_size=60))
def test_whatever_a_gauge_tells_the_minutes_are_none_or_possible(looks: list[tuple[float, int]]) -> None:
    edges: Edges = ()
    now = 0.0
    for after, percent in looks:
        now += after
        edges = noted(edges, now, percent)
        minutes = minutes_by_fall(edges, now)
        assert minutes is None or 0 <= minutes <= 7 * 24 * 60
        assert all(high > low for (_, high), (_, low) in pairwise(edges))

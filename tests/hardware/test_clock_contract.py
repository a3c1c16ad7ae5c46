"""Every Clock keeps the same contract; who vouches for the wall clock is a table of facts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import HardwareError
from agent.hardware.linux.clock import (
    LinuxClock,
    TimeFacts,
    Vouched,
    gnss_apart_us,
    set_from_rtc,
    vouched,
)
from agent.hardware.linux.gpsd import GnssTime
from agent.hardware.parts import Clock, ClockReading, TimeSource
from agent.hardware.simulated.scripted import ScriptedClock

GNSS, NTP, RTC, NONE = TimeSource.GNSS, TimeSource.NTP, TimeSource.RTC, TimeSource.NONE
TRUSTED = (GNSS, NTP)


@pytest.fixture(
    params=[
        LinuxClock,
        lambda: LinuxClock(lambda: GNSS, lambda: GnssTime(time.time_ns() // 1000, time.monotonic_ns())),
        lambda: ScriptedClock(NTP, 1000),
        lambda: ScriptedClock(NONE, 1000),
    ],
    ids=["linux", "linux-with-receiver", "scripted", "scripted-untrusted"],
)
def clock(request: pytest.FixtureRequest) -> Clock:
    make: Callable[[], Clock] = request.param
    return make()


def test_both_clocks_are_read_at_one_moment_with_the_boot_id_of_the_kernel(clock: Clock) -> None:
    before, reading, after = time.time_ns(), clock.read(), time.time_ns()
    assert before // 1000 <= reading.utc_us <= after // 1000
    offset_us = (time.time_ns() - time.monotonic_ns()) // 1000
    assert abs(reading.utc_us - reading.monotonic_us - offset_us) < 50_000
    assert reading.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def test_the_monotonic_clock_never_goes_back(clock: Clock) -> None:
    readings = [clock.read().monotonic_us for _ in range(50)]
    assert readings == sorted(readings)


def test_there_is_a_bound_on_the_error_exactly_when_somebody_is_trusted(clock: Clock) -> None:
    reading = clock.read()
    assert (reading.error_us is not None) == (reading.source in TRUSTED)
    assert reading.error_us is None or reading.error_us >= 0


def test_a_scripted_clock_says_what_it_is_told() -> None:
    clock = ScriptedClock(NTP, 1000)
    clock.vouch(RTC, 5)
    clock.set_ahead(3_600_000_000)
    reading = clock.read()
    assert (reading.source, reading.error_us) == (RTC, None)
    assert reading.utc_us - time.time_ns() // 1000 == pytest.approx(3_600_000_000, abs=5_000_000)


# Who vouches

NOW_US, MONO_US, HOUR_US = 1_790_000_000_000_000, 20 * 3_600_000_000, 3_600_000_000
FACTS = TimeFacts(NOW_US, MONO_US, None)


def held(source: TimeSource, error_us: int, ago_us: int, stepped_us: int = 0) -> ClockReading:
    return ClockReading(NOW_US - ago_us + stepped_us, MONO_US - ago_us, "boot", source, error_us)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        # Somebody disciplines the clock: the kernel has the bound, chrony knows the source.
        (replace(FACTS, kernel_error_us=700), Vouched(NTP, 700)),
        # systemd-timesyncd says that it is never wrong.
        (replace(FACTS, kernel_error_us=700, kernel_estimate_us=0), Vouched(NTP, 5_000_700)),
        (replace(FACTS, kernel_error_us=700, kernel_estimate_us=0, reference=NONE), Vouched(NTP, 5_000_700)),
        (replace(FACTS, kernel_error_us=700, kernel_estimate_us=0, reference=GNSS), Vouched(GNSS, 700)),
        (replace(FACTS, kernel_error_us=700, reference=NTP), Vouched(NTP, 700)),
        (replace(FACTS, kernel_error_us=700, reference=GNSS), Vouched(GNSS, 700)),
        (replace(FACTS, kernel_error_us=700, reference=NONE), Vouched(NTP, 700)),
        (replace(FACTS, kernel_error_us=700, gnss_us=10, from_rtc=True), Vouched(NTP, 700)),
        # Nobody does, whatever chrony has seen; a receiver may confirm the clock, or not.
        (replace(FACTS, reference=GNSS), Vouched(NONE, None)),
        (replace(FACTS, gnss_us=400_000), Vouched(GNSS, 1_400_000)),
        (replace(FACTS, gnss_us=-400_000, from_rtc=True), Vouched(GNSS, 1_400_000)),
        (replace(FACTS, gnss_us=2_000_001), Vouched(NONE, None)),
        (replace(FACTS, gnss_us=-18_000_000, from_rtc=True), Vouched(RTC, None)),
        # It was right an hour ago, and nobody has set it since: 500 microseconds a second is what it can have drifted.
        (replace(FACTS, held=held(NTP, 700, HOUR_US)), Vouched(NTP, 1_800_700)),
        (replace(FACTS, held=held(GNSS, 700, HOUR_US), from_rtc=True), Vouched(GNSS, 1_800_700)),
        (replace(FACTS, held=held(NTP, 700, HOUR_US, stepped_us=1_800_700)), Vouched(NTP, 1_800_700)),
        (replace(FACTS, held=held(NTP, 700, HOUR_US, stepped_us=-1_800_701)), Vouched(NONE, None)),
        (replace(FACTS, held=held(NTP, 700, HOUR_US, stepped_us=9_000_000), from_rtc=True), Vouched(RTC, None)),
        # Only the battery-backed clock, unless it has plainly lost its battery.
        (replace(FACTS, from_rtc=True), Vouched(RTC, None)),
        (replace(FACTS, from_rtc=True, utc_us=86_400_000_000), Vouched(NONE, None)),
        (FACTS, Vouched(NONE, None)),
    ],
)
def test_the_best_of_what_the_facts_support_vouches(facts: TimeFacts, expected: Vouched) -> None:
    assert vouched(facts) == expected


SOURCES = st.none() | st.sampled_from(TimeSource)


@given(
    st.builds(
        TimeFacts,
        st.integers(0, 2**52),
        st.integers(0, 2**52),
        st.none() | st.integers(0, 2**40),
        st.integers(0, 1),
        SOURCES,
        st.none() | st.integers(-(2**52), 2**52),
        st.none() | st.builds(held, st.sampled_from(TRUSTED), st.integers(0, 2**40), st.integers(0, MONO_US)),
        st.booleans(),
    )
)
def test_whatever_the_facts_a_bound_goes_with_trust_and_only_with_it(facts: TimeFacts) -> None:
    found = vouched(facts)
    assert (found.error_us is not None) == (found.source in TRUSTED)


def test_a_report_is_held_against_the_wall_clock_of_the_moment_it_came() -> None:
    report = GnssTime(NOW_US - 900_000, taken_ns=(MONO_US - 1_000_000) * 1000)
    assert gnss_apart_us(report, NOW_US, MONO_US) == -100_000
    assert gnss_apart_us(report, NOW_US + 5_000_000, MONO_US + 5_000_000) is None, "it is old"
    assert gnss_apart_us(None, NOW_US, MONO_US) is None


def test_a_receiver_confirms_a_clock_that_nobody_disciplines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LinuxClock, "_kernel_errors_us", lambda self: (None, 0))
    reports: list[GnssTime | None] = [None]
    clock = LinuxClock(lambda: NONE, lambda: reports[0], rtc=Path("/nowhere"))
    assert clock.read().source is NONE
    reports[0] = GnssTime(time.time_ns() // 1000 - 100_000, time.monotonic_ns())
    assert clock.read().source is GNSS
    reports[0] = None
    late = clock.read()
    assert late.source is GNSS and late.error_us is not None and late.error_us >= 1_100_000, "it is held for a while"


@pytest.mark.parametrize(("flags", "expected"), [([], False), (["0"], False), (["1"], True), (["0", "1"], True)])
def test_any_clock_that_the_kernel_started_from_counts(tmp_path: Path, flags: list[str], expected: bool) -> None:
    for number, flag in enumerate(flags):
        (tmp_path / f"rtc{number}").mkdir()
        (tmp_path / f"rtc{number}" / "hctosys").write_text(f"{flag}\n")
    assert set_from_rtc(tmp_path) is expected


def test_a_kernel_without_a_boot_id_is_a_hardware_error(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match="clock state"):
        LinuxClock(boot_id=tmp_path / "none")

"""The words in which a script sets what simulated parts read."""

from __future__ import annotations

import pytest

from agent.errors import HardwareError, UsageError
from agent.hardware.linux.power import LinuxPower
from agent.hardware.parts import PowerReading, Scriptable, TimeSource
from agent.hardware.simulated.scripted import ScriptedClock, ScriptedPositioning, ScriptedPower, ScriptedThermometer


def test_a_position_is_put_lost_and_gone() -> None:
    part = ScriptedPositioning()
    part.script(["41.85", "123.8"])
    fix = part.fix()
    assert fix is not None and (fix.latitude, fix.longitude, fix.error_metres) == (41.85, 123.8, 5.0)
    part.script(["-41.85", "-123.8", "30", "-12.5"])
    fix = part.fix()
    assert fix is not None and (fix.error_metres, fix.altitude_metres) == (30.0, -12.5)
    part.script(["none"])
    part.check()
    assert part.fix() is None
    part.script(["gone"])
    with pytest.raises(HardwareError):
        part.check()
    part.script(["0", "0"])
    part.check()


def test_a_battery_is_drained_charged_and_gone() -> None:
    part = ScriptedPower(PowerReading(100, 480, False))
    part.script(["20", "35"])
    assert part.read() == PowerReading(20, 35, False)
    part.script(["21", "mains"])
    assert part.read() == PowerReading(21, None, True)
    part.script(["gone"])
    with pytest.raises(HardwareError):
        part.read()


def test_a_temperature_is_given_in_degrees() -> None:
    part = ScriptedThermometer(36_000)
    part.script(["71.5"])
    assert part.read() == 71_500
    part.script(["none"])
    assert part.read() is None
    part.script(["gone"])
    with pytest.raises(HardwareError):
        part.read()


def test_a_clock_is_vouched_for_and_set() -> None:
    part = ScriptedClock(TimeSource.NTP, 1000)
    part.script(["gnss", "250"])
    before = part.read()
    assert (before.source, before.error_us) == (TimeSource.GNSS, 250)
    part.script(["rtc"])
    part.script(["ahead", "-60"])
    after = part.read()
    assert (after.source, after.error_us) == (TimeSource.RTC, None)
    assert after.utc_us < before.utc_us


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (ScriptedPositioning(), []),
        (ScriptedPositioning(), ["91", "0"]),
        (ScriptedPositioning(), ["nan", "0"]),
        (ScriptedPositioning(), ["0", "0", "0", "0", "0"]),
        (ScriptedPositioning(), ["0", "0", "-1"]),
        (ScriptedPower(PowerReading(1, 1, False)), ["full"]),
        (ScriptedPower(PowerReading(1, 1, False)), ["101", "5"]),
        (ScriptedThermometer(0), ["hot"]),
        (ScriptedClock(TimeSource.NONE, None), ["gnss"]),
        (ScriptedClock(TimeSource.NONE, None), ["rtc", "5"]),
    ],
)
def test_words_that_mean_nothing_are_refused(part: Scriptable, words: list[str]) -> None:
    with pytest.raises(UsageError):
        part.script(words)


def test_no_real_part_can_be_scripted() -> None:
    assert isinstance(ScriptedPositioning(), Scriptable)
    assert not isinstance(LinuxPower(), Scriptable)

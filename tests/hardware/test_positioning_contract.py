"""Every Positioning keeps the same contract: scripted, gpsd's protocol as we read it, and the real gpsd."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from gpsd_rig import PLACE, Receiver, Saying, free_port, gpsd, need_gpsd
from hardware_lanes import eventually

from agent.errors import HardwareError
from agent.hardware.linux.gpsd import GpsdPositioning
from agent.hardware.parts import Fix, Positioning
from agent.hardware.settings import GpsdSettings
from agent.hardware.simulated.scripted import ScriptedPositioning

GREETING = b'{"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}\n'
STANDING = (
    b'{"class":"TPV","mode":3,"time":"2026-06-01T08:00:00.000Z","lat":41.85,"lon":123.8,"altMSL":120.0,"eph":19.0}\n'
)
NO_SKY = b'{"class":"TPV","mode":1}\n'


@dataclass(frozen=True, slots=True)
class Stand:
    """A part, and what can happen to it."""

    part: Positioning
    place: Callable[[], None]
    lose: Callable[[], None]
    fail: Callable[[], None]


def scripted(cleanup: ExitStack) -> Stand:
    part = ScriptedPositioning()
    return Stand(part, lambda: part.move(*PLACE, 19.0, 120.0), part.lose, lambda: part.fail("unplugged"))


def protocol(cleanup: ExitStack) -> Stand:
    server = cleanup.enter_context(Saying(GREETING))
    part = GpsdPositioning(GpsdSettings("127.0.0.1", server.port))
    say = server.pieces.append
    return Stand(part, lambda: say(STANDING), lambda: say(NO_SKY), lambda: server.__exit__())


def real(cleanup: ExitStack) -> Stand:
    need_gpsd()
    receiver, port = cleanup.enter_context(Receiver()), free_port()
    receiver.plays = "no-sky.nmea"
    process = cleanup.enter_context(gpsd(port, receiver))
    part = GpsdPositioning(GpsdSettings("127.0.0.1", port))

    def play(name: str) -> None:
        receiver.plays = name

    return Stand(part, lambda: play("standing.nmea"), lambda: play("no-sky.nmea"), process.kill)


@pytest.fixture(params=[scripted, protocol, real], ids=["scripted", "protocol", "gpsd"])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    with ExitStack() as cleanup:
        made: Stand = request.param(cleanup)
        cleanup.callback(made.part.close)
        yield made


def _serves(part: Positioning) -> bool:
    try:
        part.check()
    except HardwareError:
        return False
    return True


def test_without_sky_there_is_no_position_and_nothing_is_wrong(stand: Stand) -> None:
    eventually(lambda: _serves(stand.part), 10)
    assert stand.part.fix() is None


def test_a_fix_has_its_place_its_error_and_a_fresh_monotonic_moment(stand: Stand) -> None:
    before_ns = time.monotonic_ns()
    stand.place()
    eventually(stand.part.fix, 10)
    fix = stand.part.fix()
    assert fix is not None
    assert (fix.latitude, fix.longitude) == pytest.approx(PLACE)
    assert 0 < fix.error_metres < 100
    assert fix.altitude_metres == pytest.approx(120.0)
    assert before_ns <= fix.taken_ns <= time.monotonic_ns()


def test_a_position_that_is_lost_is_gone_and_comes_back(stand: Stand) -> None:
    for _ in range(2):
        stand.place()
        eventually(stand.part.fix, 10)
        stand.lose()
        eventually(lambda: stand.part.fix() is None, 10)
        stand.part.check()


def test_a_receiver_that_is_gone_is_told_by_check_and_never_by_fix(stand: Stand) -> None:
    stand.place()
    eventually(stand.part.fix, 10)
    stand.fail()
    eventually(lambda: not _serves(stand.part), 10)
    with pytest.raises(HardwareError):
        stand.part.check()
    assert isinstance(stand.part.fix(), Fix | None)


def test_a_part_may_be_closed_twice(stand: Stand) -> None:
    stand.part.close()
    stand.part.close()
    assert isinstance(stand.part.fix(), Fix | None)

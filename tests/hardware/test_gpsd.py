"""The client of gpsd: what it makes of each line, and of servers that die, lie, dawdle or come back."""

from __future__ import annotations

import json
import time
from itertools import islice

import pytest
from gpsd_rig import LOG_BEGINS_US, PLACE, Receiver, Saying, free_port, gpsd
from hardware_lanes import eventually
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import HardwareError
from agent.hardware.linux import gpsd as client
from agent.hardware.linux.gpsd import GnssTime, GpsdPositioning, Heard, heard, pauses_seconds
from agent.hardware.parts import Fix
from agent.hardware.settings import GpsdSettings

GREETING = b'{"class":"VERSION","proto_major":3,"proto_minor":14}\n'
FULL = {"class": "TPV", "mode": 3, "time": "2026-06-01T08:00:00.500Z", "lat": 41.85, "lon": 123.8, "altMSL": 120.5}


def tpv(**changes: object) -> bytes:
    return json.dumps(FULL | {"eph": 19.0} | changes).encode()


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        (tpv(), Fix(41.85, 123.8, 19.0, 7, 120.5)),
        (tpv(mode=2), Fix(41.85, 123.8, 19.0, 7)),  # a flat fix's height is a guess
        (tpv(eph=None, epx=3.0, epy=4.0), Fix(41.85, 123.8, 5.0, 7, 120.5)),
        (tpv(eph=None), None),  # without a bound it is no place
        (tpv(lat=None), None),
        (tpv(mode=1), None),
        (tpv(mode=0), None),
        (tpv(status=8), None),  # the receiver says itself that it plays a simulation
        (tpv(status=2, device="/dev/serial0", climb=0.1), Fix(41.85, 123.8, 19.0, 7, 120.5)),
    ],
)
def test_a_report_is_a_fix_only_with_a_place_and_a_bound(line: bytes, fix: Fix | None) -> None:
    report = heard(line, 7)
    assert report is not None and report.fix == fix


def test_the_satellites_time_counts_only_with_a_fix() -> None:
    """Before it, the receiver tells the time of its own battery-backed clock."""
    assert heard(tpv(), 7) == Heard(Fix(41.85, 123.8, 19.0, 7, 120.5), GnssTime(LOG_BEGINS_US + 500_000, 7))
    for line in (tpv(mode=1), tpv(time=None), tpv(time="2026-06-01T08:00:00")):
        report = heard(line, 7)
        assert report is not None and report.time is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"TPV",
        tpv()[:-9],
        b'{"class":"SKY","mode":3}',
        b"[" * 60_000,
        tpv(lat=91.0),
        tpv(lon=-180.5),
        tpv(eph=-1.0),
        tpv(mode=4),
        tpv(eph="near"),
        tpv().replace(b"19.0", b"NaN"),
        tpv().replace(b"19.0", b"1e999"),
        tpv(time="yesterday"),
        tpv().replace(b"41.85", b"9" * 5000),
    ],
)
def test_what_is_no_whole_and_sensible_report_is_no_report(line: bytes) -> None:
    assert heard(line, 7) is None


@given(st.binary(max_size=400))
def test_no_line_whatever_is_an_error(line: bytes) -> None:
    assert heard(line, 7) is None


@given(st.dictionaries(st.sampled_from([*FULL, "eph", "epx", "status"]), st.none() | st.floats() | st.text(max_size=9)))
def test_no_report_whatever_is_an_error_and_every_fix_is_on_the_earth(changes: dict[str, object]) -> None:
    report = heard(tpv(**changes), 7)
    if report is not None and report.fix is not None:
        assert -90 <= report.fix.latitude <= 90
        assert -180 <= report.fix.longitude <= 180
        assert 0 <= report.fix.error_metres < float("inf")


def test_pauses_between_tries_grow_to_a_bound() -> None:
    assert list(islice(pauses_seconds(), 7)) == [0.5, 1, 2, 4, 8, 15, 15]


def at(port: int) -> GpsdPositioning:
    return GpsdPositioning(GpsdSettings("127.0.0.1", port))


def trouble(part: GpsdPositioning) -> str:
    try:
        part.check()
    except HardwareError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([b"SSH-2.0-OpenSSH_9.2p1\r\n"], "is not gpsd"),
        ([b'{"class":"VERSION","proto_major":2}\n'], "protocol 2"),
        ([GREETING, b"x" * 100_000], "no lines"),
    ],
)
def test_what_answers_and_is_no_gpsd_is_told_and_gives_no_position(pieces: list[bytes], said: str) -> None:
    with Saying(*pieces) as server:
        part = at(server.port)
        eventually(lambda: said in trouble(part))
        assert part.fix() is None and part.time() is None
        part.close()


def test_a_server_that_hangs_up_and_one_that_is_not_there_are_told_with_their_address() -> None:
    with Saying(GREETING, hangs_up=True) as server:
        part = at(server.port)
        eventually(lambda: "closed the connection" in trouble(part))
        assert f"127.0.0.1:{server.port}" in trouble(part)
        part.close()
    part = at(free_port())
    eventually(lambda: "refused" in trouble(part))
    part.close()


def test_half_lines_are_put_together_and_rubbish_between_lines_is_passed_over() -> None:
    line = tpv()
    with Saying(GREETING[:9]) as server:
        part = at(server.port)
        for piece in (GREETING[9:], b"\xff\x00 rubbish\n", b"\n", line[:40], line[40:], b"\n{"):
            server.pieces.append(piece)
        eventually(part.fix)
        fix = part.fix()
        assert fix is not None and (fix.latitude, fix.longitude) == PLACE
        assert not trouble(part)
        part.close()


def test_a_server_that_falls_silent_is_given_up_after_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SILENCE_SECONDS", 0.1)
    with Saying() as server:
        part = at(server.port)
        eventually(lambda: "is a receiver connected" in trouble(part))
        eventually(lambda: len(server.connections) > 1)
        part.close()


def test_closing_cuts_a_connection_that_is_being_waited_on() -> None:
    with Saying(GREETING) as server:
        part = at(server.port)
        eventually(lambda: not trouble(part))
        part.close()
        assert not part._thread.is_alive()


def test_the_last_place_ages_while_the_real_gpsd_is_dead_and_a_new_one_follows_its_restart() -> None:
    port = free_port()
    with Receiver() as receiver:
        with gpsd(port, receiver):
            part = at(port)
            eventually(part.fix, 10)
        eventually(lambda: trouble(part), 10)
        killed_ns, old = time.monotonic_ns(), part.fix()
        assert old is not None and old.taken_ns <= killed_ns
        with gpsd(port, receiver):
            eventually(lambda: (fix := part.fix()) and fix.taken_ns > killed_ns, 30)
            assert not trouble(part)
        part.close()


def test_the_real_gpsd_tells_the_time_of_the_satellites() -> None:
    port = free_port()
    with Receiver() as receiver, gpsd(port, receiver):
        part = at(port)
        eventually(part.time, 10)
        time_now = part.time()
        assert time_now is not None and 0 <= time_now.utc_us - LOG_BEGINS_US < 30_000_000
        part.close()

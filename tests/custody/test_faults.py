"""Bad links, brokers that refuse, processes that are killed: real ones, and afterwards everything promised is there."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from custody_rig import Station, Unit, archived, archived_lines, check_everything, wait_for
from test_offload import all_released, pump, restart

from agent.custody.events import LinkChanged, PartsShrunk
from agent.custody.part_size import FAILURES_AT_THE_FLOOR, LEAST_PART_BYTES
from agent.custody.service import CustodyService
from agent.dock.broker import write_mosquitto
from agent.dock.status import read_status
from agent.evidence.receipts import read_receipt
from benchmarks.link_cuts import run
from benchmarks.link_proxy import LinkProxy, Plan

mosquitto_only = pytest.mark.parametrize("lane", ["mosquitto"], indirect=True)


@contextmanager
def running(service: CustodyService) -> Iterator[CustodyService]:
    service.start()
    try:
        yield service
    finally:
        service.stop()


def parts_twice(station: Station) -> int:
    """By the dock's own word; the last of a session is said when the next begins."""
    text = (station.folder / "dock.log").read_text()
    return max(map(int, re.findall(r"parts that came twice so far: (\d+)", text)), default=0)


def check_receipts(unit: Unit, station: Station) -> None:
    """Every receipt that the dock ever signed lists only what its archive holds."""
    assert station.dock is not None
    held = set(archived(station.dock.settings, unit.device))
    for path in (station.dock.settings.receipts / unit.device).rglob("*.jws"):
        receipt = read_receipt(path.read_bytes(), unit.trust)
        assert {ref.digest for ref in receipt.objects if ref.form == "age"} <= held


# -- the link -----------------------------------------------------------------------------------------------------------


def test_a_link_cut_at_random_bytes_loses_nothing_and_stores_nothing_twice(tmp_path: Path) -> None:
    """A short run of the benchmark: no loss, no second copy, no false receipt, at most a part sent in vain by a cut."""
    table = run(tmp_path, quick=True, seed=7)
    assert [row.what for row in table.rows if row.verdict.endswith("MISSED")] == []
    assert table.rows[0].value >= 30


@pytest.mark.parametrize("seed", range(2))
@mosquitto_only
def test_bytes_damaged_on_the_line_end_the_connection_and_nothing_else(station: Station, unit: Unit, seed: int) -> None:
    """TLS notices a single changed bit, wherever it is; the device comes back and goes on."""
    dice = random.Random(seed)
    unit.record([200_000, 300_000])
    unit.record([100_000] * 3)
    dock = station.start_dock()

    def plan(number: int) -> Plan:
        return Plan(damage_up_at=dice.randrange(200_000)) if number < 8 else Plan()

    with LinkProxy(station.port, plan) as proxy, running(unit.service(proxy.port)) as service:
        pump(unit, service, lambda: all_released(unit))
        assert proxy.connections >= 2
    check_everything(unit, dock.settings)
    check_receipts(unit, station)
    quarantine = dock.settings.quarantine / unit.device
    assert not quarantine.exists(), "nothing damaged ever came as far as the intake"


@mosquitto_only
def test_on_a_slow_link_lines_go_before_media_and_nothing_goes_twice(station: Station, unit: Unit) -> None:
    """Delay and little bandwidth cost time only: no new round, no second part; a new line overtakes what waits."""
    unit.record([600_000] * 3)
    dock = station.start_dock()
    slow = Plan(delay_seconds=0.01, bytes_per_second=300_000.0)
    with LinkProxy(station.port, lambda _number: slow) as proxy, running(unit.service(proxy.port)) as service:
        pump(unit, service, lambda: service.progress().sent_bytes > 100_000)
        unit.record([10])
        lines = len(unit.folder.ledger.read_bytes().splitlines())
        service.notify()
        pump(unit, service, lambda: len(archived_lines(dock.settings)) >= lines)
        assert len(archived(dock.settings)) < 3, "the lines came before the media that had been waiting for longer"
        pump(unit, service, lambda: all_released(unit))
        assert proxy.connections == 1
    with running(unit.service(station.port)):
        wait_for(lambda: (station.folder / "dock.log").read_text().count("parts that came twice so far") >= 2)
    assert parts_twice(station) == 0
    check_everything(unit, dock.settings)


@mosquitto_only
def test_a_link_that_falls_silent_is_given_up_and_made_anew(station: Station, unit: Unit) -> None:
    """No end of the connection is ever told: the device gives it up by itself, long before the keep-alive would."""
    unit.record([300_000] * 2)
    dock = station.start_dock()

    def plan(number: int) -> Plan:
        return Plan(cut_up_after=150_000, cut="silence") if number == 0 else Plan()

    with LinkProxy(station.port, plan) as proxy, running(unit.service(proxy.port)) as service:
        pump(unit, service, lambda: all_released(unit), 40.0)
        assert proxy.connections == 2
    check_everything(unit, dock.settings)


# -- the broker ---------------------------------------------------------------------------------------------------------


def limit_packets(station: Station, most_bytes: int) -> None:
    """The station's broker, with a smaller limit than ours, as somebody else's broker may have."""
    station.kill_broker()
    folder = station.folder / "broker"
    write_mosquitto(folder, station.credentials, station.port, "127.0.0.1")
    path = folder / "mosquitto.conf"
    path.write_text(re.sub(r"max_packet_size \d+", f"max_packet_size {most_bytes}", path.read_text()))
    station.broker = restart(station)


@mosquitto_only
def test_parts_that_the_broker_refuses_become_smaller_until_they_get_through(station: Station, unit: Unit) -> None:
    """A packet over the broker's limit ends the connection; the device learns from it, says so, and goes on."""
    limit_packets(station, 40_000)
    unit.record([200_000, 300_000])
    dock = station.start_dock()
    with running(unit.service(station.port)) as service:
        pump(unit, service, lambda: all_released(unit), 60.0)
        assert service.progress().part_bytes == 32_768
    assert PartsShrunk(32_768, withheld=False) in unit.seen
    check_everything(unit, dock.settings)


@mosquitto_only
def test_a_broker_that_takes_no_part_at_all_does_not_make_the_device_go_round(station: Station, unit: Unit) -> None:
    """Even the smallest part is refused: it is said, parts are withheld for a while, and lines go on being handed over."""
    limit_packets(station, LEAST_PART_BYTES - 4_000)
    unit.record([200_000])
    dock = station.start_dock()
    with running(unit.service(station.port, part_bytes=LEAST_PART_BYTES)) as service:
        pump(unit, service, lambda: PartsShrunk(LEAST_PART_BYTES, withheld=True) in unit.seen, 60.0)
        tries = sum(event == LinkChanged(True, "") for event in unit.seen)
        unit.record([10])
        lines = len(unit.folder.ledger.read_bytes().splitlines())
        service.notify()
        pump(unit, service, lambda: len(archived_lines(dock.settings)) >= lines)
        assert service.progress().parts_withheld and service.progress().connected
        assert sum(event == LinkChanged(True, "") for event in unit.seen) <= tries + 1 <= FAILURES_AT_THE_FLOOR + 2
    assert not unit.released
    assert len(list(unit.folder.objects.glob("*.age"))) == 2


# -- processes that are killed --------------------------------------------------------------------------------------------

_CUSTODY = """
import sys, time
from pathlib import Path
from agent.custody.service import CustodyService
from agent.custody.settings import CustodySettings
from agent.evidence.folder import EvidenceFolder
folder, credentials, port = sys.argv[1:]
settings = CustodySettings(host="localhost", port=int(port), credentials=Path(credentials), part_bytes=16384)
CustodyService(settings, EvidenceFolder(Path(folder)), "er-1", lambda event: None).start()
time.sleep(60)
"""


@mosquitto_only
def test_a_device_killed_over_and_over_hands_over_everything_once(station: Station, unit: Unit) -> None:
    """kill -9 of the device's process at random moments: its outbox is sound every time, the dock goes on from its own."""
    dice = random.Random(5)
    for _ in range(4):
        unit.record([dice.randrange(900_000) for _ in range(3)])
    dock = station.start_dock()
    command = [sys.executable, "-c", _CUSTODY, str(unit.folder.path), str(unit.credentials), str(station.port)]
    for _ in range(6):
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(dice.uniform(0.3, 1.5))
        process.kill()
        process.wait(5)
    with running(unit.service(station.port)) as service:
        pump(unit, service, lambda: all_released(unit))
    check_everything(unit, dock.settings)
    check_receipts(unit, station)
    assert not list((dock.settings.staging / unit.device).iterdir())


@mosquitto_only
def test_broker_dock_and_link_failing_at_random_together_lose_nothing(station: Station, unit: Unit) -> None:
    """kill -9 of broker and dock, and cuts, in any order while recording goes on: the archive is whole at the end."""
    dice = random.Random(11)
    station.start_dock()
    cut = LinkProxy(station.port, lambda _number: Plan(cut_up_after=dice.randrange(400_000)))
    with cut as proxy, running(unit.service(proxy.port)) as service:
        for _ in range(8):
            unit.record([dice.randrange(300_000) for _ in range(2)])
            service.notify()
            before = proxy.connections
            pump(unit, service, lambda before=before: proxy.connections > before)
            _break(station, dice)
        proxy.plan = lambda _number: Plan()
        pump(unit, service, lambda: all_released(unit), 60.0)
    assert station.dock is not None
    check_everything(unit, station.dock.settings)
    check_receipts(unit, station)


def _break(station: Station, dice: random.Random) -> None:
    if dice.random() < 0.5:
        station.kill_broker()
        station.start_broker()
    if dice.random() < 0.5:
        assert station.dock is not None
        station.dock.kill()
        station.start_dock()


# -- the dock's disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB."""
    if os.geteuid() != 0:
        pytest.skip("lane root: mounting a small disk needs root")
    place = tmp_path / "dock"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(place)], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"lane root: this machine lets nobody mount: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, timeout=20)


@mosquitto_only
def test_a_full_disk_at_the_dock_takes_nothing_it_cannot_keep_and_goes_on_once_there_is_room(
    station: Station, unit: Unit, small_disk: Path
) -> None:
    """ENOSPC in the middle of an object: said as a fault, no false receipt; after somebody makes room all arrives."""
    (small_disk / "ballast").write_bytes(b"x" * 4_000_000)
    unit.record([500_000] * 6)
    dock = station.start_dock()
    with running(unit.service(station.port)) as service:
        log = station.folder / "dock.log"
        pump(unit, service, lambda: log.exists() and "No space left" in log.read_text())
        assert not all_released(unit)
        check_receipts(unit, station)
        (small_disk / "ballast").unlink()
        pump(unit, service, lambda: all_released(unit), 60.0)
    check_everything(unit, dock.settings)
    station.close()


# -- more than one of a kind ----------------------------------------------------------------------------------------------


@mosquitto_only
def test_the_same_device_from_two_places_keeps_one_history_and_says_so(
    station: Station, unit: Unit, agency: Path
) -> None:
    """Copied keys and evidence: the broker lets one in at a time, the archive keeps one ledger, a second is a fork."""
    unit.record([50_000])
    other = Unit(agency / "er-1", station.folder / "other", seed=2)
    other.record([50_000] * 3)
    dock = station.start_dock()
    first, second = unit.service(station.port), other.service(station.port)
    with running(first), running(second):

        def both() -> bool:
            unit.serve(first)
            other.serve(second)
            return any(bay.refused for bay in read_status(dock.settings.console_socket).bays)

        wait_for(lambda: dock.settings.console_socket.exists())
        wait_for(both, 40.0)
    held, lines = archived(dock.settings), archived_lines(dock.settings)
    assert unit.released | other.released <= set(held)
    assert any(one.folder.ledger.read_bytes().split(b"\n")[: len(lines)] == lines for one in (unit, other))
    for path in (dock.settings.receipts / "er-1").rglob("*.jws"):
        receipt = read_receipt(path.read_bytes(), unit.trust)
        assert {ref.digest for ref in receipt.objects if ref.form == "age"} <= set(held)

"""What the custodian sees: moving bars on a terminal, lines elsewhere, and the supervisor's notifications."""

from __future__ import annotations

import io
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from custody_rig import DOCK, Station, Unit, wait_for
from dock_rig import start_configured
from rich.console import Console

from agent.dock.console import DockConsole, bay_table, progress_line, summary, time_left
from agent.dock.reports import Report
from agent.dock.status import Bay, CopyState, DockStatus, read_status

BUSY = Bay("er-1", True, 12, 3, 4_000_000, 2_000_000, 3, 240_000_000, False, False, 120)
DONE = replace(BUSY, pending_objects=0, pending_bytes=0, may_be_taken=True, seconds_left=None)


def status(*bays: Bay, **more: object) -> DockStatus:
    return replace(DockStatus(1, DOCK, True, list(bays), []), **more)  # type: ignore[arg-type]


def drawn(shown: DockStatus, width: int = 200) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(bay_table(shown))
    return console.export_text()


def test_a_bay_shows_bytes_speed_minutes_left_and_whether_it_may_be_taken_out() -> None:
    text = drawn(status(BUSY, replace(DONE, device="er-2")))
    for needed in ("4.0 MB / 244.0 MB", "2.0 MB/s", "2 分 min", "采集中", "busy", "可以取走", "may be taken"):
        assert needed in text


def test_in_a_narrow_window_device_and_state_are_still_whole() -> None:
    """They are what a custodian acts upon."""
    text = drawn(status(replace(DONE, device="rec-sample-0001")), width=60)
    assert "rec-sample-0001" in text and "可以取走" in text and "may be taken" in text


def test_a_copy_that_cannot_be_reached_and_a_quarantine_that_is_not_empty_stand_out() -> None:
    lost = CopyState("/mnt/second", "unreachable", 7, "not mounted")
    shown = status(BUSY, copies=[lost], quarantined=2)
    text = drawn(shown)
    assert "/mnt/second: 不可用 UNREACHABLE 7" in text and "not mounted" in text and "隔离区 2 件" in text
    assert "copy unreachable: /mnt/second" in summary(shown) and "quarantined 2" in summary(shown)


@pytest.mark.parametrize(("seconds", "text"), [(None, "—"), (0, "<1"), (59, "<1"), (60, "1 "), (61, "2 ")])
def test_minutes_left_are_rounded_up(seconds: int | None, text: str) -> None:
    assert time_left(replace(BUSY, seconds_left=seconds)).startswith(text)


def test_without_a_terminal_a_line_is_printed_when_the_state_changes_and_now_and_then_while_busy() -> None:
    now, out = [0.0], io.StringIO()
    with DockConsole(Console(file=out, width=200), lambda: now[0]) as console:
        for at in (0.0, 0.5, 9.0, 10.0, 10.5):
            now[0] = at
            console.show(status(BUSY))
        console.show(status(DONE))
        console.show(status(DONE))
        console.print(Report("object", "er-1", "ab", 5))
    lines = out.getvalue().splitlines()
    assert lines[:2] == [progress_line(BUSY)] * 2 and lines[2] == progress_line(DONE) and len(lines) == 4


def test_on_a_terminal_the_bars_move_and_events_stand_above_them() -> None:
    out = io.StringIO()
    with DockConsole(Console(file=out, width=120, force_terminal=True)) as console:
        console.show(status(BUSY))
        console.print(Report("object", "er-1", "left to the bars", 5))
        console.print(Report("fork", "er-1", "root differs"))
    text = out.getvalue()
    assert "━" in text and "root differs" in text and "left to the bars" not in text


@pytest.mark.slow
def test_a_dock_tells_its_supervisor_when_it_is_ready_alive_and_stopping(
    station: Station, unit: Unit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Type=notify and WatchdogSec of the unit stand on this; the status is that of the console."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(address))
        supervisor.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        dock = start_configured(station, "")
        unit.record([400_000])
        service = unit.service(station.port)
        service.start()
        heard: list[str] = []
        try:
            wait_for(lambda: unit.serve(service) or unit.released >= set(unit.originals), what="all is released")
            wait_for(lambda: any(bay.may_be_taken for bay in read_status(dock.settings.console_socket).bays))
            deadline = time.monotonic() + 20
            while "may be taken 1" not in "".join(heard) and time.monotonic() < deadline:
                heard.append(supervisor.recv(4096).decode())
        finally:
            service.stop()
        assert dock.stop() == 0
        while "STOPPING=1" not in heard[-1]:
            heard.append(supervisor.recv(4096).decode())
    assert heard[0].startswith("READY=1\nSTATUS=") and any("WATCHDOG=1" in one for one in heard)


@pytest.fixture
def unit(agency: Path, tmp_path: Path) -> Unit:
    return Unit(agency / "er-1", tmp_path / "evidence")

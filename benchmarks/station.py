"""An agency with units, and a dock with its broker, each a process of its own whose work can be looked at."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from agent.dock.broker import start_broker
from benchmarks.rig import LIMIT_SECONDS, let_go
from provisioning.agency import Agency, Founding, found
from provisioning.credentials import DeviceOrder, DockOrder, add_dock, enrol_device, refresh

DOCK: Final = "dock-1"
TICKS: Final = os.sysconf("SC_CLK_TCK")
ENVIRONMENT: Final = {"MALLOC_MMAP_THRESHOLD_": "67108864", "PYTHONUNBUFFERED": "1"}
"""As in the systemd units."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def found_agency(folder: Path, units: int) -> list[Path]:
    """An agency with a dock and this many units; returns the units' credentials folders."""
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\1\0" * 8000)
    found(folder / "agency", Founding("sample", "样例单位", notice=held.getvalue()), by="benchmark")
    made = [folder / f"er-{number}" for number in range(1, units + 1)]
    with Agency(folder / "agency", writable=True, by="benchmark") as agency:
        add_dock(agency, DockOrder(DOCK), folder / DOCK)
        for path in made:
            enrol_device(agency, DeviceOrder(path.name, f"SN-{path.name}", "section-1"), path)
        refresh(agency, folder / DOCK)
    return made


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(pid: int) -> float:
    """The highest resident memory of a process so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"process {pid} says nothing of its memory")


@dataclass(frozen=True, slots=True)
class Station:
    """A dock and its broker at work."""

    port: int
    folder: Path
    dock: subprocess.Popen[bytes]
    broker: subprocess.Popen[bytes]

    @property
    def archive(self) -> Path:
        """What the dock holds."""
        return self.folder / "archive"


@contextlib.contextmanager
def station(folder: Path, credentials: Path) -> Iterator[Station]:
    """A broker and a dock with the shipped settings, until the block ends."""
    port = free_port()
    folder.mkdir()
    broker = start_broker("auto", folder / "broker", credentials, port)
    config = folder / "dock.toml"
    config.write_text(f'[dock]\nid = "{DOCK}"\nfolder = "{folder}"\ncredentials = "{credentials}"\nport = {port}\n')
    command = [sys.executable, "-m", "agent", "dock", "--config", str(config)]
    try:
        with (folder / "log").open("wb") as log:
            dock = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **ENVIRONMENT})
        try:
            _await_dock(folder / "console.sock", dock)
            yield Station(port, folder, dock, broker.process)
        finally:
            dock.terminate()
            dock.wait(LIMIT_SECONDS)
    finally:
        broker.stop()


def _await_dock(console: Path, dock: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not _is_connected(console):
        if dock.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the dock does not get there; see {console.parent / 'log'}")
        time.sleep(0.05)


def _is_connected(console: Path) -> bool:
    from agent.dock.status import read_status
    from agent.errors import RecorderError

    try:
        return read_status(console).connected
    except RecorderError:
        return False


class Units:
    """A process that hands over the evidence of some units; see ``benchmarks.units``."""

    def __init__(self, port: int, pairs: list[tuple[Path, Path]], part_bytes: int = 262_144) -> None:
        """``pairs``: credentials and evidence of each unit. Waits until it is ready."""
        words = [f"{credentials}={evidence}" for credentials, evidence in pairs]
        command = [sys.executable, "-m", "benchmarks.units", str(port), str(part_bytes), *words]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, env={**os.environ, **ENVIRONMENT}, **pipes)
        if self._out.readline() != b"ready\n":
            raise SystemExit("a process of units does not start")

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _nod(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    @property
    def pid(self) -> int:
        """For looking into /proc."""
        return self._process.pid

    def go(self) -> None:
        """They are put into the dock."""
        self._nod()

    def seconds(self) -> list[float]:
        """Waits for the end; seconds of each unit until its last receipt was entered."""
        found: list[float] = json.loads(self._out.readline() or b"null") or []
        if not found:
            raise SystemExit("units did not hand over everything in time")
        return found

    def end(self) -> None:
        """Lets the process go."""
        self._nod()
        self._process.wait(LIMIT_SECONDS)
        let_go(self._process)

"""Offload from device to archive, against ``rsync`` over ssh and against HTTPS PUT: same files, same run, by turns.

Ours: TLS both ways through the broker, every line verified, every object synced, read back from the disk and hashed,
receipts signed, verified and entered on the device, durably. ``rsync``: ``-a`` over ssh on this machine, without and
with ``--fsync``. PUT: one TLS connection, the server writes and syncs each file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.report import Row, Table
from benchmarks.rig import LIMIT_SECONDS, let_go
from benchmarks.station import DOCK, Units, found_agency, free_port, peak_mib, processor_seconds, station
from benchmarks.units import fill

MB: Final = 1e6
ROUNDS: Final = 5
OBJECTS, OBJECT_BYTES = 128, 3_400_000
"""As many segments of five seconds: about eleven minutes of film."""
DEVICES: Final = 8
_SSHD: Final = Path("/usr/sbin/sshd")
_PUT_SERVER: Final = Path(__file__).with_name("put_server.py")


@dataclass(frozen=True, slots=True)
class Files:
    """What is offloaded."""

    credentials: Path
    evidence: Path
    bytes: int


@dataclass(frozen=True, slots=True)
class Ours:
    """One round of ours; processor seconds of each process."""

    seconds: float
    unit: float
    broker: float
    dock: float


def _offload(base: Path, files: Files, number: int) -> Ours:
    evidence = base / f"evidence-{number}"
    shutil.copytree(files.evidence, evidence)
    with station(base / f"station-{number}", base / DOCK) as dock:
        units = Units(dock.port, [(files.credentials, evidence)])
        pids = (units.pid, dock.broker.pid, dock.dock.pid)
        before = [processor_seconds(pid) for pid in pids]
        units.go()
        (seconds,) = units.seconds()
        spent = [processor_seconds(pid) - was for pid, was in zip(pids, before, strict=True)]
        units.end()
        _check(files.evidence, dock.archive / files.credentials.name)
    shutil.rmtree(evidence)
    shutil.rmtree(base / f"station-{number}")
    return Ours(seconds, *spent)


def _check(evidence: Path, archive: Path) -> None:
    """Every object is in the archive, with its size."""
    for path in (evidence / "objects").glob("*.age"):
        if (archive / "objects" / path.name).stat().st_size != path.stat().st_size:
            raise SystemExit(f"{path.name} is not whole in the archive")


def _keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=LIMIT_SECONDS)


@contextlib.contextmanager
def _ssh_server(folder: Path) -> Iterator[str]:
    """A private sshd on this machine; the words of the ssh command that reaches it."""
    folder.mkdir(mode=0o700)
    _keygen(folder / "host")
    _keygen(folder / "user")
    shutil.copy(folder / "user.pub", folder / "authorized")
    port = free_port()
    words = {"HostKey": folder / "host", "AuthorizedKeysFile": folder / "authorized", "PidFile": "none"}
    words |= {"ListenAddress": "127.0.0.1", "Port": port, "UsePAM": "no", "StrictModes": "no"}
    (folder / "config").write_text("".join(f"{key} {value}\n" for key, value in words.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where a root's sshd locks itself in; Debian makes it at every start
    server = subprocess.Popen([_SSHD, "-D", "-f", folder / "config"], stderr=subprocess.DEVNULL)
    known = f"-o UserKnownHostsFile={folder / 'known'} -o StrictHostKeyChecking=accept-new -o IdentitiesOnly=yes"
    ssh = f"ssh -F none -i {folder / 'user'} -p {port} {known} -o LogLevel=ERROR -o ConnectionAttempts=10"
    try:
        subprocess.run([*ssh.split(), "127.0.0.1", "true"], check=True, timeout=LIMIT_SECONDS)
        yield ssh
    finally:
        server.terminate()
        server.wait(LIMIT_SECONDS)


def _rsync(base: Path, files: Files, ssh: str, *options: str) -> float:
    target = base / "rsync"
    begun = time.monotonic()
    subprocess.run(
        ["rsync", "-a", *options, "-e", ssh, f"{files.evidence}/", f"127.0.0.1:{target}/"], check=True, timeout=600
    )
    seconds = time.monotonic() - begun
    shutil.rmtree(target)
    return seconds


def _put(base: Path, files: Files) -> float:
    target = base / "put"
    target.mkdir()
    port = free_port()
    command = [sys.executable, str(_PUT_SERVER), "serve", str(port), str(base / DOCK), str(target)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()
    try:
        command = [sys.executable, str(_PUT_SERVER), "send", str(port), str(files.credentials), str(files.evidence)]
        sent = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    finally:
        server.terminate()
        server.wait(LIMIT_SECONDS)
        let_go(server)
    shutil.rmtree(target)
    return float(sent.stdout)


@dataclass(frozen=True, slots=True)
class Memory:
    """Peaks while several devices hand over at once, MiB, and what they brought."""

    broker: float
    dock: float
    rate: float


def _together(base: Path, all_credentials: list[Path], count: int, size: int) -> Memory:
    pairs = [(one, base / "many" / one.name) for one in all_credentials]
    total = sum(fill(*pair, count, size, seed) for seed, pair in enumerate(pairs))
    with station(base / "station-many", base / DOCK) as dock:
        processes = [Units(dock.port, [pair]) for pair in pairs]
        for one in processes:
            one.go()
        slowest = max(max(one.seconds()) for one in processes)
        found = Memory(peak_mib(dock.broker.pid), peak_mib(dock.dock.pid), total / slowest / MB)
        for one in processes:
            one.end()
        for credentials, evidence in pairs:
            _check(evidence, dock.archive / credentials.name)
    shutil.rmtree(base / "many")
    shutil.rmtree(base / "station-many")
    return found


def _rounds(base: Path, files: Files, rounds: int) -> tuple[list[Ours], dict[str, list[float]]]:
    ours: list[Ours] = []
    with contextlib.ExitStack() as stack:
        others: dict[str, Callable[[], float]] = {"put": lambda: _put(base, files)}
        if shutil.which("rsync") and shutil.which("ssh-keygen") and _SSHD.exists():
            ssh = stack.enter_context(_ssh_server(base / "ssh"))
            others["rsync"] = lambda: _rsync(base, files, ssh)
            others["rsync --fsync"] = lambda: _rsync(base, files, ssh, "--fsync")
        took: dict[str, list[float]] = {name: [] for name in others}
        for number in range(rounds):
            os.sync()
            ours.append(_offload(base, files, number))
            for name, measure in others.items():
                os.sync()
                took[name].append(measure())
    return ours, took


def run(out: Path, quick: bool) -> Table:
    """The rounds by turns, then eight devices at once."""
    count, size, rounds = (4, 300_000, 1) if quick else (OBJECTS, OBJECT_BYTES, ROUNDS)
    with tempfile.TemporaryDirectory(dir=out) as place:
        base = Path(place).resolve()
        credentials = found_agency(base, 2 if quick else DEVICES)
        evidence = base / "evidence"
        files = Files(credentials[0], evidence, fill(credentials[0], evidence, count, size, seed=0))
        ours, took = _rounds(base, files, rounds)
        memory = _together(base, credentials, max(1, count // 2), size)
    rows = _rows(files, ours, took, memory)
    return Table("offload", "from device to archive", rows, _conditions(files), {"ours": ours, **took})


def _rows(files: Files, ours: list[Ours], took: dict[str, list[float]], memory: Memory) -> list[Row]:
    seconds, gigabytes = median(one.seconds for one in ours), files.bytes / 1e9
    rows = [Row("ours, TLS both ways, verified, synced, read back, receipted", files.bytes / seconds / MB, "MB/s")]
    for name, values in took.items():
        label = "HTTPS PUT, synced" if name == "put" else f"{name} over ssh"
        rows.append(Row(label, files.bytes / median(values) / MB, "MB/s"))
        goal = 1.0 if name == "rsync" else None
        rows.append(Row(f"ours against it: its time in ours, {label}", median(values) / seconds, "x", least=goal))
    for name in ("unit", "broker", "dock"):
        spent = median(getattr(one, name) for one in ours) / gigabytes
        rows.append(Row(f"processor seconds per GB, {name}", spent, "s/GB"))
    rows.append(Row("devices at once: all together", memory.rate, "MB/s"))
    rows.append(Row("devices at once: peak memory of the broker", memory.broker, "MiB", 64.0))
    rows.append(Row("devices at once: peak memory of the dock", memory.dock, "MiB", 150.0))
    return rows


def _conditions(files: Files) -> dict[str, Any]:
    return {"files": f"{files.bytes / MB:.0f} MB", "network": "this machine's own", "turns": "by rounds; medians"}

"""The units: systemd accepts them, they are shut in, they cannot loop, and they allow what a recording really does."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from agent.recorder.control import ask
from benchmarks.rig import Process, Unit, enrol, footage

UNITS = Path(__file__).parents[2] / "systemd"
DEBIAN_MOSQUITTO = Path("/lib/systemd/system/mosquitto.service")
NAMES = ("enforcement-recorder", "enforcement-dock", "enforcement-witness", "enforcement-broker", "mosquitto")
HIGHEST_EXPOSURE = 2.0
PROGRAMS = re.compile("/opt/enforcement-recorder/bin/recorder|/usr/sbin/mosquitto")


def need(lane: str, *tools: str) -> None:
    for tool in tools:
        if not shutil.which(tool):
            pytest.skip(f"lane {lane}: {tool} is not installed")


def read(name: str) -> configparser.RawConfigParser:
    """A unit file; of a key that is given several times, the last value."""
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return parser


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units in one folder, with programs that exist on this machine in place of those that are not installed."""
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    if DEBIAN_MOSQUITTO.exists():
        shutil.copy(DEBIAN_MOSQUITTO, tmp_path)
    for path in tmp_path.rglob("*.*"):
        if path.is_file():
            path.write_text(PROGRAMS.sub("/bin/true", path.read_text()))
    return tmp_path


def analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The colon keeps systemd's own folders after ours.
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "SYSTEMD_COLORS": "0", "LC_ALL": "C"}
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def unit_file(folder: Path, name: str) -> str:
    path = folder / f"{name}.service"
    if not path.exists():
        pytest.skip("lane mosquitto: Debian's mosquitto.service is not there to be dropped into")
    return str(path)


@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_nothing_to_say_about_the_unit(installed: Path, name: str) -> None:
    need("systemd", "systemd-analyze")
    found = analyze(installed, "verify", "--man=no", unit_file(installed, name))
    assert (found.returncode, found.stderr.strip()) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_the_units_exposure_is_at_most_two(installed: Path, name: str) -> None:
    need("systemd", "systemd-analyze")
    found = analyze(installed, "security", "--offline=yes", unit_file(installed, name))
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", found.stdout)
    assert level, found.stdout + found.stderr
    assert float(level[1]) <= HIGHEST_EXPOSURE


@pytest.mark.parametrize(
    "file",
    [
        "enforcement-recorder.service",
        "enforcement-dock.service",
        "enforcement-witness.service",
        "mosquitto.service.d/enforcement-dock.conf",
    ],
)
def test_restarts_are_bounded_and_the_bound_can_be_reached(file: str) -> None:
    unit = read(file)
    interval, burst = int(unit["Unit"]["StartLimitIntervalSec"]), int(unit["Unit"]["StartLimitBurst"])
    pause = int(unit["Service"]["RestartSec"])
    assert pause >= 5
    assert burst * pause < interval, "otherwise the limit is never met and the unit starts for ever"


def test_a_configuration_that_is_wrong_is_not_tried_again() -> None:
    for name in ("enforcement-recorder.service", "enforcement-dock.service", "enforcement-witness.service"):
        assert read(name)["Service"]["RestartPreventExitStatus"] == "2"


def allowed_calls(folder: Path) -> set[str]:
    """What the recorder's SystemCallFilter lines come to, in their order."""
    sets: dict[str, list[str]] = {}
    current = ""
    for line in analyze(folder, "syscall-filter").stdout.splitlines():
        if line.startswith("@"):
            current = line.strip()
            sets[current] = []
        elif line.startswith("    ") and not line.strip().startswith("#"):
            sets[current].append(line.strip())

    def resolve(name: str) -> set[str]:
        return set().union(*(resolve(inner) for inner in sets[name])) if name.startswith("@") else {name}

    # execve and what a process starts with are always allowed by systemd.
    allowed = resolve("@default")
    for value in re.findall(r"^SystemCallFilter=(.*)$", (UNITS / "enforcement-recorder.service").read_text(), re.M):
        calls = set().union(*(resolve(name) for name in value.removeprefix("~").split()))
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed


ASKED_BY_NUMPY = {"mbind", "set_mempolicy"}
"""A library looks round for memory nodes; refused, it goes on without."""


@pytest.mark.slow
def test_every_system_call_of_a_whole_recording_is_allowed_by_the_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("systemd", "systemd-analyze")
    need("strace", "strace")
    trace = tmp_path / "trace"
    unit = Unit(tmp_path, enrol(tmp_path), footage(tmp_path / "clip.mp4", 2.0)).fresh("device")
    with Process(unit, ("strace", "-f", "-qq", "-o", str(trace))) as process:
        process.await_ready()
        ask(unit.control, "press")
        process.until(lambda: process.status()["media_seconds"] >= 1)
        ask(unit.control, "stop")
        process.until(lambda: process.status()["phase"] == "ready")
        end_child(process.pid)
    used = set(re.findall(r"^\d+ +([a-z][a-z0-9_]*)\(", trace.read_text("utf-8", "replace"), re.M))
    assert {"clock_adjtime", "fdatasync", "clone3"} & used, "the trace is of a recorder"
    assert used - allowed_calls(UNITS) <= ASKED_BY_NUMPY


def end_child(tracer: int) -> None:
    """Ends what strace started: a signal to strace itself would only let it go."""
    child = int(Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()[0])
    os.kill(child, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_users_and_folders_come_out_as_the_units_need_them(tmp_path: Path) -> None:
    """sysusers and tmpfiles are run on an empty root: keys end up root's own, each readable through one group."""
    need("systemd", "systemd-sysusers", "systemd-tmpfiles")
    if os.geteuid() != 0:
        pytest.skip("lane root: giving files to users needs root")
    root, etc = tmp_path / "root", tmp_path / "root" / "etc"
    names = ("credentials/identity.key", "dock/receipt.key", "dock/tls.key", "dock/crl.pem")
    for file in (etc / "enforcement-recorder" / name for name in names):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"sample")
        file.chmod(0o600)
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\nvideo:x:44:\naudio:x:29:\n")
    for tool, file_name, more in (
        ("systemd-sysusers", "enforcement-recorder.sysusers", []),
        ("systemd-tmpfiles", "enforcement-recorder.tmpfiles", ["--create"]),
    ):
        command = [tool, f"--root={root}", *more, str(UNITS / file_name)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    users, groups = table(etc / "passwd"), table(etc / "group")
    for user in ("enforcement-recorder", "enforcement-dock"):
        assert users[user][6].endswith("nologin")
        for wanted in read(f"{user}.service")["Service"]["SupplementaryGroups"].split():
            assert user in groups[wanted][3].split(",")
    names_of = {int(row[2]): name for name, row in groups.items()}
    found = {name: (etc / "enforcement-recorder" / name).stat() for name in names}
    assert {name: (oct(one.st_mode & 0o777), one.st_uid, names_of[one.st_gid]) for name, one in found.items()} == {
        "credentials/identity.key": ("0o640", 0, "enforcement-recorder"),
        "dock/receipt.key": ("0o640", 0, "enforcement-dock"),
        "dock/tls.key": ("0o640", 0, "enforcement-tls"),
        "dock/crl.pem": ("0o644", 0, "root"),
    }
    broker = read("mosquitto.service.d/enforcement-dock.conf")["Service"]
    assert broker["SupplementaryGroups"] == "enforcement-tls", "the broker can read the TLS key and no other"


def table(path: Path) -> dict[str, list[str]]:
    """Rows of passwd or group by name."""
    return {line.split(":")[0]: line.split(":") for line in path.read_text().splitlines()}


def test_a_new_revocation_list_has_the_broker_started_anew() -> None:
    """The path unit watches the file that the broker's configuration names, and its service restarts the broker."""
    watched = read("enforcement-broker.path")["Path"]["PathChanged"]
    shipped = (UNITS.parent / "firmware-config" / "mosquitto" / "mosquitto.conf").read_text()
    assert f"crlfile {watched}\n" in shipped
    assert read("enforcement-broker.service")["Service"]["ExecStart"].endswith("try-restart mosquitto.service")

"""firmware-config: each file is read by the program it is for, or by a strict reader, and they agree."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
import tomllib
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from agent.config import DockConfig, IntakeConfig, RecorderConfig, WitnessConfig, load
from agent.hardware.assembly import open_parts
from agent.hardware.linux.chrony import COMMAND, reference_of
from agent.hardware.parts import TimeSource
from agent.hardware.settings import GpioSettings

FILES = Path(__file__).parents[2] / "firmware-config"
UNITS = FILES.parent / "systemd"
PATH = os.environ["PATH"] + ":/usr/sbin"


def need(lane: str, *tools: str) -> None:
    for tool in tools:
        if not shutil.which(tool, path=PATH):
            pytest.skip(f"lane {lane}: {tool} is not installed")


@pytest.mark.parametrize("name", ["simulated", "linux", "pi", "fixed"])
def test_the_sample_of_a_recorder_is_accepted(name: str) -> None:
    config = load(FILES / f"recorder.{name}.toml", RecorderConfig)
    assert config.recorder.evidence.is_absolute()


def test_the_sample_of_a_dock_is_accepted() -> None:
    assert load(FILES / "dock.toml", DockConfig).dock.broker == "external"


def test_the_sample_of_an_intake_is_accepted_and_claims_write_once() -> None:
    """Three nodes, so that any one may be missing; nothing is waived."""
    intake = load(FILES / "intake.toml", IntakeConfig).intake
    assert intake.s3.write_once == "required"
    assert len({node.name for node in intake.nodes}) == 3


def test_the_sample_of_a_witness_is_accepted() -> None:
    """It listens to this machine only: TLS stands before it."""
    settings = load(FILES / "witness.toml", WitnessConfig).witness
    assert settings.listen.startswith("127.0.0.1:")


def test_what_is_commented_out_in_the_docks_sample_is_right_as_it_stands(tmp_path: Path) -> None:
    """Copies, another witness, timestamps: whoever takes the marks away has them."""
    asked = ("# [", "# id", "# url", "# roots", "# hash", "# copies", "# receipt_after", "# keep_days")
    text = (FILES / "dock.toml").read_text()
    lines = [line.removeprefix("# ") if line.startswith(asked) else line for line in text.splitlines()]
    (tmp_path / "dock.toml").write_text("\n".join(lines))
    dock = load(tmp_path / "dock.toml", DockConfig).dock
    assert [other.id for other in dock.witnesses] == [load(FILES / "witness.toml", WitnessConfig).witness.id]
    assert dock.timestamps is not None
    assert (len(dock.copies), dock.receipt_after_copies) == (1, 1)


def test_the_simulated_sample_opens_all_its_parts(tmp_path: Path) -> None:
    copy = Path(shutil.copy(FILES / "recorder.simulated.toml", tmp_path))
    config = load(copy, RecorderConfig)
    parts = open_parts(config.hardware, config.recorder.evidence)
    parts.close()
    assert set(parts.kinds.values()) <= {"simulated", "none", "linux"}


def test_samples_for_real_parts_use_no_simulated_one() -> None:
    for name in ("linux", "pi", "fixed"):
        hardware = tomllib.loads((FILES / f"recorder.{name}.toml").read_text())["hardware"]
        assert "simulated" not in hardware.values()


@pytest.mark.parametrize(
    ("sample", "unit"),
    [
        ("recorder.pi.toml", "enforcement-recorder"),
        ("recorder.linux.toml", "enforcement-recorder"),
        ("dock.toml", "enforcement-dock"),
        ("witness.toml", "enforcement-witness"),
    ],
)
def test_samples_stay_within_the_folders_that_unit_and_tmpfiles_give(sample: str, unit: str) -> None:
    text, made = (UNITS / f"{unit}.service").read_text(), (UNITS / "enforcement-recorder.tmpfiles").read_text()
    own = {"/dev"} | set(re.findall(r"^d (\S+)", made, re.M))
    for key, place in (("StateDirectory", "/var/lib"), ("RuntimeDirectory", "/run")):
        own |= {f"{place}/{name}" for name in re.findall(f"^{key}=(.+)$", text, re.M)}
    paths = [value for value in strings(tomllib.loads((FILES / sample).read_text())) if value.startswith("/")]
    assert paths
    for path in paths:
        assert any(path == one or path.startswith(f"{one}/") for one in own), path


def test_every_file_of_the_brokers_configuration_is_one_that_tmpfiles_opens_to_it() -> None:
    made = (UNITS / "enforcement-recorder.tmpfiles").read_text()
    opened = re.findall(r"^z (\S+) +(?:0644 root root|0640 root enforcement-tls) ", made, re.M)
    named = re.findall(r"^\w*file (\S+)$", (FILES / "mosquitto" / "mosquitto.conf").read_text(), re.M)
    assert len(named) == 5
    for path in named:
        assert any(PurePosixPath(path).match(one) for one in opened), path


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


# config.txt

FILTERS = {"all", "pi02", "pi4", "pi5"}
LINE = re.compile(r"(?P<key>[a-z0-9_]+)=(?P<value>\S+)")


def boot_lines() -> list[tuple[str, str, str]]:
    """Filter, key and value of each line of boot/config.txt; anything else fails."""
    found, current = [], "all"
    for line in (FILES / "boot" / "config.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            current = line[1:-1]
            assert line.endswith("]")
            assert current in FILTERS
            continue
        match = LINE.fullmatch(line)
        assert match, line
        found.append((current, match["key"], match["value"]))
    return found


def boot_pins() -> dict[int, str]:
    """What boot/config.txt makes of each pin."""
    pins: dict[int, str] = {}
    for _, key, value in boot_lines():
        if key == "gpio":
            numbers, state = value.split("=")
            pins |= dict.fromkeys(map(int, numbers.split(",")), state)
    return pins


def test_boot_sets_each_pin_as_the_recorder_will_use_it() -> None:
    gpio = load(FILES / "recorder.pi.toml", RecorderConfig).hardware.gpio
    inputs = {gpio.record_button, gpio.photo_button, gpio.hazard_switch, gpio.dock_contact}
    assert boot_pins() == dict.fromkeys(inputs, "ip,pu") | dict.fromkeys({gpio.lamp, gpio.buzzer}, "op,dl")
    assert asdict(gpio) == asdict(GpioSettings()), "the sample shows the pins that are the default"


def test_no_pin_is_wanted_by_an_overlay_too() -> None:
    taken = {
        "i2c_arm": {2, 3},
        "enable_uart": {14, 15},
        "googlevoicehat-soundcard": {16, 18, 19, 20, 21},
        "pps-gpio,gpiopin=4": {4},
    }
    text = " ".join(f"{key}={value}" for _, key, value in boot_lines())
    for overlay, pins in taken.items():
        assert overlay in text
        assert not pins & boot_pins().keys()
    assert sum(len(pins) for pins in taken.values()) == len(set().union(*taken.values())), "nor by two of them"


def test_the_fuel_gauge_is_left_to_the_recorder_with_the_bus_and_the_module_it_needs() -> None:
    hardware = load(FILES / "recorder.pi.toml", RecorderConfig).hardware
    assert hardware.power == "i2c_gauge"
    assert hardware.gauge.bus == 1
    assert ("all", "dtparam", "i2c_arm=on") in boot_lines()
    assert not any("max17040" in value for _, _, value in boot_lines())
    assert plain_lines(FILES / "modules-load" / "enforcement-recorder.conf") == ["i2c-dev"]


def plain_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


# gpsd


def test_gpsd_reads_the_receiver_and_its_pulse_from_the_start_and_serves_this_unit_only() -> None:
    settings = dict(shlex.split(line)[0].split("=", 1) for line in plain_lines(FILES / "gpsd" / "gpsd.default"))
    assert settings == {"DEVICES": "/dev/ttyAMA0 /dev/pps0", "GPSD_OPTIONS": "-n", "USBAUTO": "false"}
    gpsd = load(FILES / "recorder.pi.toml", RecorderConfig).hardware.gpsd
    assert (gpsd.host, gpsd.port) == ("127.0.0.1", 2947)


def test_gpsd_itself_accepts_its_options() -> None:
    """With a silent terminal in place of the devices that are not here."""
    need("gpsd", "gpsd")
    options = dict(shlex.split(line)[0].split("=", 1) for line in plain_lines(FILES / "gpsd" / "gpsd.default"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program, (receiver, terminal) = str(shutil.which("gpsd", path=PATH)), os.openpty()
    command = [program, "-N", "-S", str(port), *options["GPSD_OPTIONS"].split(), os.ttyname(terminal)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            with connected(port) as connection:
                assert json.loads(connection.makefile().readline())["class"] == "VERSION"
            assert process.poll() is None
        finally:
            process.kill()
            os.close(terminal)
            os.close(receiver)


def connected(port: int, seconds: float = 10) -> socket.socket:
    until = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), seconds)
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_the_watchdog_is_fed_within_what_the_chip_can_count() -> None:
    assert ("all", "dtparam", "watchdog=on") in boot_lines()
    seconds = re.search(r"^RuntimeWatchdogSec=(\d+)s$", (FILES / "systemd" / "watchdog.conf").read_text(), re.M)
    assert seconds
    assert int(seconds[1]) < 16


# udev

KEYS = r"(SUBSYSTEM|KERNEL|GROUP|MODE|SYMLINK|ATTR\{[a-z_]+\}|ENV\{[A-Z0-9_]+\})"
TERM = re.compile(KEYS + r'(==|!=|=|\+=)"([^"]*)"')


def udev_rules() -> list[list[tuple[str, str, str]]]:
    """Key, operator and value of each term of each rule; anything else fails."""
    rules = []
    for line in (FILES / "udev" / "70-enforcement-recorder.rules").read_text().splitlines():
        if line and not line.startswith("#"):
            terms = [TERM.fullmatch(term.strip()) for term in line.split(", ")]
            assert all(terms), line
            rules.append([(term[1], term[2], term[3]) for term in terms if term])
    return rules


def test_every_udev_rule_matches_something_before_it_sets_something() -> None:
    for rule in udev_rules():
        assert rule[0][:2] == ("SUBSYSTEM", "==")
        assert any(operator in ("=", "+=") for _, operator, _ in rule)


def test_what_udev_opens_to_a_group_the_recorder_is_in_that_group() -> None:
    groups = {value for rule in udev_rules() for key, _, value in rule if key == "GROUP"}
    made = (UNITS / "enforcement-recorder.sysusers").read_text()
    assert groups == {"gpio", "video", "i2c"}
    for group in groups:
        assert f"m enforcement-recorder {group}\n" in made


def test_udev_itself_accepts_the_rules() -> None:
    need("udev", "udevadm")
    rules = str(FILES / "udev" / "70-enforcement-recorder.rules")
    found = subprocess.run(["udevadm", "verify", rules], capture_output=True, text=True, timeout=30, check=False)
    if "nknown command" in found.stderr:
        pytest.skip("lane udev: this udevadm cannot verify (systemd before 254)")
    assert found.returncode == 0, found.stdout + found.stderr


# ALSA and chrony


BOARD = re.compile(r'type hw\n\s+card "sndrpigooglevoi"\n\s+device 0')


def alsa(config: Path, *command: str) -> subprocess.CompletedProcess[str]:
    need("alsa", "aplay", "arecord")
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(config), "LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment, check=False)


@pytest.mark.parametrize(
    ("program", "name"),
    [("aplay", "default"), ("aplay", "speaker"), ("arecord", "default"), ("arecord", "microphone")],
)
def test_alsa_finds_its_way_as_far_as_the_board_that_is_not_here(program: str, name: str) -> None:
    found = alsa(FILES / "alsa" / "asound.conf", program, "-D", name, "-d", "1", "/dev/null")
    if found.returncode == 0:
        return  # the board is here
    assert "Cannot get card index for sndrpigooglevoi" in found.stderr


def test_what_is_played_by_default_reaches_the_speaker_as_it_is(tmp_path: Path) -> None:
    """The board is replaced by a file; nothing between the program and the device changes a sample."""
    written = tmp_path / "out.raw"
    plate = f'type file\nslave.pcm {{ type null }}\nfile "{written}"\nformat raw'
    text, count = BOARD.subn(lambda _: plate, (FILES / "alsa" / "asound.conf").read_text())
    assert count == 2
    config, sound = tmp_path / "asound.conf", tmp_path / "in.raw"
    config.write_text(text)
    sound.write_bytes(bytes(range(256)) * 100)
    found = alsa(config, "aplay", "-D", "default", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1", str(sound))
    assert found.returncode == 0, found.stderr
    assert written.read_bytes()[: sound.stat().st_size] == sound.read_bytes()
    assert "default" in alsa(config, "aplay", "-L").stdout.splitlines()


def test_the_sound_has_no_mixer_and_no_volume_on_its_way() -> None:
    said = "\n".join(line for line in (FILES / "alsa" / "asound.conf").read_text().splitlines() if "#" not in line)
    assert not re.search(r"\b(dmix|dsnoop|softvol|pulse)\b", said)


@pytest.mark.parametrize("name", ["recorder.conf", "dock.conf"])
def test_chrony_accepts_its_configuration(name: str) -> None:
    need("chrony", "chronyd")
    command = [str(shutil.which("chronyd", path=PATH)), "-p", "-f", str(FILES / "chrony" / name)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("name", ["recorder.conf", "dock.conf"])
def test_the_clock_steps_only_at_the_start_and_nobody_commands_it_over_the_network(name: str) -> None:
    lines = (FILES / "chrony" / name).read_text().splitlines()
    assert "makestep 0.5 3" in lines
    assert "cmdport 0" in lines or "bindcmdaddress 127.0.0.1" in lines
    assert not any(line.startswith("cmdallow") for line in lines)
    assert not any(line.startswith("local") for line in lines), "a clock nobody vouches for must not be passed on"


def test_time_of_the_receiver_has_names_by_which_the_recorder_knows_it_for_gnss() -> None:
    lines = (FILES / "chrony" / "recorder.conf").read_text().splitlines()
    names = re.findall(r"^refclock SHM [01] refid (\S+)", "\n".join(lines), re.M)
    assert names == ["GNSS", "PPS"]
    for name in names:
        assert reference_of(f"00000000,{name},1,0,0,0,0,0,0,0,0,0,0,Normal") is TimeSource.GNSS
    assert "rtcsync" in lines, "otherwise the kernel is never told that the clock is right"


def test_the_recorder_may_ask_chrony_where_it_is_told_to() -> None:
    assert load(FILES / "recorder.pi.toml", RecorderConfig).hardware.timekeeping.chrony
    asked = COMMAND[COMMAND.index("-h") + 1]
    lines = (FILES / "chrony" / "recorder.conf").read_text().splitlines()
    assert f"bindcmdaddress {asked}" in lines
    assert not any(line.startswith("cmdport") for line in lines)


def test_every_file_says_why() -> None:
    for path in (one for one in FILES.rglob("*") if one.is_file() and one.parent.name != "mosquitto"):
        assert path.read_text().startswith("# "), path

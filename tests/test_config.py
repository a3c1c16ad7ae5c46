"""Configuration: every error names the key, what stood there and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import DockConfig, RecorderConfig, load
from agent.errors import ConfigError

RECORDER = """
[recorder]
evidence = "evidence"
credentials = "/etc/credentials"
control = "run/control"

[hardware]
camera = "simulated"
microphone = "none"
speaker = "simulated"
"""
DOCK = """
[dock]
id = "dock-1"
folder = "dock"
credentials = "credentials"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_shortest_configuration_has_safe_values(tmp_path: Path) -> None:
    config = load(write(tmp_path, RECORDER), RecorderConfig)
    assert config.custody is None
    assert config.log.level == "info"
    assert config.hardware.gpio.hazard_switch_opens
    assert config.recorder.encoder.quality == 23


def test_a_relative_path_counts_from_the_files_folder_and_an_absolute_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    text = RECORDER + '[hardware.simulated]\nfootage = "clip.mov"\nspeaker_wav = "/tmp/heard.wav"\n[custody]\n'
    config = load(write(tmp_path, text), RecorderConfig)
    assert config.recorder.evidence == tmp_path / "evidence"
    assert config.recorder.control == tmp_path / "run" / "control"
    assert config.recorder.credentials == Path("/etc/credentials")
    assert config.recorder.assignment is None
    assert str(config.hardware.simulated.footage) == str(tmp_path / "clip.mov")
    assert str(config.hardware.simulated.speaker_wav) == "/tmp/heard.wav"
    assert config.custody is not None
    assert load(write(tmp_path, DOCK), DockConfig).dock.archive == tmp_path / "dock" / "archive"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('control = "run/control"', "", ["recorder.control", "missing"]),
        ("[hardware]", "[hardwear]", ["hardwear", "not a key"]),
        ('camera = "simulated"', 'camera = "vhs"', ["hardware.camera", "'vhs'", "picamera2"]),
        ('camera = "simulated"', 'camera = "simulated"\ncolour = 1', ["hardware.colour", "not a key"]),
        ('speaker = "simulated"', 'speaker = "simulated"\n[recorder.encoder]\nquality = 90', ["quality", "90", "35"]),
        ('speaker = "simulated"', 'speaker = "simulated"\n[hardware.gpio]\nlamp = 17', ["hardware.gpio", "share one"]),
        ('speaker = "simulated"', 'speaker = "simulated"\n[hardware.video]\nwidth = 641\nheight = 480', ["even"]),
        ('speaker = "simulated"', 'speaker = "simulated"\n[log]\nlevel = "loud"', ["log.level", "'loud'", "warning"]),
    ],
)
def test_an_error_names_the_key_what_stood_there_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, RECORDER.replace(old, new)), RecorderConfig)
    for word in [str(tmp_path / "config.toml"), *said]:
        assert word in str(caught.value)


def test_all_errors_of_a_file_are_said_at_once(tmp_path: Path) -> None:
    text = RECORDER.replace("simulated", "vhs")
    with pytest.raises(ConfigError, match=r"(?s)hardware\.camera.*hardware\.speaker"):
        load(write(tmp_path, text), RecorderConfig)


@pytest.mark.parametrize("data", [b"[recorder", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "config.toml").write_bytes(data)
    with pytest.raises(ConfigError, match="not TOML"):
        load(tmp_path / "config.toml", RecorderConfig)


def test_a_file_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml", RecorderConfig)


@pytest.mark.parametrize("text", ['id = "Dock 1"', "port = 0", 'broker = "rabbit"', "window_bytes = 1"])
def test_a_docks_values_are_bounded_too(tmp_path: Path, text: str) -> None:
    name = text.split(" ")[0]
    lines = [line for line in DOCK.splitlines() if not line.startswith(name)]
    with pytest.raises(ConfigError, match=f"dock.{name}"):
        load(write(tmp_path, "\n".join([*lines, text])), DockConfig)

"""The commands as their users call them: help, exit codes, errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import main
from agent.errors import table, tree
from agent.evidence.describe import rewrite

ROOT = Path(__file__).parent.parent
COMMANDS = (
    "run", "dock", "witness", "doctor", "verify", "export", "inspect", "press", "audio", "stop", "mark", "photo",
    "restrict", "status", "watch", "reload", "drive",
)  # fmt: skip
GOOD = """
[recorder]
evidence = "evidence"
credentials = "credentials"
control = "control.sock"
[hardware]
camera = "simulated"
microphone = "simulated"
speaker = "simulated"
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_in_both_languages(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help says what the command does and which exit codes it has."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "退出码 exit codes" in text
    assert any("一" <= letter <= "鿿" for letter in text) and len(text) > 200


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('camera = "simulated"', 'camera = "webcam"'), "hardware.camera = 'webcam'"),
        (('camera = "simulated"', ""), "hardware.camera is missing"),
        (("[hardware]", "[hardware]\nspeeker = 1"), "hardware.speeker is not a key"),
        (("[recorder]", "[recorder"), "is not TOML"),
    ],
)
def test_a_wrong_configuration_names_key_value_and_what_is_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], expected: str
) -> None:
    """Exit code 2, one line with the code, one with what to do."""
    file = tmp_path / "recorder.toml"
    file.write_text(GOOD.replace(*change))
    assert main(["status", "--config", str(file)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ER-1002") and expected in error


def test_what_is_allowed_stands_in_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reader need not look it up."""
    file = tmp_path / "recorder.toml"
    file.write_text(GOOD.replace('camera = "simulated"', 'camera = "webcam"'))
    main(["status", "--config", str(file)])
    assert "'simulated', 'v4l2', 'picamera2' or 'rtsp'" in capsys.readouterr().err


def test_a_recorder_that_does_not_run_is_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3, and how to start it."""
    file = tmp_path / "recorder.toml"
    file.write_text(GOOD)
    assert main(["press", "--config", str(file)]) == 3
    assert "ER-1003" in capsys.readouterr().err


def test_a_unit_without_credentials_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which file is missing and leaves nothing behind."""
    file = tmp_path / "recorder.toml"
    file.write_text(GOOD)
    assert main(["run", "--config", str(file)]) == 2
    assert "trust.json" in capsys.readouterr().err
    assert not (tmp_path / "evidence").exists()


def test_verify_ends_in_2_where_there_is_nothing_to_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a missing trust file nor an empty folder is a verdict."""
    assert main(["verify", str(tmp_path), "--trust", str(tmp_path / "none")]) == 2
    assert "ER-2003" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["hazard", "maybe"], ["dock", "on", "off"], ["lamp", "on"], ["position"]])
def test_driving_what_cannot_be_driven_so_is_a_wrong_use(tmp_path: Path, words: list[str]) -> None:
    """A switch is on or off, and only parts that can be simulated have a name."""
    file = tmp_path / "recorder.toml"
    file.write_text(GOOD)
    assert _code(["drive", *words, "--config", str(file)]) == 2


def _code(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as end:  # argparse's own way out
        return int(end.code or 0)


def test_doctor_lists_every_error_and_finds_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a row a code; a unit that is not enrolled gets a row that says so."""
    assert main(["doctor", "--errors"]) == 0
    listed = capsys.readouterr().out
    assert all(kind.code in listed for kind in tree())
    file = tmp_path / "recorder.toml"
    file.write_text(GOOD)
    assert main(["doctor", "--config", str(file)]) == 2
    assert "ER-2003" in capsys.readouterr().out


def test_error_codes_are_unique_and_the_table_in_the_docs_is_theirs() -> None:
    """A code is never used twice; docs/errors.md is what `recorder doctor --errors` prints."""
    codes = [kind.code for kind in tree()]
    assert len(codes) == len(set(codes))
    assert table() in (ROOT / "docs" / "errors.md").read_text("utf-8")


def test_the_specification_lists_the_entry_types_as_they_are() -> None:
    """docs/evidence-format.md carries what the code generates."""
    text = (ROOT / "docs" / "evidence-format.md").read_text("utf-8")
    assert rewrite(text) == text


def test_inspect_of_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    """`recorder inspect | head` ends quietly."""
    command = f"{sys.executable} -m agent doctor --errors | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0 and "Traceback" not in done.stderr

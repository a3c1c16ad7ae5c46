"""``recorder watch``: looks at a bounded pace, survives a recorder that goes away, and prints only what changes."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_status_view import READY, RECORDING

from agent.cli import main
from agent.commands import watch
from agent.recorder.control import ControlServer, Request

CONFIG = """
[recorder]
evidence = "evidence"
credentials = "credentials"
control = "control"
[hardware]
camera = "simulated"
microphone = "simulated"
speaker = "simulated"
"""


class Recorder:
    """Answers at the control socket with the next of its states; keeps what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "recorder.toml").write_text(CONFIG)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.states: list[dict[str, Any]] = [READY]
        self.server: ControlServer | None = None

    @property
    def config(self) -> str:
        return str(self.folder / "recorder.toml")

    def start(self) -> None:
        self.server = ControlServer(self.folder / "control", self._answer)
        self.server.start()

    def stop(self) -> None:
        if self.server:
            self.server.close()
            self.server = None

    def _answer(self, request: Request) -> None:
        self.asked.append((request.do, request.fields))
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        request.answer(ok=True, **state)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are noted and not made."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def look(recorder: Recorder, count: int) -> int:
    return main(["watch", "--config", recorder.config, "--count", str(count)])


def test_without_a_terminal_a_line_is_printed_for_every_change_and_none_without(
    recorder: Recorder, no_sleep: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.states = [READY, READY, RECORDING, RECORDING | {"media_seconds": 5000.0}, READY]
    assert look(recorder, 5) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [text.split(" ", 1)[1] for text in lines] == [
        "er-1: 待命 ready",
        "er-1: 正在录音录像 recording  记录 00112233445566aa",
        "er-1: 待命 ready",
    ]
    assert no_sleep == [0.5] * 4


def test_a_recorder_that_is_gone_is_said_once_asked_less_often_and_found_again(
    recorder: Recorder, no_sleep: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:
        no_sleep.append(seconds)
        if len(no_sleep) == 1:
            recorder.stop()
        if len(no_sleep) == 9:
            recorder.start()

    monkeypatch.setattr(time, "sleep", sleep)
    assert look(recorder, 11) == 0
    lines = [text.split(" ", 1)[1] for text in capsys.readouterr().out.splitlines()]
    assert lines == ["er-1: 待命 ready", watch._GONE, "er-1: 待命 ready"]
    assert no_sleep[1:8] == sorted(no_sleep[1:8]) and max(no_sleep) == watch.SLOWEST_SECONDS
    assert no_sleep[-1] == 0.5


def test_a_recorder_that_was_never_there_is_waited_for(
    recorder: Recorder, no_sleep: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.stop()
    assert look(recorder, 2) == 0
    assert watch._GONE in capsys.readouterr().out


def test_ctrl_c_ends_it_without_an_error(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    assert look(recorder, 5) == 0


@pytest.mark.parametrize("interval", ["0", "0.1", "61", "soon"])
def test_it_cannot_be_made_to_ask_without_pause(recorder: Recorder, interval: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["watch", "--config", recorder.config, "--interval", interval])
    assert ended.value.code == 2


@pytest.mark.slow
def test_on_a_terminal_of_80_columns_it_draws_the_live_view(recorder: Recorder) -> None:
    """A real terminal (a pty), without colour."""
    recorder.states = [READY, RECORDING]
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "agent", "watch", "--config", recorder.config, "--count", "3", "--interval", "0.2"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "30", "NO_COLOR": "1"}
    process = subprocess.Popen(command, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    text = b""
    reader = threading.Thread(target=lambda: process.wait(60))
    reader.start()
    while select.select([leader], [], [], 30)[0]:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # Linux: the other end is closed
            break
        text += piece
    reader.join(60)
    os.close(leader)
    shown = text.decode()
    assert process.returncode == 0, shown
    assert "待命 ready" in shown and "01:02:05" in shown and "█" in shown
    assert "\x1b[31" not in shown and "\x1b[1;31" not in shown


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["audio"], ("audio", {})),
        (["restrict", "--content", "privacy"], ("restrict", {"content": "privacy"})),
        (["restrict", "--content", "other", "--text", "说明"], ("restrict", {"content": "other", "text": "说明"})),
    ],
)
def test_audio_and_restrict_ask_what_the_officer_said(
    recorder: Recorder, words: list[str], asked: tuple[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--config", recorder.config]) == 0
    assert recorder.asked == [asked]
    assert "待命" in capsys.readouterr().out


def test_content_that_the_regulation_does_not_name_is_not_asked_for(recorder: Recorder) -> None:
    with pytest.raises(SystemExit):
        main(["restrict", "--content", "dull", "--config", recorder.config])
    assert recorder.asked == []


def test_status_shows_the_same_facts_once_and_as_json(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    recorder.states = [RECORDING]
    assert main(["status", "--config", recorder.config]) == 0
    assert "01:02:05" in capsys.readouterr().out
    assert main(["status", "--json", "--config", recorder.config]) == 0
    assert '"space_seconds": 26640' in capsys.readouterr().out

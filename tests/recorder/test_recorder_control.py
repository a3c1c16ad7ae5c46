"""The control socket: one line each way, limits on everything, and the file mode says who may press."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import NotRunningError, RefusedError, StorageError
from agent.recorder import control
from agent.recorder.control import ControlServer, Request, ask


def answer(request: Request) -> None:
    """Stands for the main loop: answers at once, twice, or never."""
    if request.do == "silence":
        return
    request.answer(ok=request.do != "no", message="因为", do=request.do, **request.fields)
    request.answer(ok=False, message="second")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    server = ControlServer(tmp_path / "control", answer)
    server.start()
    yield tmp_path / "control"
    server.close()


def send(path: Path, line: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(10)
        channel.connect(str(path))
        channel.sendall(line)
        return dict(json.loads(channel.makefile("rb").readline()))


def test_a_request_is_answered_once_with_the_loops_first_word(path: Path) -> None:
    assert ask(path, "mark", kind="moment") == {"ok": True, "message": "因为", "do": "mark", "kind": "moment"}


def test_a_refusal_is_an_error_with_the_recorders_own_words(path: Path) -> None:
    with pytest.raises(RefusedError, match="因为"):
        ask(path, "no")


def test_a_loop_that_does_not_answer_is_not_waited_for_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ANSWER_SECONDS", 0.2)
    with pytest.raises(RefusedError, match="no answer"):
        ask(path, "silence")


def test_nobody_listening_is_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError):
        ask(tmp_path / "nobody", "status")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80).map(lambda data: data.replace(b"\n", b"") + b"\n"))
def test_random_bytes_get_an_answer_and_do_no_harm(path: Path, line: bytes) -> None:
    assert send(path, line)["ok"] is False


@pytest.mark.parametrize("line", [b"{}\n", b'{"do":1}\n', b"[]\n", b'{"do":"x","a":1.5}\n', b"x" * 5000 + b"\n"])
def test_a_request_out_of_shape_is_refused(path: Path, line: bytes) -> None:
    assert send(path, line)["ok"] is False


def test_only_owner_and_group_may_press_and_the_socket_goes_with_the_process(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control", answer)
    server.start()
    assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o660
    server.close()
    assert not (tmp_path / "control").exists()


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        ControlServer(tmp_path / "missing" / "control", answer)

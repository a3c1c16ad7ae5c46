"""Logs: one line per event, and no secret in any of them."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from agent.system.logs import configure, logger, redact
from agent.system.notify import notify

SECRET = str(pyrage.x25519.Identity.generate())
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----"


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    stream = io.StringIO()
    configure("info", stream)
    yield stream
    structlog.reset_defaults()


def test_an_event_is_one_json_line_that_names_its_room_and_keeps_chinese_readable(out: io.StringIO) -> None:
    logger("recorder").info("told", zh="已停止并封存", number=1)
    (line,) = out.getvalue().splitlines()
    found = json.loads(line)
    assert (found["event"], found["room"], found["level"], found["number"]) == ("told", "recorder", "info", 1)
    assert "已停止并封存" in line
    assert found["timestamp"].endswith("Z")


def test_below_the_level_nothing_is_said(out: io.StringIO) -> None:
    logger("recorder").debug("detail")
    assert out.getvalue() == ""


@pytest.mark.parametrize(("method", "number"), [("info", 6), ("warning", 4), ("error", 3)])
def test_under_systemd_a_line_begins_with_its_priority(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch, method: str, number: int
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    getattr(logger("dock"), method)("event")
    assert out.getvalue().startswith(f"<{number}>{{")


@pytest.mark.parametrize(
    "fields",
    [
        {"event": f"key {SECRET}"},
        {"event": "x", "why": SECRET.lower()},
        {"event": "x", "deep": {"deeper": [SECRET, {"most": (PEM,)}]}},
        {"event": f"could not read {PEM}"},
        {"event": "x", "identity_key": "MC4CAQ"},
        {"event": "x", "password": "MC4CAQ"},
        {"event": "x", "a": {"file_key": "MC4CAQ"}},
        {"event": "x", "raw": b"MC4CAQ"},
    ],
)
def test_a_secret_is_replaced_wherever_it_stands(out: io.StringIO, fields: dict[str, object]) -> None:
    logger("recorder").info(**fields)
    text = out.getvalue()
    assert len(text.splitlines()) == 1
    assert SECRET.lower() not in text.lower()
    assert "MC4CAQ" not in text
    assert "[" in text


@given(st.dictionaries(st.text(max_size=8), st.recursive(st.text() | st.integers() | st.none(), st.lists), max_size=4))
def test_what_is_no_secret_is_left_as_it_is(event: dict[str, object]) -> None:
    harmless = {key: value for key, value in event.items() if "token" not in key and "private" not in key}
    assert redact(None, "info", dict(harmless)) == harmless


def test_notify_says_nothing_outside_a_service_and_its_fields_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify(READY=1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify(READY=1, STATUS="ready")
        assert channel.recv(100) == b"READY=1\nSTATUS=ready"


def test_notify_never_raises_when_the_supervisor_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify(WATCHDOG=1)

"""Asking on a thread: the newest answer, its errors, and its age."""

from __future__ import annotations

import threading

import pytest
from hardware_lanes import eventually

from agent.errors import HardwareError
from agent.hardware import polling
from agent.hardware.polling import Polled


def test_the_first_answer_is_there_when_it_is_opened_and_newer_ones_follow() -> None:
    answers = iter(range(1000))
    polled = Polled("a part", lambda: next(answers), 0.01, 10)
    first = polled.newest()
    eventually(lambda: polled.newest() > first)
    polled.close()
    polled.close()
    assert polled.newest() == polled.newest()


def test_an_error_is_raised_at_every_reading_until_an_answer_comes_again() -> None:
    well = threading.Event()

    def ask() -> int:
        if not well.is_set():
            raise HardwareError("the plug is out")
        return 1

    polled = Polled("a part", ask, 0.01, 10)
    for _ in range(2):
        with pytest.raises(HardwareError, match="the plug is out"):
            polled.newest()
    well.set()
    eventually(lambda: _answers(polled))
    polled.close()


def _answers(polled: Polled[int]) -> bool:
    try:
        return polled.newest() == 1
    except HardwareError:
        return False


def test_one_that_hangs_is_an_error_and_holds_up_neither_opening_nor_reading_nor_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polling, "FIRST_ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(polling, "STOP_LIMIT_SECONDS", 0.05)
    release = threading.Event()
    polled = Polled("a part", lambda: release.wait(60), 0.01, 10)
    with pytest.raises(HardwareError, match="not answered yet"):
        polled.newest()
    polled.close()
    release.set()


def test_an_answer_that_is_too_old_is_none() -> None:
    release, asked = threading.Event(), threading.Event()

    def ask() -> int:
        if asked.is_set():
            release.wait(60)
        asked.set()
        return 1

    polled = Polled("a part", ask, 0.001, 0.1)
    eventually(lambda: not _answers(polled))
    with pytest.raises(HardwareError, match="has not answered for"):
        polled.newest()
    release.set()
    polled.close()

"""Memory is given back where the C library can; where it cannot, nothing happens."""

from __future__ import annotations

import pytest

from agent.system import memory


def test_giving_back_asks_the_library_once_and_does_without_one_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(memory, "_TRIM", lambda keep: asked.append(keep) or 1)
    memory.give_back()
    assert asked == [0]
    monkeypatch.setattr(memory, "_TRIM", None)
    memory.give_back()
    assert asked == [0]

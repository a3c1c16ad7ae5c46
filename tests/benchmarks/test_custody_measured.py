"""What the measurements of custody reckon with."""

from __future__ import annotations

from nacl.signing import SigningKey

from agent.evidence.checkpoint import Checkpoint, sign_checkpoint
from agent.evidence.entries import Body, Entry, EntryTime, Heartbeat, Mark, Witnessed
from benchmarks.line_latency import latencies_ms
from benchmarks.report import Row


def entry(seq: int, at_ms: int, body: Body) -> Entry:
    return Entry(seq, "0" * 64, "er-1", EntryTime(at_ms * 1000, at_ms * 1000, "0" * 32, "ntp", 1), body)


def witnessed(size: int) -> Witnessed:
    note = sign_checkpoint(Checkpoint("a/enforcement-recorder/er-1", size, bytes(32)), SigningKey(bytes(32)))
    return Witnessed(note.decode())


def test_a_line_waits_for_the_first_note_that_covers_it() -> None:
    """Lines about handing over itself do not count, nor one that no note covers yet."""
    mark = Mark("1" * 16, "moment", 0)
    entries = [
        entry(0, 0, mark),
        entry(1, 100, mark),
        entry(2, 150, witnessed(1)),
        entry(3, 200, Heartbeat("ready")),
        entry(4, 400, witnessed(4)),
        entry(5, 500, mark),
    ]
    assert latencies_ms(entries) == [150.0, 300.0]


def test_a_goal_from_below_is_missed_from_below() -> None:
    assert "MISSED" in Row("ratio", 0.9, "x", least=1.0).verdict and "met" in Row("ratio", 1.0, "x", least=1.0).verdict

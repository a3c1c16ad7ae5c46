"""After a cut: what to enter so that the ledger tells what happened, from its tail and the files left behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.evidence.entries import Body, Close, Gap, Open, Segment


@dataclass(slots=True)
class Unfinished:
    """A recording that is open, with what its segments add up to."""

    recording: str
    indexes: set[int] = field(default_factory=set)
    frames: int = 0
    duration_us: int = 0

    def add(self, segment: Segment) -> None:
        """One more segment."""
        self.indexes.add(segment.index)
        self.frames += segment.frames
        self.duration_us += segment.duration_us


def follow(left: Unfinished | None, body: Body) -> Unfinished | None:
    """The recording that is open after an entry with this body; ``left`` was open before it."""
    match body:
        case Open(recording=recording):
            return Unfinished(recording)
        case Segment() if left:
            left.add(body)
            return left
        case Close():
            return None
        case _:
            return left


def closing_entries(left: Unfinished | None, recovered: Iterable[Segment]) -> list[Body]:
    """Entries for the recovered segments, a gap for what the cut took, and the close with its reason."""
    if left is None:
        return []
    extra = [one for one in recovered if one.recording == left.recording and one.index not in left.indexes]
    return [
        *extra,
        Gap(left.recording, "power_cut", None, 0),
        Close(
            recording=left.recording,
            reason="power_cut",
            segments=len(left.indexes) + len(extra),
            frames=left.frames + sum(one.frames for one in extra),
            dropped=0,
            duration_us=left.duration_us + sum(one.duration_us for one in extra),
        ),
    ]

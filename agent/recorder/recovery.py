"""After a cut: what to enter so that the ledger tells what happened, from its tail and the files left behind."""

from __future__ import annotations

from collections.abc import Iterable

from agent.evidence.entries import Body, Close, Entry, Gap, Open, Segment


def unfinished(entries: Iterable[Entry]) -> tuple[Open, list[Segment]] | None:
    """The recording that was open when the ledger ends, with its segments; None when there is none."""
    found: tuple[Open, list[Segment]] | None = None
    for entry in entries:
        match entry.body:
            case Open() as body:
                found = (body, [])
            case Segment() as body if found:
                found[1].append(body)
            case Close():
                found = None
            case _:
                pass
    return found


def closing_entries(entries: Iterable[Entry], recovered: Iterable[Segment]) -> list[Body]:
    """Entries for the recovered segments, a gap for what the cut took, and the close with its reason."""
    left = unfinished(entries)
    if left is None:
        return []
    opened, segments = left
    known = {segment.index for segment in segments}
    extra = [one for one in recovered if one.recording == opened.recording and one.index not in known]
    everything = [*segments, *extra]
    return [
        *extra,
        Gap(opened.recording, "power_cut", None, 0),
        Close(
            recording=opened.recording,
            reason="power_cut",
            segments=len(everything),
            frames=sum(one.frames for one in everything),
            dropped=0,
            duration_us=sum(one.duration_us for one in everything),
        ),
    ]

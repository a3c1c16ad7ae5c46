"""R12.1: the order that a recording owes to the party: the notice to its end, then the first frame."""

from __future__ import annotations

from agent.evidence.entries import Notice


def notice_served(notice: Notice, must_be_heard: bool, kind: str = "video") -> bool:
    """Whether this notice allows a recording of this kind: given in person, posted for a fixed camera, or played whole.

    Played whole means consumed to the last frame, without underrun, and not known to be unheard.
    """
    if notice.outcome != "completed":
        return False
    if notice.means == "oral":
        return True
    if notice.means == "posted":
        return kind == "fixed"
    whole = notice.frames_consumed == notice.frames_total > 0 and notice.underruns == 0
    heard = notice.heard.state == "heard" or (notice.heard.state == "not_measured" and not must_be_heard)
    return whole and heard

"""R12.1: the order that a recording owes to the party: the notice to its end, then the first frame."""

from __future__ import annotations

from agent.evidence.entries import Notice


def notice_served(notice: Notice, must_be_heard: bool) -> bool:
    """Whether this notice allows a recording: given in person, or played whole and not known to be unheard."""
    if notice.outcome != "completed":
        return False
    if notice.means == "oral":
        return True
    whole = notice.frames_consumed == notice.frames_total > 0 and notice.underruns == 0
    heard = notice.heard.state == "heard" or (notice.heard.state == "not_measured" and not must_be_heard)
    return whole and heard

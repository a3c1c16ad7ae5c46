"""What strikes the eye of one recording's entries: a first look for a custodian. The verdict is ``recorder verify``'s.

The codes are those of the verifier's findings.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.evidence.entries import Body, Close, Gap, Mark, Notice, Open, Segment
from agent.rules.interlock import UNASSIGNED
from agent.rules.sequence import notice_served


def remarks_on(opened: Open, notice: Notice | None, bodies: Sequence[Body], officer: str | None) -> list[str]:
    """Codes in the order of the rules; ``bodies``: the recording's own entries, ``officer`` None when unknown."""
    site = any(isinstance(body, Mark) and body.kind in ("site_sign", "site_spoken") for body in bodies)
    needed = (opened.action, opened.stage, opened.matter, opened.particulars)
    found = {
        "NOTICE_MISSING": notice is None,
        "NOTICE_NOT_SERVED": notice is not None and not notice_served(notice, False, opened.kind),
        "PARTICULARS_MISSING": None in needed,
        "SITE_NOT_IDENTIFIED": opened.kind in ("video", "audio") and not site,
        "GAP": any(isinstance(body, Gap) or (isinstance(body, Segment) and body.recovered) for body in bodies),
        "RECORDING_UNFINISHED": not any(isinstance(body, Close) for body in bodies),
        "RECORDED_THOUGH_REFUSED": opened.interlock.verdict != "permitted",
        "OFFICER_UNASSIGNED": officer == UNASSIGNED,
    }
    return [code for code, applies in found.items() if applies]

"""Assignments and their signed forms, for the tests of R12.2."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from samples import Enrolled

from agent.evidence.dispatch import Dispatch, sign_dispatch
from agent.evidence.documents import Assignment, TrustBundle
from agent.recorder.assignments import AssignmentBook

MATTER = Assignment(
    "matter-1", "inspection", "investigation", "样例企业", "样例地点", ["样例人员"], None, None, mandatory=False
)


def matter(number: int, **changes: object) -> Assignment:
    return Assignment(**{**asdict(MATTER), "matter": f"matter-{number}", **changes})  # type: ignore[arg-type]


def bare(assignment: Assignment) -> str:
    return json.dumps(asdict(assignment), ensure_ascii=False)


class Desk:
    """The dispatch desk: signs with the agency's document key."""

    def __init__(self, enrolled: Enrolled, owner: str = "agency", name: str = "documents.key") -> None:
        self.key = enrolled.key(owner, name)

    def token(self, issued_us: int, assignment: Assignment | None, device: str = "er-1") -> bytes:
        return sign_dispatch(Dispatch(1, "assignment", "sample", device, issued_us, assignment), self.key)


def book(folder: Path, trust: TrustBundle, *, unsigned_codes: bool = False) -> AssignmentBook:
    """The book of er-1, opened as at a start."""
    return AssignmentBook(folder / "assignment", folder, trust, "er-1", unsigned_codes=unsigned_codes)

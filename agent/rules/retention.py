"""How long a recording is kept, and whether it may be deleted now (articles 14, 17, 22). Pure: no clock, no files.

What is not known counts against deleting: a matter that no list says is closed is in progress.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from agent.evidence.documents import ActionKind
from agent.evidence.retention import RecordingKind, RetentionPolicy

DAY_US: Final = 86_400_000_000
LONGEST_SILENCE_DAYS: Final = 92
"""A clock this far ahead of the newest entry in the archive is taken for wrong: it would delete everything at once."""

Verdict = Literal["due", "not_due", "in_progress", "open", "incomplete", "deleted"]
WORDS: Final[dict[Verdict, tuple[str, str]]] = {
    "due": ("已到期，可以删除", "due"),
    "not_due": ("未到期，保留", "kept: not yet due"),
    "in_progress": ("案件未结，保留", "kept: its case is in progress"),
    "open": ("记录没有结束，保留", "kept: the recording has no end"),
    "incomplete": ("对象不齐或收据未登记，保留", "kept: not all of it is here and receipted"),
    "deleted": ("已删除", "deleted before"),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A recording as retention sees it. Times are microseconds of UTC."""

    action: ActionKind | None
    kind: RecordingKind
    matter: str | None
    closed_us: int | None


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is to become of a recording; ``until_us``: when its time is over, if that is known."""

    verdict: Verdict
    keep_days: int
    until_us: int | None


def keep_days(policy: RetentionPolicy, action: ActionKind | None, kind: RecordingKind, least_days: int) -> int:
    """The longest of the default, every row that fits, and what the station adds. An unknown action fits every row."""
    fitting = (
        rule.keep_days
        for rule in policy.rules
        if (rule.action is None or action in (None, rule.action)) and rule.kind in (None, kind)
    )
    return max(policy.default_days, least_days, *fitting)


def rule_on(
    subject: Subject, policy: RetentionPolicy, closed_cases: dict[str, int], now_us: int, least_days: int = 0
) -> Ruling:
    """Whether a recording may go. ``closed_cases``: matters that are closed, and since when.

    Its time runs from its own end or the closing of its case, whichever is later.
    """
    days = keep_days(policy, subject.action, subject.kind, least_days)
    if subject.closed_us is None:
        return Ruling("open", days, None)
    if subject.matter is not None and subject.matter not in closed_cases:
        return Ruling("in_progress", days, None)
    since_us = max(subject.closed_us, closed_cases[subject.matter] if subject.matter is not None else 0)
    until_us = since_us + days * DAY_US
    return Ruling("due" if now_us >= until_us else "not_due", days, until_us)


def clock_is_plausible(now_us: int, newest_us: int) -> bool:
    """Whether to believe a clock that says ``now_us``, when the newest entry in the archive is of ``newest_us``."""
    return newest_us <= now_us <= newest_us + LONGEST_SILENCE_DAYS * DAY_US

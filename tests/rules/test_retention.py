"""How long a recording is kept: never shorter than the agency's table, and never while its case is in progress."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.evidence.retention import RetentionPolicy, RetentionRule
from agent.rules.retention import DAY_US, Subject, clock_is_plausible, keep_days, rule_on

ACTIONS = st.sampled_from(["licensing", "inspection", "penalty", "coercion"])
KINDS = st.sampled_from(["video", "audio", "photo", "fixed"])
RULES = st.builds(RetentionRule, st.none() | ACTIONS, st.none() | KINDS, st.integers(1, 5_000))
POLICIES = st.builds(
    RetentionPolicy, st.just(1), st.just("retention"), st.just("sample"), st.just(1), st.just(0),
    st.integers(1, 5_000), st.lists(RULES, max_size=8),
)  # fmt: skip
TIMES = st.integers(0, 2**52)
MATTERS = st.sampled_from(["m-1", "m-2"])
SUBJECTS = st.builds(Subject, st.none() | ACTIONS, KINDS, st.none() | MATTERS, st.none() | TIMES)
CASES = st.dictionaries(MATTERS, TIMES)


@given(POLICIES, st.none() | ACTIONS, KINDS, st.integers(0, 6_000))
def test_no_recording_is_kept_shorter_than_any_row_that_fits_or_the_default_or_the_stations_own(
    policy: RetentionPolicy, action: str | None, kind: str, least: int
) -> None:
    days = keep_days(policy, action, kind, least)  # type: ignore[arg-type]
    assert days >= max(policy.default_days, least)
    for rule in policy.rules:
        if rule.action in (None, action) and rule.kind in (None, kind):
            assert days >= rule.keep_days


@given(SUBJECTS, POLICIES, CASES, TIMES)
def test_what_is_due_has_ended_belongs_to_no_case_in_progress_and_its_whole_time_is_over(
    subject: Subject, policy: RetentionPolicy, closed: dict[str, int], now_us: int
) -> None:
    ruling = rule_on(subject, policy, closed, now_us)
    if ruling.verdict == "due":
        assert subject.closed_us is not None and (subject.matter is None or subject.matter in closed)
        since = max(subject.closed_us, closed.get(subject.matter or "", 0))
        assert now_us >= since + policy.default_days * DAY_US


@given(SUBJECTS, POLICIES, CASES, TIMES, st.integers(0, 2**50))
def test_what_is_due_stays_due_unless_its_case_is_opened_again(
    subject: Subject, policy: RetentionPolicy, closed: dict[str, int], now_us: int, later_us: int
) -> None:
    if rule_on(subject, policy, closed, now_us).verdict == "due":
        assert rule_on(subject, policy, closed, now_us + later_us).verdict == "due"
        if subject.matter is not None:
            assert rule_on(subject, policy, {}, now_us).verdict == "in_progress"


def test_a_recording_of_a_case_that_no_list_names_is_kept_for_ever() -> None:
    """What is not known counts against deleting."""
    policy = RetentionPolicy(1, "retention", "sample", 1, 0, 1, [])
    subject = Subject("penalty", "video", "m-9", 0)
    assert rule_on(subject, policy, {"m-1": 0}, 2**52).verdict == "in_progress"
    assert rule_on(replace(subject, matter=None), policy, {}, 2**52).verdict == "due"
    assert rule_on(replace(subject, closed_us=None), policy, {"m-9": 0}, 2**52).verdict == "open"


def test_an_action_that_is_not_known_is_kept_as_the_longest() -> None:
    policy = RetentionPolicy(1, "retention", "sample", 1, 0, 1, [RetentionRule("coercion", None, 3_650)])
    assert keep_days(policy, None, "video", 0) == 3_650
    assert keep_days(policy, "licensing", "video", 0) == 1


def test_a_clock_before_the_newest_entry_or_far_after_it_is_not_believed() -> None:
    now = 10**15
    assert clock_is_plausible(now, now - 30 * DAY_US)
    assert not clock_is_plausible(now, now + 1)
    assert not clock_is_plausible(now, now - 93 * DAY_US)

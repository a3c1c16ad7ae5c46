"""May it record here and now: R13.1, R13.2, R13.3 and room; and R12.1, was the notice served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interlock_table import OBJECTIONS, rewrite

from agent.evidence.documents import Assignment, ExApproval, HazardPolicy, HazardZone
from agent.evidence.entries import HazardInput, Heard, Interlock, Notice
from agent.rules.interlock import UNASSIGNED, NamedZone, Situation, hazard_state, judge
from agent.rules.sequence import notice_served

POLICY = HazardPolicy(max_age_us=10, stale_counts_as_set=True, assumed_zone=None, zone_map=None, power_down=False)
CLEAR, SET, STALE = (HazardInput("switch", state, 0) for state in ("clear", "set", "stale"))
ZONE = HazardZone("1", "IIC", "T4", None)
APPROVAL = ExApproval("Ex ib IIC T4 Gb", "CNEx00.0000", "样例机构", 2_000, "SN-1")
MATTER = Assignment("matter-1", "inspection", "investigation", "样例", "样例", [], None, None, False)
SITUATION = Situation((CLEAR,), POLICY, None, "SN-1", None, 100, 100, 1_000)


def verdict(**changes: object) -> Interlock:
    return judge(replace(SITUATION, **changes))


def test_nothing_against_it_means_permitted() -> None:
    found = verdict()
    assert (found.verdict, found.rule, found.hazard, found.approval) == ("permitted", None, "clear", None)
    assert found.inputs == [CLEAR]


@pytest.mark.parametrize(
    ("inputs", "state"),
    [
        ((), "stale"),
        ((CLEAR,), "clear"),
        ((CLEAR, STALE), "stale"),
        ((STALE, SET), "set"),
        ((CLEAR, SET), "set"),
        ((replace(CLEAR, age_us=10),), "clear"),
        ((replace(CLEAR, age_us=11),), "stale"),
        ((replace(SET, age_us=11),), "set"),
    ],
)
def test_any_source_sets_the_flag_and_an_unknown_or_old_one_makes_it_stale(
    inputs: tuple[HazardInput, ...], state: str
) -> None:
    assert hazard_state(inputs, POLICY) == state


@pytest.mark.parametrize("inputs", [(), (STALE,), (SET,)])
def test_a_set_or_unknown_hazard_without_approval_refuses(inputs: tuple[HazardInput, ...]) -> None:
    found = verdict(inputs=inputs)
    assert (found.verdict, found.rule, found.reason) == ("refused", "R13.1", "no_approval")


def test_the_policy_alone_may_let_an_unknown_hazard_pass_but_never_a_set_one() -> None:
    lenient = replace(POLICY, stale_counts_as_set=False)
    assert verdict(inputs=(STALE,), policy=lenient).verdict == "permitted"
    assert verdict(inputs=(SET,), policy=lenient).rule == "R13.1"


def by(source: str, state: str = "set") -> HazardInput:
    return HazardInput(source, state, 0)  # type: ignore[arg-type]


def test_an_approval_that_covers_the_matters_zone_permits_and_is_named() -> None:
    found = verdict(inputs=(by("matter"),), approval=APPROVAL, assignment=replace(MATTER, hazard=ZONE))
    assert (found.verdict, found.approval) == ("permitted", "CNEx00.0000")


def test_every_zone_that_a_set_source_names_must_be_covered() -> None:
    matter, stricter = replace(MATTER, hazard=ZONE), replace(ZONE, temperature_class="T5")
    both = {"inputs": (by("matter"), by("zone_map")), "assignment": matter, "approval": APPROVAL}
    assert verdict(**both, zones=(NamedZone("zone_map", ZONE),)).verdict == "permitted"
    assert verdict(**both, zones=(NamedZone("zone_map", stricter),)).reason == "temperature"
    overlapping = (NamedZone("zone_map", ZONE), NamedZone("zone_map", stricter))
    assert verdict(**both, zones=overlapping).reason == "temperature"


def test_a_set_source_that_names_no_zone_is_not_covered_by_what_another_names() -> None:
    both = {"inputs": (by("matter"), by("switch")), "assignment": replace(MATTER, hazard=ZONE), "approval": APPROVAL}
    assert verdict(**both).reason == "zone_unknown"
    assert verdict(**both, policy=replace(POLICY, assumed_zone=ZONE)).verdict == "permitted"
    assert verdict(**both, policy=replace(POLICY, assumed_zone=replace(ZONE, zone="0"))).reason == "protection_level"


def test_a_zone_of_a_source_that_is_not_set_demands_nothing() -> None:
    clear = (by("matter", "clear"), by("zone_map", "clear"))
    assert verdict(inputs=clear, zones=(NamedZone("zone_map", replace(ZONE, zone="0")),)).verdict == "permitted"


def test_a_stale_source_beside_a_covered_one_demands_the_assumed_zone_too() -> None:
    """What cannot be seen could be worse than what can."""
    beside = {"inputs": (by("matter"), by("zone_map", "stale")), "assignment": replace(MATTER, hazard=ZONE)}
    assert verdict(**beside, approval=APPROVAL).reason == "zone_unknown"
    lenient = replace(POLICY, stale_counts_as_set=False)
    assert verdict(**beside, approval=APPROVAL, policy=lenient).verdict == "permitted"


def test_a_switch_states_no_zone_so_that_only_the_policys_assumption_can_be_covered() -> None:
    assert verdict(inputs=(SET,), approval=APPROVAL).reason == "zone_unknown"
    assumed = replace(POLICY, assumed_zone=ZONE)
    assert verdict(inputs=(SET,), approval=APPROVAL, policy=assumed).verdict == "permitted"
    stricter = replace(assumed, assumed_zone=replace(ZONE, zone="0"))
    assert verdict(inputs=(SET,), approval=APPROVAL, policy=stricter).reason == "protection_level"


@pytest.mark.parametrize(
    ("restricted", "rule"),
    [("state_secret", "R13.2"), ("commercial_secret", "R13.2"), ("privacy", "R13.2"), ("other", "R13.3")],
)
def test_restricted_content_refuses_by_its_rule(restricted: str, rule: str) -> None:
    found = verdict(assignment=replace(MATTER, restricted=restricted))
    assert (found.verdict, found.rule, found.reason) == ("refused", rule, restricted)


def test_no_room_refuses_and_the_last_byte_of_the_minimum_is_enough() -> None:
    assert verdict(free_bytes=100).verdict == "permitted"
    assert (verdict(free_bytes=99).rule, verdict(free_bytes=99).reason) == ("R22", "storage_full")


def test_a_unit_that_nobody_holds_is_refused() -> None:
    assert verdict(officer="officer-1").verdict == "permitted"
    assert (verdict(officer=UNASSIGNED).rule, verdict(officer=UNASSIGNED).reason) == ("R16", "officer_unassigned")


@pytest.mark.parametrize(("minutes", "reason"), [(None, "permitted"), (4, "battery_low"), (5, "permitted")])
def test_a_charge_that_would_be_sealed_at_once_refuses_and_an_unknown_one_does_not(
    minutes: int | None, reason: str
) -> None:
    assert verdict(minutes_left=minutes, seal_minutes=5).reason == reason


@pytest.mark.parametrize(
    ("measured", "limit", "reason"),
    [(None, 80, "permitted"), (81, None, "permitted"), (80, 80, "permitted"), (81, 80, "overheated")],
)
def test_a_unit_over_its_limit_of_warmth_refuses_and_an_unknown_warmth_does_not(
    measured: int | None, limit: int | None, reason: str
) -> None:
    found = verdict(temperature_millicelsius=measured, temperature_limit_millicelsius=limit)
    assert found.reason == reason


@pytest.mark.parametrize("first", range(len(OBJECTIONS)))
def test_of_several_objections_the_gravest_is_the_one_that_is_said(first: int) -> None:
    """The order of docs/interlock.md: whatever comes later is added, the answer stays."""
    graver = OBJECTIONS[first:]
    alone = verdict(**graver[0][1])
    together = verdict(**{name: value for _, change in reversed(graver) for name, value in change.items()})
    assert (together.rule, together.reason) == (alone.rule, alone.reason)
    assert alone.verdict == "refused"


def test_the_tables_in_the_document_are_what_the_code_answers() -> None:
    document = Path(__file__).resolve().parents[2] / "docs" / "interlock.md"
    text = document.read_text("utf-8")
    assert rewrite(text) == text, "run: python tests/rules/interlock_table.py docs/interlock.md"


@given(
    st.lists(st.builds(HazardInput, st.just("switch"), st.sampled_from(["clear", "set", "stale"]), st.integers(0, 20))),
    st.booleans(),
    st.sampled_from([None, APPROVAL, replace(APPROVAL, expires_us=5)]),
    st.sampled_from([None, ZONE]),
)
def test_a_set_flag_is_permitted_only_by_an_approval_that_is_named(
    inputs: list[HazardInput], fail_closed: bool, approval: ExApproval | None, zone: HazardZone | None
) -> None:
    policy = HazardPolicy(10, fail_closed, zone, None, False)
    found = verdict(inputs=tuple(inputs), policy=policy, approval=approval)
    dangerous = found.hazard == "set" or (found.hazard == "stale" and fail_closed)
    assert (found.approval is not None) == (dangerous and found.verdict == "permitted")
    assert (found.rule is None) == (found.verdict == "permitted")


NOTICE = Notice(
    "0" * 16, "played", "completed", "a" * 64, 10, 10, 8000, 0, 1, 2, Heard("not_measured", None, None), None
)
HEARD, NOT_HEARD = Heard("heard", 900, -2000), Heard("not_heard", 3, -9000)


@pytest.mark.parametrize(
    ("notice", "if_not_demanded", "if_demanded"),
    [
        (NOTICE, True, False),
        (replace(NOTICE, heard=HEARD), True, True),
        (replace(NOTICE, heard=NOT_HEARD), False, False),
        (replace(NOTICE, outcome="failed", heard=HEARD), False, False),
        (replace(NOTICE, frames_consumed=9, heard=HEARD), False, False),
        (replace(NOTICE, frames_consumed=0, frames_total=0, heard=HEARD), False, False),
        (replace(NOTICE, underruns=1, heard=HEARD), False, False),
        (replace(NOTICE, means="oral", frames_total=0, frames_consumed=0), True, True),
        (replace(NOTICE, means="oral", outcome="failed"), False, False),
    ],
)
def test_a_notice_is_served_when_it_was_whole_and_not_known_to_be_unheard_or_was_given_in_person(
    notice: Notice, if_not_demanded: bool, if_demanded: bool
) -> None:
    assert notice_served(notice, must_be_heard=False) is if_not_demanded
    assert notice_served(notice, must_be_heard=True) is if_demanded


def test_an_assignment_that_cannot_be_read_is_told_as_such_unless_there_is_another_danger() -> None:
    unread = HazardInput("matter", "stale", 0)
    policy = HazardPolicy(10, True, None, None, False)
    for switch, reason in (("clear", "assignment_unusable"), ("set", "no_approval"), ("stale", "no_approval")):
        inputs = (HazardInput("switch", switch, 0), unread)  # type: ignore[arg-type]
        situation = Situation(inputs, policy, None, "SN-1", None, 10, 10, 1_000, assignment_usable=False)
        assert (judge(situation).rule, judge(situation).reason) == ("R13.1", reason)

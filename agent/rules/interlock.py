"""May it record here and now: R13.1 explosion hazard, R13.2 and R13.3 restricted content, and room to record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.evidence.documents import Assignment, ExApproval, HazardPolicy, HazardZone
from agent.evidence.entries import HazardInput, Interlock
from agent.rules.explosion import why_not_covered

HazardState = Literal["clear", "set", "stale"]


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a judgement looks at, gathered in one moment."""

    inputs: tuple[HazardInput, ...]
    policy: HazardPolicy
    approval: ExApproval | None
    serial: str
    assignment: Assignment | None
    free_bytes: int
    minimum_free_bytes: int
    utc_us: int


def hazard_state(inputs: tuple[HazardInput, ...], policy: HazardPolicy) -> HazardState:
    """R13.1: any source sets the flag; an unknown or old one is stale, and so is having no source at all."""
    states = {_aged(one, policy) for one in inputs}
    if "set" in states:
        return "set"
    if not inputs or "stale" in states:
        return "stale"
    return "clear"


def _aged(one: HazardInput, policy: HazardPolicy) -> HazardState:
    return one.state if one.age_us <= policy.max_age_us or one.state == "set" else "stale"


def _zone(situation: Situation) -> HazardZone | None:
    if situation.assignment and situation.assignment.hazard:
        return situation.assignment.hazard
    return situation.policy.assumed_zone


def judge(situation: Situation) -> Interlock:
    """The answer, with what it was made from; ``rule`` and ``reason`` say why not."""
    hazard = hazard_state(situation.inputs, situation.policy)
    dangerous = hazard == "set" or (hazard == "stale" and situation.policy.stale_counts_as_set)
    uncovered = (
        why_not_covered(situation.approval, _zone(situation), situation.serial, situation.utc_us) if dangerous else None
    )
    rule, reason = _objection(situation, uncovered)
    return Interlock(
        verdict="refused" if rule else "permitted",
        rule=rule,
        reason=reason,
        hazard=hazard,
        inputs=list(situation.inputs),
        approval=situation.approval.certificate if dangerous and not uncovered and situation.approval else None,
    )


def _objection(situation: Situation, uncovered: str | None) -> tuple[str | None, str]:
    if uncovered:
        return "R13.1", uncovered
    restricted = situation.assignment.restricted if situation.assignment else None
    if restricted:
        return ("R13.3" if restricted == "other" else "R13.2"), restricted
    if situation.free_bytes < situation.minimum_free_bytes:
        return "R22", "storage_full"
    return None, "permitted"

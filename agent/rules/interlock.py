"""May it record here and now: R13.1 explosion hazard, R13.2 and R13.3 content, R16 whose unit, R22 room to record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from agent.evidence.documents import Assignment, ExApproval, HazardPolicy, HazardZone
from agent.evidence.entries import HazardInput, Interlock
from agent.rules.explosion import why_not_covered

HazardState = Literal["clear", "set", "stale"]
UNASSIGNED: Final = "unassigned"
"""The officer of a profile while nobody holds the device."""


@dataclass(frozen=True, slots=True)
class NamedZone:
    """A zone that one source of the hazard flag names; a source may name several, where zones overlap."""

    source: str
    zone: HazardZone


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a judgement looks at, gathered in one moment. None: not known, or no such limit; it refuses nothing."""

    inputs: tuple[HazardInput, ...]
    policy: HazardPolicy
    approval: ExApproval | None
    serial: str
    assignment: Assignment | None
    free_bytes: int
    minimum_free_bytes: int
    utc_us: int
    zones: tuple[NamedZone, ...] = ()
    """What the sources name; the matter's own zone stands in the assignment and needs no repeating."""
    officer: str | None = None
    minutes_left: int | None = None
    """Of the battery; None also on mains."""
    seal_minutes: int = 0
    """Below this charge a recording would be sealed at once."""
    assignment_usable: bool = True
    """False: there is an assignment, and it cannot be read."""
    temperature_millicelsius: int | None = None
    temperature_limit_millicelsius: int | None = None


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


def demanded_zones(situation: Situation) -> tuple[HazardZone | None, ...]:
    """R13.1: every zone that the approval must cover; None stands for a zone that nobody names. Empty: no danger.

    A source that is set demands what it names, else the policy's assumed zone. One that is stale, where stale counts
    as set, may hide any zone and demands the assumed one; so does having no source at all.
    """
    policy = situation.policy
    found: list[HazardZone | None] = []
    dangerous = ("set", "stale") if policy.stale_counts_as_set else ("set",)
    for one in situation.inputs:
        if _aged(one, policy) in dangerous:
            found.extend(list(_named(situation, one)) or [policy.assumed_zone])
    if not situation.inputs and "stale" in dangerous:
        found.append(policy.assumed_zone)
    return tuple(dict.fromkeys(found))


def _named(situation: Situation, one: HazardInput) -> Iterator[HazardZone]:
    if one.state != "set":
        return
    if one.source == "matter" and situation.assignment and situation.assignment.hazard:
        yield situation.assignment.hazard
    yield from (named.zone for named in situation.zones if named.source == one.source)


def judge(situation: Situation) -> Interlock:
    """The answer, with what it was made from; ``rule`` and ``reason`` say why not."""
    demanded = demanded_zones(situation)
    rule, reason = next(_objections(situation, demanded), (None, "permitted"))
    return Interlock(
        verdict="refused" if rule else "permitted",
        rule=rule,
        reason=reason,
        hazard=hazard_state(situation.inputs, situation.policy),
        inputs=list(situation.inputs),
        approval=situation.approval.certificate if demanded and rule != "R13.1" and situation.approval else None,
    )


def _objections(situation: Situation, demanded: tuple[HazardZone | None, ...]) -> Iterator[tuple[str, str]]:
    """All that speaks against it, the gravest first: life, then what must not be filmed, whose unit it is, then room.

    Only the first is entered and told. Who hears "out of room" leaves to make room; who stands in a hazardous area must
    hear that and nothing else.
    """
    for zone in demanded:
        if why := why_not_covered(situation.approval, zone, situation.serial, situation.utc_us):
            yield "R13.1", "assignment_unusable" if _only_unread(situation) else why
    if restricted := situation.assignment and situation.assignment.restricted:
        yield "R13.3" if restricted == "other" else "R13.2", restricted
    if not situation.assignment_usable:
        yield "R12.2", "assignment_unusable"
    if situation.officer == UNASSIGNED:
        yield "R16", "officer_unassigned"
    yield from _room(situation)


def _only_unread(situation: Situation) -> bool:
    """The danger is nothing but an assignment that cannot be read: its holder is told that, not to run."""
    others = (one for one in situation.inputs if one.source != "matter")
    return not situation.assignment_usable and all(_aged(one, situation.policy) == "clear" for one in others)


def _room(situation: Situation) -> Iterator[tuple[str, str]]:
    """R22: what is begun must be able to be finished and sealed."""
    if situation.free_bytes < situation.minimum_free_bytes:
        yield "R22", "storage_full"
    if situation.minutes_left is not None and situation.minutes_left < situation.seal_minutes:
        yield "R22", "battery_low"
    warmest = situation.temperature_limit_millicelsius
    measured = situation.temperature_millicelsius
    if warmest is not None and measured is not None and measured > warmest:
        yield "R22", "overheated"

"""Recorded where it may explode: R13.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.vectors.agency import HOUR_US, START_US, approval
from tests.vectors.builder import Bundle, brief, scenario
from tests.vectors.pieces import hazard_input, interlock
from tests.vectors.recorder import Recorder, Recording

SET = interlock(hazard="set", inputs=[hazard_input("set")])


def dangerous(
    name: str,
    about: str,
    found: str | None,
    lock: dict[str, Any],
    *,
    profile: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
) -> None:
    """A recording opened with such an interlock."""

    def build(b: Bundle) -> None:
        def begun(d: Recorder) -> None:
            d.begin(d.agency.profile(**(profile or {})), d.agency.policy(**(policy or {})))

        def change(d: Recorder) -> None:
            r = d.record("first", interlock=lock)
            if found:
                b.expect(found, r.at["open"][0])

        brief(b, change, begun=begun)

    scenario(name, about)(build)


UNDER, NAMED = "RECORDED_UNDER_HAZARD", {"approval": "SAMPLE-EX-1"}
STALE_IS_CLEAR = {
    "hazard": {
        "max_age_us": 10_000_000,
        "stale_counts_as_set": False,
        "assumed_zone": None,
        "zone_map": None,
        "power_down": False,
    }
}

dangerous("hazard-set", "Recorded under the hazard flag.", UNDER, SET)
dangerous("hazard-set-said-clear", "The interlock says clear; one of its inputs is set.", UNDER, interlock(inputs=[hazard_input("clear"), hazard_input("set", source="zone_map")]))
dangerous("hazard-input-old", "The only input is clear, and a microsecond too old.", UNDER, interlock(inputs=[hazard_input("clear", 10_000_001)]))
dangerous("good-hazard-input-at-limit", "The only input is clear, and as old as it may be.", None, interlock(inputs=[hazard_input("clear", 10_000_000)]))
dangerous("hazard-input-stale", "One input is clear, another says that it is stale.", UNDER, interlock(inputs=[hazard_input("clear"), hazard_input("stale", source="matter")]))
dangerous("hazard-no-input", "No input said anything.", UNDER, interlock(inputs=[]))
dangerous("hazard-old-and-set", "An input is set, and old: set it stays.", UNDER, interlock(inputs=[hazard_input("set", 99_000_000)]), policy=STALE_IS_CLEAR)
dangerous("good-hazard-no-input-allowed", "No input said anything, and stale does not count as set.", None, interlock(inputs=[]), policy=STALE_IS_CLEAR)
dangerous("hazard-approval-made-up", "The interlock names an approval; the profile has none.", UNDER, SET | NAMED)
dangerous("hazard-approval-of-other-number", "The interlock names another approval than the profile's.", UNDER, SET | {"approval": "SAMPLE-EX-2"}, profile={"ex_approval": approval()})
dangerous("hazard-approval-not-named", "The profile has an approval, the interlock does not name it.", UNDER, SET, profile={"ex_approval": approval()})
dangerous("hazard-approval-expired", "The approval ended before the recording.", UNDER, SET | NAMED, profile={"ex_approval": approval(expires_us=START_US - HOUR_US)})
dangerous("hazard-approval-of-other-unit", "The approval is for another unit.", UNDER, SET | NAMED, profile={"ex_approval": approval(unit_serial="SAMPLE-0002")})
dangerous("good-hazard-approval-of-profile-s-unit", "The approval is for the unit of the profile, whatever genesis says.", None, SET | NAMED, profile={"serial": "SAMPLE-0002", "ex_approval": approval(unit_serial="SAMPLE-0002")})
dangerous("good-hazard-stale-approved", "A stale input, and an approval that covers what it might be.", None, interlock(hazard="stale", inputs=[], **NAMED), profile={"ex_approval": approval()})
dangerous("recorded-though-refused", "The interlock refused, and it was recorded all the same.", "RECORDED_THOUGH_REFUSED", interlock(verdict="refused", rule="R13.1", reason="hazard"))


@scenario("recorded-though-refused-under-hazard", "The interlock refused because of the hazard flag, and it was recorded all the same: both.")
def refused_under_hazard(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.record("first", interlock=SET | {"verdict": "refused", "rule": "R13.1", "reason": "hazard"})
        b.expect(UNDER, r.at["open"][0])
        b.expect("RECORDED_THOUGH_REFUSED", r.at["open"][0])

    brief(b, change)


def approved_until(b: Bundle, late_us: int) -> Recorder:
    """One recording under an approval; how much later than its end the recording is opened."""
    end_us = time_of_open(b) - late_us

    def change(d: Recorder) -> None:
        d.record("first", interlock=SET | NAMED)

    return brief(b, change, begun=lambda d: d.begin(d.agency.profile(ex_approval=approval(expires_us=end_us))))


def time_of_open(b: Bundle) -> int:
    """Entries come at the same times whatever a profile says."""
    d = Recorder(b.agency)
    d.begin()
    d.start("first")
    return d.true_us


@scenario("hazard-approval-ends-at-open", "The approval ended at the very moment of the opening.")
def approval_ends_at_open(b: Bundle) -> None:
    b.expect(UNDER, approved_until(b, 0).recordings["first"].at["open"][0])


@scenario("good-hazard-approval-ends-after-open", "The approval ended a microsecond after the opening.")
def approval_ends_after_open(b: Bundle) -> None:
    approved_until(b, -1)


def flagged(
    name: str,
    about: str,
    found: bool,
    go_on: Callable[[Recorder, Recording, int], None],
    state: str = "set",
    profile: dict[str, Any] | None = None,
) -> None:
    """The flag changes within a recording; ``go_on`` gets the monotonic time until which frames may be taken."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.start("first")
            d.segment(r)
            d.mark(r)
            seq = d.enter("hazard", {"state": state, "inputs": [hazard_input(state)]})
            go_on(d, r, d.mono_us + 2_000_000)
            d.close(r, reason="hazard")
            if found:
                b.expect(UNDER, seq)

        brief(b, change, begun=lambda d: d.begin(d.agency.profile(**(profile or {}))))

    scenario(name, about)(build)


def until(offset_us: int) -> Callable[[Recorder, Recording, int], None]:
    """The last segment ends so much later than it may."""

    def go_on(d: Recorder, r: Recording, limit: int) -> None:
        d.segment(r, duration_us=limit + offset_us - r.film_us - r.end_us)

    return go_on


def photo_until(offset_us: int) -> Callable[[Recorder, Recording, int], None]:
    def go_on(d: Recorder, r: Recording, limit: int) -> None:
        d.photo(r, captured_us=limit + offset_us)

    return go_on


def long_after(d: Recorder, r: Recording, limit: int) -> None:
    for _ in range(3):
        d.segment(r)


def twice(d: Recorder, r: Recording, limit: int) -> None:
    d.enter("hazard", {"state": "set", "inputs": [hazard_input("set")]})
    long_after(d, r, limit)


def after_clear(d: Recorder, r: Recording, limit: int) -> None:
    d.enter("hazard", {"state": "clear", "inputs": [hazard_input("clear")]})
    long_after(d, r, limit)


def photo_in_second_run(d: Recorder, r: Recording, limit: int) -> None:
    d.boot()
    d.photo(r, captured_us=limit + 1)


flagged("hazard-set-meanwhile", "The flag was set within a recording; its film ends a microsecond later than it may.", True, until(1))
flagged("good-hazard-set-meanwhile-stopped", "The flag was set within a recording; its film ends as late as it may.", False, until(0))
flagged("hazard-set-meanwhile-photo", "The flag was set within a recording; a photo was taken a microsecond later than it may.", True, photo_until(1))
flagged("good-hazard-set-meanwhile-photo", "The flag was set within a recording; a photo was taken as late as it may.", False, photo_until(0))
flagged("hazard-set-meanwhile-twice", "The flag was set twice, and recording went on: found at the first.", True, twice)
flagged("hazard-set-meanwhile-and-clear", "The flag was set and cleared, and recording went on all the time.", True, after_clear)
flagged("good-hazard-set-meanwhile-approved", "The flag was set within a recording of a unit that is approved, and it went on.", False, long_after, profile={"ex_approval": approval()})
flagged("hazard-set-meanwhile-approval-over", "The flag was set within a recording, when the unit's approval had ended.", True, long_after, profile={"ex_approval": approval(expires_us=START_US)})
flagged("hazard-set-meanwhile-approval-of-other-unit", "The flag was set within a recording; the approval is another unit's.", True, long_after, profile={"ex_approval": approval(unit_serial="SAMPLE-0002")})
flagged("good-hazard-stale-meanwhile", "The flag's inputs went stale within a recording, and it went on.", False, long_after, "stale")
flagged("good-hazard-clear-meanwhile", "The flag was entered as clear within a recording, and it went on.", False, long_after, "clear")
flagged("good-hazard-other-run", "The flag was set within a recording; a photo of another run is later by a clock that says nothing here.", False, photo_in_second_run)


@scenario("hazard-set-before-opening", "The flag was set before the recording: that is the interlock's to say.")
def hazard_set_before_opening(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.enter("hazard", {"state": "set", "inputs": [hazard_input("set")]})
        r = d.record("first", interlock=SET)
        b.expect(UNDER, r.at["open"][0])

    brief(b, change)

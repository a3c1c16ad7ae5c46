"""Gathers the facts that a judgement looks at: every source of the hazard flag, whose unit it is, and what is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from agent.errors import HardwareError, TrustError
from agent.evidence.documents import Assignment, TrustBundle
from agent.evidence.entries import HazardInput
from agent.hardware.parts import ClockReading, Fix, Parts, PowerReading, TimeSource
from agent.recorder.credentials import Documents
from agent.recorder.facts import seconds_of_space
from agent.recorder.hazard_sources import FlagKeeper, load_zone_map
from agent.recorder.settings import EncoderSettings, RecorderSettings
from agent.rules.flag import Moment, command_input
from agent.rules.interlock import NamedZone, Situation
from agent.rules.reserves import Limits, Vitals
from agent.rules.zones import Located, Place, ZoneMap, locate
from agent.system.logs import logger

T = TypeVar("T")
HOTTEST_MILLICELSIUS: Final = 85_000
"""No recording starts above: there the board slows its processor down, and frames would be lost."""

SEAL_BYTES: Final = 64 << 20
"""Room that a recording leaves: for what is being sealed, for the entries of its end, and for the next start."""

log = logger("recorder")


class SituationReader:
    """Reads parts, map and flag; decides nothing. Belongs to the main loop."""

    def __init__(
        self,
        parts: Parts,
        trust: TrustBundle,
        documents: Documents,
        *,
        credentials: Path,
        evidence: Path,
        command_demanded: bool,
    ) -> None:
        """``command_demanded``: without a flag of the agency the hazard is unknown, even before the first has come."""
        self._parts, self._credentials, self._demanded = parts, credentials, command_demanded
        self._said: dict[str, str] = {}
        self.flags = FlagKeeper(evidence, trust, documents.profile.device)
        self.use(documents)

    def use(self, documents: Documents) -> None:
        """From now on these documents count; their zone map is read. A map that cannot be used is logged, and stale."""
        self._documents = documents
        self._map: ZoneMap | None = None
        digest = documents.policy.hazard.zone_map
        if digest is not None:
            try:
                self._map = load_zone_map(self._credentials, digest)
            except TrustError as error:
                log.error("zone map unusable", code=error.code, why=str(error))

    def read(self, assignment: Assignment | None, matter_known: bool = True) -> Situation:
        """Everything, now. ``matter_known`` False: there is an assignment, and it cannot be read."""
        clock = self._parts.clock.read()
        inputs, zones = self._sources(clock, assignment, matter_known)
        profile, policy = self._documents.profile, self._documents.policy
        return Situation(
            inputs=tuple(inputs),
            policy=policy.hazard,
            approval=profile.ex_approval,
            serial=profile.serial,
            assignment=assignment,
            free_bytes=self._parts.storage.free_bytes(),
            minimum_free_bytes=policy.minimum_free_bytes,
            utc_us=clock.utc_us,
            zones=tuple(zones),
            officer=profile.officer,
            assignment_usable=matter_known,
            minutes_left=self._minutes_left(),
            seal_minutes=policy.battery.seal_minutes,
            temperature_millicelsius=self._temperature(),
            temperature_limit_millicelsius=HOTTEST_MILLICELSIUS,
        )

    def power(self) -> PowerReading:
        """What the gauge says; nothing at all where it does not answer."""
        return self._ask("power", self._parts.power.read) or PowerReading(None, None, None)

    def vitals(self, encoder: EncoderSettings) -> Vitals:
        """What the unit lives on, now."""
        power, free_bytes = self.power(), self._parts.storage.free_bytes()
        return Vitals(
            free_bytes=free_bytes,
            storage_minutes=seconds_of_space(free_bytes, self._documents.policy.minimum_free_bytes, encoder) // 60,
            battery_percent=power.percent,
            battery_minutes=None if power.on_mains else power.minutes_left,
            millicelsius=self._temperature(),
        )

    def limits(self, settings: RecorderSettings) -> Limits:
        """When to warn and when to seal."""
        policy = self._documents.policy
        return Limits(
            battery_alarm_minutes=policy.battery.alarm_minutes,
            battery_seal_minutes=policy.battery.seal_minutes,
            storage_alarm_minutes=settings.storage_alarm_minutes,
            storage_seal_bytes=min(SEAL_BYTES, policy.minimum_free_bytes // 2),
            alarm_millicelsius=settings.alarm_celsius * 1000,
            seal_millicelsius=HOTTEST_MILLICELSIUS,
        )

    def _sources(
        self, clock: ClockReading, assignment: Assignment | None, matter_known: bool
    ) -> tuple[list[HazardInput], list[NamedZone]]:
        located = self._located()
        command = command_input(self.flags.flag, _moment(clock), self._demanded or self.flags.lost)
        sources = [
            self._switch(),
            HazardInput("zone_map", located.state, located.age_us) if located else None,
            _matter(assignment, matter_known),
            command,
        ]
        zones = [NamedZone("zone_map", area.zone) for area in located.areas] if located else []
        flag = self.flags.flag
        if command and command.state == "set" and flag and flag.zone:
            zones.append(NamedZone("command", flag.zone))
        return [one for one in sources if one], zones

    def _switch(self) -> HazardInput | None:
        switch = self._parts.hazard_switch
        if switch is None:
            return None
        active = self._ask("hazard switch", lambda: switch.active)
        return HazardInput("switch", "stale" if active is None else "set" if active else "clear", 0)

    def _located(self) -> Located | None:
        """What the map says; None when the policy names none. Without positioning a map is of no help: stale."""
        policy = self._documents.policy.hazard
        if policy.zone_map is None:
            return None
        if self._map is None or self._parts.positioning is None:
            return Located("stale", 0)
        fix = self._parts.positioning.fix()
        return locate(self._map, _place(fix, time.monotonic_ns()) if fix else None, policy.max_age_us)

    def _minutes_left(self) -> int | None:
        power = self.power()
        return None if power.on_mains else power.minutes_left

    def _temperature(self) -> int | None:
        return self._ask("thermometer", self._parts.thermometer.read) if self._parts.thermometer else None

    def _ask(self, part: str, question: Callable[[], T]) -> T | None:
        """What a part says, or None. Trouble is logged once, not once a second, and so is its end."""
        try:
            answer = question()
        except HardwareError as error:
            if self._said.get(part) != str(error):
                self._said[part] = str(error)
                log.error("part does not answer", part=part, code=error.code, why=str(error))
            return None
        if self._said.pop(part, None):
            log.info("part answers again", part=part)
        return answer


def _matter(assignment: Assignment | None, known: bool) -> HazardInput | None:
    if not known:
        return HazardInput("matter", "stale", 0)
    return HazardInput("matter", "set" if assignment.hazard else "clear", 0) if assignment else None


def _place(fix: Fix, now_ns: int) -> Place:
    # Taken and looked at by two threads: a position of this very moment may seem to be a little ahead.
    age_us = max(0, now_ns - fix.taken_ns) // 1000
    return Place(fix.longitude, fix.latitude, fix.error_metres, age_us)


def _moment(clock: ClockReading) -> Moment:
    """RTC and none at all: since this boot nobody has confirmed the time."""
    vouched = clock.source in (TimeSource.GNSS, TimeSource.NTP)
    return Moment(clock.utc_us, clock.error_us if vouched else None)

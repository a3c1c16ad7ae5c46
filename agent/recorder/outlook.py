"""What the state machine is told of the world: situation, matter, clock, reserves; each as an event. Main loop."""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

from agent.errors import ConfigError, FormatError, RefusedError, TrustError
from agent.evidence.documents import TrustBundle
from agent.evidence.entries import Clock as ClockEntry
from agent.hardware.parts import ClockReading, Parts, PowerReading
from agent.hardware.prompts import Prompt
from agent.recorder import machine
from agent.recorder.assignments import AssignmentBook, Tasking, judged_by
from agent.recorder.credentials import Documents
from agent.recorder.settings import RecorderSettings
from agent.recorder.situation import SituationReader
from agent.recorder.timekeeping import change, is_trusted
from agent.rules.interlock import Situation, hazard_state, judge
from agent.system.logs import logger

FRESH_FIX_NS: Final = 10_000_000_000

log = logger("recorder")


class Outlook:
    """Reads parts and papers; decides nothing."""

    def __init__(self, settings: RecorderSettings, parts: Parts, trust: TrustBundle, documents: Documents) -> None:
        self._settings, self._parts = settings, parts
        self._situations = SituationReader(
            parts,
            trust,
            documents,
            credentials=settings.credentials,
            evidence=settings.evidence,
            command_demanded=settings.hazard_command,
        )
        self.assignments = AssignmentBook(
            settings.assignment,
            settings.evidence,
            trust,
            documents.profile.device,
            unsigned_codes=settings.unsigned_codes,
        )
        self._tasking = Tasking()
        self._refused_assignment = b""
        self._unusable = ""
        """What was last logged of an assignment that cannot be used."""
        self.hazard_refuses = False
        """R13.1 forbade recording when the flag was last read; for a screen."""
        self.clock: ClockReading = parts.clock.read()

    def use(self, documents: Documents) -> None:
        """From now on these documents count."""
        self._situations.use(documents)

    def power(self) -> PowerReading:
        """What the gauge says."""
        return self._situations.power()

    def situation(self) -> tuple[Situation, Tasking]:
        """Everything that a judgement looks at, and the matter with its source."""
        try:
            tasking = self.assignments.read()
        except FormatError as error:
            # What the matter demands is unknown then, which is one more input, and the other inputs still count.
            if str(error) != self._unusable:
                log.error("assignment unusable", why=str(error))
            self._unusable, self._tasking = str(error), Tasking()
            return self._situations.read(None, matter_known=False), Tasking()
        self._unusable, self._tasking = "", tasking
        return self._situations.read(tasking.assignment), tasking

    def pressed(self, kind: machine.Kind) -> machine.Pressed:
        """A press at this moment."""
        situation, tasking = self.situation()
        return machine.Pressed(
            kind,
            secrets.token_hex(8),
            situation,
            now_us(),
            tasking.source,
            time_trusted=is_trusted(self.clock),
            position_known=self._position_known(),
        )

    def _position_known(self) -> bool:
        if self._parts.positioning is None:
            return True
        fix = self._parts.positioning.fix()
        return fix is not None and time.monotonic_ns() - fix.taken_ns <= FRESH_FIX_NS

    def hazard(self, recording: machine.Recording | None) -> machine.HazardChanged:
        """The flag at this moment; for a recording under way also by the matter that it was opened with."""
        situation, tasking = self.situation()
        judged = judged_by(recording.assignment, tasking.assignment) if recording else tasking.assignment
        if judged != tasking.assignment and not self._unusable:
            situation = self._situations.read(judged)
        self.hazard_refuses = judge(situation).rule == "R13.1"
        return machine.HazardChanged(hazard_state(situation.inputs, situation.policy), situation, now_us())

    def measured(self) -> machine.Measured:
        """What the unit lives on, at this moment."""
        vitals = self._situations.vitals(self._settings.encoder)
        return machine.Measured(vitals, self._situations.limits(self._settings), now_us())

    def clock_change(self) -> ClockEntry | None:
        """Reads the clock; what is to be entered since the last reading."""
        before, self.clock = self.clock, self._parts.clock.read()
        return change(before, self.clock)

    # What arrives

    def take_flag(self, token: bytes) -> bool:
        """R13.1: a hazard flag; whether it is newer than the one held. A false one is logged. Raises StorageError."""
        try:
            newer = self._situations.flags.take(token)
        except TrustError as error:
            log.error("hazard flag refused", code=error.code, why=str(error))
            return False
        if newer:
            log.info("hazard flag", state=self._situations.flags.flag and self._situations.flags.flag.state)
        return newer

    def take_assignment(self, token: bytes, phase: machine.Phase) -> machine.Reassigned | Prompt | None:
        """R12.2: what dispatch sent; the event or the prompt that follows. Raises StorageError."""
        try:
            return self.reassigned("dispatch", phase) if self.assignments.take_dispatch(token) else None
        except (TrustError, ConfigError) as error:
            log.error("assignment refused", code=error.code, why=str(error))
            known, self._refused_assignment = token == self._refused_assignment, token
            return None if known else Prompt.ASSIGNMENT_REFUSED  # once, not with every connection

    def take_code(self, text: str, phase: machine.Phase) -> machine.Reassigned | Prompt | None:
        """R12.2: a code was shown to the camera while its pictures are thrown away. Raises StorageError."""
        try:
            return self.reassigned("code", phase) if self.assignments.take_code(text) else None
        except (FormatError, TrustError, ConfigError, RefusedError) as error:
            log.error("code refused", code=error.code, why=str(error))
            return Prompt.ASSIGNMENT_REFUSED

    def reassigned(self, way: str, phase: machine.Phase) -> machine.Reassigned | Prompt | None:
        """Before the recording is open the new matter becomes its own, if with it the recording is still permitted."""
        before = self._tasking
        situation, tasking = self.situation()
        if tasking == before:
            return None
        log.info("reassigned", way=way, matter=tasking.assignment and tasking.assignment.matter)
        if not tasking.assignment:
            return None
        in_notice = phase is machine.Phase.NOTICE
        return machine.Reassigned(situation, tasking.source) if in_notice else Prompt.ASSIGNMENT_TAKEN

    def matter(self, recording: machine.Recording | None) -> dict[str, Any]:
        """For a screen: its number alone, for whose matter it is, and where, is nothing for one."""
        shown: machine.Recording | Tasking = recording or self._tasking
        number = shown.assignment.matter if shown.assignment else None
        return {"number": number, "source": shown.source if number else None, "unusable": bool(self._unusable)}


def now_us() -> int:
    """CLOCK_MONOTONIC in microseconds."""
    return time.monotonic_ns() // 1000

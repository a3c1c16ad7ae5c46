"""The state machine: whatever happens in whatever order, the rules of the regulation hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from machine_samples import END, ID, RECORDING, REF, ended, hazard, kinds, pressed, run, second, situation

from agent.evidence.entries import (
    Close,
    Docked,
    Gap,
    Hazard,
    Heard,
    Mark,
    Notice,
    Open,
    Photo,
    Refused,
    Restricted,
    Segment,
)
from agent.hardware.prompts import Prompt
from agent.recorder import ending, machine, reducer, starting, watching
from agent.recorder.machine import (
    AttestOral,
    CaptureEnded,
    CoolDown,
    CutNotice,
    DockChanged,
    Enter,
    Finish,
    GoOff,
    HoldFrames,
    MarkAsked,
    OffAsked,
    PartLost,
    Phase,
    PhotoSealed,
    PlayNotice,
    Pressed,
    Reassigned,
    RestrictedDeclared,
    RotateKey,
    SegmentSealed,
    State,
    StopAsked,
    Store,
    TakePhoto,
    Tell,
    WarmUp,
)
from agent.recorder.reducer import reduce
from agent.recorder.starting import ORAL_WAIT_US
from agent.rules.interlock import judge
from agent.rules.sequence import notice_served


def test_one_press_plays_the_notice_warms_the_camera_up_and_stores_only_after_open() -> None:
    state, actions = run(*RECORDING)
    assert state.phase is Phase.RECORDING
    assert kinds(actions) == [PlayNotice, WarmUp, HoldFrames, Notice, Open, Store, Tell]
    assert HoldFrames(2_000) in actions, "not one frame from before the end of the notice"


def test_the_open_entry_names_the_matter_and_nothing_personal() -> None:
    _, actions = run(*RECORDING)
    opened = next(a.body for a in actions if isinstance(a, Enter) and isinstance(a.body, Open))
    assert (opened.action, opened.stage, opened.matter) == ("inspection", "investigation", "matter-1")
    assert (opened.particulars, opened.recipients) == (REF, ["age1x"])
    assert "样例" not in repr(opened)


@pytest.mark.parametrize(
    ("about", "rule_id", "prompt"),
    [
        ({"hazard": "set"}, "R13.1", Prompt.REFUSED_HAZARD),
        ({"hazard": "stale"}, "R13.1", Prompt.REFUSED_HAZARD),
        ({"restricted": "privacy"}, "R13.2", Prompt.REFUSED_RESTRICTED),
        ({"restricted": "other"}, "R13.3", Prompt.REFUSED_RESTRICTED),
        ({"free": 9}, "R22", Prompt.REFUSED_STORAGE),
        ({"officer": "unassigned"}, "R16", Prompt.OFFICER_UNASSIGNED),
        ({"assignment_usable": False}, "R12.2", Prompt.REFUSED_ASSIGNMENT),
    ],
)
def test_a_refused_press_is_entered_and_said_and_starts_nothing(
    about: dict[str, object], rule_id: str, prompt: Prompt
) -> None:
    state, actions = run(pressed(**about))
    assert (state.phase, state.recording) == (Phase.BLOCKED, None)
    assert kinds(actions) == [Refused, Tell]
    assert actions[0].body.rule == rule_id  # type: ignore[union-attr]
    assert actions[1] == Tell(prompt)
    assert run(pressed(), state=state)[0].phase is Phase.NOTICE, "the next press is judged anew"


@pytest.mark.parametrize("about", [{"outcome": "failed"}, {"underruns": 1}, {"frames_consumed": 8},
                                   {"heard": Heard("not_heard", 1, -9000)}])  # fmt: skip
def test_a_notice_that_was_not_served_opens_nothing_and_asks_for_the_officers_own_words(
    about: dict[str, object],
) -> None:
    state, actions = run(pressed(), ended(**about))
    assert state.phase is Phase.BLOCKED
    assert kinds(actions)[2:] == [CoolDown, Notice, Tell]
    assert actions[-1] == Tell(Prompt.NOTICE_FAILED)


def test_a_second_press_within_half_a_minute_means_told_in_person_and_a_later_one_plays_again() -> None:
    state, _ = run(pressed(), ended(outcome="failed"))
    assert kinds(run(pressed(at_us=2_000 + ORAL_WAIT_US - 1), state=state)[1]) == [WarmUp, AttestOral]
    assert kinds(run(pressed(at_us=2_000 + ORAL_WAIT_US), state=state)[1]) == [PlayNotice, WarmUp]


def test_the_word_of_the_officer_opens_a_recording_even_where_the_notice_must_be_heard() -> None:
    state, _ = run(pressed(), ended(outcome="failed"), pressed(at_us=3_000))
    oral = ended(must_be_heard=True, means="oral", frames_total=0, frames_consumed=0)
    assert kinds(run(oral, state=state)[1]) == [HoldFrames, Notice, Open, Store, Tell]


@pytest.mark.parametrize("event", [StopAsked("button"), hazard("set"), DockChanged(True),
                                   PartLost(Gap(ID, "camera", None, 0), True, "gone")])  # fmt: skip
def test_what_ends_a_notice_cuts_it_and_nothing_is_stored_even_if_it_had_been_completed(event: machine.Event) -> None:
    state, actions = run(pressed(), event, ended())
    assert CutNotice in kinds(actions)
    assert Store not in kinds(actions)
    assert Open not in kinds(actions)
    assert kinds(actions)[-2:] == [CoolDown, Notice], "the notice itself is entered"
    assert state.recording is None


def test_a_hazard_that_clears_again_does_not_revive_a_cut_notice() -> None:
    _, actions = run(pressed(), hazard("set"), hazard("clear"), ended())
    assert Store not in kinds(actions)


RESTS = {
    "docked": Phase.DOCKED,
    "hazard": Phase.BLOCKED,
    "camera": Phase.FAULT,
    "microphone": Phase.FAULT,
    "fault": Phase.FAULT,
    "shutdown": Phase.OFF_DUTY,
}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (StopAsked("button"), "button"),
        (StopAsked("command"), "command"),
        (OffAsked(), "shutdown"),
        (RestrictedDeclared("privacy", None), "restricted"),
        (second(free_bytes=99), "storage_full"),
        (second(battery_minutes=2), "battery"),
        (second(millicelsius=85_001), "overheated"),
        (hazard("set"), "hazard"),
        (hazard("stale"), "hazard"),
        (DockChanged(True), "docked"),
        (PartLost(Gap(ID, "camera", None, 0), True, ""), "camera"),
        (PartLost(Gap(ID, "microphone", None, 0), True, ""), "microphone"),
        (PartLost(Gap(ID, "storage", None, 0), True, "", full=True), "storage_full"),
        (PartLost(Gap(ID, "storage", None, 0), True, ""), "fault"),
        (PartLost(Gap(ID, "encoder", None, 0), True, ""), "fault"),
    ],
)
def test_every_cause_of_an_end_is_the_reason_of_its_close_and_the_key_is_dropped(
    event: machine.Event, reason: str
) -> None:
    state, actions = run(*RECORDING, event)
    assert state.phase is Phase.SEALING
    assert Finish in kinds(actions)
    state, actions = run(END, state=state)
    assert kinds(actions)[:3] == [Close, RotateKey, Tell]
    assert actions[0] == Enter(Close(ID, reason, 3, 75, 0, 3_000_000))  # type: ignore[arg-type]
    assert state.phase is RESTS.get(reason, Phase.READY)


def test_a_capture_that_ends_by_itself_is_a_fault() -> None:
    _, actions = run(*RECORDING, END)
    assert Enter(Close(ID, "fault", 3, 75, 0, 3_000_000)) in actions


def test_dropped_frames_are_entered_as_they_are_told_and_the_close_has_their_total() -> None:
    told = PartLost(Gap(ID, "overload", None, 7), False, "")
    _, actions = run(*RECORDING, told, StopAsked("button"), replace(END, dropped=7))
    assert kinds(actions)[-5:] == [Gap, Finish, Close, RotateKey, Tell]
    assert Enter(told.gap) in actions


def test_a_microphone_lost_while_recording_is_a_gap_and_the_recording_goes_on() -> None:
    lost = PartLost(Gap("", "microphone", None, 0), False, "gone")
    state, actions = run(*RECORDING, lost)
    assert state.phase is Phase.RECORDING
    assert actions[-2:] == [Enter(Gap(ID, "microphone", None, 0)), Tell(Prompt.MICROPHONE_LOST)]
    _, actions = run(PartLost(Gap("", "microphone", 900, 0), False, "back"), state=state)
    assert actions == [Enter(Gap(ID, "microphone", 900, 0)), Tell(Prompt.MICROPHONE_BACK)]


def test_a_microphone_lost_during_the_notice_is_a_gap_once_the_recording_is_open() -> None:
    _, actions = run(pressed(), PartLost(Gap("", "microphone", None, 0), False, "gone"), ended())
    assert kinds(actions)[-5:] == [Notice, Open, Gap, Store, Tell]


def test_marks_and_photos_belong_to_a_running_recording_and_mean_nothing_without_one() -> None:
    for before in ([], [pressed()], [*RECORDING, StopAsked("button")]):
        state, _ = run(*before)
        assert run(MarkAsked("moment", 5, 3_000), state=state)[1] == []
        assert TakePhoto not in kinds(run(pressed(kind="photo"), state=state)[1])
    state, _ = run(*RECORDING)
    _, actions = run(MarkAsked("site_sign", 5, 3_000), pressed(kind="photo"), state=state)
    assert kinds(actions) == [Mark, Tell, TakePhoto]


def test_a_photo_alone_ends_by_itself_with_its_reason() -> None:
    still = PhotoSealed(Photo(ID, REF, 0, 5))
    _, actions = run(pressed(kind="photo"), ended(), still, replace(END, segments=0, frames=0, duration_us=0))
    assert kinds(actions)[-6:] == [Photo, Tell, Finish, Close, RotateKey, Tell]
    assert Enter(Close(ID, "photo", 0, 0, 0, 0)) in actions


def test_docking_is_entered_and_a_press_in_the_dock_means_nothing() -> None:
    state, actions = run(DockChanged(True), DockChanged(True))
    assert (state.phase, kinds(actions)) == (Phase.DOCKED, [Docked, Tell])
    assert run(pressed(), state=state) == (state, [])
    assert run(DockChanged(False), state=state)[0].phase is Phase.READY


def test_a_visit_to_the_dock_ends_the_wait_for_the_officers_own_words() -> None:
    state, _ = run(pressed(), ended(outcome="failed"), DockChanged(True), DockChanged(False))
    assert kinds(run(pressed(at_us=3_000), state=state)[1]) == [PlayNotice, WarmUp]


def test_a_change_of_the_hazard_is_entered_once() -> None:
    _, actions = run(hazard("set"), hazard("set"), hazard("clear"))
    assert kinds(actions) == [Hazard, Hazard]


def test_there_is_no_event_and_no_phase_that_pauses() -> None:
    names = " ".join([kind.__name__ for kind in machine.Event.__args__] + list(Phase))  # type: ignore[attr-defined]
    names += " ".join(kind.__name__ for kind in machine.Action.__args__)  # type: ignore[attr-defined]
    assert not any(word in names.lower() for word in ("pause", "resume", "suspend"))
    assert Path(machine.__file__).read_text().lower().count("pause") == 1, "only to say that there is none"
    for module in (reducer, starting, ending, watching):
        assert "pause" not in Path(module.__file__).read_text().lower()


RESTING = (Phase.READY, Phase.BLOCKED, Phase.FAULT)
RECORDINGS = st.integers(0, 2).map("{:016x}".format)
KINDS, MEANS = st.sampled_from(["video", "audio", "photo", "fixed"]), st.sampled_from(["played", "oral", "posted"])
STATES = st.sampled_from(["clear", "set", "stale"])


class AnyOrder(RuleBasedStateMachine):
    """Feeds events in any order, as a shell would at its worst, and watches what the machine asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.served: str | None = None
        self.refusing = False
        self.storing = False
        self.kind = "video"
        self.now_us = 0
        self.number = 100

    def feed(self, event: machine.Event) -> None:
        before = self.state
        self.state, actions = reduce(self.state, event)
        self.kind = self.state.recording.kind if self.state.recording else self.kind
        for action in actions:
            self.watch(action, before)
        if isinstance(event, Pressed) and before.phase in RESTING:
            refused = judge(event.situation).verdict == "refused"
            assert refused == (Refused in kinds(actions)), "a refusal is an entry, and nothing else is"
            assert not (refused and (PlayNotice in kinds(actions) or WarmUp in kinds(actions)))

    def watch(self, action: machine.Action, before: State) -> None:
        match action:
            case Enter(Notice() as notice):
                self.served = notice.recording if notice_served(notice, False, self.kind) else None
            case Enter(Open(recording=recording)):
                assert self.served == recording, "R12.1: notice first"
                assert recording not in self.opened, "opened once"
                assert len(self.opened) == len(self.closed), "one at a time"
                self.opened.append(recording)
            case Enter(Close(recording=recording, reason=reason)):
                assert recording == self.opened[-1]
                assert recording not in self.closed
                assert reason
                self.closed.append(recording)
                self.storing = False
            case Enter(Restricted(recording=recording)):
                assert recording == (self.opened[-1] if len(self.opened) > len(self.closed) else None)
            case GoOff():
                assert self.opened == self.closed, "sealed first"
            case Enter(Segment(recording=recording) | Mark(recording=recording) | Photo(recording=recording)):
                assert recording == self.opened[-1]
                assert recording not in self.closed
            case Store():
                assert self.opened[len(self.closed) :] == [self.served], "R12.1: open first"
                assert not self.refusing, "R13.1"
                self.storing = True
            case _:
                pass

    @rule(kind=KINDS, state=STATES, restricted=st.sampled_from([None, "privacy"]))
    def press(self, kind: str, state: str, restricted: str | None) -> None:
        self.number += 1
        self.now_us += 1_000
        event = pressed(f"{self.number:016x}", self.now_us, kind, hazard=state, restricted=restricted)
        if self.state.phase in RESTING:
            self.refusing = judge(event.situation).rule == "R13.1"
        self.feed(event)

    @rule(own=st.booleans(), other=RECORDINGS, completed=st.booleans(), means=MEANS)
    def notice_ends(self, own: bool, other: str, completed: bool, means: str) -> None:
        recording = self.state.recording.id if own and self.state.recording else other
        self.now_us += 1_000
        self.feed(ended(recording, self.now_us, outcome="completed" if completed else "failed", means=means))

    @rule(state=STATES, power_down=st.sampled_from([False, False, True]))
    def hazard_is_read(self, state: str, power_down: bool) -> None:
        self.refusing = judge(situation(state)).rule == "R13.1"
        self.feed(hazard(state, power_down))

    @rule(state=STATES, restricted=st.sampled_from([None, "privacy"]))
    def code_is_shown(self, state: str, restricted: str | None) -> None:
        event = Reassigned(situation(state, restricted), "qr")
        if self.state.phase is Phase.NOTICE and self.state.recording and not self.state.recording.cancelled:
            self.refusing = judge(event.situation).rule == "R13.1"
        self.feed(event)

    @rule(content=st.sampled_from(["privacy", "other"]))
    def restricted_is_declared(self, content: str) -> None:
        self.feed(RestrictedDeclared(content, None))  # type: ignore[arg-type]

    @rule(minutes=st.sampled_from([300, 10, 2]), free=st.sampled_from([10_000, 50]), hot=st.booleans())
    def second_passes(self, minutes: int, free: int, hot: bool) -> None:
        self.now_us += 1_000_000
        self.feed(second(self.now_us, battery_minutes=minutes, free_bytes=free, millicelsius=86_000 if hot else 40_000))

    @rule(docked=st.booleans())
    def dock(self, docked: bool) -> None:
        self.feed(DockChanged(docked))

    @rule(reason=st.sampled_from(["button", "command"]))
    def stop(self, reason: str) -> None:
        self.feed(StopAsked(reason))  # type: ignore[arg-type]

    @rule(cause=st.sampled_from(["camera", "microphone", "storage", "encoder"]), ends=st.booleans())
    def part_is_lost(self, cause: str, ends: bool) -> None:
        self.feed(PartLost(Gap(ID, cause, None, 0), ends, ""))  # type: ignore[arg-type]

    @rule(own=st.booleans(), dropped=st.integers(0, 1))
    def capture_ends(self, own: bool, dropped: int) -> None:
        recording = self.state.recording.id if own and self.state.recording else ID
        self.feed(CaptureEnded(recording, 1, 1, dropped, 1))

    @rule(own=st.booleans(), photo=st.booleans())
    def object_is_sealed(self, own: bool, photo: bool) -> None:
        recording = self.state.recording.id if own and self.state.recording else ID
        if photo:
            self.feed(PhotoSealed(Photo(recording, REF, 0, 0)))
        else:
            self.feed(SegmentSealed(Segment(recording, 0, REF, 0, 0, None, 0, False)))

    @rule(kind=st.sampled_from(["moment", "site_sign"]))
    def officer_marks(self, kind: str) -> None:
        self.feed(MarkAsked(kind, 1, self.now_us))  # type: ignore[arg-type]

    @invariant()
    def phase_and_recording_belong_together(self) -> None:
        busy = self.state.phase in (Phase.NOTICE, Phase.RECORDING, Phase.SEALING)
        assert busy == (self.state.recording is not None)
        opened = self.state.recording is not None and self.state.recording.opened
        assert opened == (len(self.opened) == len(self.closed) + 1)
        assert opened == self.storing, "what is opened is stored, until its close"

    @invariant()
    def nothing_runs_on_in_a_hazard(self) -> None:
        if self.refusing and self.state.phase in (Phase.NOTICE, Phase.RECORDING):
            assert self.state.recording is not None
            assert self.state.recording.cancelled, "R13.1"

    def teardown(self) -> None:
        """However it stands, a stop and the events that the shell owes bring every opened recording to its close."""
        self.feed(OffAsked())
        if self.state.recording:
            self.feed(ended(self.state.recording.id, self.now_us))
        if self.state.recording:
            self.feed(CaptureEnded(self.state.recording.id, 0, 0, 0, 0))
        assert self.state.recording is None
        assert self.opened == self.closed
        assert self.state.phase is Phase.OFF_DUTY


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)

"""The state machine beside the officer's button: restricted content, hazards, reserves, the place, codes, going off."""

from __future__ import annotations

from dataclasses import replace

from machine_samples import END, ID, MATTER, RECORDING, REF, ended, hazard, kinds, pressed, run, second, situation

from agent.evidence.entries import Close, Gap, Health, Mark, Notice, Open, Refused, Restricted, SoundFormat, VideoFormat
from agent.hardware.prompts import Prompt
from agent.recorder.machine import (
    AttestPosted,
    CutNotice,
    DockChanged,
    Enter,
    Finish,
    GoOff,
    HoldFrames,
    MarkAsked,
    Measured,
    OffAsked,
    PartLost,
    Phase,
    Reassigned,
    RestrictedDeclared,
    SealParticulars,
    Store,
    Tell,
    WarmUp,
)


def prompts(*events: object) -> list[Prompt]:
    return [action.prompt for action in run(*events)[1] if isinstance(action, Tell)]  # type: ignore[arg-type]


# Kinds


def test_sound_alone_has_nothing_to_take_a_photo_of_and_a_press_within_a_recording_means_nothing() -> None:
    sound, _ = run(pressed(kind="audio"), ended())
    assert run(pressed(kind="photo"), state=sound)[1] == []
    film, _ = run(*RECORDING)
    assert run(pressed(kind="video"), pressed(kind="audio"), state=film)[1] == []


def test_what_is_entered_of_the_formats_is_what_the_kind_records() -> None:
    found = {}
    for kind in ("video", "audio", "photo"):
        event = replace(ended(), video=VideoFormat("h264", 2, 2, 25), sound=SoundFormat("aac", 8000, 1))
        _, actions = run(pressed(kind=kind), event)
        body = next(a.body for a in actions if isinstance(a, Enter) and isinstance(a.body, Open))
        found[kind] = (body.video is not None, body.sound is not None)
    assert found == {"video": (True, True), "audio": (False, True), "photo": (False, False)}


def test_a_fixed_camera_is_announced_by_its_sign_and_a_body_worn_one_never_is() -> None:
    assert kinds(run(pressed(kind="fixed"))[1]) == [WarmUp, AttestPosted]
    posted = ended(means="posted", frames_total=0, frames_consumed=0)
    assert kinds(run(pressed(kind="fixed"), posted)[1])[2:] == [HoldFrames, Notice, Open, Store]
    assert Store not in kinds(run(pressed(kind="video"), posted)[1])


# Restricted content


def test_the_officers_gesture_is_entered_before_the_end_that_it_brings() -> None:
    _, actions = run(*RECORDING, RestrictedDeclared("other", REF))
    assert actions[-3:] == [Enter(Restricted(ID, "other", REF)), Finish(), Tell(Prompt.RESTRICTED_DECLARED)]


def test_declared_while_nothing_runs_is_entered_and_the_next_press_is_judged_anew() -> None:
    state, actions = run(RestrictedDeclared("privacy", None))
    assert (state.phase, actions[0]) == (Phase.BLOCKED, Enter(Restricted(None, "privacy", None)))
    assert run(pressed(), state=state)[0].phase is Phase.NOTICE


def test_declared_during_the_notice_opens_nothing() -> None:
    _, actions = run(pressed(), RestrictedDeclared("privacy", None), ended())
    assert Enter(Restricted(None, "privacy", None)) in actions
    assert Open not in kinds(actions)


def test_declared_while_the_recording_is_being_sealed_is_entered_of_that_recording() -> None:
    state, _ = run(*RECORDING, OffAsked())
    assert run(RestrictedDeclared("privacy", None), state=state)[1] == [Enter(Restricted(ID, "privacy", None))]


# R13.1, beyond refusing


def test_a_refused_officer_is_told_to_leave_again_and_again_until_the_hazard_is_over() -> None:
    state, _ = run(hazard("set"), pressed(hazard="set", at_us=0))
    assert run(second(29_999_999), state=state)[1] == []
    state, actions = run(second(30_000_000), state=state)
    assert actions == [Tell(Prompt.LEAVE_OR_SWITCH_OFF)]
    assert run(second(89_999_999), second(90_000_000), state=state)[1] == [Tell(Prompt.LEAVE_OR_SWITCH_OFF)]
    state, _ = run(hazard("clear"), state=state)
    assert state.phase is Phase.READY
    assert run(second(200_000_000), state=state)[1] == []


def test_where_the_policy_says_so_the_unit_seals_what_it_has_and_switches_itself_off() -> None:
    state, actions = run(*RECORDING, hazard("set", power_down=True))
    assert (state.phase, state.going_off, GoOff in kinds(actions)) == (Phase.SEALING, True, False)
    state, actions = run(END, state=state)
    assert Enter(Close(ID, "hazard", 3, 75, 0, 3_000_000)) in actions
    assert (state.phase, actions[-1]) == (Phase.OFF_DUTY, GoOff(power_off=True))
    assert run(pressed(hazard="set", power_down=True))[1][-1] == GoOff(power_off=True)


def test_a_hazard_that_is_only_not_known_switches_nothing_off() -> None:
    assert GoOff not in kinds(run(pressed(hazard="stale", power_down=True))[1])


# Reserves


def at_minutes(minutes: int) -> Measured:
    return second(battery_minutes=minutes)


def test_a_low_battery_is_entered_and_told_once_at_each_step_and_anew_after_it_was_charged() -> None:
    events = list(map(at_minutes, [16, 15, 15, 14, 11, 10, 9, 18, 19, 15]))
    assert prompts(*events) == [
        Prompt.BATTERY_15_MINUTES,
        Prompt.BATTERY_10_MINUTES,
        Prompt.BATTERY_5_MINUTES,
        Prompt.BATTERY_15_MINUTES,
    ]
    assert kinds(run(*events)[1]).count(Health) == 3, "on, off, on"


def test_a_reading_that_trembles_at_the_limit_is_told_once() -> None:
    assert prompts(*map(at_minutes, [15, 16, 15, 16, 17, 15])) == [Prompt.BATTERY_15_MINUTES]


def test_low_space_and_heat_are_told_too_and_all_that_is_low_at_once() -> None:
    both = second(storage_minutes=29, millicelsius=78_000)
    assert prompts(both, both) == [Prompt.STORAGE_10_MINUTES, Prompt.TEMPERATURE_HIGH]


def test_on_mains_and_without_a_gauge_nothing_is_said() -> None:
    assert run(second(battery_minutes=None, battery_percent=None, storage_minutes=None, millicelsius=None))[1] == []


def test_in_the_dock_nothing_is_said_of_reserves() -> None:
    state, _ = run(DockChanged(True))
    assert run(at_minutes(1), state=state) == (state, [])


# The place


def test_the_place_is_asked_for_until_it_is_marked_and_a_double_press_then_answers() -> None:
    state, _ = run(*RECORDING)
    opened = 2_000
    assert run(second(opened + 9_999_999), state=state)[1] == []
    asked, actions = run(second(opened + 10_000_000), state=state)
    assert actions == [Tell(Prompt.SITE_ASKED)]
    answered, actions = run(MarkAsked("moment", 9, opened + 11_000_000), state=asked)
    assert actions[0] == Enter(Mark(ID, "site_spoken", 9))
    assert run(second(opened + 500_000_000), state=answered)[1] == []
    assert run(MarkAsked("moment", 9, opened + 12_000_000), state=answered)[1][0] == Enter(Mark(ID, "moment", 9))


def test_nobody_is_asked_for_the_place_more_than_three_times_or_after_the_sign_was_filmed() -> None:
    state, _ = run(*RECORDING)
    minutes = [second(n * 1_000_000) for n in range(600)]
    assert run(*minutes, state=state)[1] == [Tell(Prompt.SITE_ASKED)] * 3
    filmed, _ = run(MarkAsked("site_sign", 1, 3_000), state=state)
    assert run(*minutes, state=filmed)[1] == []


def test_a_double_press_long_after_the_question_is_a_moment() -> None:
    state, _ = run(*RECORDING, second(20_000_000))
    assert run(MarkAsked("moment", 9, 50_000_000), state=state)[1][0] == Enter(Mark(ID, "moment", 9))


# The code


def test_a_code_shown_during_the_notice_is_the_recordings_matter() -> None:
    other = replace(situation(), assignment=replace(MATTER, matter="matter-2"))
    _, actions = run(pressed(), Reassigned(other, "qr"), ended())
    opened = next(a.body for a in actions if isinstance(a, Enter) and isinstance(a.body, Open))
    assert opened.matter == "matter-2"
    assert kinds(actions)[2:4] == [SealParticulars, Tell]


def test_a_code_of_a_matter_that_must_not_be_recorded_cuts_the_notice() -> None:
    _, actions = run(pressed(), Reassigned(situation(restricted="privacy"), "qr"), ended())
    assert Open not in kinds(actions)
    assert kinds(actions)[2:5] == [Refused, CutNotice, Tell]


# What is said as it begins, and how it goes off


def test_an_untrusted_clock_and_a_missing_position_are_said_as_the_recording_begins() -> None:
    _, actions = run(replace(pressed(), time_trusted=False, position_known=False), ended())
    said = [Prompt.RECORDING_STARTED, Prompt.CLOCK_UNTRUSTED, Prompt.POSITION_UNKNOWN]
    assert actions[-4:] == [Store(), *map(Tell, said)]


def test_asked_to_end_it_seals_first_and_then_nothing_means_anything() -> None:
    state, actions = run(*RECORDING, OffAsked())
    assert (state.phase, actions[-1]) == (Phase.SEALING, Finish())
    state, actions = run(END, state=state)
    assert Enter(Close(ID, "shutdown", 3, 75, 0, 3_000_000)) in actions
    assert (state.phase, actions[-1]) == (Phase.OFF_DUTY, GoOff(power_off=False))
    assert run(pressed(), OffAsked(), hazard("set"), DockChanged(True), second(), state=state) == (state, [])


def test_a_failed_part_leaves_the_unit_in_fault_and_the_next_press_tries_again() -> None:
    lost = PartLost(Gap(ID, "camera", None, 0), True, "gone")
    state, _ = run(pressed(), lost, ended(outcome="failed"))
    assert state.phase is Phase.FAULT
    assert run(pressed(), state=state)[0].phase is Phase.NOTICE

"""Notices that were not served, not there, or too late: R12.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.vectors.builder import Bundle, brief, scenario
from tests.vectors.pieces import heard
from tests.vectors.primitives import Dice
from tests.vectors.recorder import Recorder, Recording
from tests.vectors.scenarios_conduct import finish


def noticed(name: str, about: str, code: str | None, kind: str = "video", policy: dict[str, Any] | None = None, **said: Any) -> None:
    """A recording after such a notice; the finding is at the notice."""

    def build(b: Bundle) -> None:
        def begun(d: Recorder) -> None:
            d.begin(policy=d.agency.policy(**(policy or {})))

        def change(d: Recorder) -> None:
            r = d.recording("first", kind)
            seq = d.notice(r, **said)
            d.open(r)
            finish(d, r)
            if code:
                b.expect(code, seq)

        brief(b, change, begun=begun)

    scenario(name, about)(build)


HEARD_ALWAYS = {
    "notice": {
        "digest": Dice("the notice as sound").hex(64),
        "text": "样例告知",
        "must_be_heard": True,
        "repeat": True,
        "tone_interval_us": 30_000_000,
    }
}

noticed("notice-failed", "The notice failed.", "NOTICE_NOT_SERVED", outcome="failed", failure="interrupted")
noticed("notice-cut", "The notice was not played to its end, though it says completed.", "NOTICE_NOT_SERVED", frames_consumed=143_999)
noticed("notice-of-no-frames", "A notice of no length was played to its end.", "NOTICE_NOT_SERVED", frames_total=0, frames_consumed=0)
noticed("notice-overrun", "More frames were played than the notice has.", "NOTICE_NOT_SERVED", frames_consumed=144_001)
noticed("notice-underrun", "The notice was played with an underrun.", "NOTICE_NOT_SERVED", underruns=1)
noticed("notice-not-heard", "The notice was played, and no microphone heard it.", "NOTICE_NOT_SERVED", heard=heard("not_heard"))
noticed("notice-not-measured", "Nobody measured whether the notice was heard, and the policy wants it heard.", "NOTICE_NOT_SERVED", policy=HEARD_ALWAYS, heard=heard("not_measured"))
noticed("good-notice-not-measured", "Nobody measured whether the notice was heard, and the policy does not ask.", None, heard=heard("not_measured"))
noticed("good-notice-heard-as-asked", "The notice was heard, as the policy wants.", None, policy=HEARD_ALWAYS)
noticed("notice-other-sound", "Another sound than the policy's notice was played.", "NOTICE_OTHER_SOUND", asset=Dice("another sound").hex(64))
noticed("notice-no-sound", "What was played has no name.", "NOTICE_OTHER_SOUND", asset=None)
noticed("good-notice-oral", "The notice was given in person; nothing is asked of sounds.", None, means="oral")
noticed("notice-oral-failed", "The notice was to be given in person, and was not.", "NOTICE_NOT_SERVED", means="oral", outcome="failed")
noticed("notice-posted-for-video", "A sign for a camera that is carried about.", "NOTICE_NOT_SERVED", means="posted")
noticed("notice-posted-failed-for-fixed", "A fixed camera's sign was not there.", "NOTICE_NOT_SERVED", kind="fixed", means="posted", outcome="failed")
noticed("good-notice-played-for-fixed", "A fixed camera's notice was played.", None, kind="fixed")


@scenario("notice-not-served-and-other-sound", "Another sound was played, and not to its end: both.")
def notice_both(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        seq = d.notice(r, asset=Dice("another sound").hex(64), frames_consumed=1)
        d.open(r)
        finish(d, r)
        b.expect("NOTICE_NOT_SERVED", seq)
        b.expect("NOTICE_OTHER_SOUND", seq)

    brief(b, change)


@scenario("notice-not-measured-without-policy", "The policy is invalid, and so not in force: then the notice must be heard.")
def notice_without_policy(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        d.begin(policy=d.agency.policy(key=Dice("a stranger").key()))
        b.expect("DOCUMENT_INVALID", 3)

    def change(d: Recorder) -> None:
        r = d.recording("first")
        b.expect("NOTICE_NOT_SERVED", d.notice(r, heard=heard("not_measured")))
        d.open(r)
        finish(d, r)

    brief(b, change, begun=begun)


@scenario("notice-missing", "No notice was given.")
def notice_missing(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.own_epoch(r, "recording_begin")
        d.open(r)
        finish(d, r)
        b.expect("NOTICE_MISSING", r.place)

    brief(b, change)


@scenario("notice-of-other-recording", "The notice before a recording names another one, that never came.")
def notice_of_other(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.notice(d.recording("another"))
        d.open(r)
        finish(d, r)
        b.expect("NOTICE_MISSING", r.place)

    brief(b, change)


@scenario("notice-of-closed-recording", "The notice before a recording names the one before, which is over.")
def notice_of_closed(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        before, r = d.record("first"), d.recording("second")
        b.expect("ORPHAN_ENTRY", d.notice(before))
        d.open(r)
        finish(d, r)
        b.expect("NOTICE_MISSING", r.place)

    brief(b, change)


@scenario("notice-before-restart", "The notice was given before a restart, the recording begins after it.")
def notice_before_restart(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.notice(r)
        d.boot()
        d.open(r)
        finish(d, r)
        b.expect("NOTICE_MISSING", r.place)

    brief(b, change)


@scenario("notice-after-opening", "The notice comes after the recording began.")
def notice_after_opening(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.own_epoch(r, "recording_begin")
        d.open(r)
        b.expect("ORPHAN_ENTRY", d.notice(r, epoch=False))
        r.film_us = d.mono_us
        finish(d, r)
        b.expect("NOTICE_MISSING", r.place)

    brief(b, change)


@scenario("notice-good-then-failed", "A notice was served and a second one failed: the last one counts.")
def notice_good_then_failed(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.notice(r)
        b.expect("NOTICE_NOT_SERVED", d.notice(r, epoch=False, outcome="failed", failure="interrupted"))
        d.open(r)
        finish(d, r)

    brief(b, change)


@scenario("notice-sound-changed-by-policy", "A newer policy has another notice; the old sound was played after it came into force.")
def notice_sound_changed(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        newer = {"digest": Dice("a newer notice").hex(64), "text": "新样例告知", "must_be_heard": False}
        newer |= {"repeat": False, "tone_interval_us": None}
        d.adopt("policy", d.agency.policy(version=2, notice=newer), 2)
        r = d.recording("second")
        b.expect("NOTICE_OTHER_SOUND", d.notice(r))
        d.open(r)
        finish(d, r)

    brief(b, change)


def early(name: str, about: str, found: bool, shoot: Callable[[Recorder, Recording, int], None]) -> None:
    """Something is exposed around the end of the notice; ``shoot`` gets the monotonic time of that end."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.recording("first")
            d.notice(r)
            ended = d.mono_us - 1_000_000
            d.open(r)
            shoot(d, r, ended)
            d.finish(r)
            if found:
                b.expect("FRAME_BEFORE_NOTICE", r.place)

        brief(b, change)

    scenario(name, about)(build)


def film_from(offset_us: int) -> Callable[[Recorder, Recording, int], None]:
    def shoot(d: Recorder, r: Recording, ended: int) -> None:
        r.film_us = ended + offset_us
        d.segment(r)
        d.segment(r)

    return shoot


def photo_at(offset_us: int) -> Callable[[Recorder, Recording, int], None]:
    def shoot(d: Recorder, r: Recording, ended: int) -> None:
        d.segment(r)
        d.photo(r, captured_us=ended + offset_us)

    return shoot


early("frame-before-notice", "The film begins a microsecond before the notice ended.", True, film_from(-1))
early("good-frame-at-notice", "The film begins at the very end of the notice.", False, film_from(0))
early("frames-before-notice", "Two segments are from before the end of the notice: found once.", True, film_from(-3_000_000))
early("photo-before-notice", "A photo was taken a microsecond before the notice ended.", True, photo_at(-1))
early("good-photo-at-notice", "A photo was taken at the very end of the notice.", False, photo_at(0))

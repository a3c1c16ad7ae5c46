"""What the regulation asks: notices, hazards, particulars, the site, officers; step 9."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.vectors.agency import DEVICE, HOUR_US, SECOND, START_US, approval
from tests.vectors.builder import Bundle, brief, scenario
from tests.vectors.pieces import hazard_input, heard, interlock
from tests.vectors.primitives import Dice
from tests.vectors.recorder import Recorder, Recording

FILM = {"codec": "h264", "width": 16, "height": 16, "frames_per_second": 2}
SOUND = {"codec": "aac", "sample_rate": 8_000, "channels": 1}


def finish(d: Recorder, r: Recording) -> None:
    """After ``open``: film, the site, the end."""
    d.segment(r)
    d.mark(r)
    d.segment(r)
    d.close(r)


# R6


def formed(name: str, about: str, kind: str, found: bool = True, **opened: Any) -> None:
    """A recording of a kind that its formats do not fit."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.recording("first", kind)
            d.notice(r)
            seq = d.open(r, **opened)
            d.mark(r)
            d.close(r)
            if found:
                b.expect("FORMAT_OF_KIND", seq)

        brief(b, change)

    scenario(name, about)(build)


formed("format-video-without-film", "A film without a format of film.", "video", video=None)
formed("format-fixed-without-film", "A fixed camera's recording without a format of film.", "fixed", video=None, sound=SOUND)
formed("format-audio-with-film", "Sound alone, with a format of film.", "audio", video=FILM)
formed("format-audio-without-sound", "Sound alone, without a format of sound.", "audio", sound=None)


@scenario("format-photo-with-film", "A still picture's recording has a segment.")
def format_photo_with_film(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first", "photo")
        d.notice(r)
        d.open(r)
        d.photo(r)
        r.video = FILM
        d.segment(r)
        d.close(r, reason="photo")
        b.expect("FORMAT_OF_KIND", r.at["open"][0])

    brief(b, change)


@scenario("format-photo-without-photo", "A still picture's recording has none.")
def format_photo_without_photo(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first", "photo")
        d.notice(r)
        b.expect("FORMAT_OF_KIND", d.open(r))
        d.close(r, reason="photo")

    brief(b, change)


# R12.1


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


HEARD_ALWAYS = {"notice": {"digest": Dice("the notice as sound").hex(64), "text": "样例告知", "must_be_heard": True}}

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
            d.mark(r)
            d.close(r)
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


# R12.2 to R12.4


def unsaid(field: str) -> None:
    @scenario(f"open-without-{field}", f"A recording's entry has no {field}.")
    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.recording("first")
            d.notice(r)
            b.expect("PARTICULARS_MISSING", d.open(r, **{field: None}))
            finish(d, r)

        brief(b, change)


for one in ("action", "stage", "matter", "particulars"):
    unsaid(one)


@scenario("open-without-anything", "A recording's entry has none of them: found once.")
def open_without_anything(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.notice(r)
        b.expect("PARTICULARS_MISSING", d.open(r, action=None, stage=None, matter=None, particulars=None))
        finish(d, r)

    brief(b, change)


def sited(name: str, about: str, found: bool, kind: str, marks: tuple[str, ...]) -> None:
    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.recording("first", kind)
            d.notice(r)
            d.open(r)
            if kind == "photo":
                d.photo(r)
            for mark in marks:
                d.mark(r, mark)
            d.close(r)
            if found:
                b.expect("SITE_NOT_IDENTIFIED", r.place)

        brief(b, change)

    scenario(name, about)(build)


sited("site-not-identified", "The site was neither filmed nor spoken.", True, "video", ())
sited("site-only-moments", "The officer marked a moment, and not the site.", True, "video", ("moment",))
sited("site-not-identified-in-sound", "Sound alone, and the site was not spoken.", True, "audio", ())
sited("good-site-spoken", "The site was spoken.", False, "video", ("site_spoken",))
sited("good-site-of-photo", "A still picture needs no mark of the site.", False, "photo", ())


@scenario("site-marked-in-other-recording", "The site was marked in the recording before: that is not this one.")
def site_in_other(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        r = d.recording("second")
        d.notice(r)
        d.open(r)
        d.segment(r)
        d.close(r)
        b.expect("SITE_NOT_IDENTIFIED", r.place)

    brief(b, change)


@scenario("restarted", "The same matter was recorded, stopped, and recorded again; and once more.")
def restarted(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first", matter="matter-one")
        d.record("second", matter="matter-two")
        b.expect("RESTARTED", d.record("third", matter="matter-one").place)
        b.expect("RESTARTED", d.record("fourth", matter="matter-one").place)

    brief(b, change)


@scenario("good-photos-of-one-matter", "A film and then still pictures of the same matter: nothing was started again.")
def photos_of_one_matter(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first", matter="matter-one")
        for name in ("second", "third"):
            r = d.recording(name, "photo", matter="matter-one")
            d.notice(r)
            d.open(r)
            d.photo(r)
            d.close(r, reason="photo")

    brief(b, change)


# R13.1

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
STALE_IS_CLEAR = {"hazard": {"max_age_us": 10_000_000, "stale_counts_as_set": False, "assumed_zone": None}}

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
    r = d.recording("first")
    d.notice(r)
    d.open(r)
    return d.true_us


@scenario("hazard-approval-ends-at-open", "The approval ended at the very moment of the opening.")
def approval_ends_at_open(b: Bundle) -> None:
    b.expect(UNDER, approved_until(b, 0).recordings["first"].at["open"][0])


@scenario("good-hazard-approval-ends-after-open", "The approval ended a microsecond after the opening.")
def approval_ends_after_open(b: Bundle) -> None:
    approved_until(b, -1)


def flagged(name: str, about: str, found: bool, go_on: Callable[[Recorder, Recording, int], None], state: str = "set") -> None:
    """The flag changes within a recording; ``go_on`` gets the monotonic time until which frames may be taken."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.recording("first")
            d.notice(r)
            d.open(r)
            d.segment(r)
            d.mark(r)
            seq = d.enter("hazard", {"state": state, "inputs": [hazard_input(state)]})
            go_on(d, r, d.mono_us + 2_000_000)
            d.close(r, reason="hazard")
            if found:
                b.expect(UNDER, seq)

        brief(b, change)

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


# R16


@scenario("officer-unassigned", "The profile names no officer: every recording is found.")
def officer_unassigned(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        for name in ("first", "second"):
            b.expect("OFFICER_UNASSIGNED", d.record(name).at["open"][0])
        d.adopt("profile", d.agency.profile(version=2), 2)
        d.record("third")

    brief(b, change, begun=lambda d: d.begin(profile=d.agency.profile(officer="unassigned")))


def pair(b: Bundle, apart_us: int, officer: str = "officer-sample", closed: bool = True) -> tuple[Recording, Recording]:
    """Two devices of an archive; the second's recording begins so long after the first's."""
    b.path = "archive"
    made = []
    for name, wait_us in ((DEVICE, 0), (SECOND, apart_us)):
        d = b.device(name, folder=f"archive/{name}")
        d.start_us += wait_us
        d.begin(profile=d.agency.profile(name, officer=officer if name == SECOND else "officer-sample"))
        r = d.recording(f"by-{name}")
        d.notice(r)
        d.open(r)
        d.segment(r)
        d.mark(r)
        if closed or name == DEVICE:
            d.close(r)
        else:
            b.expect("RECORDING_UNFINISHED", r.place, name)
        d.witness()
        d.write()
        made.append(r)
    return made[0], made[1]


@scenario("officer-two-devices", "One officer recorded with two devices at once.")
def officer_two_devices(b: Bundle) -> None:
    _, later = pair(b, 1_000_000)
    b.expect("OFFICER_TWO_DEVICES", later.at["open"][0], SECOND)


@scenario("good-officer-two-devices-in-turn", "One officer recorded with two devices, one after the other.")
def officer_two_devices_in_turn(b: Bundle) -> None:
    pair(b, 60_000_000)


@scenario("good-two-officers-at-once", "Two officers recorded at once.")
def two_officers_at_once(b: Bundle) -> None:
    pair(b, 1_000_000, "officer-second")


@scenario("officer-two-devices-unfinished", "One officer recorded with two devices, and one recording has no end: nothing is known of how long it was.")
def officer_two_devices_unfinished(b: Bundle) -> None:
    pair(b, 1_000_000, closed=False)


@scenario("officer-two-devices-alone", "One of the two devices given alone: nothing shows.")
def officer_two_devices_alone(b: Bundle) -> None:
    pair(b, 1_000_000)
    b.path = f"archive/{SECOND}"

"""Recordings whose entries do not fit together: holes, pauses, order, counts, entries without a recording."""

from __future__ import annotations

from collections.abc import Callable

from tests.vectors.builder import Bundle, brief, scenario
from tests.vectors.recorder import Recorder, Recording
from tests.vectors.scenarios_good import power_cut

Film = Callable[[Bundle, Recorder, Recording], None]


def filmed(name: str, about: str, film: Film, **closing: object) -> None:
    """A recording of which ``film`` enters what comes between its first segment and its close."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.start("first")
            d.segment(r)
            d.mark(r)
            film(b, d, r)
            d.close(r, **closing)

        brief(b, change)

    scenario(name, about)(build)


# Gaps


def entered_gap(b: Bundle, d: Recorder, r: Recording) -> None:
    for cause in ("camera", "microphone", "storage", "overload", "encoder"):
        b.expect("GAP", d.gap(r, cause))
    d.segment(r)


def hole(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("GAP_HIDDEN", d.segment(r, start_us=r.end_us + 60_001))


def joint(b: Bundle, d: Recorder, r: Recording) -> None:
    d.segment(r, start_us=r.end_us + 60_000)
    d.segment(r, start_us=r.end_us - 60_000)


def overlap(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("SEGMENT_ORDER", d.segment(r, start_us=r.end_us - 60_001))


def late_start(b: Bundle, d: Recorder) -> None:
    r = d.start("first")
    b.expect("GAP_HIDDEN", d.segment(r, start_us=1_000_000))
    d.finish(r)


def gap_before_other_segment(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("GAP", d.gap(r))
    d.segment(r)
    b.expect("GAP_HIDDEN", d.segment(r, start_us=r.end_us + 1_000_000))


def entered_gap_and_overlap(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("GAP", d.gap(r))
    b.expect("SEGMENT_ORDER", d.segment(r, start_us=r.end_us - 1_000_000))


filmed("gap-entered", "Gaps of every cause, as entered.", entered_gap)
filmed("gap-hidden", "Media time has a hole of a microsecond more than a joint.", hole)
filmed("good-joint", "Media time has a hole, and then an overlap, of exactly a joint.", joint)
filmed("segment-overlapping", "A segment begins a microsecond more than a joint before the end of the one before.", overlap)
filmed("gap-entered-before-other-segment", "A gap was entered, but before another segment than the one after the hole.", gap_before_other_segment)
filmed("gap-entered-and-overlap", "A gap excuses a hole and no overlap.", entered_gap_and_overlap)


@scenario("gap-hidden-at-start", "The first segment begins a second after media time 0.")
def gap_hidden_at_start(b: Bundle) -> None:
    brief(b, lambda d: late_start(b, d))


def close_of(name: str, about: str, film: Film, found: bool = True, **closing: object) -> None:
    """A recording whose ``close`` finds frames missing."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.start("first")
            d.segment(r)
            d.mark(r)
            film(b, d, r)
            seq = d.close(r, **closing)
            if found:
                b.expect("GAP_HIDDEN", seq)

        brief(b, change)

    scenario(name, about)(build)


def few_frames(b: Bundle, d: Recorder, r: Recording) -> None:
    d.segment(r, frames=0)
    d.segment(r, frames=0)


def one_more(b: Bundle, d: Recorder, r: Recording) -> None:
    d.segment(r)


# Two segments: 8 frames of 2 a second; half of what they should be would last 8 seconds.
close_of("frames-missing", "A recording has less than half of the frames that its length asks for.", few_frames)
close_of("frames-missing-by-duration", "By its close a recording lasted a microsecond too long for its frames.", one_more, duration_us=8_000_001)
close_of("good-frames-half", "A recording has half of the frames that its length asks for.", one_more, False, duration_us=8_000_000)
close_of("good-frames-dropped", "Frames were dropped, and entered so.", few_frames, False, dropped=4)


@scenario("good-frames-missing-with-gap", "Frames are missing, and a gap was entered: only that is found.")
def good_frames_missing_with_gap(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        d.mark(r)
        few_frames(b, d, r)
        b.expect("GAP", d.gap(r))
        d.close(r)

    brief(b, change)


@scenario("frames-missing-of-fixed", "A fixed camera's recording has no frames at all, and lasted.")
def frames_missing_of_fixed(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first", "fixed")
        d.notice(r, means="posted")
        d.open(r)
        d.segment(r, frames=0)
        b.expect("GAP_HIDDEN", d.close(r))

    brief(b, change)


# Pauses


def pause(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("PAUSE_HIDDEN", d.segment(r, first_frame_us=r.film_us + r.end_us + 500_001))


def drift(b: Bundle, d: Recorder, r: Recording) -> None:
    d.segment(r, first_frame_us=r.film_us + r.end_us + 500_000)
    d.segment(r, first_frame_us=r.film_us + r.end_us - 500_000)


def slow_drift(b: Bundle, d: Recorder, r: Recording) -> None:
    d.segment(r, first_frame_us=r.film_us + r.end_us + 300_000)
    b.expect("PAUSE_HIDDEN", d.segment(r, first_frame_us=r.film_us + r.end_us + 600_000))


def hurry(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("PAUSE_HIDDEN", d.segment(r, first_frame_us=r.film_us + r.end_us - 500_001))


def pause_with_gap(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("GAP", d.gap(r))
    b.expect("PAUSE_HIDDEN", d.segment(r, first_frame_us=r.film_us + r.end_us + 2_000_000))


filmed("pause-hidden", "A segment's first frame was exposed a microsecond more than a pause later than media time says.", pause)
filmed("good-drift", "First frames half a second late and early: no pause.", drift)
filmed("pause-in-small-steps", "Each segment is a little later than the one before: held against the first, that is a pause.", slow_drift)
filmed("pause-backwards", "A segment's first frame was exposed too early.", hurry)
filmed("pause-despite-gap", "A gap excuses a hole in media time, and no pause that media time does not show.", pause_with_gap)


# Order and counts


def index_left_out(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("SEGMENT_ORDER", d.segment(r, index=2))


def index_left_out_and_on(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("SEGMENT_ORDER", d.segment(r, index=2))
    d.segment(r, index=3)


def index_repeated(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("SEGMENT_ORDER", d.segment(r, index=0))


def swapped(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("SEGMENT_ORDER", d.segment(r, index=2, start_us=4_000_000))
    d.segment(r, index=1, start_us=2_000_000)


def two_faults(b: Bundle, d: Recorder, r: Recording) -> None:
    start = r.end_us + 1_000_000
    b.expect("GAP_HIDDEN", d.segment(r, start_us=start, first_frame_us=r.film_us + start + 900_000))


def two_bad_segments(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("GAP_HIDDEN", d.segment(r, start_us=r.end_us + 1_000_000))
    d.segment(r, start_us=r.end_us + 1_000_000)


def three_kinds(b: Bundle, d: Recorder, r: Recording) -> None:
    b.expect("PAUSE_HIDDEN", d.segment(r, first_frame_us=r.film_us + r.end_us + 700_000))
    d.segment(r, start_us=r.end_us + 1_000_000)
    d.segment(r, index=9)


filmed("segment-index-left-out", "A segment's number is left out.", index_left_out)
filmed("segment-index-left-out-once", "A number is left out, and those after it are off by one: found once.", index_left_out_and_on)
filmed("segment-index-repeated", "A segment's number is used twice.", index_repeated)
filmed("segments-out-of-order", "Two segments are entered in each other's place.", swapped)
filmed("segment-hole-and-pause", "A segment is after a hole and after a pause: the hole is found.", two_faults)
filmed("segments-two-holes", "Two holes in one recording: the first is found.", two_bad_segments)
filmed("segments-pause-hole-order", "A pause, then a hole, then a wrong number: for one recording only the first of the three codes.", three_kinds)


def miscounted(name: str, about: str, **closing: object) -> None:
    """A recording of two segments whose ``close`` says otherwise."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.start("first")
            d.segment(r)
            d.mark(r)
            d.segment(r)
            d.close(r, **closing)
            b.expect("COUNT_MISMATCH", r.place)

        brief(b, change)

    scenario(name, about)(build)


miscounted("count-segments-more", "The close says a segment more than were entered.", segments=3)
miscounted("count-segments-less", "The close says a segment less than were entered.", segments=1)
miscounted("count-frames-more", "The close says a frame more than were entered.", frames=9)
miscounted("count-both", "The close says other segments and other frames: found once.", segments=9, frames=99)


@scenario("recovered-index-wrong", "A recovered piece has a number that is not its place.")
def recovered_index_wrong(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        segment = d.segment

        def wrong(r: Recording, **how: object) -> int:
            if how.get("recovered"):
                seq = segment(r, index=5, **how)  # type: ignore[arg-type]
                b.expect("SEGMENT_ORDER", seq)
                return seq
            return segment(r, **how)  # type: ignore[arg-type]

        d.segment = wrong  # type: ignore[method-assign]
        power_cut(d)
        b.expect("GAP", d.recordings["first"].at["gap"][0])

    brief(b, change)


# Beginning and end


@scenario("unfinished-at-end", "The ledger ends within a recording.")
def unfinished_at_end(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        b.expect("RECORDING_UNFINISHED", r.place)

    brief(b, change)


@scenario("unfinished-by-boot", "The device restarts within a recording and never ends it.")
def unfinished_by_boot(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        d.boot()
        d.heartbeat()
        b.expect("RECORDING_UNFINISHED", r.place)

    brief(b, change)


@scenario("two-open-at-once", "A recording is opened while another is open: the other has no end, and what comes of it has no recording.")
def two_open_at_once(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        one, two = d.recording("first"), d.recording("second")
        d.notice(one)
        d.open(one)
        d.segment(one)
        d.mark(one)
        d.notice(two)
        d.open(two)
        b.expect("RECORDING_UNFINISHED", one.place)
        d.segment(two)
        d.mark(two)
        b.expect("ORPHAN_ENTRY", d.segment(one))
        d.close(two)
        b.expect("ORPHAN_ENTRY", d.close(one))

    brief(b, change)


@scenario("id-reused", "The number of a closed recording is used again: nothing of it belongs to a recording.")
def id_reused(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.record("first")
        again = d.recording("again")
        again.id = r.id
        b.expect("ORPHAN_ENTRY", d.notice(again))
        b.expect("RECORDING_REPEATED", d.open(again))
        b.expect("ORPHAN_ENTRY", d.segment(again))
        b.expect("ORPHAN_ENTRY", d.mark(again))
        b.expect("ORPHAN_ENTRY", d.close(again))

    brief(b, change)


@scenario("opened-twice", "A recording is opened again while it is open: the second opening counts for nothing, and the recording goes on.")
def opened_twice(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        film_us = r.film_us
        d.segment(r)
        b.expect("RECORDING_REPEATED", d.open(r, content=d.particulars(r, party="另一当事人")))
        r.film_us = film_us
        d.mark(r)
        d.segment(r)
        d.close(r)

    brief(b, change)


@scenario("orphans-after-close", "Entries of every kind that come after the close of their recording.")
def orphans_after_close(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.record("first")
        b.expect("ORPHAN_ENTRY", d.segment(r))
        b.expect("ORPHAN_ENTRY", d.photo(r))
        b.expect("ORPHAN_ENTRY", d.telemetry(r))
        b.expect("ORPHAN_ENTRY", d.mark(r))
        b.expect("ORPHAN_ENTRY", d.gap(r))
        b.expect("ORPHAN_ENTRY", d.notice(r))
        b.expect("ORPHAN_ENTRY", d.close(r))

    brief(b, change)


@scenario("orphans-of-no-recording", "Entries of every kind of a recording that was never opened. Its notice alone would be none.")
def orphans_of_no_recording(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("never-opened")
        d.notice(r)
        r.film_us = d.mono_us
        b.expect("ORPHAN_ENTRY", d.mark(r))
        b.expect("ORPHAN_ENTRY", d.segment(r))
        b.expect("ORPHAN_ENTRY", d.photo(r))
        b.expect("ORPHAN_ENTRY", d.telemetry(r))
        b.expect("ORPHAN_ENTRY", d.gap(r))
        b.expect("ORPHAN_ENTRY", d.close(r))

    brief(b, change)
    b.recordings = False


@scenario("orphan-notice-of-open", "A notice of a recording that is open.")
def orphan_notice_of_open(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        b.expect("ORPHAN_ENTRY", d.notice(r, epoch=False))
        d.mark(r)
        d.segment(r, first_frame_us=None)
        d.close(r)

    brief(b, change)


@scenario("good-notice-without-recording", "A notice was given, and then nothing was recorded.")
def good_notice_without_recording(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.notice(d.recording("given-up"), outcome="failed", failure="interrupted")
        d.record("first")

    brief(b, change)


@scenario("good-recording-empty", "A recording opened and closed at once: no film, and none is missing.")
def good_recording_empty(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.mark(r)
        d.close(r, reason="camera")

    brief(b, change)

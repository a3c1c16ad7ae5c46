"""Clocks set back and forward, openly and not; and what witnesses say about it."""

from __future__ import annotations

from collections.abc import Callable

from tests.vectors.agency import DAY_US, DOCK, HOUR_US, WITNESS
from tests.vectors.builder import Bundle, brief, scenario
from tests.vectors.recorder import Recorder

Change = Callable[[Bundle, Recorder], None]


def clocked(name: str, about: str, change: Change) -> None:
    """A ledger with recordings before and after."""

    def build(b: Bundle) -> None:
        def all_of_it(d: Recorder) -> None:
            d.record("first")
            change(b, d)
            d.heartbeat()

        brief(b, all_of_it)

    scenario(name, about)(build)


def set_back(b: Bundle, d: Recorder) -> None:
    d.offset_us -= HOUR_US
    b.expect("CLOCK_STEP_HIDDEN", d.heartbeat())
    d.record("second")


def set_forward(b: Bundle, d: Recorder) -> None:
    d.offset_us += HOUR_US
    seq = d.heartbeat()
    b.expect("CLOCK_STEP_HIDDEN", seq)
    b.expect("TIME_AFTER_WITNESS", seq)
    d.record("second")


def forth_and_back(b: Bundle, d: Recorder) -> None:
    """Recorded in the past, and then the clock was put right."""
    d.offset_us -= DAY_US
    b.expect("CLOCK_STEP_HIDDEN", d.heartbeat())
    d.record("second")
    d.offset_us += DAY_US
    b.expect("CLOCK_STEP_HIDDEN", d.heartbeat())


def at_the_limit(b: Bundle, d: Recorder) -> None:
    d.offset_us += 1_500_000
    d.heartbeat()
    d.offset_us -= 1_500_000
    d.heartbeat()


def over_the_limit(b: Bundle, d: Recorder) -> None:
    d.offset_us += 1_500_001
    b.expect("CLOCK_STEP_HIDDEN", d.heartbeat())
    d.offset_us -= 1_500_001
    b.expect("CLOCK_STEP_HIDDEN", d.heartbeat())


def stepped(b: Bundle, d: Recorder) -> None:
    d.offset_us += 60_000_000
    b.expect("CLOCK_STEPPED", d.enter("clock", {"step_us": 60_000_000, "before": "rtc", "after": "ntp"}))
    d.offset_us -= 60_000_000
    b.expect("CLOCK_STEPPED", d.enter("clock", {"step_us": -60_000_000, "before": "ntp", "after": "gnss"}))


def stepped_at_the_limit(b: Bundle, d: Recorder) -> None:
    d.offset_us += 1_500_000
    d.enter("clock", {"step_us": 1_500_000, "before": "rtc", "after": "ntp"})
    b.expect("CLOCK_STEPPED", d.enter("clock", {"step_us": 1_500_001, "before": "rtc", "after": "ntp"}))
    b.expect("CLOCK_STEPPED", d.enter("clock", {"step_us": -1_500_001, "before": "rtc", "after": "ntp"}))


def said_less(b: Bundle, d: Recorder) -> None:
    d.offset_us += 60_000_000
    b.expect("CLOCK_STEP_HIDDEN", d.enter("clock", {"step_us": 0, "before": "rtc", "after": "ntp"}))


def entered_one_line_late(b: Bundle, d: Recorder) -> None:
    d.offset_us += 60_000_000
    b.expect("CLOCK_STEP_HIDDEN", d.heartbeat())
    b.expect("CLOCK_STEPPED", d.enter("clock", {"step_us": 60_000_000, "before": "rtc", "after": "ntp"}))


def monotonic_back(b: Bundle, d: Recorder) -> None:
    d.mono_us -= 3_000_000
    d.start_us += 3_000_000
    b.expect("CLOCK_STEP_HIDDEN", d.heartbeat())


def monotonic_back_little(b: Bundle, d: Recorder) -> None:
    """Both clocks."""
    b.expect("CLOCK_STEP_HIDDEN", d.heartbeat(wait_us=-1))


def both_stood_still(b: Bundle, d: Recorder) -> None:
    d.heartbeat(wait_us=0)


def restarted_behind(b: Bundle, d: Recorder) -> None:
    d.offset_us -= HOUR_US
    b.expect("CLOCK_BEHIND", d.boot())
    d.record("second")


def restarted_behind_at_the_limit(b: Bundle, d: Recorder) -> None:
    # The next line is a second after the start: 5 seconds of waiting and this one are made up for.
    d.offset_us -= 6_000_000 + 1_500_000
    d.boot()
    d.offset_us -= 6_000_000 + 1_500_001
    b.expect("CLOCK_BEHIND", d.boot())


def restarted_behind_without_source(b: Bundle, d: Recorder) -> None:
    d.offset_us -= HOUR_US
    d.source = "none"
    d.boot()
    d.record("second")


def was_without_source(b: Bundle, d: Recorder) -> None:
    d.source = "none"
    d.heartbeat()
    d.source = "ntp"
    d.offset_us -= HOUR_US
    d.boot()


clocked("clock-set-back", "The clock is set back an hour, and nobody entered that.", set_back)
clocked("clock-set-forward", "The clock is set forward an hour, and nobody entered that; the witness knows better.", set_forward)
clocked("clock-set-back-and-forward", "The clock is set back a day for one recording, and put right again.", forth_and_back)
clocked("good-clock-at-limit", "The clock moves by exactly a step, both ways.", at_the_limit)
clocked("clock-over-limit", "The clock moves by a microsecond more than a step, both ways.", over_the_limit)
clocked("clock-stepped", "The clock stepped forward and back, and was entered so.", stepped)
clocked("clock-stepped-at-limit", "Clock entries of exactly a step, and of a microsecond more, both ways.", stepped_at_the_limit)
clocked("clock-step-understated", "A clock entry says no step, and the clock stepped.", said_less)
clocked("clock-step-entered-late", "The step is entered a line too late.", entered_one_line_late)
clocked("clock-monotonic-back", "The monotonic clock went back within a run; the wall clock went on.", monotonic_back)
clocked("clock-monotonic-back-little", "Both clocks went back by a microsecond.", monotonic_back_little)
clocked("good-clock-still", "Two lines of the same moment.", both_stood_still)
clocked("clock-behind", "After a restart the clock is an hour behind.", restarted_behind)
clocked("clock-behind-at-limit", "After a restart the clock is behind by exactly a step, and then by a microsecond more.", restarted_behind_at_the_limit)
clocked("good-clock-behind-without-source", "After a restart the clock is an hour behind, and says that nothing vouches for it.", restarted_behind_without_source)
clocked("good-clock-behind-was-without-source", "Before a restart nothing vouched for the clock, which was ahead.", was_without_source)


# Against witnesses


@scenario("time-after-witness", "The device's clock is an hour ahead from the first line on: it claims to have recorded later than a witness saw it.")
def time_after_witness(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        d.offset_us = HOUR_US
        d.begin()

    brief(b, lambda d: d.record("first"), begun=begun)
    b.expect("TIME_AFTER_WITNESS", 0)


def last_line(b: Bundle, ahead_us: int) -> int:
    """A ledger whose last line is this much later than the witness's time."""

    def change(d: Recorder) -> None:
        d.record("first")
        d.heartbeat(wait_us=2_000_000 - d.true_us % 1_000_000)

    d = brief(b, change)
    d.files["cosigned"] = d.note(seconds=(d.true_us - ahead_us) // 1_000_000).encode()
    return d.size - 1


@scenario("good-time-after-witness-at-limit", "The last line is exactly 120 seconds later than the witness's time.")
def good_time_after_witness_at_limit(b: Bundle) -> None:
    last_line(b, 120_000_000)


@scenario("time-after-witness-over-limit", "The last line is 121 seconds later than the witness's time, the ones before it less.")
def time_after_witness_over_limit(b: Bundle) -> None:
    b.expect("TIME_AFTER_WITNESS", last_line(b, 121_000_000))


@scenario("time-after-largest-note-only", "Only the largest witnessed note counts: a smaller one's time is not held against the lines.")
def time_after_largest_note_only(b: Bundle) -> None:
    d = brief(b, lambda d: d.record("first"))
    b.notes = [d.note(6, own=False, by=(WITNESS,), seconds=(d.true_us - HOUR_US) // 1_000_000)]


@scenario("time-after-earliest-cosignature", "Two witnesses cosigned the note, one of them an hour before: a note's time is its earliest.")
def time_after_earliest_cosignature(b: Bundle) -> None:
    d = brief(b, lambda d: d.record("first"))
    early = d.note(own=False, by=(DOCK,), seconds=(d.true_us - HOUR_US) // 1_000_000).split("\n\n")[1]
    d.files["cosigned"] = (d.note(by=(WITNESS,)) + early).encode()
    b.expect("TIME_AFTER_WITNESS", 0)


@scenario("good-lines-after-note", "Lines that no witness saw are later than the note; that says nothing.")
def good_lines_after_note(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        d.files["kept"] = d.note().encode()
        d.heartbeat(wait_us=HOUR_US)

    d = brief(b, change)
    d.files["cosigned"] = d.files.pop("kept")


@scenario("time-before-receipt", "The device's clock is an hour behind from the first line on; the dock's receipt is later than the lines after it.")
def time_before_receipt(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        d.offset_us = -HOUR_US
        d.begin()

    def change(d: Recorder) -> None:
        d.record("first")
        d.receipt()
        b.expect("TIME_BEFORE_WITNESS", d.heartbeat())
        d.heartbeat()
        b.expect("TIME_BEFORE_WITNESS", d.boot())
        d.heartbeat()

    brief(b, change, begun=begun)


@scenario("time-before-witnessed", "The device's clock is an hour behind; a cosignature that came back is later than the lines after it.")
def time_before_witnessed(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        d.offset_us = -HOUR_US
        d.begin()

    def change(d: Recorder) -> None:
        d.record("first")
        d.witnessed()
        b.expect("TIME_BEFORE_WITNESS", d.heartbeat())

    brief(b, change, begun=begun)


@scenario("time-before-receipt-at-limit", "A line is exactly 120 seconds before the receipt before it, and after a restart a microsecond more.")
def time_before_receipt_at_limit(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        d.receipt(issued_us=d.true_us + 2_000_000 + 120_000_000)
        d.heartbeat()
        d.receipt(issued_us=d.true_us + 7_000_000 + 120_000_001 + 1_000_000, dock="dock-other")
        b.expect("TIME_BEFORE_WITNESS", d.boot(wait_us=6_000_000))

    d = brief(b, change)
    d.files["cosigned"] = d.note().encode()


@scenario("time-before-invalid-receipt", "A receipt of next year is no valid one: its time says nothing.")
def time_before_invalid_receipt(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.record("first")
        b.expect("RECEIPT_INVALID", d.receipt(issued_us=d.true_us + 365 * DAY_US, device="rec-second")[0])
        d.heartbeat()

    brief(b, change)

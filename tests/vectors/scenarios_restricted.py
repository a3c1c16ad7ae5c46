"""The officer declares what must not be recorded: R13.2, R13.3."""

from __future__ import annotations

from collections.abc import Callable

from tests.vectors.agency import SECOND
from tests.vectors.builder import Bundle, brief, scenario
from tests.vectors.pieces import path_of, place_of
from tests.vectors.recorder import Recorder, Recording

GoOn = Callable[[Recorder, Recording, int], None]


def ended(name: str, about: str, content: str, found: str | None, go_on: GoOn) -> None:
    """Declared within a recording; ``go_on`` gets the monotonic time until which frames may be taken."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.start("first")
            d.segment(r)
            d.mark(r)
            seq = d.restricted(r, content)
            go_on(d, r, d.mono_us + 2_000_000)
            d.close(r, reason="restricted")
            if found:
                b.expect(found, seq)

        brief(b, change)

    scenario(name, about)(build)


def until(offset_us: int) -> GoOn:
    """The last segment ends so much later than it may."""

    def go_on(d: Recorder, r: Recording, limit: int) -> None:
        d.segment(r, duration_us=limit + offset_us - r.film_us - r.end_us)

    return go_on


def photo_after(d: Recorder, r: Recording, limit: int) -> None:
    d.photo(r, captured_us=limit + 1)


def again(d: Recorder, r: Recording, limit: int) -> None:
    d.restricted(r, "state_secret")
    for _ in range(3):
        d.segment(r)


ended(
    "good-restricted-ended", "Declared within a recording; its film ends as late as it may.", "privacy", None, until(0)
)
ended(
    "restricted-recorded-on",
    "Declared within a recording; its film ends a microsecond later than it may.",
    "privacy",
    "RECORDED_RESTRICTED",
    until(1),
)
ended(
    "restricted-recorded-on-other",
    "Something else unsuitable was declared, and the film ends too late.",
    "other",
    "RECORDED_UNSUITABLE",
    until(1),
)
ended(
    "restricted-photo-after",
    "Declared within a recording; a photo was taken a microsecond later than it may.",
    "commercial_secret",
    "RECORDED_RESTRICTED",
    photo_after,
)
ended(
    "restricted-declared-twice",
    "Declared twice, and recording went on: found at the first.",
    "privacy",
    "RECORDED_RESTRICTED",
    again,
)


@scenario("restricted-two-kinds", "Two kinds were declared, and recording went on: each is found.")
def two_kinds(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        d.mark(r)
        b.expect("RECORDED_RESTRICTED", d.restricted(r, "privacy"))
        b.expect("RECORDED_UNSUITABLE", d.restricted(r, "other"))
        for _ in range(4):
            d.segment(r)
        d.close(r, reason="restricted")

    brief(b, change)


@scenario("good-restricted-before", "Declared while nothing was recorded; a recording follows.")
def declared_before(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.restricted(None, "privacy")
        d.record("first")

    brief(b, change)


@scenario("restricted-of-closed-recording", "Declared of a recording that is over.")
def of_closed(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.record("first")
        b.expect("ORPHAN_ENTRY", d.restricted(r))

    brief(b, change)


@scenario("restricted-of-none-while-one-is-open", "Declared of no recording while one is open.")
def of_none(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        b.expect("ORPHAN_ENTRY", d.restricted(None))
        for _ in range(3):
            d.segment(r)
        d.finish(r)

    brief(b, change)


def noted(name: str, about: str, note: Callable[[Recorder], bytes], found: bool = True) -> None:
    """With words of the officer's, opened with a key."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.start("first")
            d.segment(r)
            d.mark(r)
            ref = d.seal("remark", note(d))
            d.restricted(r, "other", ref)
            if found:
                b.expect("CONTENT_MISMATCH", place_of(ref))
            d.close(r, reason="restricted")

        brief(b, change)
        b.with_identity()

    scenario(name, about)(build)


noted("good-remark", "The officer's own words, sealed.", lambda d: d.remark(), found=False)
noted("remark-garbage", "The officer's words are no JSON.", lambda d: b"not JSON")
noted("remark-of-other-device", "The officer's words are another device's.", lambda d: d.remark(device=SECOND))
noted("remark-with-more", "The officer's words have a field more.", lambda d: d.remark(more=1))
noted("remark-too-long", "The officer's words are a character too long.", lambda d: d.remark(text="字" * 501))


@scenario("remark-missing", "The officer's words are gone.")
def remark_missing(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        ref = d.seal("remark", d.remark())
        d.restricted(None, "other", ref)
        del d.files[path_of(ref)]
        b.expect("OBJECT_MISSING", place_of(ref))
        d.record("first")

    brief(b, change)

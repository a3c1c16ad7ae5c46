"""What the regulation asks of formats, particulars, the site, officers: R6, R12.2 to R12.4, R16."""

from __future__ import annotations

from typing import Any

from tests.vectors.agency import DEVICE, SECOND
from tests.vectors.builder import Bundle, brief, scenario
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
            d.finish(r)
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
        r = d.start("first", "photo")
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
        r = d.start("second")
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

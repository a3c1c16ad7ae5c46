"""Places where two honest readers of the specification could once disagree: recordings, objects, film, sealing."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

from tests.vectors import age, film
from tests.vectors.agency import DEVICE, SECOND
from tests.vectors.builder import Bundle, brief, scenario, small
from tests.vectors.pieces import hazard_input, path_of, place_of
from tests.vectors.primitives import unb64url
from tests.vectors.recorder import Recorder, Recording
from tests.vectors.scenarios_conduct import pair
from tests.vectors.scenarios_objects import content, for_keys, piece, sealed_so

UNDER = "RECORDED_UNDER_HAZARD"
FLAG = {"state": "set", "inputs": [hazard_input("set")]}


# Recordings


@scenario("pause-after-recovered", "A recovered segment tells when its first frame was exposed: the next is held against it.")
def pause_after_recovered(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r, recovered=True, start_us=0, duration_us=0, frames=0)
        d.mark(r)
        b.expect("PAUSE_HIDDEN", d.segment(r, first_frame_us=r.film_us + 500_001))
        d.close(r)

    brief(b, change)


@scenario("good-notice-of-other-boot-id-between", "A failed notice says another boot id: the one before it, of the open's boot id, counts.")
def notice_of_other_boot_id(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.notice(r)
        here, d.boot_id = d.boot_id, "0" * 32
        d.notice(r, epoch=False, outcome="failed")
        d.boot_id = here
        d.open(r)
        d.segment(r)
        d.finish(r)

    brief(b, change)


@scenario("hazard-set-in-second-run", "The flag was set, the power went, the flag was set again: what is filmed after that is held against the second.")
def hazard_in_second_run(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        d.mark(r)
        d.enter("hazard", FLAG)
        d.boot()
        b.expect(UNDER, d.enter("hazard", FLAG))
        d.photo(r, captured_us=d.mono_us + 2_000_001)
        d.close(r)

    brief(b, change)


@scenario("good-hazard-photo-entered-before", "A photo says a time after the flag, and was entered before it.")
def hazard_photo_before(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        d.photo(r, captured_us=d.mono_us + 60_000_000)
        d.enter("hazard", FLAG)
        d.finish(r)

    brief(b, change)


@scenario("mandatory-in-broken-ledger", "A matter that must be filmed as a whole is open where the ledger breaks: whether it was finished is not known.")
def mandatory_in_broken(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.notice(r)
        d.open(r, content=d.particulars(r, mandatory=True))
        d.segment(r)
        b.expect("KEY_OUT_OF_SPAN", d.heartbeat(key=d.identity))

    brief(b, change)
    b.with_identity()


@scenario("id-reused-with-identity", "The second opening of a number names particulars of restricted content: it is not looked at.")
def id_reused_with_identity(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        film_us = r.film_us
        b.expect("RECORDING_REPEATED", d.open(r, content=d.particulars(r, restricted="privacy", mandatory=True)))
        r.film_us = film_us
        d.segment(r)
        d.finish(r)

    brief(b, change)
    b.with_identity()


@scenario("particulars-repeated", "A recording names the particulars of another one: they count as not read.")
def particulars_repeated(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        first = d.record("first")
        r = d.recording("second")
        d.notice(r)
        b.expect("OBJECT_REPEATED", d.open(r, particulars=first.objects[0]))
        d.segment(r)
        d.finish(r)

    brief(b, change)
    b.with_identity()
    b.untold = True


@scenario("recording-removed-that-repeats", "All that a recording has of its own is missing; that it names another's segment does not bring it back.")
def removed_that_repeats(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("third")
        d.segment(r)
        d.mark(r)
        b.expect("OBJECT_REPEATED", d.segment(r, object=d.recordings["second"].pieces[1]))
        d.close(r)
        b.expect("RECORDING_REMOVED", r.place)

    d = small(b, change)
    third = d.recordings["third"]
    del d.files[path_of(third.pieces[0])], d.files[path_of(third.objects[0])]


# Officers


def lasts_us() -> int:
    """From the first recording's ``open`` to its ``close``, in what ``pair`` makes."""
    b = Bundle("trial", "")
    first, _ = pair(b, 0)
    times = [json.loads(unb64url(line.split(b".")[1]))["time"]["utc_us"] for line in b.devices[f"archive/{DEVICE}"].lines]
    return times[first.at["close"][0]] - times[first.at["open"][0]]


@scenario("good-officer-two-devices-touching", "One officer opened on a second device in the microsecond in which the first recording closed.")
def officer_touching(b: Bundle) -> None:
    pair(b, lasts_us())


@scenario("officer-two-devices-by-a-microsecond", "One officer opened on a second device a microsecond before the first recording closed.")
def officer_by_a_microsecond(b: Bundle) -> None:
    _, later = pair(b, lasts_us() - 1)
    b.expect("OFFICER_TWO_DEVICES", later.at["open"][0], SECOND)


@scenario("good-archive-device-twice", "A device lies twice in an archive: that is one device, and one officer who holds it.")
def device_twice(b: Bundle) -> None:
    d = small(b)
    b.path = "archive"
    b.devices = {f"archive/{name}": d for name in ("one", "two")}


# Film


def init(plain: bytes) -> bytes:
    return plain[: plain.index(b"moof") - 4]


def last_data(plain: bytes, kind: Callable[[bytes], bytes]) -> bytes:
    """The last ``mdat`` written otherwise, from its content."""
    start = plain.rindex(b"mdat") - 4
    return plain[:start] + kind(plain[start + 8 :])


def wide(data: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, b"mdat", 16 + len(data)) + data


content("content-film-free-box", "A box that a player skips follows the film.", piece(lambda d, r, plain: plain + film.box("free", bytes(16))))
content("content-film-beginning-twice", "The film's beginning stands in it twice.", piece(lambda d, r, plain: init(plain) + plain))
content("content-film-movie-first", "The film's first two boxes are the other way round.", piece(lambda d, r, plain: plain[plain.index(b"moov") - 4 : len(init(plain))] + plain[: plain.index(b"moov") - 4] + plain[len(init(plain)) :]))
content("content-film-track-twice", "The film has two tracks of one number.", piece(lambda d, r, plain: film.film([film.video_track(2)] * 2, [[(4, 4), (4, 0)]])))
content("content-film-wide-box-too-small", "A box with a size of 64 bits says 15 bytes.", piece(lambda d, r, plain: last_data(plain, lambda data: struct.pack(">I4sQ", 1, b"mdat", 15) + data)))


def good_piece(name: str, about: str, change: Callable[[bytes], bytes]) -> None:
    def enter(d: Recorder, r: Recording) -> None:
        d.segment(r, plain=change(d.film(r, r.end_us, 2_000_000)))

    content(name, about, enter)


good_piece("good-film-wide-box", "A box of the film has a size of 64 bits.", lambda plain: last_data(plain, wide))
good_piece("good-film-empty-box", "The film's last box has a head of eight bytes and nothing else.", lambda plain: last_data(plain, lambda data: film.box("mdat")))

# Sealing

sealed_so("sealed-stanza-with-more", "One of two X25519 stanzas has an argument more.", for_keys("archive", extra=age.stanza("X25519", "more", "A" * 43, "x")))
sealed_so("sealed-stanza-of-short-body", "One of two X25519 stanzas has a body of 31 bytes.", for_keys("archive", extra=age.stanza("X25519", "short", "A" * 43, size=31)))
sealed_so("sealed-stanza-left-over-bits", "One of two X25519 stanzas has a share with left-over bits.", for_keys("archive", extra=age.stanza("X25519", "bits", "A" * 42 + "B")))



def sealed_to(name: str, about: str, header_bytes: int, *codes: str) -> None:
    """A segment whose header, with a stanza that age lets pass, ends after so many bytes."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.start("first")
            d.mark(r)
            plain, keys = d.film(r, 0, 2_000_000), [d.agency.archive, d.agency.escrow]
            bare = age.seal("bare", plain, keys, b"-> sample-grease \n\n")
            missing = header_bytes - (bare.index(b"\n", bare.index(b"\n--- ") + 1) + 1)
            ref = d.put(age.seal("padded", plain, keys, b"-> sample-grease " + b"x" * missing + b"\n\n"), "age")
            d.segment(r, object=ref)
            d.close(r)
            for code in codes:
                b.expect(code, place_of(ref))

        brief(b, change)
        b.with_identity()

    scenario(name, about)(build)


sealed_to("sealed-header-at-limit", "A header of 8,192 bytes, with a stanza that should not be there: the segment opens.", 8_192, "NOT_SEALED")
sealed_to("sealed-header-over-limit", "A header of 8,193 bytes: the segment does not open.", 8_193, "NOT_SEALED", "CONTENT_UNREADABLE")

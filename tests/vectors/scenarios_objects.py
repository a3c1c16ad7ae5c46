"""Sealed objects: entered twice, not sealed, sealed for others; and contents that are not what their entries say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.vectors import age, film
from tests.vectors.age import AgeKey
from tests.vectors.agency import SECOND
from tests.vectors.builder import Bundle, brief, scenario, small
from tests.vectors.pieces import Ref, place_of
from tests.vectors.primitives import compact
from tests.vectors.recorder import Recorder, Recording


@scenario("object-repeated", "The device enters a segment of an older recording once more as a new one.")
def object_repeated(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("third")
        d.segment(r)
        d.mark(r)
        b.expect("OBJECT_REPEATED", d.segment(r, object=d.recordings["second"].pieces[1]))
        d.close(r)

    small(b, change)


@scenario("object-repeated-in-recording", "A recording has the same segment twice, and its photo is the particulars.")
def object_repeated_in_recording(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("third")
        d.segment(r)
        d.mark(r)
        b.expect("OBJECT_REPEATED", d.segment(r, object=r.pieces[0]))
        b.expect("OBJECT_REPEATED", d.photo(r, object=r.objects[0]))
        d.close(r)

    brief(b, change)


@scenario("object-repeated-and-missing", "A segment is entered twice, and its file is gone: missing once.")
def object_repeated_and_missing(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("third")
        d.segment(r)
        d.segment(r)
        d.mark(r)
        b.expect("OBJECT_REPEATED", d.segment(r, object=r.pieces[0]))
        d.close(r)
        del d.files[f"objects/{r.pieces[0]['digest']}.age"]
        b.expect("OBJECT_MISSING", place_of(r.pieces[0]))

    brief(b, change)


# Not sealed, or for others

Seal = Callable[[Recorder, bytes], bytes]


def sealed_so(name: str, about: str, seal: Seal, code: str | None = "NOT_SEALED", identity: bool = False) -> None:
    """The second segment of a recording is sealed like this."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.start("first")
            d.segment(r)
            d.mark(r)
            ref = d.put(seal(d, d.film(r, r.end_us, 2_000_000)), "age")
            d.segment(r, object=ref)
            d.close(r)
            if code:
                b.expect(code, place_of(ref))

        brief(b, change)
        if identity:
            b.with_identity()

    scenario(name, about)(build)


def for_keys(*names: str, extra: bytes = b"") -> Seal:
    def seal(d: Recorder, plain: bytes) -> bytes:
        keys: list[AgeKey] = [getattr(d.agency, name) for name in names]
        return age.seal(f"for {names} {len(extra)}", plain, keys, extra)

    return seal


SCRYPT = age.stanza("scrypt", "scrypt", "AAAAAAAAAAAAAAAAAAAAAA", "10")
GREASE = age.stanza("sample-grease", "grease", "x", size=20)
LONG = age.stanza("sample-grease", "long grease", "x", size=7_000)

sealed_so("sealed-for-one-more", "A segment is sealed for one key more than its recording names.", for_keys("archive", "escrow", "stranger"))
sealed_so("sealed-for-one-less", "A segment is sealed for one key less than its recording names.", for_keys("archive"))
sealed_so("sealed-for-stranger", "A segment is sealed for as many keys as its recording names, one of them a stranger's: without a key this does not show.", for_keys("archive", "stranger"), None)
sealed_so("sealed-for-stranger-with-other-identity", "The same, with a key that opens it all the same.", for_keys("archive", "stranger"), None, True)
sealed_so("sealed-not-for-identity", "A segment is sealed for two others than the key given.", for_keys("stranger", "escrow"), "CONTENT_UNREADABLE", True)
sealed_so("sealed-by-passphrase-too", "A passphrase opens a segment as well.", for_keys("archive", "escrow", extra=SCRYPT))
sealed_so("sealed-by-passphrase-only", "Only a passphrase opens a segment.", lambda d, plain: age.seal("passphrase", plain, [], SCRYPT))
sealed_so("sealed-with-unknown-stanza", "A segment's header has a stanza of a type that age lets pass.", for_keys("archive", "escrow", extra=GREASE))
sealed_so("sealed-one-key-and-unknown-stanza", "One key and one unknown stanza are as many as the recipients, and not the same.", for_keys("archive", extra=GREASE))
sealed_so("sealed-with-long-header", "The header of a segment is longer than 8,192 bytes.", for_keys("archive", "escrow", extra=LONG))
sealed_so("not-sealed-film", "A segment is film as it is.", lambda d, plain: plain)
sealed_so("not-sealed-empty", "A segment is an empty file, and entered so.", lambda d, plain: b"")
sealed_so("not-sealed-armoured", "A segment is sealed as text.", lambda d, plain: b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n")
sealed_so("not-sealed-version-2", "A segment is a file of another version of age.", lambda d, plain: for_keys("archive", "escrow")(d, plain).replace(b"age-encryption.org/v1", b"age-encryption.org/v2", 1))
sealed_so("not-sealed-header-only", "A segment ends within its header.", lambda d, plain: for_keys("archive", "escrow")(d, plain)[:150])
sealed_so("content-torn", "A segment is cut in its only chunk, and entered so.", lambda d, plain: for_keys("archive", "escrow")(d, plain)[:-1], "CONTENT_UNREADABLE", True)
sealed_so("content-torn-without-identity", "The same without a key: the header is whole, and no more is asked.", lambda d, plain: for_keys("archive", "escrow")(d, plain)[:-1], None)
sealed_so("content-bit", "A bit of a segment was flipped before it was entered.", lambda d, plain: for_keys("archive", "escrow")(d, plain)[:-1] + b"\0", "CONTENT_UNREADABLE", True)


@scenario("recipients-differ", "A recording names a stranger among its recipients, and is sealed so.")
def recipients_differ(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        keys = [d.agency.archive, d.agency.stranger]
        r = d.recording("first")
        d.notice(r)
        ref = d.seal("particulars for a stranger", compact(d.particulars(r)), keys)
        b.expect("RECIPIENTS_DIFFER", d.open(r, particulars=ref, recipients=[key.recipient for key in keys]))
        d.segment(r, object=d.seal("segment for a stranger", d.film(r, 0, 2_000_000), keys))
        d.finish(r)

    brief(b, change)


@scenario("recipients-fewer", "A recording names one recipient of the policy's two, twice; its objects are sealed for two keys.")
def recipients_fewer(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.notice(r)
        b.expect("RECIPIENTS_DIFFER", d.open(r, recipients=[d.agency.archive.recipient] * 2))
        d.segment(r)
        d.finish(r)

    brief(b, change)


@scenario("good-recipients-in-other-order", "A recording names the policy's recipients in another order.")
def good_recipients_in_other_order(b: Bundle) -> None:
    brief(b, lambda d: d.record("first", recipients=d.agency.recipients[::-1]))


# Contents, with the key

def content(name: str, about: str, enter: Callable[[Recorder, Recording], Ref | None], code: str = "CONTENT_MISMATCH") -> None:
    """Something of another content is entered in a recording; the archive's key shows it."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.start("first")
            d.segment(r)
            d.mark(r)
            ref = enter(d, r)
            d.close(r)
            if ref is not None:
                b.expect(code, place_of(ref))

        brief(b, change)
        b.with_identity()

    scenario(name, about)(build)


def piece(change: Callable[[Recorder, Recording, bytes], bytes]) -> Callable[[Recorder, Recording], Ref]:
    """A segment whose content is changed."""

    def enter(d: Recorder, r: Recording) -> Ref:
        d.segment(r, plain=change(d, r, d.film(r, r.end_us, 2_000_000)))
        return r.pieces[-1]

    return enter


def before_fragments(plain: bytes, box: bytes) -> bytes:
    """The film with a box put before its first fragment."""
    at = plain.index(b"moof") - 4
    return plain[:at] + box + plain[at:]


def twice_timed(plain: bytes) -> bytes:
    """A fragment more, without samples, whose ``traf`` has two ``tfdt``."""
    head = film.full("tfhd", 0, 0x020000, (1).to_bytes(4, "big"))
    times = film.full("tfdt", 1, 0, bytes(8)) + film.full("tfdt", 1, 0, bytes(8))
    return plain + film.box("moof", film.full("mfhd", 0, 0, bytes(4)), film.box("traf", head, times)) + film.box("mdat")


def run_in_two(plain: bytes) -> bytes:
    """The first fragment's video samples, told in two parts: all of them, and then none."""
    at = plain.index(b"moof") - 4
    size = int.from_bytes(plain[at : at + 4], "big")
    more = film.video_track(10).traf(0, 0, 0)
    return plain[:at] + (size + len(more)).to_bytes(4, "big") + plain[at + 4 : at + size] + more + plain[at + size :]


def shot(plain: bytes) -> Callable[[Recorder, Recording], Ref]:
    def enter(d: Recorder, r: Recording) -> Ref:
        d.photo(r, plain)
        return r.objects[-1]

    return enter


def track(plain: Callable[[Recorder, Recording], bytes], **said: Any) -> Callable[[Recorder, Recording], Ref]:
    def enter(d: Recorder, r: Recording) -> Ref:
        d.telemetry(r, plain(d, r), **said)
        return r.objects[-1]

    return enter


content("content-frames-fewer", "The film has a frame less than its entry says.", piece(lambda d, r, plain: d.film(r, r.end_us, 2_000_000, fewer=1)))
content("content-start-other", "The film begins a second later than its entry says.", piece(lambda d, r, plain: d.film(r, r.end_us + 1_000_000, 2_000_000)))
content("content-film-swapped", "The film is that of the segment before.", piece(lambda d, r, plain: d.film(r, 0, 2_000_000)))
content("content-trailing", "Bytes follow the film's last box.", piece(lambda d, r, plain: plain + b"\0"))
content("content-trailing-box-torn", "The film ends in a box that is not whole.", piece(lambda d, r, plain: plain + film.box("mdat", b"more")[:-1]))
content("content-fragment-without-data", "The film's last fragment has no data.", piece(lambda d, r, plain: plain[: plain.rindex(b"mdat") - 4]))
content("content-no-film", "The film is none.", piece(lambda d, r, plain: b"no film at all"))
content("content-film-empty", "The film is empty.", piece(lambda d, r, plain: b""))
content("content-film-without-fragments", "The film has its beginning and no fragments.", piece(lambda d, r, plain: plain[: plain.index(b"moof") - 4]))
content("content-film-without-beginning", "The film has fragments without a beginning.", piece(lambda d, r, plain: plain[plain.index(b"moof") - 4 :]))
content("content-film-huge-box", "A box of the film says it is larger than any may be.", piece(lambda d, r, plain: plain + b"\0\0\0\1mdat" + (1 << 40).to_bytes(8, "big")))
content("content-film-box-size-zero", "A box of the film says it reaches to the end of the file, whatever that is.", piece(lambda d, r, plain: plain + b"\0\0\0\0mdat"))
content(
    "content-film-box-of-another-kind",
    "Between beginning and fragments stands a box that a player would pass over.",
    piece(lambda d, r, plain: before_fragments(plain, film.box("free"))),
)
content(
    "content-film-beginning-again",
    "The film's beginning stands once more at its end.",
    piece(lambda d, r, plain: plain + plain[: plain.index(b"moof") - 4]),
)
content(
    "content-film-fragment-of-no-track",
    "A last fragment has neither pictures nor sound.",
    piece(
        lambda d, r, plain: plain + film.box("moof", film.full("mfhd", 0, 0, bytes(4))) + film.box("mdat"),
    ),
)
content(
    "content-film-two-tables-of-time",
    "A fragment says twice when it begins.",
    piece(lambda d, r, plain: twice_timed(plain)),
)
content("content-photo", "The photo is no JPEG.", shot(b"\x89PNG"))
content("content-photo-empty", "The photo is empty.", shot(b""))
content("content-telemetry-of-other-recording", "The telemetry is another recording's.", track(lambda d, r: d.track(r, 0, 1_000_000, recording="0" * 16)))
content("content-telemetry-of-other-device", "The telemetry is another device's.", track(lambda d, r: d.track(r, 0, 1_000_000, device=SECOND)))
content("content-telemetry-fewer", "The telemetry has a position less than its entry says.", track(lambda d, r: d.track(r, 0)))
content("content-telemetry-outside", "A position is later than its entry says.", track(lambda d, r: d.track(r, 0, 1_000_001)))
content("content-telemetry-before", "A position is earlier than its entry says.", track(lambda d, r: d.track(r, 0, 1_000_000), start_us=1))
content("content-telemetry-unordered", "Positions are not in the order of time.", track(lambda d, r: d.track(r, 1_000_000, 0)))
content("content-telemetry-garbage", "The telemetry is no JSON.", track(lambda d, r: b"{"))
content("content-telemetry-with-fraction", "A position has a fraction.", track(lambda d, r: d.track(r, 0, 1_000_000).replace(b'"at_us":1000000', b'"at_us":1000000.0')))
content("content-telemetry-off-the-globe", "A position is north of the pole.", track(lambda d, r: d.track(r, 0, 1_000_000).replace(b'"latitude_e7":0', b'"latitude_e7":900000001')))


@scenario("good-film-run-in-two", "A fragment tells of its video samples in two parts; what counts is their sum.")
def good_film_run_in_two(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        d.mark(r)
        d.segment(r, plain=run_in_two(d.film(r, r.end_us, 2_000_000)))
        d.close(r)

    brief(b, change)
    b.with_identity()


@scenario(
    "good-film-empty-mdat",
    "The film's last fragment carries no samples, and its media data are empty.",
)
def good_film_empty_mdat(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        d.mark(r)
        empty = film.box("moof", film.full("mfhd", 0, 0, bytes(4)), film.video_track(10).traf(0, 0, 0))
        d.segment(r, plain=d.film(r, r.end_us, 2_000_000) + empty + film.box("mdat"))
        d.close(r)

    brief(b, change)
    b.with_identity()


@scenario("good-contents-at-limits", "Telemetry of one position, and of none; a photo of two bytes; positions at the corners of the globe.")
def good_contents_at_limits(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("first")
        d.segment(r)
        d.mark(r)
        d.photo(r, b"\xff\xd8")
        d.telemetry(r, d.track(r), start_us=0, end_us=0, samples=0)
        corner = {"at_us": 7, "latitude_e7": -900_000_000, "longitude_e7": 1_800_000_000, "altitude_mm": -1_000_000, "error_mm": None, "source": "fixed"}
        d.telemetry(r, d.track(r, positions=[corner, corner]), start_us=7, end_us=7, samples=2)
        d.close(r)

    brief(b, change)
    b.with_identity()


# Particulars, with the key


def said(name: str, about: str, make: Callable[[Recorder, Recording], Any], *codes: str, **opened: Any) -> None:
    """The particulars of a recording are these. Codes at their object, their ``open`` or the recording, by code."""

    def build(b: Bundle) -> None:
        def change(d: Recorder) -> None:
            r = d.recording("first")
            d.notice(r)
            seq = d.open(r, content=make(d, r), **opened)
            d.segment(r)
            d.finish(r)
            for code in codes:
                b.expect(code, place_of(r.objects[0]) if code == "CONTENT_MISMATCH" else seq)

        brief(b, change)
        b.with_identity()
        b.untold = "CONTENT_MISMATCH" in codes

    scenario(name, about)(build)


@scenario("particulars-not-for-identity", "The particulars are sealed for others: restricted content cannot be ruled out.")
def particulars_not_for_identity(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.notice(r)
        ref = d.seal("particulars for others", compact(d.particulars(r)), [d.agency.stranger, d.agency.escrow])
        d.open(r, particulars=ref)
        b.expect("CONTENT_UNREADABLE", place_of(ref))
        d.segment(r)
        d.finish(r)

    brief(b, change)
    b.with_identity()
    b.untold = True


@scenario("segment-as-document", "A segment is entered as a document, which nobody would ask to be sealed.")
def segment_as_document(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.start("third")
        b.expect("LINE_MALFORMED", d.segment(r, object=r.objects[0] | {"form": "jws"}))

    small(b, change)


def unassigned(d: Recorder, r: Recording) -> dict[str, Any]:
    return d.particulars(r) | {"assignment": None}


said("particulars-of-other-device", "The particulars are another device's.", lambda d, r: d.particulars(r) | {"device": SECOND}, "CONTENT_MISMATCH")
said("particulars-garbage", "The particulars are no JSON.", lambda d, r: b"not JSON", "CONTENT_MISMATCH")
said("particulars-duplicate-key", "The particulars say something twice.", lambda d, r: compact(d.particulars(r)).replace(b'"v":1', b'"v":1,"v":1'), "CONTENT_MISMATCH")
said("particulars-with-more", "The particulars have a field more.", lambda d, r: d.particulars(r) | {"more": 1}, "CONTENT_MISMATCH")
said("particulars-with-mark", "The particulars begin with a byte order mark.", lambda d, r: b"\xef\xbb\xbf" + compact(d.particulars(r)), "CONTENT_MISMATCH")
said("particulars-other-matter", "The particulars are of another matter than the entry says.", lambda d, r: d.particulars(r, matter="matter-other"), "PARTICULARS_DIFFER")
said("particulars-other-action", "The particulars say another kind of action.", lambda d, r: d.particulars(r, action="penalty"), "PARTICULARS_DIFFER")
said("particulars-other-stage", "The particulars say another stage.", lambda d, r: d.particulars(r, stage="start"), "PARTICULARS_DIFFER")
said("particulars-without-assignment", "The particulars have no assignment; the entry has.", unassigned, "PARTICULARS_DIFFER")
said("particulars-none-assigned", "Neither the entry nor the particulars name a matter: missing, and not differing.", unassigned, "PARTICULARS_MISSING", action=None, stage=None, matter=None)
said("particulars-assigned-not-entered", "The particulars name a matter; the entry names nothing.", lambda d, r: d.particulars(r), "PARTICULARS_MISSING", "PARTICULARS_DIFFER", action=None, stage=None, matter=None)
said("particulars-stage-not-entered", "The particulars have a stage; the entry has none.", lambda d, r: d.particulars(r), "PARTICULARS_MISSING", "PARTICULARS_DIFFER", stage=None)
said("restricted-state-secret", "State secrets were recorded.", lambda d, r: d.particulars(r, restricted="state_secret"), "RECORDED_RESTRICTED")
said("restricted-commercial-secret", "Commercial secrets were recorded.", lambda d, r: d.particulars(r, restricted="commercial_secret"), "RECORDED_RESTRICTED")
said("restricted-privacy", "Privacy was recorded.", lambda d, r: d.particulars(r, restricted="privacy"), "RECORDED_RESTRICTED")
said("restricted-other", "Something else unsuitable was recorded.", lambda d, r: d.particulars(r, restricted="other"), "RECORDED_UNSUITABLE")
said("good-mandatory", "A matter that must be filmed as a whole, and was.", lambda d, r: d.particulars(r, mandatory=True))


@scenario("mandatory-with-gap", "A matter that must be filmed as a whole has a gap.")
def mandatory_with_gap(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.notice(r)
        d.open(r, content=d.particulars(r, mandatory=True))
        d.segment(r)
        d.mark(r)
        b.expect("GAP", d.gap(r))
        d.segment(r)
        d.close(r)
        b.expect("MANDATORY_INTERRUPTED", r.place)

    brief(b, change)
    b.with_identity()


@scenario("mandatory-with-gap-without-identity", "The same without a key: only the gap shows.")
def mandatory_with_gap_unopened(b: Bundle) -> None:
    mandatory_with_gap(b)
    b.identity = None
    b.findings = [one for one in b.findings if one[0] == "GAP"]


@scenario("mandatory-unfinished", "A matter that must be filmed as a whole has no end.")
def mandatory_unfinished(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        r = d.recording("first")
        d.notice(r)
        d.open(r, content=d.particulars(r, mandatory=True))
        d.segment(r)
        b.expect("RECORDING_UNFINISHED", r.place)
        b.expect("MANDATORY_INTERRUPTED", r.place)

    brief(b, change)
    b.with_identity()

"""Extracts of which something is altered, left out, or smuggled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.vectors.agency import DEVICE, DOCK, HOUR_US, SECOND, WITNESS
from tests.vectors.builder import Bundle, scenario
from tests.vectors.extracts import Extract, Files, lines_of, place
from tests.vectors.pieces import Link, Ref, path_of, place_of
from tests.vectors.primitives import (
    COSIGNATURE,
    Dice,
    b64,
    cosignature,
    note_text,
    origin,
    own_signature,
    public,
    signature_line,
)
from tests.vectors.recorder import Recorder
from tests.vectors.scenarios_extract import first, whole_day
from tests.vectors.scenarios_lines import flipped, with_payload, with_signature

Change = Callable[[Extract, Files], object]


def mark(extract: Extract) -> int:
    """An innocent line of the span, after the recording's ``open``."""
    return extract.r.at["mark"][0]


def broken(name: str, about: str, code: str, change: Change) -> None:
    """The line ``mark``, or its row, is another."""

    def build(b: Bundle) -> None:
        extract = first(b)
        place(b, extract, lambda files: change(extract, files))
        b.expect(code, "extract" if code == "EXTRACT_MALFORMED" else mark(extract))

    scenario(name, about)(build)


def line(change: Callable[[bytes], bytes]) -> Change:
    def apply(extract: Extract, files: Files) -> None:
        lines = lines_of(files)
        at = extract.numbers.index(mark(extract))
        lines[at] = change(lines[at][:-1]) + b"\n"
        files["lines.jws"] = b"".join(lines)

    return apply


def row(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    """``change`` gets the index and the hashes."""

    def apply(extract: Extract, files: Files) -> None:
        rows = lines_of(files, "proofs")
        at = extract.numbers.index(mark(extract))
        rows[at] = b" ".join(change(rows[at][:-1].split(b" "))) + b"\n"
        files["proofs"] = b"".join(rows)

    return apply


OTHER_HASH = b64(Dice("another hash").bytes(32)).encode()

broken("extract-line-altered", "A digit of a line is another: its proof does not lead to the note.", "PROOF_INVALID", line(with_payload(lambda payload: flipped(payload, payload.index(b'"at_us":') + 8))))
broken("extract-line-signature-altered", "A bit of a line's signature is another: the proof is asked first.", "PROOF_INVALID", line(with_signature(lambda signature: flipped(signature, 40))))
broken("extract-line-malformed", "A line is none.", "LINE_MALFORMED", line(lambda data: b"not a line"))
broken("extract-proof-altered", "A hash of a proof is another.", "PROOF_INVALID", row(lambda parts: [*parts[:2], OTHER_HASH, *parts[3:]]))
broken("extract-proof-short", "A proof lacks its last hash.", "PROOF_INVALID", row(lambda parts: parts[:-1]))
broken("extract-proof-long", "A proof has a hash more.", "PROOF_INVALID", row(lambda parts: [*parts, OTHER_HASH]))
broken("extract-proof-empty", "A proof has no hashes.", "PROOF_INVALID", row(lambda parts: parts[:1]))
broken("extract-proof-in-other-order", "The hashes of a proof stand highest first.", "PROOF_INVALID", row(lambda parts: [parts[0], *parts[:0:-1]]))
broken("extract-row-garbage", "A row is none.", "EXTRACT_MALFORMED", row(lambda parts: [b"not", b"a", b"row"]))
broken("extract-row-leading-zero", "A row's index has a leading zero.", "EXTRACT_MALFORMED", row(lambda parts: [b"0" + parts[0], *parts[1:]]))
broken("extract-row-hash-short", "A hash of a row has 31 bytes.", "EXTRACT_MALFORMED", row(lambda parts: [*parts[:-1], b64(bytes(31)).encode()]))
broken("extract-row-hash-not-minimal", "A hash of a row is spelled with left-over bits.", "EXTRACT_MALFORMED", row(lambda parts: [*parts[:-1], b"A" * 42 + b"B="]))
broken("extract-row-two-spaces", "Two spaces in a row.", "EXTRACT_MALFORMED", row(lambda parts: [parts[0], b"", *parts[1:]]))
broken("extract-row-64-hashes", "A row of 64 hashes.", "EXTRACT_MALFORMED", row(lambda parts: [parts[0], *[OTHER_HASH] * 64]))
broken("extract-row-index-falls", "An index is smaller than the one before.", "EXTRACT_MALFORMED", row(lambda parts: [b"1", *parts[1:]]))
broken("extract-row-index-repeated", "An index is that of the row before.", "EXTRACT_MALFORMED", row(lambda parts: [b"%d" % (int(parts[0]) - 1), *parts[1:]]))
broken("extract-row-index-beyond", "An index is as large as the note.", "EXTRACT_MALFORMED", lambda extract, files: row(lambda parts: [b"%d" % extract.size, *parts[1:]])(extract, files))


@scenario("extract-row-missing", "The last line has no row.")
def extract_row_missing(b: Bundle) -> None:
    def change(files: Files) -> None:
        files["proofs"] = b"".join(lines_of(files, "proofs")[:-1])

    place(b, first(b), change)
    b.expect("EXTRACT_MALFORMED", "extract")


@scenario("extract-row-more", "A row more than there are lines.")
def extract_row_more(b: Bundle) -> None:
    extract = first(b)

    def change(files: Files) -> None:
        files["proofs"] += extract.row(extract.numbers[-1] + 1)  # type: ignore[operator]

    place(b, extract, change)
    b.expect("EXTRACT_MALFORMED", "extract")


@scenario("extract-line-index-of-other", "The last line's row says the number after its own.")
def extract_index_of_other(b: Bundle) -> None:
    extract = first(b)
    last = extract.numbers[-1]

    def change(files: Files) -> None:
        rows = lines_of(files, "proofs")
        rows[-1] = b"%d " % (last + 1) + rows[-1].split(b" ", 1)[1]
        files["proofs"] = b"".join(rows)

    place(b, extract, change)
    b.expect("LINE_OUT_OF_PLACE", last + 1)


@scenario("extract-lines-signed-by-other-key", "The witness saw a ledger in which a line of the recording was signed by a key that may not: its proof leads to the note.")
def extract_signed_by_other_key(b: Bundle) -> None:
    d = Recorder(b.agency)
    d.begin()
    r = d.start("first")
    d.segment(r)
    seq = d.enter_of(r, "mark", {"kind": "site_sign", "at_us": 0}, key=Dice("intruder").key())
    d.segment(r)
    d.close(r)
    place(b, Extract.of(d, "first"))
    b.expect("KEY_OUT_OF_SPAN", seq)


@scenario("extract-lines-with-false-signature", "The witness saw a ledger in which a line of the recording has a false signature: its proof leads to the note.")
def extract_false_signature(b: Bundle) -> None:
    d = Recorder(b.agency)
    d.begin()
    r = d.start("first")
    d.segment(r)
    seq = d.enter_of(r, "mark", {"kind": "site_sign", "at_us": 0}, sign=lambda message: bytes(32) + b"\1" + bytes(31))
    d.segment(r)
    d.close(r)
    place(b, Extract.of(d, "first"))
    b.expect("SIGNATURE_INVALID", seq)


# Lines that lack or are too many


def incomplete(name: str, about: str, change: Callable[[Bundle, Extract], object], *, which: str = "first", found: bool = True, **said: Any) -> None:
    """Other lines are handed over, each with its right proof."""

    def build(b: Bundle) -> None:
        extract = Extract.of(whole_day(b), which)
        change(b, extract)
        place(b, extract, **said)
        if found:
            b.expect("EXTRACT_INCOMPLETE", "extract")

    scenario(name, about)(build)


def without(extract: Extract, seq: int) -> None:
    """A line, and the object that it names."""
    extract.numbers.remove(seq)
    gone = [ref for at, ref in extract.d.named if at == seq]
    extract.objects = [ref for ref in extract.objects if ref not in gone]


def left_out(b: Bundle, extract: Extract) -> None:
    without(extract, extract.r.at["mark"][0])


def photo_left_out(b: Bundle, extract: Extract) -> None:
    without(extract, extract.r.at["photo"][0])


def boot_left_out(b: Bundle, extract: Extract) -> None:
    without(extract, 0)


def policy_left_out(b: Bundle, extract: Extract) -> None:
    without(extract, 3)


def begin_left_out(b: Bundle, extract: Extract) -> None:
    without(extract, extract.r.at["epoch"][0])


def end_left_out(b: Bundle, extract: Extract) -> None:
    without(extract, extract.r.at["epoch"][-1])


def close_left_out(b: Bundle, extract: Extract) -> None:
    del extract.numbers[-2:]
    b.expect("RECORDING_UNFINISHED", extract.r.place)


def more_after(b: Bundle, extract: Extract) -> None:
    extract.numbers.append(extract.numbers[-1] + 1)


def more_in_preamble(b: Bundle, extract: Extract) -> None:
    extract.numbers.insert(3, extract.d.at["self_test"][0])


def both(b: Bundle, extract: Extract) -> None:
    """Everything from the first recording to the end of the second."""
    second = extract.d.recordings["second"]
    extract.numbers += range(extract.numbers[-1] + 1, second.at["epoch"][-1] + 1)
    extract.objects += second.objects


incomplete("extract-line-left-out", "A mark in the recording is left out.", left_out, which="second")
incomplete("extract-photo-left-out", "A photo is left out, with its object.", photo_left_out)
incomplete("extract-boot-left-out", "The boot before the recording is left out.", boot_left_out)
incomplete("extract-policy-left-out", "The policy before the recording is left out: that cannot be seen.", policy_left_out, found=False)
incomplete("extract-begin-left-out", "The epoch that the recording begins with is left out.", begin_left_out)
incomplete("extract-end-left-out", "The epoch that the recording ends with is left out.", end_left_out)
incomplete("extract-close-left-out", "The recording's end is left out.", close_left_out)
incomplete("extract-line-after", "The line after the recording's end is handed over as well.", more_after)
incomplete("extract-line-in-preamble", "A self-test is handed over before the recording.", more_in_preamble)
incomplete("extract-of-two", "Two recordings are handed over, with all lines between them.", both)
incomplete("extract-of-other-recording", "The extract says that it is of another recording.", lambda b, extract: None, recording=Dice("another recording").hex(16))


# What the extract says of itself


def malformed(name: str, about: str, change: Change, found_at: str = DEVICE, **said: Any) -> None:
    """Nothing more is judged."""

    def build(b: Bundle) -> None:
        extract = first(b)
        place(b, extract, lambda files: change(extract, files), **said)
        b.expect("EXTRACT_MALFORMED", "extract", found_at)
        b.recordings = False

    scenario(name, about)(build)


def replace(path: str, make: Callable[[Extract], Any]) -> Change:
    def apply(extract: Extract, files: Files) -> None:
        made = make(extract)
        files[path] = made.encode() if isinstance(made, str) else made

    return apply


def nothing(extract: Extract, files: Files) -> None:
    """``extract.json`` says it already."""


def linked(extract: Extract, files: Files) -> None:
    files["elsewhere"], files["cosigned"] = files["cosigned"], Link("elsewhere")


malformed("extract-garbage", "The file extract.json is no JSON.", replace("extract.json", lambda extract: b"not JSON"))
malformed("extract-empty", "The file extract.json is empty.", replace("extract.json", lambda extract: b""))
malformed("extract-with-more", "The file extract.json has a field more.", nothing, more=1)
malformed("extract-of-version-2", "The extract is of version 2.", nothing, v=2)
malformed("extract-size-other", "The extract says another size than the note.", nothing, size=9)
malformed("extract-of-other-device", "The extract says another device than the note.", nothing, SECOND, device=SECOND)
malformed("extract-of-other-agency", "The extract says another agency than the note, and the trust file.", nothing, agency="other-agency")
malformed("extract-too-long", "The file extract.json has more than 65,536 bytes.", lambda extract, files: files.update({"extract.json": files["extract.json"] + b" " * 65_536}))  # type: ignore[operator]
malformed("extract-note-garbage", "The note is none.", replace("cosigned", lambda extract: b"not a note"))
malformed("extract-note-missing", "There is no note.", lambda extract, files: files.pop("cosigned"))
malformed("extract-note-linked", "The note is a link to a good one.", linked)
malformed("extract-note-of-other-device", "The note is another device's, and cosigned.", replace("cosigned", lambda extract: cosigned(extract, note_text(origin(extract.d.agency.name, SECOND), extract.size, bytes(32)))))


def cosigned(extract: Extract, text: str) -> str:
    key = extract.d.agency.witnesses[WITNESS]
    return f"{text}\n{cosignature(text, WITNESS, key, extract.d.true_us // 1_000_000)}"


@scenario("extract-linked", "The file extract.json is a link: this is no extract, and nothing else.")
def extract_linked(b: Bundle) -> None:
    def change(files: Files) -> None:
        files["elsewhere"], files["extract.json"] = files["extract.json"], Link("elsewhere")

    place(b, first(b), change)
    b.error = True


# Its note


@scenario("extract-note-of-other-history", "The witness's note is of another history: no line's proof leads to it.")
def extract_of_other_history(b: Bundle) -> None:
    extract = first(b)
    extract.note = cosigned(extract, extract.d.text(root=Dice("another history").bytes(32)))
    place(b, extract)
    b.expect("PROOF_INVALID", 0)
    b.recordings = False


@scenario("extract-cosignature-forged", "A cosignature in a witness's name is false.")
def extract_cosignature_forged(b: Bundle) -> None:
    extract = first(b)
    text = extract.d.text()
    line = signature_line(WITNESS, COSIGNATURE, public(b.agency.witnesses[WITNESS]), bytes(72))
    extract.note = f"{text}\n{own_signature(text, extract.d.key)}{line}"
    place(b, extract)
    b.expect("CHECKPOINT_INVALID", "cosigned")
    b.witnessed = False


@scenario("extract-time-after-witness", "The device's clock was an hour ahead: handed over alone, the recording still claims to be later than its witness.")
def extract_time_after_witness(b: Bundle) -> None:
    d = Recorder(b.agency)
    d.offset_us = HOUR_US
    d.begin()
    d.record("first")
    place(b, Extract.of(d, "first"))
    b.expect("TIME_AFTER_WITNESS", 0)


@scenario("extract-unwitnessed", "No witness cosigned the note: whoever made the extract could have made everything.")
def extract_unwitnessed(b: Bundle) -> None:
    extract = first(b)
    extract.note = extract.d.note(by=())
    place(b, extract)
    b.witnessed = False


@scenario("good-extract-without-ledger-s-signature", "The note has a witness's signature and not the ledger's: that is not asked.")
def extract_without_ledgers_signature(b: Bundle) -> None:
    extract = first(b)
    extract.note = extract.d.note(own=False, by=(DOCK,))
    place(b, extract)


# Its objects


def objects(name: str, about: str, code: str, change: Callable[[Extract, Files, Ref], object], where: Callable[[Extract, Ref], str] = lambda extract, ref: place_of(ref)) -> None:
    """Something about the first segment, or all."""

    def build(b: Bundle) -> None:
        extract = first(b)
        piece = extract.r.pieces[0]
        place(b, extract, lambda files: change(extract, files, piece))
        b.expect(code, where(extract, piece))

    scenario(name, about)(build)


def flip(extract: Extract, files: Files, ref: Ref) -> None:
    files[path_of(ref)] = flipped(files[path_of(ref)], -1)  # type: ignore[arg-type]


def all_gone(extract: Extract, files: Files, ref: Ref) -> None:
    for one in extract.r.objects:
        del files[path_of(one)]


def add(extract: Extract, files: Files, ref: Ref) -> None:
    files["objects/more"] = b"nobody named this"


objects("extract-object-missing", "A segment is missing.", "OBJECT_MISSING", lambda extract, files, ref: files.pop(path_of(ref)))
objects("extract-object-altered", "A segment is altered.", "OBJECT_ALTERED", flip)
objects("extract-objects-missing", "All objects of the recording are missing.", "RECORDING_REMOVED", all_gone, lambda extract, ref: extract.r.place)
objects("extract-object-unlisted", "A file that no line names.", "OBJECT_UNLISTED", add, lambda extract, ref: "file more")


@scenario("extract-profile-missing", "The profile that a line of the preamble names is missing.")
def extract_profile_missing(b: Bundle) -> None:
    extract = first(b)
    gone = extract.objects.pop(0)
    place(b, extract)
    b.expect("OBJECT_MISSING", place_of(gone))


@scenario("extract-released-object-missing", "A segment was released by the device before the extract was made: an extract has no releases.")
def extract_released_object_missing(b: Bundle) -> None:
    d = Recorder(b.agency)
    d.begin()
    r = d.record("first")
    _, receipt = d.receipt()
    d.release(receipt, [r.pieces[0]], delete=False)
    extract = Extract.of(d, "first")
    extract.objects.remove(r.pieces[0])
    place(b, extract)
    b.expect("OBJECT_MISSING", place_of(r.pieces[0]))

"""Places where two honest readers of the specification could once disagree: extracts; and limits to the byte."""

from __future__ import annotations

from tests.vectors import curve
from tests.vectors.agency import WITNESS
from tests.vectors.builder import Bundle, scenario, small
from tests.vectors.extracts import Extract, Files, lines_of, place
from tests.vectors.pieces import path_of
from tests.vectors.primitives import COSIGNATURE, ED25519, Dice, b64url, cosignature, public, signature_line
from tests.vectors.recorder import Recorder
from tests.vectors.scenarios_extract import first, whole_day
from tests.vectors.scenarios_extract_attacks import OTHER_HASH, broken, line, row


@scenario("extract-older-boot-in-preamble", "The boot before the last one stands in the preamble too.")
def older_boot(b: Bundle) -> None:
    extract = Extract.of(whole_day(b), "third")
    extract.numbers = sorted({0, *extract.numbers})
    place(b, extract)
    b.expect("EXTRACT_INCOMPLETE", "extract")


@scenario("extract-older-document-in-preamble", "An older profile stands in the preamble too.")
def older_document(b: Bundle) -> None:
    extract = Extract.of(whole_day(b), "third")
    extract.numbers = sorted({extract.d.at["adopted"][0], *extract.numbers})
    extract.objects.extend(ref for seq, ref in extract.d.named if seq == extract.d.at["adopted"][0])
    place(b, extract)
    b.expect("EXTRACT_INCOMPLETE", "extract")


@scenario("extract-key-of-boot-in-preamble", "The boot in the preamble names a key of small order.")
def key_in_preamble(b: Bundle) -> None:
    d = Recorder(b.agency)
    d.boot(epoch_key=b64url(curve.encode(curve.eighth())))
    d.genesis()
    d.adopt("profile", d.agency.profile())
    d.adopt("policy", d.agency.policy())
    d.record("first")
    place(b, Extract.of(d, "first"))
    b.expect("SIGNATURE_INVALID", 0)
    b.recordings = False


@scenario("good-extract-notice-of-other", "In the middle of the recording stands a notice of another one, which was never opened: the span has no hole.")
def notice_of_other(b: Bundle) -> None:
    d = Recorder(b.agency)
    d.begin()
    r = d.start("first")
    d.segment(r)
    d.notice(d.recording("second"), epoch=False)
    d.finish(r)
    place(b, Extract.of(d, "first"))


@scenario("extract-receipt-among-objects", "A receipt was entered in the middle of the recording, and its file is handed over: it lists what else a dock holds.")
def receipt_among_objects(b: Bundle) -> None:
    d = Recorder(b.agency)
    d.begin()
    r = d.start("first")
    d.segment(r)
    _, ref = d.receipt()
    d.finish(r)
    extract = Extract.of(d, "first")
    extract.objects.append(ref)
    place(b, extract)
    b.expect("OBJECT_UNLISTED", f"file {path_of(ref).removeprefix('objects/')}")


@scenario("extract-lines-without-last-newline", "The last line has no newline.")
def lines_without_newline(b: Bundle) -> None:
    place(b, first(b), lambda files: files.update({"lines.jws": b"".join(lines_of(files))[:-1]}))
    b.expect("EXTRACT_MALFORMED", "extract")


@scenario("extract-rows-without-last-newline", "The last row has no newline.")
def rows_without_newline(b: Bundle) -> None:
    place(b, first(b), lambda files: files.update({"proofs": b"".join(lines_of(files, "proofs"))[:-1]}))
    b.expect("EXTRACT_MALFORMED", "extract")


broken("extract-line-too-long", "A line has more than 65,536 bytes.", "LINE_MALFORMED", line(lambda data: b"x" * 65_537))
broken("extract-row-63-hashes", "A row of 63 hashes: as many as there may be, and more than this proof has.", "PROOF_INVALID", row(lambda parts: [parts[0], *[OTHER_HASH] * 63]))


@scenario("good-extract-longest-head", "The file extract.json has 65,536 bytes.")
def longest_head(b: Bundle) -> None:
    def pad(files: Files) -> None:
        head = files["extract.json"]
        assert isinstance(head, bytes)
        files["extract.json"] = head.ljust(65_536)

    place(b, first(b), pad)


@scenario("extract-head-one-byte-longer", "The file extract.json has 65,537 bytes.")
def head_too_long(b: Bundle) -> None:
    def pad(files: Files) -> None:
        head = files["extract.json"]
        assert isinstance(head, bytes)
        files["extract.json"] = head.ljust(65_537)

    place(b, first(b), pad)
    b.expect("EXTRACT_MALFORMED", "extract")
    b.witnessed = b.extract = b.recordings = False


# Notes given


def kept(extract: Extract, size: int, root: bytes | None = None) -> str:
    """A note over that many lines as a witness keeps it."""
    text = extract.d.text(size, root)
    key = extract.d.agency.witnesses[WITNESS]
    return f"{text}\n{cosignature(text, WITNESS, key, extract.d.true_us // 1_000_000 + 1)}"


@scenario("good-extract-notes-of-other-sizes", "Notes over fewer lines and over more are given: neither can be compared.")
def notes_of_other_sizes(b: Bundle) -> None:
    extract = first(b)
    place(b, extract)
    b.notes = [kept(extract, extract.size - 1), kept(extract, extract.size + 7, Dice("lines to come").bytes(32))]


@scenario("extract-unwitnessed-note-of-other-size", "Nobody cosigned the extract's note; a note over more lines, cosigned, does not stand for it.")
def unwitnessed_note_of_other_size(b: Bundle) -> None:
    extract = first(b)
    extract.note = extract.d.note(by=())
    place(b, extract)
    b.notes = [kept(extract, extract.size + 7, Dice("lines to come").bytes(32))]
    b.witnessed = False


@scenario("extract-note-given-of-other-history", "A note over as many lines and of another root is given.")
def note_given_of_other_history(b: Bundle) -> None:
    extract = first(b)
    place(b, extract)
    b.notes = [kept(extract, extract.size, Dice("another history").bytes(32))]
    b.expect("HISTORY_FORKED", "note 0")


@scenario("extract-note-given-false", "A note over other lines is given, and the cosignature in a witness's name is false.")
def note_given_false(b: Bundle) -> None:
    extract = first(b)
    place(b, extract)
    line = signature_line(WITNESS, COSIGNATURE, public(b.agency.witnesses[WITNESS]), bytes(72))
    b.notes = [f"{extract.d.text(extract.size - 1)}\n{line}"]
    b.expect("CHECKPOINT_INVALID", "note 0")


# Limits to the byte


def padded(d: Recorder, size: int) -> bytes:
    """The checkpoint with one more signature line, of somebody with a long name."""
    note = d.note(by=())
    empty = len((note + signature_line("n", ED25519, bytes(32), bytes(64))).encode())
    return (note + signature_line("n" * (size - empty + 1), ED25519, bytes(32), bytes(64))).encode()


@scenario("good-checkpoint-longest", "The checkpoint has 16,384 bytes.")
def checkpoint_longest(b: Bundle) -> None:
    d = small(b)
    d.files["checkpoint"] = padded(d, 16_384)


@scenario("checkpoint-one-byte-longer", "The checkpoint has 16,385 bytes.")
def checkpoint_too_long(b: Bundle) -> None:
    d = small(b)
    d.files["checkpoint"] = padded(d, 16_385)
    b.expect("CHECKPOINT_INVALID", "checkpoint")

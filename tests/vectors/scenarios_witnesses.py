"""Checkpoints that are none, histories rewritten, rolled back or forked, and who shows it."""

from __future__ import annotations

from collections.abc import Callable

from tests.vectors.agency import DEVICE, DOCK, HOUR_US, SECOND, WITNESS
from tests.vectors.builder import Bundle, brief, cut, scenario, small
from tests.vectors.curve import with_large_s
from tests.vectors.primitives import (
    COSIGNATURE,
    Dice,
    cosignature,
    note_text,
    origin,
    own_signature,
    public,
    root_of,
    signature_line,
)
from tests.vectors.recorder import Recorder
from tests.vectors.scenarios_good import archive

# Notes that are none


def text_of(d: Recorder, name: str) -> str:
    data = d.files[name]
    assert isinstance(data, bytes)
    return data.decode()


def bent(name: str, about: str, change: Callable[[Recorder, str], str | bytes], code: str = "CHECKPOINT_INVALID") -> None:
    """The file ``checkpoint`` is another."""

    def build(b: Bundle) -> None:
        d = small(b)
        made = change(d, text_of(d, "checkpoint"))
        d.files["checkpoint"] = made if isinstance(made, bytes) else made.encode()
        b.expect(code, "checkpoint")

    scenario(name, about)(build)


def swapped(text: str, where: int) -> str:
    """Another letter of base64 in this place."""
    return text[:where] + ("A" if text[where] != "A" else "B") + text[where + 1 :]


def root_at(note: str) -> int:
    return len("\n".join(note.split("\n")[:2])) + 1


bent("checkpoint-bit-of-root", "One letter of the checkpoint's root is another.", lambda d, note: swapped(note, root_at(note) + 5), "HISTORY_FORKED")
bent("checkpoint-bit-of-signature", "One letter of the checkpoint's signature is another.", lambda d, note: swapped(note, len(note) - 20))
bent("checkpoint-bit-of-key-id", "The key id of the checkpoint's signature is another: no signature of the ledger.", lambda d, note: swapped(note, note.rindex(" ") + 1))
bent("checkpoint-size-smaller", "The checkpoint's size is one less: its root is that of no such tree.", lambda d, note: note.replace(f"\n{d.size}\n", f"\n{d.size - 1}\n"), "HISTORY_FORKED")
bent("checkpoint-size-larger", "The checkpoint's size is one more than there are lines.", lambda d, note: note.replace(f"\n{d.size}\n", f"\n{d.size + 1}\n"), "LEDGER_CUT")
bent("checkpoint-size-leading-zero", "The checkpoint's size has a leading zero.", lambda d, note: note.replace(f"\n{d.size}\n", f"\n0{d.size}\n"))
bent("checkpoint-size-plus", "The checkpoint's size has a plus.", lambda d, note: note.replace(f"\n{d.size}\n", f"\n+{d.size}\n"))
bent("checkpoint-size-other-digits", "The checkpoint's size is in digits of another script.", lambda d, note: note.replace(f"\n{d.size}\n", "\n" + "".join(chr(0xFF10 + int(digit)) for digit in str(d.size)) + "\n"))
bent("checkpoint-size-negative", "The checkpoint's size is below zero.", lambda d, note: note.replace(f"\n{d.size}\n", f"\n-{d.size}\n"))
bent("checkpoint-size-zero", "A checkpoint over no lines, with the right root: no key is in force.", lambda d, note: d.text(0) + "\n" + own_signature(d.text(0), d.key))
bent("checkpoint-of-other-origin", "A checkpoint of another device, by this device's key.", lambda d, note: signed(d, note_text(origin(d.agency.name, SECOND), d.size, root(d))))
bent("checkpoint-of-other-agency", "A checkpoint of another agency's ledger.", lambda d, note: signed(d, note_text(origin("other-agency", DEVICE), d.size, root(d))))
bent("checkpoint-extension-line", "A checkpoint with an extension line.", lambda d, note: signed(d, d.text() + "more\n"))
bent("checkpoint-root-short", "A root of 31 bytes.", lambda d, note: signed(d, note_text(origin(d.agency.name, d.name), d.size, bytes(31))))
bent("checkpoint-root-not-minimal", "The root is spelled with left-over bits.", lambda d, note: signed(d, left_over(d.text())))
bent("checkpoint-unsigned", "The text of the checkpoint alone.", lambda d, note: d.text())
bent("checkpoint-without-signature-line", "The text and the empty line, and no signature.", lambda d, note: d.text() + "\n")
bent("checkpoint-17-signatures", "Seventeen signature lines, one of them the ledger's.", lambda d, note: note + 16 * nobody(d))
bent("checkpoint-too-long", "More than 16,384 bytes.", lambda d, note: note + signature_line("n" * 17_000, 1, bytes(32), bytes(64)))
bent("checkpoint-no-last-newline", "The last newline is missing.", lambda d, note: note[:-1])
bent("checkpoint-trailing", "An empty line follows the signatures.", lambda d, note: note + "\n")
bent("checkpoint-carriage-returns", "Lines end in carriage return and newline.", lambda d, note: note.replace("\n", "\r\n"))
bent("checkpoint-hyphen", "A hyphen for the dash before a signature.", lambda d, note: note.replace("— ", "- "))
bent("checkpoint-random", "A checkpoint of random bytes.", lambda d, note: Dice("random checkpoint").bytes(300))
bent("checkpoint-empty", "An empty checkpoint.", lambda d, note: "")
bent("checkpoint-by-identity", "The identity key signed the checkpoint.", lambda d, note: d.text() + "\n" + own_signature(d.text(), d.identity))
bent("checkpoint-by-old-epoch", "An epoch key that is over signed the checkpoint.", lambda d, note: d.text() + "\n" + own_signature(d.text(), d.old_keys[-1]))
bent("checkpoint-by-later-epoch", "A checkpoint over fewer lines, by the key that came after them.", lambda d, note: d.text(6) + "\n" + own_signature(d.text(6), d.key))
bent("checkpoint-only-cosigned", "The checkpoint has a witness's signature and not the ledger's.", lambda d, note: d.note(own=False))
bent("checkpoint-large-s", "The ledger's signature with the group order added to S.", lambda d, note: d.text() + "\n" + signature_line(origin(d.agency.name, d.name), 1, public(d.key), with_large_s(d.key.sign(d.text().encode()).signature)))


def root(d: Recorder) -> bytes:
    return root_of(d.leaves)


def signed(d: Recorder, text: str) -> str:
    return f"{text}\n{own_signature(text, d.key)}"


def nobody(d: Recorder) -> str:
    return cosignature(d.text(), "nobody.sample", Dice("nobody").key(), 0)


def left_over(text: str) -> str:
    """43 letters and one of padding hold 32 bytes and two bits."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    where = text.rindex("=") - 1
    return text[:where] + letters[letters.index(text[where]) | 1] + text[where + 1 :]


@scenario("good-sixteen-signatures", "Sixteen signature lines: the ledger's last, fourteen of nobody, one false in the witness's name but of another key.")
def good_sixteen_signatures(b: Bundle) -> None:
    d = small(b)
    other = cosignature(d.text(), WITNESS, Dice("nobody").key(), 0)
    own = own_signature(d.text(), d.key)
    d.files["checkpoint"] = f"{d.text()}\n{14 * nobody(d)}{other}{own}".encode()


@scenario("good-checkpoint-of-before", "The checkpoint is older than the ledger, by the key of its time.")
def good_checkpoint_of_before(b: Bundle) -> None:
    d = small(b)
    d.files["checkpoint"] = d.note(6, by=()).encode()


# Cosignatures


@scenario("cosigned-bit-of-cosignature", "One letter of a witness's signature is another: the note counts for nothing.")
def cosigned_bit_of_cosignature(b: Bundle) -> None:
    d = small(b)
    note = text_of(d, "cosigned")
    d.files["cosigned"] = swapped(note, len(note) - 20).encode()
    b.expect("CHECKPOINT_INVALID", "cosigned")
    b.witnessed = False


@scenario("cosigned-time-altered", "The time of a cosignature is another.")
def cosigned_time_altered(b: Bundle) -> None:
    d = small(b)
    text, seconds = d.text(), d.true_us // 1_000_000
    key = d.agency.witnesses[WITNESS]
    message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
    blob = (seconds - 3600).to_bytes(8, "big") + key.sign(message).signature
    line = signature_line(WITNESS, COSIGNATURE, public(key), blob)
    d.files["cosigned"] = f"{text}\n{own_signature(text, d.key)}{line}".encode()
    b.expect("CHECKPOINT_INVALID", "cosigned")
    b.witnessed = False


@scenario("cosigned-short", "A cosignature in a witness's name and of its key id that is too short.")
def cosigned_short(b: Bundle) -> None:
    d = small(b)
    line = signature_line(WITNESS, COSIGNATURE, public(d.agency.witnesses[WITNESS]), bytes(64))
    d.files["cosigned"] = f"{d.text()}\n{own_signature(d.text(), d.key)}{line}".encode()
    b.expect("CHECKPOINT_INVALID", "cosigned")
    b.witnessed = False


@scenario("cosigned-bit-of-root", "One letter of the cosigned note's root is another: the cosignatures are false, and that comes first.")
def cosigned_bit_of_root(b: Bundle) -> None:
    d = small(b)
    note = text_of(d, "cosigned")
    d.files["cosigned"] = swapped(note, root_at(note) + 5).encode()
    b.expect("CHECKPOINT_INVALID", "cosigned")
    b.witnessed = False


@scenario("cosigned-false-in-checkpoint", "A false cosignature in a witness's name is added to the checkpoint; the cosigned note is good.")
def cosigned_false_in_checkpoint(b: Bundle) -> None:
    d = small(b)
    line = signature_line(DOCK, COSIGNATURE, public(d.agency.witnesses[DOCK]), bytes(72))
    d.files["checkpoint"] = (text_of(d, "checkpoint") + line).encode()
    b.expect("CHECKPOINT_INVALID", "checkpoint")


@scenario("cosigned-without-ledger-s-signature", "The note in the folder has the witness's signature alone.")
def cosigned_without_ledgers_signature(b: Bundle) -> None:
    d = small(b)
    d.files["cosigned"] = d.note(own=False).encode()
    b.expect("CHECKPOINT_INVALID", "cosigned")
    b.witnessed = False


@scenario("cosigned-in-dock-s-name-by-receipt-key", "The dock's receipt key made the cosignature: it is of no key that may.")
def cosigned_in_docks_name(b: Bundle) -> None:
    d = small(b)
    line = cosignature(d.text(), DOCK, d.agency.receipts[DOCK], d.true_us // 1_000_000)
    d.files["cosigned"] = f"{d.text()}\n{own_signature(d.text(), d.key)}{line}".encode()
    b.witnessed = False


@scenario("cosigned-as-plain-signature", "The witness's key made a plain signature of the note, which says no time: it does not count.")
def cosigned_as_plain_signature(b: Bundle) -> None:
    d = small(b)
    key = d.agency.witnesses[WITNESS]
    line = signature_line(WITNESS, 1, public(key), key.sign(d.text().encode()).signature)
    d.files["cosigned"] = f"{d.text()}\n{own_signature(d.text(), d.key)}{line}".encode()
    b.witnessed = False


# Notes that somebody kept


def kept(name: str, about: str, note: Callable[[Recorder], str], code: str) -> None:
    """A good folder, and a note given that is not."""

    def build(b: Bundle) -> None:
        d = small(b)
        b.notes = [d.note(own=False), note(d)]
        b.expect(code, "note 1")

    scenario(name, about)(build)


kept("note-garbage", "A note given that is none.", lambda d: "not a note", "CHECKPOINT_INVALID")
kept("note-of-other-device", "A note given of another device.", lambda d: signed(d, note_text(origin(d.agency.name, SECOND), d.size, root(d))), "CHECKPOINT_INVALID")
kept("note-false", "A note given whose cosignature is false.", lambda d: d.text() + "\n" + signature_line(DOCK, COSIGNATURE, public(d.agency.witnesses[DOCK]), bytes(72)), "CHECKPOINT_INVALID")
kept("note-larger", "A note given over more lines than there are.", lambda d: fork(d, d.size + 5), "LEDGER_CUT")
kept("note-of-other-history", "A note given over another history.", lambda d: fork(d, 10), "HISTORY_FORKED")
kept("note-of-other-history-uncosigned", "A note given over another history, by the device alone.", lambda d: signed(d, d.text(10, bytes(32))), "HISTORY_FORKED")


def fork(d: Recorder, size: int) -> str:
    """A cosigned note over other lines."""
    text = d.text(size, Dice("another history").bytes(32))
    return f"{text}\n{cosignature(text, WITNESS, d.agency.witnesses[WITNESS], d.true_us // 1_000_000)}"


@scenario("two-histories", "Two ledgers of one device, both witnessed: a note of the one, given with the other, shows it.")
def two_histories(b: Bundle) -> None:
    other = Recorder(b.agency)
    other.begin()
    other.record("another")
    other.heartbeat()
    d = small(b)
    b.notes = [other.note()]
    b.expect("HISTORY_FORKED", "note 0")
    assert d.size > other.size


# Rewritten, with a key


@scenario("rewritten-with-epoch-key", "Whoever has the newest epoch key writes the last lines anew, and the checkpoint; the witness's note stands.")
def rewritten_with_epoch_key(b: Bundle) -> None:
    d = small(b)
    cosigned = d.files["cosigned"]
    unsay(d, d.at["receipt"][0])
    d.enter("heartbeat", {"state": "rewritten"})
    d.enter("heartbeat", {"state": "rewritten again"})
    d.witness()
    d.write()
    d.files["cosigned"] = cosigned
    b.expect("HISTORY_FORKED", "cosigned")
    b.witnessed = False


def unsay(d: Recorder, size: int) -> None:
    """The lines from number ``size`` on are gone, and the objects that only they name."""
    cut(d, size, objects=True)
    d.named = [(seq, ref) for seq, ref in d.named if seq < size]


@scenario("rewritten-shorter-with-epoch-key", "Whoever has the newest epoch key writes the end anew, shorter than the witness's note.")
def rewritten_shorter(b: Bundle) -> None:
    d = small(b)
    cosigned = d.files["cosigned"]
    unsay(d, d.at["receipt"][0])
    d.enter("heartbeat", {"state": "rewritten"})
    d.witness()
    d.write()
    d.files["cosigned"] = cosigned
    b.expect("LEDGER_CUT", "cosigned")
    b.witnessed = False


@scenario("rewritten-with-identity-key", "Whoever has stolen the identity key writes a whole ledger anew; the witness's note stands.")
def rewritten_with_identity_key(b: Bundle) -> None:
    first = Recorder(b.agency)
    first.begin()
    first.record("true-one")
    first.heartbeat()

    def change(d: Recorder) -> None:
        d.record("false-one")
        d.record("false-two")

    d = brief(b, change, label=" forged")
    d.files["cosigned"] = first.note().encode()
    b.expect("HISTORY_FORKED", "cosigned")
    b.witnessed = False


@scenario("rolled-back", "The storage is set back to an older image, and the device records on: the folder alone does not show it.")
def rolled_back(b: Bundle) -> None:
    roll_back(b)


@scenario("rolled-back-note-shows-it", "The same; a witness kept the note of the history that was set back, and it is given.")
def rolled_back_note(b: Bundle) -> None:
    b.notes = [roll_back(b)]
    b.expect("HISTORY_FORKED", "note 0")


@scenario("rolled-back-larger-note", "The same; the history that was set back was longer than the new one.")
def rolled_back_larger_note(b: Bundle) -> None:
    b.notes = [roll_back(b, lost=3)]
    b.expect("LEDGER_CUT", "note 0")


def roll_back(b: Bundle, lost: int = 1) -> str:
    """The folder after it; returns the note of the history that is lost."""
    before = Recorder(b.agency)
    before.begin()
    before.record("common")
    for number in range(lost):
        before.record(f"lost-{number}")
    note = before.note()

    def change(d: Recorder) -> None:
        d.record("common")
        cosigned = d.note()
        d.boot(wait_us=HOUR_US)
        d.record("after")
        d.heartbeat()
        d.files["kept"] = cosigned.encode()

    d = brief(b, change)
    d.files["cosigned"] = d.files.pop("kept")
    return note


# Witnessed entries


@scenario("good-witnessed-entries", "Cosignatures came back into the ledger, one over an older size; one note is of nobody and says nothing.")
def good_witnessed_entries(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        d.witnessed()
        d.witnessed(7, own=False, by=(WITNESS,))
        d.agency.witnesses.setdefault("nobody.sample", Dice("nobody").key())
        d.witnessed(by=("nobody.sample",))

    small(b, change)


@scenario("witnessed-entry-alone", "Only an entry says that a witness saw the ledger: that bounds times, and not what may have followed.")
def witnessed_entry_alone(b: Bundle) -> None:
    d = small(b, lambda d: d.witnessed())
    del d.files["cosigned"]
    b.witnessed = False


def archive_with_note(b: Bundle, device: str) -> None:
    """Two good devices, and a note that somebody has kept of a device."""
    archive(b)
    kept = Recorder(b.agency, device)
    kept.begin()
    b.notes = [kept.note() if device == "rec-gone" else b.devices[f"archive/{device}"].note()]


@scenario("good-archive-with-note", "A witness's note of one of the devices, given with the archive: it counts for that one.")
def good_archive_with_note(b: Bundle) -> None:
    archive_with_note(b, SECOND)


@scenario("archive-device-gone", "A witness has a note of a device that is not in the archive: a whole device is missing.")
def archive_device_gone(b: Bundle) -> None:
    archive_with_note(b, "rec-gone")
    for device in (DEVICE, SECOND):
        b.expect("CHECKPOINT_INVALID", "note 0", device)


def witnessed_entry(name: str, about: str, note: Callable[[Recorder], str], code: str) -> None:
    """A ``witnessed`` entry with another note."""

    def build(b: Bundle) -> None:
        small(b, lambda d: b.expect(code, d.enter("witnessed", {"note": note(d)})))

    scenario(name, about)(build)


witnessed_entry("witnessed-entry-garbage", "A witnessed entry whose note is none.", lambda d: "not a note", "CHECKPOINT_INVALID")
witnessed_entry("witnessed-entry-false", "A witnessed entry whose cosignature is false.", lambda d: d.text() + "\n" + signature_line(DOCK, COSIGNATURE, public(d.agency.witnesses[DOCK]), bytes(72)), "CHECKPOINT_INVALID")
witnessed_entry("witnessed-entry-of-other-device", "A witnessed entry whose note is of another device.", lambda d: cosigned_text(d, note_text(origin(d.agency.name, SECOND), 3, root(d))), "CHECKPOINT_INVALID")
witnessed_entry("witnessed-entry-of-the-future", "A witnessed entry whose note is over more lines than stand before it.", lambda d: fork(d, d.size + 1), "LEDGER_CUT")
witnessed_entry("witnessed-entry-of-other-history", "A witnessed entry whose note is over another history.", lambda d: fork(d, 5), "HISTORY_FORKED")


def cosigned_text(d: Recorder, text: str) -> str:
    return f"{text}\n{cosignature(text, DOCK, d.agency.witnesses[DOCK], d.true_us // 1_000_000)}"


@scenario(
    "cosigned-at-the-end-of-time", "The only cosignature is of the last second that can be: long after the certificate."
)
def cosigned_at_the_end_of_time(b: Bundle) -> None:
    d = brief(b, lambda d: d.record("first"))
    d.files["cosigned"] = d.note(seconds=2**63 - 1).encode()
    b.expect("CERTIFICATE_EXPIRED", 0)


@scenario("cosigned-after-the-end-of-time", "The cosignatures are of a second later than any can be.")
def cosigned_after_the_end_of_time(b: Bundle) -> None:
    d = brief(b, lambda d: d.record("first"))
    d.files["cosigned"] = d.note(seconds=2**63).encode()
    b.expect("CHECKPOINT_INVALID", "cosigned")
    b.witnessed = False

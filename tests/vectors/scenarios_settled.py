"""Places where two honest readers of the specification could once disagree: lines, keys, certificates, notes, devices."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.vectors import curve
from tests.vectors.agency import DEVICE, DOCK, HOUR_US, SECOND, START_US, WITNESS
from tests.vectors.builder import Bundle, brief, scenario, small, tiny
from tests.vectors.curve import with_large_s
from tests.vectors.device import Device
from tests.vectors.primitives import (
    COSIGNATURE,
    ED25519,
    Dice,
    b64,
    b64url,
    compact,
    cosignature,
    header_of,
    note_text,
    origin,
    own_signature,
    public,
    signature_line,
    token,
)
from tests.vectors.recorder import Recorder
from tests.vectors.scenarios_certificates import certificate_of, listed, shows
from tests.vectors.scenarios_garbage import trust
from tests.vectors.scenarios_good import archive
from tests.vectors.scenarios_lines import edit, mark
from tests.vectors.scenarios_witnesses import bent

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def left_over(text: str) -> str:
    """43 letters of base64url whose last two bits are of no byte, and not zero."""
    return text[:-1] + LETTERS[LETTERS.index(text[-1]) | 1]


# Lines


@scenario("line-kid-left-over-bits", "The key id of a line is spelled with left-over bits.")
def kid_left_over_bits(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        header = header_of(public(d.key))
        b.expect("LINE_MALFORMED", d.heartbeat(header=header | {"kid": left_over(header["kid"])}))

    tiny(b, change)


@scenario("line-kid-of-other-letters", "The key id of a line has 43 characters that are not those of base64url.")
def kid_of_other_letters(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        b.expect("LINE_MALFORMED", d.heartbeat(header=header_of(public(d.key)) | {"kid": "é" * 43}))

    tiny(b, change)


@scenario("line-alg-none-no-base64", "A line without a signature, whose payload is not base64url: its parts are asked before its header.")
def alg_none_no_base64(b: Bundle) -> None:
    d = small(b)
    edit(d, mark(d), lambda line: b64url(b'{"alg":"none"}').encode() + b".!.")
    b.expect("LINE_MALFORMED", mark(d))


@scenario("boot-key-left-over-bits", "A boot names a key with left-over bits.")
def boot_key_left_over_bits(b: Bundle) -> None:
    key = left_over(b64url(public(Dice("a key to be spoilt").key())))
    tiny(b, lambda d: b.expect("LINE_MALFORMED", d.boot(epoch_key=key)))


@scenario("certificate-not-base64url", "The certificate of a boot is not base64url.")
def certificate_not_base64url(b: Bundle) -> None:
    tiny(b, lambda d: b.expect("LINE_MALFORMED", d.boot(certificate="AAAAA")))


@scenario("epoch-of-same-key", "An epoch names the key in force: nothing is replaced, and the lines are counted on.")
def epoch_of_same_key(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        for _ in range(3):
            d.heartbeat()
        d.enter("epoch", {"key": b64url(public(d.key)), "reason": "lines"})
        d.heartbeat()
        b.expect("EPOCH_OVERDUE", d.heartbeat())
        d.heartbeat()

    brief(b, change, begun=lambda d: d.begin(policy=d.agency.policy(epoch_lines=8)))


@scenario("epoch-begin-of-recording-before", "A second notice of one recording uses up the epoch before it: the next recording has none.")
def epoch_begin_used_up(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        first, second = d.recording("first"), d.recording("second")
        d.notice(first)
        d.notice(first)
        b.expect("EPOCH_OVERDUE", d.notice(second, epoch=False))

    brief(b, change)


@scenario("first-line-refused-in-other-folder", "The first line is refused, and the folder has another name than the device: the folder's name counts.")
def first_line_refused(b: Bundle) -> None:
    d = b.device(folder="elsewhere")
    b.path = "elsewhere"
    d.certificate = d.agency.certificate(DEVICE, d.identity, "tls")
    d.begin()
    d.witness()
    d.write()
    b.expect("CERTIFICATE", 0, "elsewhere")
    b.expect("CHECKPOINT_INVALID", "checkpoint", "elsewhere")
    b.expect("CHECKPOINT_INVALID", "cosigned", "elsewhere")
    b.witnessed = b.recordings = False


@scenario("ledger-emptied-and-list-garbage", "The ledger has no bytes, and the revocation list is none: certificates are not asked for.")
def ledger_emptied(b: Bundle) -> None:
    d = tiny(b, lambda d: None)
    b.trust["crl"] = ""
    d.files["ledger.jws"] = b""
    del d.files["checkpoint"], d.files["cosigned"]
    b.expect("LEDGER_UNREADABLE", "ledger")
    for path in d.files:
        if path.startswith("objects/"):
            b.expect("OBJECT_UNLISTED", f"file {path.removeprefix('objects/')}")
    d.lines.clear()
    b.witnessed = b.recordings = False


# Certificates and the trust file

shows("certificate-more-attributes", "A certificate whose subject says more than it must.", lambda d: d.agency.certificate(DEVICE, d.identity, more=((x509.NameOID.COUNTRY_NAME, "CN"),)))
shows("certificate-key-small-order", "A certificate for a key of small order.", lambda d: d.agency.certificate(DEVICE, Ed25519PublicKey.from_public_bytes(curve.encode(curve.eighth()))))
listed("revocation-list-twice-in-file", "The list stands twice in its place.", lambda b: b.agency.crl() * 2)
listed("revocation-list-with-text", "Words stand before the list.", lambda b: "list of today\n" + b.agency.crl())
trust("trust-root-with-text", "Words stand before the root certificate.", lambda b: compact(b.agency.trust(root_certificate="root\n" + b.agency.trust()["root_certificate"])))
trust("trust-root-twice", "The root certificate stands twice in its place.", lambda b: compact(b.agency.trust(root_certificate=b.agency.trust()["root_certificate"] * 2)))
trust("trust-key-left-over-bits", "A document key of the trust file is spelled with left-over bits.", lambda b: compact(b.agency.trust(document_keys=[left_over(b64url(public(b.agency.documents)))])))


@scenario("certificate-revoked-twice-in-list", "The certificate stands twice in the list, after its witness and before: the earlier counts.")
def certificate_revoked_twice(b: Bundle) -> None:
    small(b)
    serial = certificate_of(b).serial_number
    b.trust["crl"] = b.agency.crl([(serial, START_US - HOUR_US), (serial, START_US + 24 * HOUR_US)])
    b.expect("CERTIFICATE_REVOKED", 0)


@scenario("good-dock-with-two-keys", "A dock stands twice in the trust file, with an older key too: each of its keys counts.")
def dock_with_two_keys(b: Bundle) -> None:
    small(b)
    key = b64url(public(Dice("an older key of the dock").key()))
    b.trust["docks"] = [{"id": DOCK, "receipt_key": key, "witness_key": key}, *b.agency.trust()["docks"]]


# Notes


def note_of(d: Device, text: str, *more: str) -> str:
    return f"{text}\n{own_signature(text, d.key)}{''.join(more)}"


def sized(d: Recorder, size: int) -> str:
    return note_of(d, note_text(origin(d.agency.name, d.name), size, bytes(32)))


def stranger(name: str) -> str:
    return signature_line(name, ED25519, bytes(32), bytes(64))


bent("checkpoint-name-with-plus", "A signature line of somebody whose name has a plus sign.", lambda d, note: note + stranger("some+body"))
bent("checkpoint-name-with-no-break-space", "A signature line of somebody whose name has a no-break space.", lambda d, note: note + stranger("some\u00a0body"))
bent("checkpoint-name-with-control-character", "A signature line of somebody whose name has a control character.", lambda d, note: note + stranger("some\x01body"))
bent("checkpoint-signature-of-no-byte", "A signature line that has a key id alone.", lambda d, note: note + f"— somebody {b64(bytes(4))}\n")
bent("checkpoint-second-signature-false", "The ledger's key signs twice, and the second signature is false.", lambda d, note: note + signature_line(origin(d.agency.name, d.name), ED25519, public(d.key), with_large_s(d.key.sign(b"another").signature)))
bent("checkpoint-size-beyond-integers", "The size is 2^53, rightly signed: no checkpoint.", lambda d, note: sized(d, 2**53))
bent("checkpoint-size-largest", "The size is 2^53−1: a checkpoint over more lines than there are.", lambda d, note: sized(d, 2**53 - 1), "LEDGER_CUT")


@scenario("good-checkpoint-of-short-stranger", "A signature line of somebody unknown, of one byte after the key id, and a name of odd letters.")
def checkpoint_of_stranger(b: Bundle) -> None:
    d = small(b)
    d.files["checkpoint"] = (d.note(by=()) + f"— 某人/ﬀ\ufeff {b64(bytes(5))}\n").encode()


def cosigned_again(name: str, about: str, seconds: int, finding: tuple[str, str | int], *, false: bool = False) -> None:
    """A second cosignature of the same witness in ``cosigned``; the first is good."""

    def build(b: Bundle) -> None:
        d = small(b)
        key = b.agency.witnesses[WITNESS]
        if false:
            line = signature_line(WITNESS, COSIGNATURE, public(key), bytes(72))
        else:
            line = cosignature(d.text(), WITNESS, key, seconds)
        d.files["cosigned"] = (d.note(by=(WITNESS,)) + line).encode()
        b.expect(*finding)
        b.witnessed = finding[0] != "CHECKPOINT_INVALID"

    scenario(name, about)(build)


EARLY = START_US // 1_000_000 - 3600
cosigned_again("cosigned-twice-second-false", "A witness cosigns twice, and the second cosignature is false.", 0, ("CHECKPOINT_INVALID", "cosigned"), false=True)
cosigned_again("cosigned-twice-second-earlier", "A witness cosigns twice, the second time earlier than the lines say they are: the earlier counts.", EARLY, ("TIME_AFTER_WITNESS", 0))


@scenario("notes-over-same-lines", "Two notes over the same lines; the one that is given was cosigned before the lines say they are.")
def notes_over_same_lines(b: Bundle) -> None:
    d = small(b)
    b.notes = [d.note(own=False, by=(DOCK,), seconds=EARLY)]
    b.expect("TIME_AFTER_WITNESS", 0)


@scenario("note-over-nothing", "Only a note over no line is cosigned: nothing was witnessed.")
def note_over_nothing(b: Bundle) -> None:
    d = small(b)
    del d.files["cosigned"]
    b.notes = [d.note(0, own=False, by=(WITNESS,))]
    b.witnessed = False


@scenario("witnessed-entry-of-the-future-and-broken", "A witnessed entry's note is over more lines than stand before it; a later line is refused. The note is found all the same.")
def witnessed_of_the_future(b: Bundle) -> None:
    def change(d: Recorder) -> None:
        text = d.text(d.size + 5, Dice("lines to come").bytes(32))
        note = f"{text}\n{cosignature(text, WITNESS, d.agency.witnesses[WITNESS], d.true_us // 1_000_000)}"
        b.expect("LEDGER_CUT", d.enter("witnessed", {"note": note}))
        b.expect("KEY_OUT_OF_SPAN", d.heartbeat(key=d.identity))

    tiny(b, change)


@scenario("archive-note-false-of-one", "A note given with an archive has a false cosignature: found for the device that it names, and for no other.")
def archive_note_false(b: Bundle) -> None:
    archive(b)
    d = b.devices[f"archive/{SECOND}"]
    line = signature_line(WITNESS, COSIGNATURE, public(b.agency.witnesses[WITNESS]), bytes(72))
    b.notes = [d.note(by=()) + line]
    b.expect("CHECKPOINT_INVALID", "note 0", SECOND)


@scenario("profile-alg-none-no-base64", "The profile is no JWS at all.")
def profile_no_base64(b: Bundle) -> None:
    def begun(d: Recorder) -> None:
        d.begin(profile=token({"alg": "none"}, b"", lambda message: b"").removesuffix(b".") + b".!")

    brief(b, lambda d: None, begun=begun)
    b.expect("DOCUMENT_INVALID", 2)



"""Checkpoints (C2SP tlog-checkpoint), signed notes (C2SP signed-note) and cosignatures (C2SP tlog-cosignature).

A checkpoint says "this ledger has N lines and this root". The device signs it with the epoch key in force after line N;
a witness adds a timestamped cosignature after checking that the ledger only grew.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nacl.signing import SigningKey

from agent.errors import FormatError, SignatureError
from agent.evidence.encoding import MAX_SAFE_INTEGER
from agent.evidence.jws import check_detached

MAX_NOTE_BYTES: Final = 16_384
MAX_SIGNATURES: Final = 16
LATEST_SECOND: Final = 2**63 - 1
"""POSIX time is a signed number of 64 bits."""
_ED25519: Final = 0x01
_COSIGNATURE: Final = 0x04
_DASH: Final = "— "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_NAME: Final = re.compile(r"[^\s+]+")
_ORIGIN: Final = re.compile(r"([a-z0-9-]{1,64})/enforcement-recorder/([a-z0-9-]{1,64})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size and root (32 bytes) of the ledger that ``origin`` names."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note's text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: key name, key id (4 bytes) and the signature bytes after it."""

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A checkpoint with its signature lines, not yet judged."""

    checkpoint: Checkpoint
    signatures: tuple[NoteSignature, ...]


def origin_of(agency: str, device: str) -> str:
    """The origin line of a device's ledger."""
    return f"{agency}/enforcement-recorder/{device}"


def origin_parts(origin: str) -> tuple[str, str] | None:
    """Agency and device that an origin line names; None when it is not the origin of a device's ledger."""
    found = _ORIGIN.fullmatch(origin)
    return (found[1], found[2]) if found else None


def key_id(name: str, public_key: bytes, algorithm: int) -> bytes:
    """C2SP key id: first 4 bytes of SHA-256(name, newline, algorithm, key)."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public_key).digest()[:4]


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """The note, signed by the ledger's key under the name of its origin."""
    text = checkpoint.text()
    public = bytes(key.verify_key)
    blob = key_id(checkpoint.origin, public, _ED25519) + key.sign(text.encode()).signature
    return f"{text}\n{_signature_line(checkpoint.origin, blob)}".encode()


def _signature_line(name: str, blob: bytes) -> str:
    return f"{_DASH}{name} {base64.b64encode(blob).decode()}\n"


def compose(checkpoint: Checkpoint, signatures: Iterable[NoteSignature]) -> bytes:
    """The note of a checkpoint with these signature lines, in their order."""
    lines = "".join(_signature_line(one.name, one.key_id + one.blob) for one in signatures)
    return f"{checkpoint.text()}\n{lines}".encode()


def with_signatures(note: bytes, more: Iterable[NoteSignature]) -> bytes:
    """The note with the signature lines that it does not have yet, as far as there is room. Raises FormatError.

    A line of a name and key id that is there already stays as it is: of two cosignatures the earlier says more.
    """
    opened = open_note(note)
    lines = {(one.name, one.key_id): one for one in opened.signatures}
    for one in more:
        if len(lines) < MAX_SIGNATURES:
            lines.setdefault((one.name, one.key_id), one)
    return compose(opened.checkpoint, lines.values())


def newest_note(kept: bytes | None, found: bytes) -> bytes:
    """Which of two cosigned notes over one ledger to keep: the larger, or both in one if they are over the same lines.

    The caller has checked ``found``. Raises FormatError when one is no note.
    """
    if kept is None:
        return found
    old, new = open_note(kept), open_note(found)
    if old.checkpoint == new.checkpoint:
        return with_signatures(kept, new.signatures)
    return found if new.checkpoint.size > old.checkpoint.size else kept


def open_note(note: bytes) -> SignedNote:
    """Takes a signed checkpoint apart; judges no signature. Raises FormatError."""
    if len(note) > MAX_NOTE_BYTES:
        raise FormatError(f"a note over {MAX_NOTE_BYTES} bytes")
    try:
        text, _, tail = note.decode("utf-8").partition("\n\n")
        signatures = tuple(_read_signature(line) for line in tail.removesuffix("\n").split("\n"))
    except (ValueError, binascii.Error) as error:
        raise FormatError(f"not a signed checkpoint: {error}") from error
    checkpoint = read_checkpoint(text + "\n")
    if not tail.endswith("\n") or _CONTROL.search(tail):
        raise FormatError("not a signed checkpoint")
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise FormatError(f"{len(signatures)} signatures")
    return SignedNote(checkpoint, signatures)


def read_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text is, spelled exactly so. Raises FormatError."""
    try:
        origin, size, root, end = text.split("\n")
        checkpoint = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
    except (ValueError, binascii.Error) as error:
        raise FormatError(f"not a checkpoint: {error}") from error
    canonical = not end and checkpoint.text() == text and len(checkpoint.root) == 32
    if not canonical or not origin or _CONTROL.search(origin) or not 0 <= checkpoint.size <= MAX_SAFE_INTEGER:
        raise FormatError("not a checkpoint")
    return checkpoint


def _read_signature(line: str) -> NoteSignature:
    dash, name, encoded = line[:2], *line[2:].split(" ")
    blob = base64.b64decode(encoded, validate=True)
    if dash != _DASH or not _KEY_NAME.fullmatch(name) or len(blob) < 5 or base64.b64encode(blob).decode() != encoded:
        raise FormatError("malformed signature line")
    return NoteSignature(name, blob[:4], blob[4:])


def check_ledger_signature(note: SignedNote, epoch_key: bytes) -> NoteSignature:
    """The ledger's signature; raises SignatureError unless its key in force after the last line signed the note."""
    found = _lines_of(note, note.checkpoint.origin, epoch_key, _ED25519)
    for signature in found:
        check_detached(note.checkpoint.text().encode(), signature.blob, epoch_key)
    if not found:
        raise SignatureError("the checkpoint is not signed by the ledger's key")
    return found[0]


def _lines_of(note: SignedNote, name: str, public_key: bytes, algorithm: int) -> list[NoteSignature]:
    wanted = key_id(name, public_key, algorithm)
    return [one for one in note.signatures if one.name == name and one.key_id == wanted]


def _cosigned_message(text: str, time_seconds: int) -> bytes:
    return f"cosignature/v1\ntime {time_seconds}\n{text}".encode()


def cosign(note: bytes, name: str, key: SigningKey, time_seconds: int) -> bytes:
    """Adds a witness's timestamped cosignature (POSIX seconds). The caller has checked consistency first."""
    checkpoint = open_note(note).checkpoint
    signature = key.sign(_cosigned_message(checkpoint.text(), time_seconds)).signature
    blob = key_id(name, bytes(key.verify_key), _COSIGNATURE) + time_seconds.to_bytes(8, "big") + signature
    return note + _signature_line(name, blob).encode()


def find_cosignature(note: SignedNote, name: str, public_key: bytes) -> NoteSignature | None:
    """This witness's cosignature, the earliest of several, None if there is none; a false one is a SignatureError."""
    found = _lines_of(note, name, public_key, _COSIGNATURE)
    for signature in found:
        _check_cosignature(note, signature, public_key)
    return min(found, key=_seconds, default=None)


def _check_cosignature(note: SignedNote, signature: NoteSignature, public_key: bytes) -> None:
    if len(signature.blob) != 72 or _seconds(signature) > LATEST_SECOND:
        raise SignatureError("a cosignature has 72 bytes, and a time that the format can hold")
    check_detached(_cosigned_message(note.checkpoint.text(), _seconds(signature)), signature.blob[8:], public_key)


def cosigned_at(note: SignedNote, name: str, public_key: bytes) -> int | None:
    """POSIX seconds at which this witness cosigned, None if it did not; a false cosignature is a SignatureError."""
    found = find_cosignature(note, name, public_key)
    return None if found is None else _seconds(found)


def _seconds(signature: NoteSignature) -> int:
    return int.from_bytes(signature.blob[:8], "big")


def verifier_key(name: str, public_key: bytes) -> str:
    """A witness's key as other programs take it (C2SP vkey): name, key id in hex, algorithm and key in base64."""
    key = base64.b64encode(bytes([_COSIGNATURE]) + public_key).decode()
    return f"{name}+{key_id(name, public_key, _COSIGNATURE).hex()}+{key}"

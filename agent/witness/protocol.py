"""The bytes between a witness and whoever asks it: C2SP tlog-witness ``add-checkpoint``, and our own ``add-keys``."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from agent.errors import FormatError
from agent.evidence import jws
from agent.evidence.checkpoint import SignedNote, open_note
from agent.evidence.encoding import MAX_SAFE_INTEGER
from agent.evidence.entries import Boot, Entry, Epoch, load_entry
from agent.evidence.merkle import HASH_BYTES, MAX_PROOF

MAX_CHECKPOINT_BYTES: Final = 65_536
MAX_KEYS_BYTES: Final = 1_048_576
MAX_ANSWER_BYTES: Final = 16_384
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
ADD_CHECKPOINT: Final = "/add-checkpoint"
ADD_KEYS: Final = "/add-keys"
_OLD: Final = re.compile(rb"old (0|[1-9][0-9]{0,15})")
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,15})\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the witness says: HTTP status, body and its type."""

    status: int
    body: bytes
    kind: str = TEXT_TYPE


@dataclass(frozen=True, slots=True)
class CheckpointRequest:
    """The body of ``add-checkpoint``."""

    old: int
    proof: Sequence[bytes]
    note: SignedNote


def dump_checkpoint(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body that offers a signed note, with a consistency proof from ``old`` lines."""
    lines = [b"old %d\n" % old, *(base64.b64encode(node) + b"\n" for node in proof)]
    return b"".join(lines) + b"\n" + note


def parse_checkpoint(body: bytes) -> CheckpointRequest:
    """Takes the body of ``add-checkpoint`` apart; judges nothing. Raises FormatError."""
    head, gap, note = body.partition(b"\n\n")
    first, *rest = head.split(b"\n")
    found = _OLD.fullmatch(first)
    if not gap or found is None:
        raise FormatError("the first line must be 'old' and a size, and an empty line must follow the proof")
    if len(rest) > MAX_PROOF:
        raise FormatError(f"more than {MAX_PROOF} lines of proof")
    opened = open_note(note)
    if max(int(found[1]), opened.checkpoint.size) > MAX_SAFE_INTEGER:
        raise FormatError("a size beyond 2^53-1")
    return CheckpointRequest(int(found[1]), [_hash(line) for line in rest], opened)


def _hash(line: bytes) -> bytes:
    try:
        raw = base64.b64decode(line, validate=True)
    except (ValueError, binascii.Error) as error:
        raise FormatError("a line of proof is not base64") from error
    if len(raw) != HASH_BYTES or base64.b64encode(raw) != line:
        raise FormatError("a line of proof is not one hash in base64")
    return raw


def parse_size(body: bytes) -> int:
    """The size in the answer 409. Raises FormatError."""
    found = _SIZE.fullmatch(body)
    if found is None:
        raise FormatError("the witness did not say its size")
    return int(found[1])


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A ledger line that names a key, taken apart, its signature not yet judged."""

    token: jws.Jws
    entry: Entry
    body: Boot | Epoch


def parse_keys(body: bytes) -> list[KeyLine]:
    """The lines of ``add-keys``: ``boot`` and ``epoch`` lines of one device, in order. Raises FormatError."""
    if not body.endswith(b"\n"):
        raise FormatError("the last line does not end with a newline")
    found = [_key_line(line) for line in body[:-1].split(b"\n")]
    if len({one.entry.device for one in found}) != 1:
        raise FormatError("the lines are of several devices")
    if any(after.entry.seq <= before.entry.seq for before, after in pairwise(found)):
        raise FormatError("the lines are not in the order of the ledger")
    return found


def _key_line(line: bytes) -> KeyLine:
    token = jws.parse(line, jws.LEDGER_TYPE)
    entry = load_entry(token.payload)
    if not isinstance(entry.body, Boot | Epoch):
        raise FormatError(f"line {entry.seq} names no key: only boot and epoch lines do")
    return KeyLine(token, entry, entry.body)

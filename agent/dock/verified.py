"""What was verified of a device's ledger, so that it need not be verified again: durable, small, and sealed.

Whoever could write it could name the key that the next lines must be signed with. So it bears a code (HMAC-SHA-256)
under a key that only the dock can make, from the one that signs its receipts; else all lines are verified anew.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from nacl.signing import SigningKey
from pydantic import ConfigDict

from agent.errors import FormatError
from agent.evidence import jws
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import b64url, dump_json, from_b64url, load_object
from agent.evidence.entries import ObjectRef, load_entry
from agent.evidence.index import IndexWriter, KeptIndex, Mark
from agent.evidence.keys import KeyState
from agent.evidence.ledger import ChainState, identity_of
from agent.evidence.merkle import leaf_hash
from agent.evidence.shapes import STRICT, Count, Digest, Flag, FormatVersion, Key, Name, dump_shape, load_shape
from agent.system import durable

_PURPOSE: Final = b"enforcement-recorder dock, verified prefix, version 1"
_CODE_HEX: Final = 64

Named = tuple[Digest, Count, Literal["age", "jws"], Flag]
"""Digest, size and form of an object that is wanted or not yet receipted, and whether it is itself a receipt."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A prefix of a ledger, every line of which this dock has verified, and what the next line is judged by."""

    v: FormatVersion
    device: Name
    mark: Mark
    epoch_key: Key
    signed_lines: Count
    named: list[Named]
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def objects(self) -> list[tuple[ObjectRef, bool]]:
        """What ``named`` says, as ``Holdings`` takes it."""
        return [(ObjectRef(digest, size, form), receipt) for digest, size, form, receipt in self.named]


def seal_key(receipt_key: SigningKey) -> bytes:
    """The key of the code (32 bytes), from the one that signs receipts."""
    return hmac.digest(bytes(receipt_key), _PURPOSE, "sha256")


def describe(chain: ChainState, mark: Mark, unsettled: list[tuple[ObjectRef, bool]]) -> Verified:
    """What to keep of a chain that is not empty."""
    assert chain.device is not None and chain.keys.epoch_key is not None
    named: list[Named] = [(ref.digest, ref.size, ref.form, receipt) for ref, receipt in unsettled]
    return Verified(1, chain.device, mark, b64url(chain.keys.epoch_key), chain.keys.signed_lines, named)


def write_verified(path: Path, verified: Verified, key: bytes) -> None:
    """Keeps it, durably. The ledger and the index that it is of must be durable before. Raises StorageError."""
    text = dump_json(dump_shape(verified)) + b"\n"
    durable.write_atomic(path, hmac.digest(key, text, "sha256").hex().encode() + b"\n" + text, durable.PRIVATE_FILE)


def read_verified(path: Path, key: bytes, device: str) -> Verified | None:
    """What this dock has kept of this device; None when it has not, or what lies there is not its own."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    code, _, text = data.partition(b"\n")
    if not hmac.compare_digest(code, hmac.digest(key, text, "sha256").hex().encode()):
        return None
    try:
        found = load_shape(Verified, load_object(text))
    except FormatError:
        return None  # of another version of this program
    return found if found.device == device else None


def resume_chain(found: Verified, trust: TrustBundle, index: IndexWriter, kept: KeptIndex) -> ChainState:
    """The chain after the prefix. Raises FormatError, TrustError unless its last ``boot`` line still holds."""
    line = kept.line(found.mark.now.boot)
    if kept.node(0, found.mark.now.boot) != leaf_hash(line):
        raise FormatError("the last boot line is not the one that was verified")
    identity = identity_of(load_entry(jws.parse(line, jws.LEDGER_TYPE).payload), trust)
    keys = KeyState(from_b64url(found.epoch_key), found.signed_lines)
    mark = found.mark
    return ChainState(trust, found.device, mark.size, mark.head, keys, index.tree.frontier(), identity)

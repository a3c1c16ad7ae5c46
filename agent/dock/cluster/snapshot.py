"""What a journal's records amount to, so that whoever takes a device over need not read and verify them all again.

Sealed as the dock's own verified prefix is (``agent.dock.verified``): who could write one could name the key that the
next ledger lines must be signed with, so it bears a code under a key made from the one that signs receipts.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ConfigDict, Field

from agent.errors import FormatError, TrustError
from agent.evidence.checkpoint import MAX_NOTE_BYTES
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import b64url, dump_json, from_b64url, load_object
from agent.evidence.jws import MAX_JWS_BYTES
from agent.evidence.keys import KeyState, read_identity
from agent.evidence.ledger import ChainState
from agent.evidence.merkle import Tree
from agent.evidence.shapes import STRICT, Count, Digest, Flag, FormatVersion, Key, Name, dump_shape, load_shape

_PURPOSE: Final = b"enforcement-recorder intake, snapshot of a journal, version 1\n"

Unsettled = tuple[Digest, Count, Literal["age", "jws"], Flag, Flag]
"""Digest, size and form of an object wanted or not yet receipted; whether it is held; whether it is a receipt."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State after some records: the chain's, and what is not settled."""

    v: FormatVersion
    device: Name
    size: Count
    head: Digest
    epoch_key: Key
    signed_lines: Count
    certificate: Annotated[str, Field(max_length=8_192)]
    """Of the identity in force, DER, base64url; checked against the root again."""
    peaks: Annotated[list[Digest], Field(max_length=64)]
    """The Merkle tree's complete subtrees, largest first."""
    unsettled: list[Unsettled]
    owed: list[Annotated[str, Field(max_length=MAX_JWS_BYTES)]]
    """Receipts that the device has not yet entered, oldest first."""
    cosigned: Annotated[str, Field(max_length=MAX_NOTE_BYTES)] | None
    objects: Count
    """Held, over all."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def chain(self, trust: TrustBundle) -> ChainState:
        """The chain as it stood. Raises FormatError, TrustError."""
        identity = read_identity(from_b64url(self.certificate), trust.root())
        if (identity.device, identity.agency) != (self.device, trust.agency):
            raise TrustError(f"the certificate is for {identity.device} of {identity.agency}")
        tree = Tree(self.size, [bytes.fromhex(peak) for peak in self.peaks])
        keys = KeyState(from_b64url(self.epoch_key), self.signed_lines)
        return ChainState(trust, self.device, self.size, self.head, keys, tree, identity)


def take(
    chain: ChainState, unsettled: list[Unsettled], owed: list[bytes], cosigned: bytes | None, objects: int
) -> Snapshot:
    """Of a chain that is not empty."""
    assert chain.device is not None and chain.identity is not None and chain.keys.epoch_key is not None
    certificate = b64url(chain.identity.certificate.public_bytes(Encoding.DER))
    peaks = [peak.hex() for peak in chain.tree.peaks]
    return Snapshot(
        1, chain.device, chain.size, chain.head, b64url(chain.keys.epoch_key), chain.keys.signed_lines, certificate,
        peaks, unsettled, [token.decode() for token in owed], cosigned.decode() if cosigned else None, objects,
    )  # fmt: skip


def seal(snapshot: Snapshot, key: bytes) -> bytes:
    """Its bytes, with the code."""
    text = dump_json(dump_shape(snapshot))
    return _code(text, key) + b"\n" + text


def unseal(data: bytes, key: bytes, device: str) -> Snapshot:
    """Reads one back. Raises FormatError unless it is sealed with this key, and of this device."""
    code, _, text = data.partition(b"\n")
    if not hmac.compare_digest(code, _code(text, key)):
        raise FormatError("the snapshot is not sealed by this intake")
    found = load_shape(Snapshot, load_object(text))
    if found.device != device:
        raise FormatError(f"the snapshot is of {found.device}")
    return found


def _code(text: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + text, "sha256").hex().encode()

"""The ledger: the pure state of a chain of lines, for whoever writes it and for whoever checks it.

``ChainState`` accepts one line at a time and holds only what the next line needs; ``LedgerWriter`` makes the next line.
Writing to disk is the caller's: object first, then its line, each synced before the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from agent.errors import OutOfPlaceError, SignatureError, TrustError
from agent.evidence import jws
from agent.evidence.documents import TrustBundle
from agent.evidence.encoding import b64url, from_b64url, sha256_hex
from agent.evidence.entries import Body, Boot, Entry, EntryTime, Epoch, Genesis, load_entry
from agent.evidence.keys import Identity, KeyState, read_identity
from agent.evidence.merkle import Tree
from agent.evidence.shapes import dump_shape

FIRST_PREV: Final = "0" * 64


@dataclass(slots=True)
class ChainState:
    """What is known after some lines: size, hash of the last line, key in force, tree. Judges the next line."""

    trust: TrustBundle
    device: str | None = None
    """Expected device; taken from the first line when None."""
    size: int = 0
    head: str = FIRST_PREV
    keys: KeyState = field(default_factory=KeyState)
    tree: Tree = field(default_factory=Tree)
    identity: Identity | None = None

    def accept(self, line: bytes) -> Entry:
        """Judges one more line (without newline) and takes it in. On any error nothing has changed.

        Raises FormatError (shape; OutOfPlaceError: chain), SignatureError (KeySpanError: another key than the one in
        force), TrustError (certificate).
        """
        token = jws.parse(line, jws.LEDGER_TYPE)
        entry = load_entry(token.payload)
        self._check_place(entry)
        identity = self._identity_for(entry)
        self.keys.check_signer(token, entry.body, identity.public_key)
        self._take(line, entry, identity)
        return entry

    def _check_place(self, entry: Entry) -> None:
        if entry.seq != self.size:
            raise OutOfPlaceError(f"entry says it is number {entry.seq}, but stands at {self.size}")
        if entry.prev != self.head:
            raise OutOfPlaceError(f"entry {entry.seq} does not follow the line before it")
        if self.device is not None and entry.device != self.device:
            raise OutOfPlaceError(f"entry {entry.seq} belongs to device {entry.device}, not {self.device}")
        if (self.size == 1) != isinstance(entry.body, Genesis):
            raise OutOfPlaceError("genesis stands exactly once, at number 1")
        if isinstance(entry.body, Genesis) and (entry.body.device, entry.body.agency) != (
            entry.device,
            self.trust.agency,
        ):
            raise OutOfPlaceError(f"genesis is of {entry.body.device} of {entry.body.agency}")
        if self.size == 0 and not isinstance(entry.body, Boot):
            raise OutOfPlaceError("the ledger must begin with a boot line")

    def _identity_for(self, entry: Entry) -> Identity:
        if isinstance(entry.body, Boot):
            return identity_of(entry, self.trust)
        if self.identity is None:
            raise OutOfPlaceError("the ledger must begin with a boot line")
        return self.identity

    def _take(self, line: bytes, entry: Entry, identity: Identity) -> None:
        self.keys = self.keys.after(entry.body)  # first, since it refuses a key that is spelled wrongly
        self.device, self.identity = entry.device, identity
        self.head = sha256_hex(line)
        self.tree.add(line)
        self.size += 1


def identity_of(entry: Entry, trust: TrustBundle) -> Identity:
    """Whose certificate a ``boot`` entry shows; raises TrustError unless it is this agency's for this very device."""
    assert isinstance(entry.body, Boot)
    identity = read_identity(from_b64url(entry.body.certificate), trust.root())
    if identity.device != entry.device or identity.agency != trust.agency:
        raise TrustError(f"the certificate is for {identity.device} of {identity.agency}")
    return identity


class LedgerWriter:
    """Makes the lines of one run. The epoch key lives only here, in memory, and is dropped at every ``epoch`` line."""

    def __init__(
        self,
        device: str,
        size: int = 0,
        head: str = FIRST_PREV,
        tree: Tree | None = None,
        new_key: Callable[[], SigningKey] = SigningKey.generate,
    ) -> None:
        """Continues a ledger of ``size`` lines whose last line hashes to ``head``. ``new_key`` makes epoch keys."""
        self.device = device
        self.size = size
        self.head = head
        self.tree = tree or Tree()
        self.lines_by_key = 0
        self.newest: Entry | None = None
        """What the line says that was made last."""
        self._new_key = new_key
        self._epoch: SigningKey | None = None

    @property
    def epoch_key(self) -> SigningKey:
        """The key in force; raises SignatureError before the first boot line of this run."""
        if self._epoch is None:
            raise SignatureError("no boot line has been written in this run")
        return self._epoch

    def boot(self, identity: SigningKey, time: EntryTime, **fields: object) -> bytes:
        """The ``boot`` line: makes a fresh epoch key and certifies it with the identity key."""
        fresh = self._new_key()
        body = Boot(epoch_key=b64url(bytes(fresh.verify_key)), **fields)  # type: ignore[arg-type]
        line = self._line(body, time, identity)
        self._epoch, self.lines_by_key = fresh, 0
        return line

    def entry(self, body: Body, time: EntryTime) -> bytes:
        """The line of any other entry."""
        line = self._line(body, time, self.epoch_key)
        self.lines_by_key += 1
        return line

    def next_epoch(self, reason: str, time: EntryTime) -> bytes:
        """The ``epoch`` line: the current key signs its successor and is dropped."""
        fresh = self._new_key()
        body = Epoch(key=b64url(bytes(fresh.verify_key)), reason=reason)  # type: ignore[arg-type]
        line = self._line(body, time, self.epoch_key)
        self._epoch, self.lines_by_key = fresh, 0
        return line

    def _line(self, body: Body, time: EntryTime, key: SigningKey) -> bytes:
        payload = {
            "v": 1,
            "seq": self.size,
            "prev": self.head,
            "device": self.device,
            "type": body.TYPE,
            "time": dump_shape(time),
            "body": dump_shape(body),
        }
        line = jws.sign(payload, jws.LEDGER_TYPE, key)
        self.newest = Entry(self.size, self.head, self.device, time, body)
        self.head = hashlib.sha256(line).hexdigest()
        self.tree.add(line)
        self.size += 1
        return line


def unverified_entries(path: Path) -> Iterator[Entry]:
    """Entries of a ledger file as they stand, for showing: nothing is judged. Raises OSError, FormatError."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield load_entry(jws.parse(line[:-1], jws.LEDGER_TYPE).payload)

"""The keys by which one ledger may sign its checkpoints, as far as a witness without the ledger can know.

A ledger changes its key at every ``boot`` and ``epoch`` line. Learning such a line makes a *candidate*: a key that the
device's identity or an earlier key vouches for. Only a checkpoint that is consistent with the one before, and is signed
by a candidate, says which candidate was real.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from agent.errors import SignatureError
from agent.evidence import jws
from agent.evidence.checkpoint import NoteSignature, SignedNote, check_ledger_signature
from agent.evidence.jws import Jws

MAX_CANDIDATES: Final = 512
"""Of each of the two kinds: those that go back to the key of the last cosigned checkpoint, and the others."""

_Id = tuple[int, bytes]
_kid = lru_cache(maxsize=4096)(jws.thumbprint)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key that may be in force after line ``seq``, which names it."""

    key: bytes
    seq: int
    certificate: int
    """Serial number of the identity certificate that it goes back to."""
    parent: _Id | None = None
    """The candidate that signed the line; None for a ``boot``, and for what was remembered."""
    until: int | None = None
    """The line by which it named its successor: it signs no checkpoint over more lines than this number."""

    @property
    def id(self) -> _Id:
        """Line and key: a forged line that names a true key is a candidate of its own and changes nothing about it."""
        return self.seq, self.key

    def may_sign(self, size: int) -> bool:
        """Whether it can be the key in force after ``size`` lines."""
        return self.seq < size and (self.until is None or size <= self.until)


class KeyRing:
    """The candidates of one ledger, bounded."""

    def __init__(self, remembered: Candidate | None = None) -> None:
        """``remembered``: the key that signed the last cosigned checkpoint."""
        self._held: dict[_Id, Candidate] = {}
        self._known: set[_Id] = set()
        """Those that go back to the key of the last cosigned checkpoint: no ``boot`` can push them out."""
        self._floor = -1
        if remembered is not None:
            self.settle(remembered)

    def __len__(self) -> int:
        return len(self._held)

    def is_past(self, seq: int) -> bool:
        """Whether a line stands before the one that named the key in force at the last cosigned checkpoint."""
        return seq < self._floor

    def holds(self, seq: int, key: bytes) -> bool:
        """Whether this line has been learned already."""
        return (seq, key) in self._held

    def knows(self, kid: str) -> bool:
        """Whether a candidate has this thumbprint."""
        return any(_kid(one.key) == kid for one in self._held.values())

    def learn_boot(self, seq: int, key: bytes, certificate: int) -> None:
        """The key that a ``boot`` line names; the caller has checked its signature and certificate."""
        self._add(Candidate(key, seq, certificate))

    def learn_epoch(self, token: Jws, seq: int, key: bytes) -> None:
        """The key that an ``epoch`` line names. Raises SignatureError unless a candidate before it signed the line."""
        signers = [one for one in self._held.values() if one.seq < seq and _kid(one.key) == token.kid]
        if not signers:
            raise SignatureError(f"line {seq} is signed by a key that is not known here")
        signer = max(signers, key=lambda one: (one.id in self._known, one.seq))
        jws.check(token, signer.key)
        until = seq if signer.until is None else min(seq, signer.until)
        self._held[signer.id] = replace(signer, until=until)
        self._add(Candidate(key, seq, signer.certificate, signer.id))

    def _add(self, candidate: Candidate) -> None:
        former = self._held.pop(candidate.id, None)  # learned again, it counts as new
        self._held[candidate.id] = former or candidate
        if candidate.parent in self._known:
            self._known.add(candidate.id)
        known = candidate.id in self._known
        rivals = [one for one in self._held if (one in self._known) == known]
        for one in rivals[: max(0, len(rivals) - MAX_CANDIDATES)]:
            del self._held[one]
            self._known.discard(one)

    def signers(self, note: SignedNote) -> Iterator[tuple[Candidate, NoteSignature]]:
        """The candidates that signed this checkpoint and may have; those that go back to a cosigned one come first."""
        for one in sorted(self._held.values(), key=lambda one: (one.id not in self._known, -one.seq)):
            if one.may_sign(note.checkpoint.size):
                try:
                    yield one, check_ledger_signature(note, one.key)
                except SignatureError:
                    continue  # key ids have four bytes and can be made to collide: what verifies counts

    def settle(self, signer: Candidate) -> None:
        """A checkpoint that this key signed is remembered now: what stands before its line is dropped."""
        kept = {one.id: one for one in self._held.values() if one.seq >= signer.seq}
        self._held = kept | {signer.id: replace(kept.get(signer.id, signer), parent=None)}
        self._floor = signer.seq
        self._known = {signer.id}
        for one in sorted(self._held.values(), key=lambda one: one.seq):
            if one.parent in self._known:
                self._known.add(one.id)

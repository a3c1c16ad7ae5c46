"""The keys by which one ledger may sign its checkpoints, as far as a witness without the ledger can know.

A ledger changes its key at every ``boot`` and ``epoch`` line. Learning such a line makes a *candidate*: a key that the
device's identity or an earlier key vouches for. Only a checkpoint that is consistent with the one before, and is signed
by a candidate, says which candidate was real.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from agent.errors import SignatureError
from agent.evidence import jws
from agent.evidence.checkpoint import NoteSignature, SignedNote, check_ledger_signature
from agent.evidence.jws import Jws

_Pool = Literal["known", "rival", "past"]
_LIMITS: Final[dict[_Pool, int]] = {"known": 512, "rival": 512, "past": 64}
MAX_CANDIDATES: Final = sum(_LIMITS.values())

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


class KeyRing:
    """The candidates of one ledger, bounded in three pools, so that none can push out those of another.

    *Known* ones go back to the key of the last cosigned checkpoint. *Past* ones are named before that key: they sign
    nothing that is cosigned any more, but show whose word a ledger that was rolled back is. The rest are *rivals*.
    """

    def __init__(self, remembered: Candidate | None = None) -> None:
        """``remembered``: the key that signed the last cosigned checkpoint."""
        self._held: dict[_Id, Candidate] = {}
        self._known: set[_Id] = set()
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

    def in_force(self, candidate: Candidate, size: int) -> bool:
        """Whether the candidate may be the key in force after ``size`` lines."""
        past = self.is_past(candidate.seq)
        return candidate.seq < size and not past and (candidate.until is None or size <= candidate.until)

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
        self._trim(self._pool(candidate))

    def _pool(self, candidate: Candidate) -> _Pool:
        if self.is_past(candidate.seq):
            return "past"
        return "known" if candidate.id in self._known else "rival"

    def _trim(self, pool: _Pool) -> None:
        """Drops those learned first."""
        inside = [one.id for one in self._held.values() if self._pool(one) == pool]
        for one in inside[: max(0, len(inside) - _LIMITS[pool])]:
            del self._held[one]
            self._known.discard(one)

    def signers(self, note: SignedNote) -> list[tuple[Candidate, NoteSignature]]:
        """The candidates named below the note's size that signed it, whether in force or not; the likeliest first."""
        size = note.checkpoint.size
        found = []
        for one in (one for one in self._held.values() if one.seq < size):
            # Key ids have four bytes and can be made to collide: what verifies counts, not what is named.
            with suppress(SignatureError):
                found.append((one, check_ledger_signature(note, one.key)))
        return sorted(found, key=lambda pair: (not self.in_force(pair[0], size), pair[0].id not in self._known))

    def settle(self, signer: Candidate) -> None:
        """A checkpoint that this key signed is remembered now: what stands before its line is past."""
        self._held[signer.id] = replace(self._held.get(signer.id, signer), parent=None)
        self._floor = signer.seq
        self._known = {signer.id}
        for one in sorted(self._held.values(), key=lambda one: one.seq):
            if one.parent in self._known:
                self._known.add(one.id)
        for pool in _LIMITS:
            self._trim(pool)

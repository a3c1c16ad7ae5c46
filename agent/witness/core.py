"""What a witness decides: which checkpoint it cosigns, which key it learns, what it keeps of what it refuses.

No sockets here: bodies in, answers out. One lock makes judging and remembering one step, so that two requests at the
same moment cannot both be measured against the older memory. Memory is durable before a cosignature leaves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from nacl.signing import SigningKey

from agent.errors import FormatError, SignatureError, StorageError, TrustError
from agent.evidence import jws
from agent.evidence.checkpoint import Checkpoint, SignedNote, compose, cosign, origin_of, origin_parts
from agent.evidence.encoding import b64url, from_b64url, sha256_hex
from agent.evidence.entries import Boot
from agent.evidence.merkle import EMPTY_ROOT, check_consistency
from agent.system.logs import logger
from agent.witness.alarms import ALARM_TEXT, Alarm, AlarmBook, AlarmKind
from agent.witness.keyring import Candidate, KeyRing
from agent.witness.memory import Memory, Remembered, Signer
from agent.witness.protocol import SIZE_TYPE, Answer, CheckpointRequest, KeyLine, parse_checkpoint, parse_keys
from agent.witness.trusts import Trusts

_log = logger("witness")


def _say(status: int, reason: str) -> Answer:
    return Answer(status, f"{reason}\n".encode())


@dataclass(slots=True)
class _Ledger:
    """One ledger as the witness knows it."""

    keys: KeyRing = field(default_factory=KeyRing)
    last: Remembered | None = None


@dataclass(frozen=True, slots=True)
class _Signed:
    """A checkpoint under a signature of the ledger that verifies, and the note with that line alone.

    Other signature lines are nobody's word here; kept, they could make the memory larger than a note may be.
    """

    point: Checkpoint
    signer: Candidate
    note: bytes


class WitnessCore:
    """One witness. Any thread may call. StorageError: the memory could not be written, and no cosignature leaves."""

    def __init__(
        self,
        name: str,
        key: SigningKey,
        trusts: Trusts,
        memory: Memory,
        alarms: AlarmBook,
        clock: Callable[[], int],
    ) -> None:
        """``clock`` gives POSIX seconds. Raises StorageError when the memory is damaged: then nothing is cosigned."""
        self.name, self._key, self._clock = name, key, clock
        self._trusts, self._memory, self._alarms = trusts, memory, alarms
        self._lock = threading.Lock()
        self._ledgers = {origin: _Ledger(_ring(one), one) for origin, one in memory.all().items()}

    @property
    def public_key(self) -> bytes:
        """The key that cosignatures are checked with (32 bytes)."""
        return bytes(self._key.verify_key)

    # -- add-checkpoint ---------------------------------------------------------------------------------------------

    def add_checkpoint(self, body: bytes) -> Answer:
        """C2SP tlog-witness ``add-checkpoint``. Raises StorageError."""
        try:
            request = parse_checkpoint(body)
        except FormatError as error:
            return _say(400, str(error))
        with self._lock:
            self._refresh()
            return self._judge(request)

    def _judge(self, request: CheckpointRequest) -> Answer:
        point = request.note.checkpoint
        parts = origin_parts(point.origin)
        ledger = self._ledgers.get(point.origin)
        if parts is None or parts[0] not in self._trusts or ledger is None:
            return _say(404, "no key of this ledger is known here; send its key lines to add-keys")
        signed = self._signed(request.note, ledger, parts[0])
        if isinstance(signed, Answer):
            return signed
        in_force = ledger.keys.in_force(signed.signer, point.size)
        if ledger.last is not None:
            self._watch(ledger.last, signed, in_force)
        if not in_force and (ledger.last is None or point.size >= ledger.last.size):
            return _say(403, "the key that signed the checkpoint was replaced before that size")
        if request.old > point.size:
            return _say(400, "the old size is larger than the checkpoint")
        size, root = (ledger.last.size, bytes.fromhex(ledger.last.root)) if ledger.last else (0, EMPTY_ROOT)
        if request.old != size:
            return Answer(409, b"%d\n" % size, SIZE_TYPE)
        try:
            check_consistency(size, root, point.size, point.root, request.proof)
        except FormatError as error:
            if ledger.last is not None and point.size > size:
                self._alarm("inconsistent", ledger.last, signed)
            return _say(422, str(error))
        return self._cosign(ledger, signed)

    def _signed(self, note: SignedNote, ledger: _Ledger, agency: str) -> _Signed | Answer:
        revoked = False
        for signer, line in ledger.keys.signers(note):
            revoked = self._trusts.is_revoked(agency, signer.certificate)
            if not revoked:
                return _Signed(note.checkpoint, signer, compose(note.checkpoint, [line]))
        if revoked:
            return _say(403, "the device's identity certificate is revoked")
        return _say(403, "no key known here for this size signed the checkpoint; send the key lines to add-keys")

    def _cosign(self, ledger: _Ledger, signed: _Signed) -> Answer:
        point, signer = signed.point, signed.signer
        note = cosign(signed.note, self.name, self._key, self._clock())
        # The same checkpoint again changes nothing: who merely signs what is known must not become the known key.
        if ledger.last is None or point.size > ledger.last.size:
            said = Signer(b64url(signer.key), signer.seq, f"{signer.certificate:x}")
            remembered = Remembered(1, point.origin, point.size, point.root.hex(), note.decode(), said)
            self._memory.keep(remembered)
            ledger.last = remembered
            ledger.keys.settle(signer)
            _log.info("已见证 cosigned", origin=point.origin, size=point.size)
        return Answer(200, note.removeprefix(signed.note))

    # -- what is refused --------------------------------------------------------------------------------------------

    def _watch(self, last: Remembered, signed: _Signed, in_force: bool) -> None:
        """A signed checkpoint tells something by its size and root alone, whatever the rest of the request is."""
        point = signed.point
        if point.size < last.size:
            self._alarm("rollback", last, signed)
        elif point.size == last.size and point.root.hex() != last.root:
            self._alarm("fork", last, signed)
        elif point.size > last.size and not in_force:
            self._alarm("inconsistent", last, signed)

    def _alarm(self, kind: AlarmKind, last: Remembered, signed: _Signed) -> None:
        alarm = Alarm(1, kind, last.origin, self._clock(), last.note, signed.note.decode())
        try:
            kept = self._alarms.add(alarm)
        except StorageError as error:
            # It is refused either way; that the alarm could not be kept must not turn the refusal into a fault.
            _log.error("警报未能保存 alarm not kept", origin=last.origin, kind=kind, code=error.code, why=str(error))
            return
        if kept:
            log = _log.warning if kind == "rollback" else _log.error
            log(ALARM_TEXT[kind], origin=last.origin, kind=kind, cosigned=last.size, offered=signed.point.size)

    # -- add-keys ---------------------------------------------------------------------------------------------------

    def add_keys(self, body: bytes) -> Answer:
        """Our own call: ledger lines that name keys. What stands before the first line refused has been learned."""
        try:
            lines = parse_keys(body)
        except FormatError as error:
            return _say(400, str(error))
        origin = ""
        with self._lock:
            self._refresh()
            try:
                for line in lines:
                    origin = self._learn(line, origin)
            except (SignatureError, TrustError) as error:
                return _say(403, str(error))
            except FormatError as error:
                return _say(400, str(error))
        return _say(200, f"{origin}\n{lines[-1].entry.seq}")

    def _learn(self, line: KeyLine, before: str) -> str:
        """Learns one line and says of which ledger it is; ``before``: that of the line before it in the request."""
        body = line.body
        key = from_b64url(body.epoch_key if isinstance(body, Boot) else body.key)
        if not jws.is_sound_key(key):
            raise SignatureError(f"line {line.entry.seq} names no valid Ed25519 key")
        if isinstance(body, Boot):
            return self._learn_boot(line, body, key)
        return self._learn_epoch(line, key, before)

    def _learn_boot(self, line: KeyLine, body: Boot, key: bytes) -> str:
        identity = self._trusts.identify(line.entry, body)
        jws.check(line.token, identity.public_key)
        serial = identity.certificate.serial_number
        if self._trusts.is_revoked(identity.agency, serial):
            raise TrustError("the device's identity certificate is revoked")
        origin = origin_of(identity.agency, identity.device)
        ledger = self._ledgers.setdefault(origin, _Ledger())
        ledger.keys.learn_boot(line.entry.seq, key, serial)
        return origin

    def _learn_epoch(self, line: KeyLine, key: bytes, before: str) -> str:
        # The line itself does not name the agency: its signer does, or the line before it.
        seq, device = line.entry.seq, line.entry.device
        mine = {o: one.keys for o, one in self._ledgers.items() if (o == before if before else _is_of(o, device))}
        for origin, keys in mine.items():
            if keys.knows(line.token.kid):
                keys.learn_epoch(line.token, seq, key)
                return origin
        for origin, keys in mine.items():
            if keys.is_past(seq) or keys.holds(seq, key):
                return origin  # nothing depends on it any more: an honest device sends it with the others
        raise SignatureError(f"line {seq} is signed by a key that is not known here; begin with a boot line")

    # -- what anybody may ask ---------------------------------------------------------------------------------------

    def checkpoint(self, origin_hash: str) -> bytes | None:
        """The newest note cosigned of the ledger whose origin has this SHA-256 (hex); None if there is none."""
        with self._lock:
            for origin, ledger in self._ledgers.items():
                if ledger.last is not None and sha256_hex(origin.encode()) == origin_hash:
                    return ledger.last.note.encode()
        return None

    def _refresh(self) -> None:
        try:
            if self._trusts.refresh():
                _log.info("信任文件已更新 trust files read again")
        except TrustError as error:
            _log.error("信任文件不可用 trust file unusable", code=error.code, why=str(error))


def _is_of(origin: str, device: str) -> bool:
    parts = origin_parts(origin)
    return parts is not None and parts[1] == device


def _ring(remembered: Remembered) -> KeyRing:
    signer = remembered.signer
    if signer is None:
        raise StorageError(f"the memory of {remembered.origin} is a dock's: it names no key")
    return KeyRing(Candidate(from_b64url(signer.key), signer.seq, int(signer.certificate, 16)))

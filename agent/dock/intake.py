"""The intake of one device: every message is verified before anything is accepted, and claims follow durability.

Pure but for the archive: messages in, messages and reports out; the service publishes them. Anything that does not fit
(a gap in the lines, an object the ledger does not name, a missing part) is answered by asking for a new round, once;
what does not verify is quarantined and asked for once more, then refused, so that neither side goes round in circles.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import islice
from typing import Final, Generic, Literal, TypeVar

from cryptography import x509

from agent.custody import wire
from agent.custody.wire import Credit, DeviceState, Have, HeldObject, Kind, ObjectClose, ObjectOpen, Topic
from agent.dock.branches import Branch, Sessions
from agent.dock.quarantine import What
from agent.dock.reports import Cosigned, DockKeys, Out, Publish, Report
from agent.dock.staging import Staging
from agent.dock.store import ArchiveStore, Taken
from agent.dock.witness import Witness
from agent.errors import FormatError, OutOfPlaceError, QuarantineFullError, TrustError, WireError
from agent.evidence.checkpoint import open_note
from agent.evidence.entries import ObjectRef
from agent.evidence.receipts import MAX_OBJECTS, Receipt, sign_receipt

Archive = TypeVar("Archive", bound=ArchiveStore)

STRIKES: Final = 2
"""Failures of one line or object after which it is refused."""
RECEIPT_BYTES: Final = 33_554_432
"""Each receipt costs both sides several syncs, and comes back as an object of the ledger."""
_FLUSH_LINES: Final = 256
_MAX_REPEATED: Final = 64
_MOST_CLOSING: Final = 4
"""Objects of one device that are read back while more come in."""


class Intake(Generic[Archive]):
    """One device's session. Used by one thread. StorageError passes through: the service then drops the session."""

    def __init__(self, archive: Archive, witness: Witness, keys: DockKeys, window_bytes: int) -> None:
        self.device = archive.device
        self.state: DeviceState | None = None
        """What the device last said of itself; None before that and after it left."""
        self.received_bytes = 0
        """Of parts, since this session object was made."""
        self.duplicate_parts = 0
        self.ledger_refused = False
        self.window_bytes = window_bytes
        self.taken: list[Taken] = []
        """Lines made durable since the service last cleared this; for the catalogue."""
        self.held: list[ObjectRef] = []
        """Objects held since the service last cleared this; for the further copies."""
        self._archive, self._witness, self._keys = archive, witness, keys
        self._accepted: list[Taken] = []
        self._charged = self._announced_credit = self._announced_next = 0
        self._resync_asked = self._doubted = False
        self._strikes: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._note: bytes | None = None
        self._closing: deque[Staging] = deque()
        """Whole, and being read back."""
        self._sessions = Sessions()
        self._comparing = self._compared_once = False
        """The device is asked for all of its lines, to find where they leave those held."""
        self._branch: Branch | None = None

    def close(self) -> None:
        """Closes the archive's files."""
        self._archive.close()

    # -- what others ask --------------------------------------------------------------------------------------------

    @property
    def archive(self) -> Archive:
        """The device's part of the archive."""
        return self._archive

    @property
    def identity(self) -> x509.Certificate | None:
        """The device's identity certificate, as its ledger shows it."""
        identity = self._archive.chain.identity
        return None if identity is None else identity.certificate

    @property
    def may_be_taken(self) -> bool:
        """All that the device says it has is durably here, receipted, and the receipts are entered by it."""
        state = self.state
        return (
            state is not None
            and not self._resync_asked
            and not self.ledger_refused
            and state.lines <= self._archive.chain.size
            and state.pending_objects == 0
            and not self._archive.holdings.wanted
            and not self._archive.holdings.uncopied
            and self._archive.holdings.only_receipts
            and not self._archive.receipts.owed
        )

    # -- messages ---------------------------------------------------------------------------------------------------

    def handle(self, topic: Topic, payload: bytes, retained: bool = False) -> list[Out]:
        """Takes one message in. Raises WireError for one out of shape (nothing has changed then), StorageError.

        ``retained``: the broker had kept it.
        """
        wire.check_size(topic, payload)
        if topic.kind is Kind.STATE:
            return self._on_state(wire.load(DeviceState, payload), retained)
        if topic.kind is Kind.CHECKPOINT:
            self._note = payload
            return self._witness_note()
        if self.state is not None:
            self._charged += wire.charge(payload)
        match topic:
            case Topic(kind=Kind.LEDGER, number=int(seq)):
                outs = self._on_line(seq, payload)
            case Topic(kind=Kind.OPEN, digest=str(digest)):
                outs = self._on_open(digest, wire.load(ObjectOpen, payload))
            case Topic(kind=Kind.PART, digest=str(digest), number=int(number)):
                outs = self._on_part(digest, number, payload)
            case Topic(kind=Kind.CLOSE, digest=str(digest)):
                outs = self._on_close(digest, wire.load(ObjectClose, payload))
            case _:
                raise WireError(f"a device does not publish {topic.kind}")
        return outs + self._finish_closed(_MOST_CLOSING) + self._credit_if_due(self.window_bytes // 4)

    def idle(self) -> list[Out]:
        """Nothing waits: makes durable what was accepted, signs the receipt that is due, gives the credit back."""
        outs: list[Out] = self._finish_closed(0)
        self._flush()
        outs += self._witness_note() if self._note else []
        outs += self._keep_branch()
        while receipt := self._sign_receipt():
            outs += receipt
        return outs + self._credit_if_due(1)

    def _on_state(self, state: DeviceState, retained: bool) -> list[Out]:
        before = self.state
        if not state.online:
            if before is None or before.session != state.session:
                return []  # the will of a connection that has been replaced
            self.state = None
            return [Report("left", self.device, "the device has left"), *self._keep_branch()]
        if self._sessions.is_second(state):
            return self._cloned(state)
        self.state = state
        if before is not None and (before.session, before.round) == (state.session, state.round):
            return []
        arrived = before is None or before.session != state.session
        begun = self._ask_anew() if retained else self._begin_round(state)
        detail = f"a session begins; parts that came twice so far: {self.duplicate_parts}"
        return ([Report("docked", self.device, detail)] if arrived else []) + begun

    def _ask_anew(self) -> list[Out]:
        """What a broker has kept says who is there, not how things stand.

        Lines may have come since that are held here: to compare with those would be to cry rollback. And what was
        sent since, to a dock or worker that is no more, must be sent again. So the device is to say it anew.
        """
        self._charged = self._announced_credit = 0
        self._resync_asked = True
        return [self._have([], resync=True)]

    def _begin_round(self, state: DeviceState) -> list[Out]:
        outs: list[Out] = self._finish_closed(0)
        size = self._flush()
        fewer = state.lines < size and not self.ledger_refused
        if fewer and not self._doubted:
            # A message of a connection that is no more may come late, by another way: the device is heard twice.
            self._doubted = True
            return [*outs, *self._ask_anew()]
        self._doubted = fewer
        if fewer:
            self.ledger_refused, self._comparing = True, state.lines > 0
            outs.append(Report("rollback", self.device, f"it holds {state.lines} lines, and once held {size}"))
        self._charged = self._announced_credit = 0
        self._resync_asked = False
        while receipt := self._sign_receipt():
            outs += receipt
        # Receipts come before the answer, so that the device knows what is safe before it decides what to send.
        owed = islice(self._archive.receipts.owed.values(), _MAX_REPEATED)
        outs += [self._publish(Kind.RECEIPT, token) for token in owed]
        partial = [self._held(staging) for staging in self._archive.stagings.values() if staging.held]
        # What is held and on no receipt now are receipts, which are not receipted alone; they need not come again.
        whole = [HeldObject(digest, "complete", wire.MAX_PART_BYTES) for digest in self._archive.holdings.unreceipted]
        return [*outs, self._have(partial + whole), *self._credit_if_due(1)]

    # -- ledger -----------------------------------------------------------------------------------------------------

    def _on_line(self, seq: int, line: bytes) -> list[Out]:
        size = self._archive.chain.size
        if self._branch is not None:
            return self._on_branch(self._branch, seq, line)
        if self.ledger_refused and not self._comparing:
            return []
        if seq > size:
            return self._resync(f"line {seq} came, {size} is next")
        if seq < size:
            return self._on_same(seq) if self._archive.same_line(seq, line) else self._fork(seq, line)
        try:
            taken = self._archive.accept(line)
        except OutOfPlaceError as error:
            return self._suspect(seq, line, str(error))
        except (FormatError, TrustError) as error:
            return self._bad_line(seq, line, str(error))
        self._accepted.append(taken)
        if len(self._accepted) >= _FLUSH_LINES:
            self._flush()
        return []

    def _fork(self, seq: int, line: bytes) -> list[Out]:
        self.ledger_refused = True
        reason = f"another line {seq} than the one held: the ledger has been rewritten"
        kept_aside = self._keep("fork", f"line-{seq}.jws", line, reason)
        self._branch = Branch(seq, self._keep_lines)
        return [Report("fork", self.device, reason), *kept_aside, *self._on_branch(self._branch, seq, line)]

    def _suspect(self, seq: int, line: bytes, error: str) -> list[Out]:
        """It does not follow what is held: before that counts as damage, all lines are compared, once."""
        if self._compared_once:
            return self._bad_line(seq, line, error)
        self._comparing = self._compared_once = True
        return self._resync(f"line {seq} does not follow: {error}")

    def _on_same(self, seq: int) -> list[Out]:
        """A line that is held. While comparing, the last one that both have ends it."""
        last = min(self._archive.chain.size, self.state.lines if self.state else 0) - 1
        if not self._comparing or seq < last:
            return []
        self._comparing = False
        return [self._have([])] if self.ledger_refused else []

    def _on_branch(self, branch: Branch, seq: int, line: bytes) -> list[Out]:
        """A line of the other ledger: kept beside. With its last one the device is told that no more is taken."""
        branch.take(seq, line)
        if self.state is None or branch.next < self.state.lines:
            return []
        outs = self._keep_branch()
        self._branch, self._comparing = None, False
        return [*outs, self._have([])]

    def _keep_branch(self) -> list[Out]:
        if self._branch is None:
            return []
        try:
            self._branch.flush()
        except QuarantineFullError as error:
            self._branch, self._comparing = None, False
            return [self._no_room(error), self._have([])]
        return []

    def _keep_lines(self, name: str, data: bytes) -> None:
        self._archive.quarantine.keep("branch", name, data, "lines of the ledger that is not the one held")

    def _cloned(self, state: DeviceState) -> list[Out]:
        """Both units are refused from now on, and told so in their next rounds; what both said is kept."""
        if self.ledger_refused:
            return []
        self.ledger_refused = True
        reason = f"sessions {state.session} and {self.state.session if self.state else 0} speak at the same time"
        said = b"\n".join(wire.dump(one) for one in (self._sessions.current, state) if one is not None)
        kept_aside = self._keep("clone", "states.json", said, reason)
        return [Report("cloned", self.device, reason), *kept_aside, self._have([])]

    def _bad_line(self, seq: int, line: bytes, error: str) -> list[Out]:
        reason = f"line {seq} does not verify: {error}"
        outs = self._keep("line", f"line-{seq}.jws", line, reason)
        self._strikes[f"line {seq}"] += 1
        if self._strikes[f"line {seq}"] < STRIKES:
            return outs + self._resync(reason)
        self.ledger_refused = True
        return [*outs, Report("refused", self.device, "no more ledger lines are taken"), self._have([])]

    def _flush(self) -> int:
        size = self._archive.flush()
        self.taken += self._accepted
        self._accepted.clear()
        return size

    # -- objects ----------------------------------------------------------------------------------------------------

    def _on_open(self, digest: str, opened: ObjectOpen) -> list[Out]:
        if self._archive.holdings.holds(digest):
            return [self._have([HeldObject(digest, "complete", opened.part_bytes)])]
        if digest in self._refused:
            return [self._have([HeldObject(digest, "refused", opened.part_bytes)])]
        staging = self._archive.stagings.get(digest)
        if staging is not None and staging.is_being_read:
            return []
        ref = self._archive.holdings.wanted.get(digest)
        if ref is None:
            return self._resync(f"object {digest} is not named by any ledger line held")
        if (opened.size, opened.form) != (ref.size, ref.form):
            return self._refuse(ref, f"announced as {opened.size} bytes of {opened.form}, not as in the ledger")
        self._archive.stage(ref, opened.part_bytes)
        return []

    def _on_part(self, digest: str, number: int, data: bytes) -> list[Out]:
        staging = self._archive.stagings.get(digest)
        if staging is None:
            if digest in self._refused or self._archive.holdings.holds(digest):
                self.duplicate_parts += 1
                return []
            return self._resync(f"a part of object {digest} came before its open")
        if len(data) != wire.part_length(staging.ref.size, staging.part_bytes, number):
            reason = f"part {number} of object {digest} has {len(data)} bytes"
            return [*self._keep("part", f"{digest}.part-{number}", data, reason), *self._resync(reason)]
        if number in staging.held:
            self.duplicate_parts += 1
            return []
        staging.write(number, data)
        self.received_bytes += len(data)
        return []

    def _on_close(self, digest: str, closed: ObjectClose) -> list[Out]:
        staging = self._archive.stagings.get(digest)
        if staging is None:
            known = digest in self._refused or self._archive.holdings.holds(digest)
            return [] if known else self._resync(f"object {digest} was closed before its open")
        if not staging.whole or closed.parts != staging.count:
            return self._resync(f"object {digest} was closed with {len(staging.held)} of {staging.count} parts")
        if not staging.is_being_read:
            staging.begin_read_back()
            self._closing.append(staging)
        return self._finish_closed(_MOST_CLOSING)

    def _finish_closed(self, at_most: int) -> list[Out]:
        """Keeps what has been read back, in order; waits while more than ``at_most`` objects are being read."""
        outs: list[Out] = []
        while self._closing and (len(self._closing) > at_most or self._closing[0].is_read):
            outs += self._finish(self._closing.popleft())
        return outs

    def _finish(self, staging: Staging) -> list[Out]:
        ref = staging.ref
        try:
            reason = self._archive.finish(staging)
        except QuarantineFullError as error:
            return [self._no_room(error), *self._refuse(ref, "does not verify; its bytes stay in staging")]
        if reason is not None:
            return self._bad_object(ref, reason)
        self.held.append(ref)
        outs: list[Out] = [Report("object", self.device, ref.digest, ref.size)]
        waiting = self._archive.holdings.unreceipted
        due = len(waiting) >= MAX_OBJECTS // 4 or sum(r.size for r in waiting.values()) >= RECEIPT_BYTES
        return outs + self._sign_receipt() if due else outs

    def _bad_object(self, ref: ObjectRef, reason: str) -> list[Out]:
        self._strikes[ref.digest] += 1
        if self._strikes[ref.digest] >= STRIKES:
            return self._refuse(ref, reason)
        return [Report("quarantined", self.device, f"object {ref.digest}: {reason}"), *self._resync(reason)]

    def _refuse(self, ref: ObjectRef, reason: str) -> list[Out]:
        self._refused.add(ref.digest)
        report = Report("refused", self.device, f"object {ref.digest}: {reason}")
        return [report, self._have([HeldObject(ref.digest, "refused", wire.MAX_PART_BYTES)])]

    @staticmethod
    def _held(staging: Staging) -> HeldObject:
        return HeldObject(staging.ref.digest, "partial", staging.part_bytes, wire.to_ranges(staging.held))

    # -- receipts and checkpoints -------------------------------------------------------------------------------------

    def _sign_receipt(self) -> list[Out]:
        """A receipt for what is held and not yet receipted, unless those are only receipts: that would never end."""
        size, holdings = self._flush(), self._archive.holdings
        if holdings.only_receipts:
            return []
        listed = list(islice(holdings.unreceipted.values(), MAX_OBJECTS))
        root = self._archive.chain.tree.root().hex()
        receipt = Receipt(1, "receipt", self._keys.dock, self.device, listed, size, root, self._keys.now_us())
        token = sign_receipt(receipt, self._keys.receipt)
        self._archive.receipts.enter(token)
        holdings.receipted(listed)
        report = Report("receipt", self.device, f"{len(listed)} objects, {size} lines", sum(r.size for r in listed))
        return [self._publish(Kind.RECEIPT, token), report]

    def _witness_note(self) -> list[Out]:
        note, self._note = self._note, None
        if note is None or self.ledger_refused:
            return []
        self._flush()
        judged = self._witness.judge(note, self._keys.now_us() // 1_000_000)
        match judged.outcome:
            case "early":
                self._note = note  # its lines may still be under way
                return []
            case "stale":
                return []
            case "cosigned":
                kept = self._archive.keep_cosigned(judged.note)
                report = Report("cosigned", self.device, "checkpoint")
                return [self._publish(Kind.COSIGNED, kept), report, Cosigned(self.device, kept)]
            case outcome:
                self.ledger_refused = outcome == "fork"
                kept_aside = self._keep("checkpoint", "checkpoint", note, judged.reason)
                return [Report(outcome, self.device, judged.reason), *kept_aside]

    def take_cosigned(self, note: bytes, by: str) -> list[Out]:
        """Another witness, whose cosignature has been checked, cosigned this. Raises StorageError."""
        kept = self._archive.keep_cosigned(note)
        size = open_note(note).checkpoint.size
        report = Report("witnessed", self.device, f"by {by}, {size} lines")
        # When lines have come meanwhile, the newer note is kept, and asked for already.
        return [self._publish(Kind.COSIGNED, kept), report] if open_note(kept).checkpoint.size == size else [report]

    # -- quarantine -------------------------------------------------------------------------------------------------

    def _keep(self, what: What, name: str, data: bytes, reason: str) -> list[Out]:
        """Keeps what does not verify. With no room for it the ledger is refused: all of it is still on the device."""
        try:
            self._archive.quarantine.keep(what, name, data, reason)
        except QuarantineFullError as error:
            self.ledger_refused = True
            return [self._no_room(error)]
        return [Report("quarantined", self.device, reason)]

    def _no_room(self, error: QuarantineFullError) -> Report:
        return Report("quarantine_full", self.device, f"{error.code} {error}")

    # -- answers ----------------------------------------------------------------------------------------------------

    def _resync(self, why: str) -> list[Out]:
        """Asks for a new round, once in each."""
        if self._resync_asked or self.state is None:
            return []
        self._resync_asked = True
        return [Report("resync", self.device, why), self._have([], resync=True)]

    def _have(self, objects: list[HeldObject], resync: bool = False) -> Publish:
        size, state = self._flush(), self.state
        session, number = (state.session, state.round) if state else (0, 0)
        refused = self.ledger_refused and not self._comparing and self._branch is None
        limited = objects[: wire.MAX_HAVE_OBJECTS]
        ledger: Literal["open", "refused"] = "refused" if refused else "open"
        have = Have(1, self._keys.dock, session, number, resync, 0 if self._comparing else size, ledger, limited)
        return self._publish(Kind.HAVE, wire.dump(have))

    def _credit_if_due(self, step: int) -> list[Out]:
        granted = self._charged + min(self.window_bytes, self.state.window_bytes) if self.state else 0
        behind = granted - self._announced_credit >= step
        if self.state is None or not (behind or (step == 1 and self._announced_next < self._archive.chain.size)):
            return []
        size = self._flush()
        self._announced_credit, self._announced_next = granted, size
        credit = Credit(1, self._keys.dock, self.state.session, self.state.round, granted, size)
        return [self._publish(Kind.CREDIT, wire.dump(credit))]

    def _publish(self, kind: Kind, payload: bytes) -> Publish:
        return Publish(Topic(kind, self.device), payload)

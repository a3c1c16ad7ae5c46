"""What the device publishes next: a state machine over outbox, credit and what the dock holds. No clock, no link.

    DOWN --connected--> ASKING --have of this round--> SENDING
    SENDING --resync asked, or stalled--> ASKING (next round)      any --link lost--> DOWN

Order: ledger lines first, a checkpoint in its place among them, then objects in the order in which the ledger names
them. Nothing is published that the ledger on disk does not name, and nothing that the dock says it holds.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from agent.custody import wire
from agent.custody.outbox import Outbox, Pending
from agent.custody.wire import Credit, Have, HeldObject, Kind, ObjectClose, Topic
from agent.errors import FormatError, StorageError
from agent.evidence.checkpoint import open_note
from agent.evidence.entries import ObjectRef
from agent.evidence.folder import EvidenceFolder

Phase = Literal["down", "asking", "sending"]
_AHEAD = 64


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish."""

    topic: Topic
    payload: bytes


class Transfer:
    """An object on its way: which parts are still to be published. Holds its file open."""

    def __init__(self, file: BinaryIO, ref: ObjectRef, part_bytes: int, held: frozenset[int]) -> None:
        self.ref, self.part_bytes = ref, part_bytes
        self.count = wire.part_count(ref.size, part_bytes)
        self._file = file
        self._left = deque(number for number in range(self.count) if number not in held)
        self.opened = False

    def next(self) -> tuple[Kind, int | None, bytes]:
        """The next message of this object: open, a part, or close. Raises StorageError."""
        if not self.opened:
            return Kind.OPEN, None, wire.open_of(self.ref, self.part_bytes)
        if self._left:
            return Kind.PART, self._left[0], self._read(self._left[0])
        return Kind.CLOSE, None, wire.dump(ObjectClose(1, self.count))

    def advance(self, kind: Kind) -> None:
        """The message that ``next`` gave has been published."""
        if kind is Kind.OPEN:
            self.opened = True
        elif kind is Kind.PART:
            self._left.popleft()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _read(self, number: int) -> bytes:
        length = wire.part_length(self.ref.size, self.part_bytes, number)
        try:
            data = os.pread(self._file.fileno(), length, number * self.part_bytes)
        except OSError as error:
            raise StorageError(f"object {self.ref.digest} cannot be read: {error}") from error
        if len(data) != length:
            raise StorageError(f"object {self.ref.digest} is shorter on disk than its ledger line says")
        return data


class Sender:
    """Decides; the service publishes. ``next`` gives a message, ``sent`` confirms that it was published."""

    def __init__(self, device: str, folder: EvidenceFolder, outbox: Outbox, part_bytes: int) -> None:
        self.phase: Phase = "down"
        self.dock: str | None = None
        self.session = self.round = 0
        self.confirmed_lines = 0
        """The dock holds this many lines durably; it said so."""
        self.ledger_refused: int | None = None
        self.sent_part_bytes = 0
        self.refused: set[str] = set()
        self.lost: list[str] = []
        """Objects found to be missing; the service reports and clears them."""
        self._device, self._folder, self._outbox = device, folder, outbox
        self.part_bytes = part_bytes
        """Of objects that are begun from now on."""
        self.withholds_objects = False
        """Set by the service: lines and checkpoints only."""
        self._next_line = 0
        self._charged = self._granted = 0
        self._transfer: Transfer | None = None
        self._held: dict[str, HeldObject] = {}
        self._done: set[str] = set()
        self._place: tuple[int, str] = (-1, "")
        self._queue: deque[Pending] = deque()
        self._checkpoint = _CheckpointFile(folder.checkpoint)

    # -- inputs -----------------------------------------------------------------------------------------------------

    def connected(self, session: int) -> None:
        """A connection is up; the next round starts with ``ask``."""
        self._reset()
        self.session, self.round, self.phase = session, 0, "asking"

    def disconnected(self) -> None:
        """Nothing can be published until ``connected``."""
        self._reset()
        self.phase, self.dock = "down", None

    def ask_again(self) -> None:
        """Starts a new round; both sides count afresh. The service publishes the state that says so."""
        self._reset()
        self.round += 1
        self.phase = "asking"

    def have(self, have: Have) -> bool:
        """Takes in what the dock holds; returns whether it asks for a new round. Stale answers are ignored."""
        if self.phase == "down" or have.session != self.session or (self.dock or have.dock) != have.dock:
            return False
        if have.resync or have.round != self.round:
            return have.resync and have.round == self.round
        self.dock = have.dock
        self.confirmed_lines = min(have.next, self._outbox.lines)
        if have.ledger == "refused" or have.next > self._outbox.lines:
            self.ledger_refused = have.next
        for held in have.objects:
            self._learn(held)
        if self.phase == "asking":
            self.phase, self._next_line = "sending", have.next
            self._checkpoint.forget()
        return False

    def _learn(self, held: HeldObject) -> None:
        self._held[held.digest] = held
        if held.state == "refused":
            self.refused.add(held.digest)
        if held.state != "partial" and self._transfer is not None and self._transfer.ref.digest == held.digest:
            self._drop_transfer()

    def claimed(self, digests: Iterable[str]) -> None:
        """A receipt, not verified yet, says that these are held: they are not sent in this round.

        Nothing more follows from it. Space is freed by what the recorder enters, and the next round asks again.
        """
        for digest in digests:
            self._learn(HeldObject(digest, "complete", wire.MAX_PART_BYTES))

    def credit(self, credit: Credit) -> None:
        """Takes in more credit. Stale or shrinking credit is ignored, and that of a dock that we do not follow."""
        ours = (self.dock, self.session, self.round)
        if self.phase != "down" and (credit.dock, credit.session, credit.round) == ours:
            self._granted = max(self._granted, credit.granted)
            self.confirmed_lines = max(self.confirmed_lines, min(credit.next, self._outbox.lines))

    # -- output -----------------------------------------------------------------------------------------------------

    def next(self) -> Outgoing | None:
        """The next message, or None when there is nothing to send, or no credit. Raises StorageError."""
        if self.phase != "sending":
            return None
        found = self._next_of_ledger() or self._next_of_objects()
        if found is None or self._charged + self._cost(found) > self._granted:
            return None
        return found

    def sent(self, out: Outgoing) -> None:
        """The message was published."""
        self._charged += self._cost(out)
        match out.topic.kind:
            case Kind.LEDGER:
                self._next_line += 1
            case Kind.CHECKPOINT:
                self._checkpoint.take()
            case kind:
                self._object_sent(kind, len(out.payload))

    def _object_sent(self, kind: Kind, size: int) -> None:
        assert self._transfer is not None
        self._transfer.advance(kind)
        if kind is Kind.PART:
            self.sent_part_bytes += size
        elif kind is Kind.CLOSE:
            self._done.add(self._transfer.ref.digest)
            self._drop_transfer()

    @property
    def outstanding(self) -> bool:
        """Whether something was offered to the dock and not yet answered, by a receipt or a count of lines."""
        return self.phase == "asking" or self.confirmed_lines < self._next_line or self._unanswered()

    def _unanswered(self) -> bool:
        return self._transfer is not None or any(map(self._awaits_receipt, self._done))

    def _awaits_receipt(self, digest: str) -> bool:
        return self._outbox.awaits_receipt(digest, self.dock or "")

    @staticmethod
    def _cost(out: Outgoing) -> int:
        return 0 if out.topic.kind is Kind.CHECKPOINT else wire.charge(out.payload)

    def _next_of_ledger(self) -> Outgoing | None:
        if self.ledger_refused is not None:
            return None
        note = self._checkpoint.due(self._next_line)
        if note is not None:
            return Outgoing(Topic(Kind.CHECKPOINT, self._device), note)
        if self._next_line >= self._outbox.lines:
            return None
        topic = Topic(Kind.LEDGER, self._device, number=self._next_line)
        return Outgoing(topic, self._outbox.line(self._next_line))

    def _next_of_objects(self) -> Outgoing | None:
        if self.withholds_objects:
            return None
        while self._transfer is None:
            pending = self._next_pending()
            if pending is None:
                return None
            self._begin(pending.ref)
        kind, number, payload = self._transfer.next()
        return Outgoing(Topic(kind, self._device, self._transfer.ref.digest, number), payload)

    def _next_pending(self) -> Pending | None:
        if not self._queue:
            self._queue.extend(self._outbox.pending(self._place[0], _AHEAD, self._place[1], self.dock or ""))
        while self._queue and self._queue[0].seq < self._next_line:
            pending = self._queue.popleft()
            self._place = (pending.seq, pending.ref.digest)
            if self._is_wanted(pending.ref.digest):
                return pending
        return None

    def _is_wanted(self, digest: str) -> bool:
        held = self._held.get(digest)
        if held is not None and held.state == "complete":
            self._done.add(digest)  # its receipt is still owed to us
            return False
        return digest not in self.refused and self._outbox.is_wanted(digest, self.dock or "")

    def _begin(self, ref: ObjectRef) -> None:
        held = self._held.get(ref.digest)
        held = None if held is None or held.part_bytes > self.part_bytes else held  # those do not get through: anew
        part_bytes = self.part_bytes if held is None else held.part_bytes
        try:
            file = self._folder.object_path(ref).open("rb")
        except FileNotFoundError:
            # Deleted after its ``released`` line, which may have come in since; otherwise it is truly missing.
            self._outbox.follow()
            if self._outbox.state(ref.digest) == "pending":
                self._outbox.missing(ref.digest)
                self.lost.append(ref.digest)
            return
        self._transfer = Transfer(file, ref, part_bytes, frozenset() if held is None else held.held_parts())

    def _drop_transfer(self) -> None:
        if self._transfer is not None:
            self._transfer.close()
            self._transfer = None

    def _reset(self) -> None:
        self._drop_transfer()
        self._held.clear()
        self._done.clear()
        self._queue.clear()
        self._place = (-1, "")
        self._charged = self._granted = self._next_line = 0
        self.ledger_refused = None
        self.refused.clear()

    def trim_done(self) -> None:
        """Forgets objects whose receipt has been entered."""
        self._done = set(filter(self._awaits_receipt, self._done))

    def damaged(self) -> str | None:
        """The object under way could not be read: leaves it out for this round and returns its digest."""
        if self._transfer is None:
            return None
        digest = self._transfer.ref.digest
        self.refused.add(digest)
        self._drop_transfer()
        return digest


class _CheckpointFile:
    """The newest checkpoint on disk, each version of it published once per round, right after its last line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = (0, 0)
        self._due: tuple[int, bytes] | None = None

    def forget(self) -> None:
        self._seen, self._due = (0, 0), None

    def due(self, next_line: int) -> bytes | None:
        self._refresh()
        if self._due is None or self._due[0] > next_line:
            return None
        return self._due[1]

    def take(self) -> None:
        self._due = None

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
            if (stat.st_ino, stat.st_mtime_ns) == self._seen:
                return
            self._seen = (stat.st_ino, stat.st_mtime_ns)
            note = self._path.read_bytes()
            self._due = (open_note(note).checkpoint.size, note)
        except (FileNotFoundError, FormatError):
            # None yet, or not one: there is no checkpoint to publish. The verifier judges the file itself.
            self._due = None

"""What the witness's tests share: a device's ledger that grows and can be copied, and a witness without sockets."""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass, field
from pathlib import Path

from nacl.signing import SigningKey
from samples import GENESIS, TIME, Enrolled, boot_fields

from agent.evidence.checkpoint import Checkpoint, NoteSignature, find_cosignature, open_note, sign_checkpoint
from agent.evidence.entries import Heartbeat
from agent.evidence.ledger import LedgerWriter
from agent.evidence.merkle import LeafNodes, consistency_proof, leaf_hash, subtree_root
from agent.witness.alarms import AlarmBook
from agent.witness.client import Offer, Reply, note_key
from agent.witness.core import WitnessCore
from agent.witness.http import application
from agent.witness.memory import Memory
from agent.witness.protocol import Answer, dump_checkpoint
from agent.witness.trusts import Trusts

ORIGIN = "sample/enforcement-recorder/er-1"
NAME = "witness.example/w1"
KEY = SigningKey(b"\7" * 32)
NOW = 1_760_000_500


@dataclass
class Ledger:
    """A device's ledger with the keys it signs by. A copy goes its own way, as a stolen or restored one would."""

    enrolled: Enrolled
    device: str = "er-1"
    lines: list[bytes] = field(default_factory=list)
    boots: int = 0
    writer: LedgerWriter = field(init=False)

    def __post_init__(self) -> None:
        self.writer = LedgerWriter(self.device)

    def copy(self) -> Ledger:
        other = copy.copy(self)
        other.lines = list(self.lines)
        other.writer = copy.copy(self.writer)
        other.writer.tree = copy.deepcopy(self.writer.tree)
        return other

    def rolled_back(self, size: int) -> Ledger:
        """The same device, its storage as it was after ``size`` lines; it must boot before it can go on."""
        other = Ledger(self.enrolled, self.device, self.lines[:size], self.boots)
        for line in other.lines:
            other.writer.tree.add(line)
        other.writer.size = size
        return other

    def boot(self) -> Ledger:
        fields = boot_fields(self.enrolled, self.boots, self.enrolled.certificate(self.device))
        self.lines.append(self.writer.boot(self.enrolled.key(self.device), TIME, **fields))
        self.boots += 1
        if len(self.lines) == 1:
            self.lines.append(self.writer.entry(GENESIS, TIME))
        return self

    def grow(self, count: int = 1, text: str = "ready") -> Ledger:
        self.lines += [self.writer.entry(Heartbeat(text), TIME) for _ in range(count)]
        return self

    def epoch(self) -> Ledger:
        self.lines.append(self.writer.next_epoch("lines", TIME))
        return self

    @property
    def size(self) -> int:
        return len(self.lines)

    def leaves(self) -> list[bytes]:
        return [leaf_hash(line) for line in self.lines]

    def root(self, size: int | None = None) -> bytes:
        return subtree_root(self.leaves()[: self.size if size is None else size])

    def note(self) -> bytes:
        origin = f"sample/enforcement-recorder/{self.device}"
        return sign_checkpoint(Checkpoint(origin, self.size, self.root()), self.writer.epoch_key)

    def key_lines(self) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        for seq, line in enumerate(self.lines):
            note_key(found, seq, line)
        return found

    def keys_body(self) -> bytes:
        return b"".join(line + b"\n" for _, line in self.key_lines())

    def offer(self) -> Offer:
        return Offer(self.note(), LeafNodes(self.leaves()), self.key_lines())

    def body(self, old: int) -> bytes:
        """The body of add-checkpoint; the proof is honest as far as this ledger goes."""
        proof = consistency_proof(LeafNodes(self.leaves()), old, self.size) if old <= self.size else []
        return dump_checkpoint(old, proof, self.note())


class Bench:
    """A witness over a folder; ``again`` is a restart."""

    def __init__(self, folder: Path, trust: Path) -> None:
        self.folder, self.trust, self.now = folder, trust, NOW
        folder.mkdir(exist_ok=True)
        self.core = self.open()

    def open(self) -> WitnessCore:
        memory, alarms = Memory(self.folder / "memory"), AlarmBook(self.folder / "alarms")
        return WitnessCore(NAME, KEY, Trusts([self.trust]), memory, alarms, lambda: self.now)

    def again(self) -> Bench:
        self.core = self.open()
        return self

    def post(self, path: str, body: bytes) -> Reply:
        """Through the WSGI application, as a client's requests come."""
        return call(self.core, path, body)

    def offer(self, ledger: Ledger, old: int, keys: bool = True) -> Answer:
        if keys:
            self.core.add_keys(ledger.keys_body())
        return self.core.add_checkpoint(ledger.body(old))

    def kinds(self) -> list[str]:
        """Kinds of the alarms kept on disk."""
        return [alarm.kind for alarm in AlarmBook(self.folder / "alarms").kept]


def call(core: WitnessCore, path: str, body: bytes, method: str = "POST", **more: str) -> Reply:
    """One request to the WSGI application, without sockets."""
    said: list[str] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **more,
    }
    data = b"".join(application(core)(environ, lambda status, _headers: said.append(status)))
    return Reply(int(said[0].split()[0]), data)


def cosignature(ledger: Ledger, answer: Answer) -> NoteSignature:
    """The witness's line in an answer 200, verified over the ledger's checkpoint as it stands."""
    assert answer.status == 200, answer
    found = find_cosignature(open_note(ledger.note() + answer.body), NAME, bytes(KEY.verify_key))
    assert found is not None
    return found

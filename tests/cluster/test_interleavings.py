"""Three workers at one device in any order, over a bucket that fails and loses answers: what was claimed stays true.

The bucket is a dictionary here, so that thousands of orders can be tried; ``test_cluster`` has the processes.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from custody_rig import DOCK, Unit, trust_of
from nacl.signing import SigningKey
from test_store_contract import key_of, lines_of

from agent.dock.cluster import archive as archive_module
from agent.dock.cluster.archive import BucketArchive
from agent.dock.cluster.bucket import AlreadyThereError
from agent.dock.cluster.holdings import listed
from agent.dock.cluster.journal import newest, read_records
from agent.dock.verified import seal_key
from agent.errors import StorageError
from agent.evidence.entries import ObjectRef
from agent.evidence.receipts import MAX_OBJECTS, Receipt, sign_receipt

PART = 1_048_576


class FailingBucket:
    """Keeps the bucket's promises, and none beyond them."""

    def __init__(self, chance: random.Random) -> None:
        self.held: dict[str, bytes] = {}
        self.faults = 0.0
        self._chance = chance

    def put_once(self, key: str, data: bytes, lock: bool = True) -> None:
        self._may_fail("before")
        if key in self.held:
            raise AlreadyThereError(key)
        self.held[key] = data
        self._may_fail("the answer is lost")
        if self._chance.random() < self.faults:
            raise AlreadyThereError(key)  # made again after the answer was lost

    def put_file_once(self, key: str, path: Path, sha256: bytes) -> None:
        data = path.read_bytes()
        assert hashlib.sha256(data).digest() == sha256
        self.put_once(key, data)

    def get(self, key: str) -> bytes:
        self._may_fail("get")
        if key not in self.held:
            raise StorageError(f"no {key}")
        return self.held[key]

    def digest_of(self, key: str) -> tuple[str, int]:
        data = self.get(key)
        return hashlib.sha256(data).hexdigest(), len(data)

    def size_of(self, key: str) -> int | None:
        self._may_fail("head")
        return len(self.held[key]) if key in self.held else None

    def keys(self, prefix: str, most: int | None = None) -> Iterator[str]:
        self._may_fail("list")
        yield from sorted(key for key in self.held if key.startswith(prefix))[:most]

    def _may_fail(self, where: str) -> None:
        if self._chance.random() < self.faults:
            raise StorageError(where)


class Hand:
    """A worker with its archive, or without one after a fault."""

    def __init__(self, name: str, bucket: FailingBucket, unit: Unit, agency: Path, folder: Path) -> None:
        self.name, self._bucket, self._unit = name, bucket, unit
        self._trust, self._key = trust_of(agency / DOCK), key_of(agency, "receipt")
        self._scratch = folder / name / unit.device
        self.archive: BucketArchive | None = None
        self.claimed_lines = 0
        self.published: list[bytes] = []

    def open(self) -> BucketArchive:
        key = seal_key(self._key)
        return BucketArchive(self._bucket, self.name, self._unit.device, self._trust, key, self._scratch)  # type: ignore[arg-type]

    def act(self, chance: random.Random) -> None:
        try:
            if self.archive is None:
                self.archive = self.open()
            chance.choice((self._lines, self._object, self._sign, self._cosign, self._end))(self.archive, chance)
        except StorageError:
            if self.archive is not None:
                self.archive.close()
            self.archive = None

    def _lines(self, archive: BucketArchive, chance: random.Random) -> None:
        for line in lines_of(self._unit)[archive.chain.size :][: chance.randint(1, 4)]:
            archive.accept(line)
        self.claimed_lines = max(self.claimed_lines, archive.flush())

    def _object(self, archive: BucketArchive, chance: random.Random) -> None:
        refs = list(archive.holdings.wanted.values())
        if refs:
            self.put(archive, chance.choice(refs))

    def put(self, archive: BucketArchive, ref: ObjectRef) -> None:
        if archive.holdings.holds(ref.digest):
            return
        staging = archive.stage(ref, PART)
        staging.write(0, self._unit.folder.object_path(ref).read_bytes())
        assert archive.finish(staging) is None

    def _sign(self, archive: BucketArchive, _chance: random.Random) -> None:
        size = archive.flush()
        refs = list(archive.holdings.unreceipted.values())[:MAX_OBJECTS]
        if not refs:
            return
        root = archive.chain.tree.root().hex()
        token = sign_receipt(Receipt(1, "receipt", DOCK, archive.device, refs, size, root, 1), self._key)
        archive.receipts.enter(token)
        archive.holdings.receipted(refs)
        self.published.append(token)

    def _cosign(self, archive: BucketArchive, _chance: random.Random) -> None:
        if archive.flush() == len(lines_of(self._unit)):
            archive.keep_cosigned(self._unit.folder.checkpoint.read_bytes())

    def _end(self, archive: BucketArchive, chance: random.Random) -> None:
        if chance.random() < 0.3:
            archive.close()
            self.archive = None


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_order_and_the_faults_nothing_claimed_is_lost_or_said_twice(
    seed: int, agency: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines claimed are there; receipts published are in the journal and true; no object stands on two of them."""
    monkeypatch.setattr(archive_module, "SNAPSHOT_RECORDS", 7)
    chance = random.Random(seed)
    unit = Unit(agency / "er-1", tmp_path / "evidence", seed=seed)
    unit.record([chance.randint(1, 500) for _ in range(6)])
    bucket = FailingBucket(chance)
    bucket.faults = chance.choice((0.0, 0.03, 0.15))
    hands = [Hand(name, bucket, unit, agency, tmp_path) for name in ("w1", "w2", "w3")]
    for _ in range(120):
        chance.choice(hands).act(chance)
    bucket.faults = 0.0
    finish(hands[0])
    check(bucket, unit, hands)


def finish(hand: Hand) -> None:
    """One worker takes the rest in, as it would be in the end."""
    archive = hand.archive = hand.open()
    hand._lines(archive, random.Random(1))
    while archive.chain.size < len(lines_of(hand._unit)):
        hand._lines(archive, random.Random(1))
    for ref in list(archive.holdings.wanted.values()):
        hand.put(archive, ref)
    hand._sign(archive, random.Random(1))


def check(bucket: FailingBucket, unit: Unit, hands: list[Hand]) -> None:
    end = hands[0].open()
    assert end.chain.size == len(lines_of(unit)) >= max(hand.claimed_lines for hand in hands)
    assert all(end.same_line(seq, line) for seq, line in enumerate(lines_of(unit)))
    assert not end.holdings.wanted
    assert not end.holdings.unreceipted
    stored = {key.rpartition("/")[2]: data for key, data in bucket.held.items() if key.startswith("objects/")}
    assert {name.partition(".")[0]: data for name, data in stored.items()} == unit.originals
    count = newest(bucket, "er-1") + 1  # type: ignore[arg-type]
    records = list(read_records(bucket, "er-1", 0, count))  # type: ignore[arg-type]
    tokens = [record.data for record in records if record.head.kind == "receipt"]
    assert {token for hand in hands for token in hand.published} <= set(tokens)
    named = Counter(ref.digest for token in tokens for ref in listed(token))
    assert named == dict.fromkeys(unit.originals, 1)
    assert end.holdings.count == len(unit.originals)


def test_a_forged_snapshot_is_passed_over(agency: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can write to the bucket still cannot name the key that the next lines are to be signed with."""
    monkeypatch.setattr(archive_module, "SNAPSHOT_RECORDS", 3)
    unit = Unit(agency / "er-1", tmp_path / "evidence")
    unit.record([10, 20])
    bucket = FailingBucket(random.Random(1))
    honest = Hand("w1", bucket, unit, agency, tmp_path)
    finish(honest)
    thief = Hand("w2", bucket, unit, agency, tmp_path)
    thief._key = SigningKey.generate()
    forged = thief.open()
    while forged._journal.next - forged._snapshot_at[1] < 3:
        forged._journal.append("claim", b"")
    forged._snapshot_if_due()
    assert forged._journal.snapshot == forged._journal.next - 1
    again = honest.open()
    assert len(again._recent) == len(lines_of(unit)), "all lines were verified anew"
    assert again.chain.size == len(lines_of(unit))

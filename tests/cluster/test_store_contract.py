"""What every ``ArchiveStore`` does, over a folder and over a bucket of a real S3 server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cluster_rig import make_bucket
from custody_rig import DOCK, Unit, trust_of
from nacl.signing import SigningKey

from agent.dock.archive import DeviceArchive
from agent.dock.cluster.archive import BucketArchive, BucketMemory
from agent.dock.cluster.bucket import Bucket
from agent.dock.settings import DockSettings
from agent.dock.store import ArchiveStore, WitnessMemory
from agent.dock.verified import seal_key
from agent.dock.witness import Witness
from agent.errors import FormatError, SignatureError
from agent.evidence.entries import ObjectRef, ReceiptEntry
from agent.evidence.keys import load_signing_key
from agent.evidence.merkle import Tree
from agent.evidence.receipts import Receipt, sign_receipt
from agent.witness.memory import Memory

PART = 65_536
Opener = Callable[[], ArchiveStore]


@pytest.fixture
def unit(agency: Path, tmp_path: Path) -> Unit:
    return Unit(agency / "er-1", tmp_path / "evidence")


def key_of(agency: Path, name: str) -> SigningKey:
    return load_signing_key((agency / DOCK / f"{name}.key").read_bytes())


@pytest.fixture(params=["folder", "bucket"])
def opener(request: pytest.FixtureRequest, agency: Path, tmp_path: Path, unit: Unit) -> Opener:
    """Opens the unit's archive, anew each time."""
    trust, key = trust_of(agency / DOCK), seal_key(key_of(agency, "receipt"))
    if request.param == "folder":
        settings = DockSettings(DOCK, tmp_path / "dock", agency / DOCK)
        for folder in (settings.archive, settings.staging):
            folder.mkdir(parents=True)
        return lambda: DeviceArchive(settings, unit.device, trust, key)
    bucket = Bucket(make_bucket(request.getfixturevalue("s3_server")))
    return lambda: BucketArchive(bucket, "w1", unit.device, trust, key, tmp_path / "scratch" / unit.device)


def lines_of(unit: Unit) -> list[bytes]:
    return unit.folder.ledger.read_bytes().split(b"\n")[:-1]


def take_lines(store: ArchiveStore, unit: Unit) -> None:
    for line in lines_of(unit)[store.chain.size :]:
        store.accept(line)
    assert store.flush() == len(lines_of(unit))


def put(store: ArchiveStore, unit: Unit, ref: ObjectRef, spoil: bytes = b"") -> str | None:
    data = spoil or unit.folder.object_path(ref).read_bytes()
    staging = store.stage(ref, PART)
    for number in range(staging.count):
        staging.write(number, data[number * PART : (number + 1) * PART])
    return store.finish(staging)


def take_all(store: ArchiveStore, unit: Unit) -> None:
    take_lines(store, unit)
    for ref in list(store.holdings.wanted.values()):
        assert put(store, unit, ref) is None


def sign(store: ArchiveStore, agency: Path) -> bytes:
    refs = list(store.holdings.unreceipted.values())
    root = store.chain.tree.root().hex()
    token = sign_receipt(
        Receipt(1, "receipt", DOCK, store.device, refs, store.chain.size, root, 1), key_of(agency, "receipt")
    )
    store.receipts.enter(token)
    store.holdings.receipted(refs)
    return token


def test_what_was_flushed_and_stored_is_there_when_opened_again(opener: Opener, unit: Unit) -> None:
    """Lines, tree, and objects on no receipt yet; nothing is wanted that is there."""
    refs = unit.record([10, 200_000])
    store = opener()
    take_all(store, unit)
    size, root = store.chain.size, store.chain.tree.root()
    store.close()
    again = opener()
    assert (again.chain.size, again.chain.tree.root()) == (size, root)
    assert all(again.holdings.holds(ref.digest) for ref in refs)
    assert set(again.holdings.unreceipted) == {ref.digest for ref in refs}
    assert not again.holdings.wanted
    again.close()


def test_lines_that_were_not_flushed_are_forgotten(opener: Opener, unit: Unit) -> None:
    """The chain may run ahead of what is durable; what counts is what is durable."""
    store = opener()
    store.accept(lines_of(unit)[0])
    assert store.chain.size == 1
    store.close()
    again = opener()
    assert again.chain.size == 0
    take_lines(again, unit)
    again.close()


def test_a_line_that_does_not_verify_changes_nothing(opener: Opener, unit: Unit) -> None:
    """Refused with its reason, and the true one goes in afterwards."""
    unit.record([10])
    store = opener()
    first, second, *_ = lines_of(unit)
    store.accept(first)
    with pytest.raises(FormatError):
        store.accept(second[:-4] + b"AAAA")
    with pytest.raises((FormatError, SignatureError)):
        store.accept(first)
    store.accept(second)
    assert store.flush() == 2
    store.close()


def test_old_lines_and_roots_are_known_again(opener: Opener, unit: Unit) -> None:
    """At any size: the same line and the true root are known, others are not, also after opening anew."""
    unit.record([10, 20])
    tree, roots = Tree(), []
    for line in lines_of(unit):
        tree.add(line)
        roots.append(tree.root())
    for number in range(2):
        store = opener()
        take_lines(store, unit)
        for seq, line in enumerate(lines_of(unit)):
            assert store.same_line(seq, line)
            assert not store.same_line(seq, line + b"A")
            assert store.has_root(seq + 1, roots[seq]), (number, seq)
            assert not store.has_root(seq + 1, bytes(32))
        assert not store.has_root(len(roots) + 1, roots[-1])
        store.close()


def test_an_object_is_stored_once_however_often_it_comes(opener: Opener, unit: Unit) -> None:
    """A second arrival of the same bytes is no error and changes nothing."""
    (ref,) = unit.record([200_000])
    store = opener()
    take_lines(store, unit)
    assert put(store, unit, ref) is None
    assert store.holdings.count == 1
    store.holdings.wanted[ref.digest] = ref
    assert put(store, unit, ref) is None
    assert store.holdings.holds(ref.digest)
    store.close()


def test_bytes_that_are_not_what_the_ledger_says_are_quarantined_and_not_held(opener: Opener, unit: Unit) -> None:
    """The reason is given, and the true bytes are still taken."""
    (ref,) = unit.record([200_000])
    store = opener()
    take_lines(store, unit)
    reason = put(store, unit, ref, spoil=bytes(ref.size))
    assert reason is not None
    assert "SHA-256" in reason
    assert not store.holdings.holds(ref.digest)
    assert put(store, unit, ref) is None
    assert store.holdings.holds(ref.digest)
    store.close()


def test_a_receipt_is_owed_until_the_device_has_entered_it(opener: Opener, unit: Unit, agency: Path) -> None:
    """Also when opened anew in between; what it lists is not receipted again."""
    unit.record([10, 20])
    store = opener()
    take_all(store, unit)
    token = sign(store, agency)
    store.close()
    again = opener()
    assert list(again.receipts.owed.values()) == [token]
    assert not again.holdings.unreceipted
    receipt, ref = unit.book.check(token)
    unit.enter(ReceiptEntry(receipt.dock, ref, receipt.ledger_size), ref)
    take_lines(again, unit)
    assert not again.receipts.owed
    assert set(again.holdings.wanted) == {ref.digest}
    again.close()
    third = opener()
    assert not third.receipts.owed
    assert not third.holdings.unreceipted
    assert not third.holdings.only_receipts or not third.holdings.unreceipted
    third.close()


def test_a_cosigned_note_is_remembered_and_a_fork_refused(opener: Opener, unit: Unit, tmp_path: Path) -> None:
    """The witness's memory outlives the process, wherever it is kept."""
    unit.record([10])

    def memory(store: ArchiveStore) -> WitnessMemory:
        return BucketMemory(store) if isinstance(store, BucketArchive) else Memory(tmp_path / "witness")

    key = SigningKey.generate()
    store = opener()
    take_lines(store, unit)
    judged = Witness(memory(store), "sample", DOCK, key, store).judge(unit.folder.checkpoint.read_bytes(), 1)
    assert judged.outcome == "cosigned"
    assert store.keep_cosigned(judged.note) == judged.note
    store.close()
    again = opener()
    last = Witness(memory(again), "sample", DOCK, key, again).last
    assert last is not None
    assert last.note.encode() == judged.note
    again.close()

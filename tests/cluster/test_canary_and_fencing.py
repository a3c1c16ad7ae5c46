"""The bucket is believed only after it has shown what it does; two workers at one device cannot both write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_rig import S3Server, make_bucket, versions
from custody_rig import DOCK, Unit, trust_of

from agent.dock.cluster import archive as archive_module
from agent.dock.cluster.archive import BucketArchive
from agent.dock.cluster.bucket import Bucket
from agent.dock.cluster.canary import prove
from agent.dock.cluster.holdings import object_key
from agent.dock.cluster.journal import key_of, newest, number_of
from agent.dock.verified import seal_key
from agent.errors import FencedError, StorageError, WriteOnceError
from agent.evidence.keys import load_signing_key


def ignoring(*headers: str) -> Callable[[Any], None]:
    """Makes a client that leaves headers out: what its server then does is what one does that ignores them."""

    def strip(request: Any, **_: Any) -> None:
        for name in headers:
            del request.headers[name]

    return lambda client: client.meta.events.register_first("before-sign.s3", strip)


def test_a_server_that_locks_and_heeds_conditions_is_believed(s3_server: str) -> None:
    """The canary comes back alive, and nothing of it can be deleted."""
    prove(Bucket(make_bucket(s3_server)))


def test_a_bucket_without_object_lock_is_refused_unless_nothing_is_claimed(s3_server: str) -> None:
    """The error says what is missing; told to claim nothing, the bucket is used."""
    with pytest.raises(WriteOnceError, match="takes no locked object"):
        prove(Bucket(make_bucket(s3_server, lock=False)))
    prove(Bucket(make_bucket(s3_server, lock=False, write_once="not-claimed")))


def test_a_server_that_says_yes_and_locks_nothing_is_refused(s3_server: str) -> None:
    """The headers are accepted and ignored."""
    lock = ("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date")
    with pytest.raises(WriteOnceError, match="without its lock"):
        prove(Bucket(make_bucket(s3_server), ignoring(*lock)))


def test_a_server_whose_locks_can_be_shortened_is_refused(tmp_path: Path) -> None:
    """As moto's own: it refuses to delete, and lets whoever asks end the lock first."""
    server = S3Server(tmp_path, plain=True)
    try:
        with pytest.raises(WriteOnceError, match="shortens a lock"):
            prove(Bucket(make_bucket(server.endpoint)))
    finally:
        server.kill()


def test_a_server_that_was_killed_has_everything_again(tmp_path: Path) -> None:
    """The rig's own promise: what it answered for outlives it."""
    server = S3Server(tmp_path)
    try:
        bucket = Bucket(make_bucket(server.endpoint))
        bucket.put_once("a", b"b")
        server.kill()
        server.start()
        assert bucket.get("a") == b"b"
        prove(bucket)
    finally:
        server.kill()


@pytest.mark.parametrize("claim", ["required", "not-claimed"])
def test_a_server_that_ignores_conditions_is_always_refused(s3_server: str, claim: str) -> None:
    """Without them two workers could both write, whatever is claimed."""
    with pytest.raises(WriteOnceError, match="conditional writes"):
        prove(Bucket(make_bucket(s3_server, write_once=claim), ignoring("If-None-Match")))


class Bench:
    """Archives of one device by workers of any name."""

    def __init__(self, agency: Path, folder: Path, endpoint: str) -> None:
        self.unit = Unit(agency / "er-1", folder / "evidence")
        self.settings = make_bucket(endpoint)
        self.trust, self.folder = trust_of(agency / DOCK), folder
        self.key = seal_key(load_signing_key((agency / DOCK / "receipt.key").read_bytes()))

    def open(self, worker: str, key: bytes | None = None) -> BucketArchive:
        scratch = self.folder / worker / "er-1"
        return BucketArchive(Bucket(self.settings), worker, "er-1", self.trust, key or self.key, scratch)

    def lines(self) -> list[bytes]:
        return self.unit.folder.ledger.read_bytes().split(b"\n")[:-1]


@pytest.fixture
def bench(agency: Path, tmp_path: Path, s3_server: str) -> Bench:
    return Bench(agency, tmp_path, s3_server)


def test_a_worker_that_was_stopped_can_write_nothing_when_it_wakes(bench: Bench) -> None:
    """Whatever it was about to claim: lines, a receipt, a note. What the other wrote stands."""
    bench.unit.record([10])
    sleeper = bench.open("w1")
    for line in bench.lines():
        sleeper.accept(line)
    other = bench.open("w2")
    with pytest.raises(FencedError):
        sleeper.flush()
    with pytest.raises(FencedError):
        sleeper.receipts.enter(b"a.b.c")
    assert not sleeper.receipts.owed
    with pytest.raises(FencedError):
        sleeper.keep_cosigned(bench.unit.folder.checkpoint.read_bytes())
    for line in bench.lines():
        other.accept(line)
    assert other.flush() == len(bench.lines())
    assert bench.open("w3").chain.size == len(bench.lines())


def test_what_the_slow_one_wrote_before_it_was_fenced_is_not_lost(bench: Bench) -> None:
    """The journal is one sequence, whoever writes it."""
    first = bench.open("w1")
    first.accept(bench.lines()[0])
    first.flush()
    second = bench.open("w2")
    assert second.chain.size == 1
    second.accept(bench.lines()[1])
    assert second.flush() == 2


def test_an_answer_that_was_lost_is_not_taken_for_another_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is made again, the server says that the key is there: it is our own record."""
    archive = bench.open("w1")
    put = Bucket.put_once

    def twice(self: Bucket, key: str, data: bytes, lock: bool = True) -> None:
        put(self, key, data, lock)
        put(self, key, data, lock)

    monkeypatch.setattr(Bucket, "put_once", twice)
    archive.accept(bench.lines()[0])
    assert archive.flush() == 1
    assert set(versions(bench.settings).values()) == {1}


def test_an_object_that_another_worker_stored_is_found_and_not_stored_again(bench: Bench) -> None:
    """Killed between storing and its receipt: the next one finds it, whole, and it needs no second transfer."""
    (ref,) = bench.unit.record([100_000])
    first = bench.open("w1")
    for line in bench.lines():
        first.accept(line)
    first.flush()
    data = bench.unit.folder.object_path(ref).read_bytes()
    first._bucket.put_once(object_key("er-1", ref.file_name), data)
    second = bench.open("w2")
    assert set(second.holdings.wanted) == {ref.digest}
    assert second.holdings.holds(ref.digest)
    assert set(second.holdings.unreceipted) == {ref.digest}
    assert set(versions(bench.settings).values()) == {1}


def test_an_object_damaged_in_the_bucket_is_not_called_held(bench: Bench) -> None:
    """What bears the name and is something else is an error, loudly, and no receipt."""
    (ref,) = bench.unit.record([100_000])
    first = bench.open("w1")
    for line in bench.lines():
        first.accept(line)
    first.flush()
    first._bucket.put_once(object_key("er-1", ref.file_name), b"something else")
    with pytest.raises(StorageError, match="not what its name says"):
        bench.open("w2").holdings.holds(ref.digest)


def test_a_take_over_reads_on_from_the_newest_snapshot(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same state as from all records; one that is sealed with another key is passed over."""
    monkeypatch.setattr(archive_module, "SNAPSHOT_RECORDS", 4)
    bench.unit.record([10, 20, 30])
    first = bench.open("w1")
    for line in bench.lines():
        first.accept(line)
        first.flush()
    first.keep_cosigned(bench.unit.folder.checkpoint.read_bytes())
    second, anew = bench.open("w2"), bench.open("w3", key=bytes(32))
    assert second._journal.snapshot > 0
    assert len(second._recent) < len(anew._recent) == len(bench.lines())
    for archive in (second, anew):
        assert archive.chain.head == first.chain.head
        assert archive.chain.tree.root() == first.chain.tree.root()
        assert archive.holdings.wanted == first.holdings.wanted
        assert archive.cosigned == first.cosigned
        assert all(archive.same_line(seq, line) for seq, line in enumerate(bench.lines()))


def test_the_newest_record_is_the_first_that_is_listed(bench: Bench) -> None:
    """So a take-over needs one look, however long the journal is."""
    archive = bench.open("w1")
    for line in bench.lines():
        archive.accept(line)
        archive.flush()
    assert newest(archive._bucket, "er-1") == archive._journal.next - 1 == len(bench.lines())
    assert number_of(key_of("er-1", 77)) == 77

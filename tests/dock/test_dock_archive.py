"""The archive of one device: what was verified is not verified again, and nothing kept beside the ledger is believed.

Whatever happens to the index and to the note of what was verified, an opened archive is the one that a reading of all
lines gives.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from custody_rig import DOCK, Unit, trust_of
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from kill_points import kill_points

from agent.dock import archive as archive_module
from agent.dock.archive import DeviceArchive
from agent.dock.settings import DockSettings
from agent.errors import FormatError, StorageError
from agent.evidence.entries import Adopted, Heartbeat, ObjectRef, ReceiptEntry
from agent.evidence.index import INDEX, build_index
from agent.evidence.keys import load_signing_key
from agent.evidence.ledger import ChainState
from agent.evidence.merkle import root_of_file
from agent.evidence.receipts import Receipt, sign_receipt

PARTS = ("offsets", "tree", "recordings", "keys", "verified")
KEY = b"a key of the dock"


class Place:
    """An archive on disk with a ledger in it, and a unit whose ledger goes on."""

    def __init__(self, agency: Path, folder: Path, lines: int = 40) -> None:
        self.unit = Unit(agency / "er-1", folder / "evidence")
        self.settings = DockSettings(DOCK, folder / "dock", agency / DOCK)
        for one in (self.settings.archive, self.settings.staging):
            one.mkdir(parents=True)
        self.unit.record([100, 100])
        while self.unit.journal.size < lines:
            self.unit.enter(Heartbeat("ready"))
        self.unit.record([100])
        self.device = self.settings.archive / "er-1"
        self.ledger, self.index = self.device / "ledger.jws", self.device / INDEX

    def open(self, key: bytes = KEY) -> DeviceArchive:
        return DeviceArchive(self.settings, "er-1", trust_of(self.settings.credentials), key)

    def lines(self) -> list[bytes]:
        return self.unit.folder.ledger.read_bytes().split(b"\n")[:-1]

    def fill(self, upto: int | None = None) -> None:
        archive = self.open()
        for line in self.lines()[archive.chain.size : upto]:
            archive.accept(line)
            archive.flush()
        archive.close()

    def hand_over(self, archive: DeviceArchive, objects: int) -> None:
        for ref in list(archive.holdings.wanted.values())[:objects]:
            staging = archive.stage(ref, 1_048_576)
            staging.write(0, self.unit.folder.object_path(ref).read_bytes())
            assert archive.finish(staging) is None

    def receipt(self, archive: DeviceArchive) -> ObjectRef:
        """The dock's receipt of all that waits for one, kept by the unit as an object, not yet entered."""
        refs = list(archive.holdings.unreceipted.values())
        size, root = archive.chain.size, archive.chain.tree.root().hex()
        key = load_signing_key((self.settings.credentials / "receipt.key").read_bytes())
        token = sign_receipt(Receipt(1, "receipt", DOCK, "er-1", refs, size, root, 1), key)
        archive.receipts.enter(token)
        archive.holdings.receipted(refs)
        return self.unit.book.check(token)[1]


def state(archive: DeviceArchive) -> tuple[object, ...]:
    """All that an archive knows."""
    chain, holdings = archive.chain, archive.holdings
    known = (chain.size, chain.head, chain.tree.root(), chain.keys, chain.device, chain.identity)
    return (*known, holdings.wanted, holdings.unreceipted, holdings._receipts, holdings.count, archive.receipts.owed)


def verified_anew(place: Place) -> tuple[object, ...]:
    """The same by a reading of all lines; the index is made anew by it."""
    shutil.rmtree(place.index, ignore_errors=True)
    archive = place.open()
    found = state(archive)
    archive.close()
    return found


def check_index(place: Place, scratch: Path) -> None:
    """The index is the one that the lines give."""
    shutil.rmtree(scratch, ignore_errors=True)
    build_index(scratch, place.ledger)
    for name in PARTS[:-1]:
        assert (place.index / name).read_bytes() == (scratch / name).read_bytes(), name


@pytest.fixture
def place(agency: Path, tmp_path: Path) -> Place:
    return Place(agency, tmp_path)


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the lines that were verified."""
    seen: list[int] = []
    accept = ChainState.accept

    def spy(self: ChainState, line: bytes) -> object:
        seen.append(self.size)
        return accept(self, line)

    monkeypatch.setattr(ChainState, "accept", spy)
    return seen


def test_what_was_verified_is_not_verified_again_and_the_rest_is(place: Place, accepted: list[int]) -> None:
    """After a proper end no line; after a crash those after the last time that it was kept."""
    place.fill()
    accepted.clear()
    again = place.open()
    assert accepted == [] and again.chain.size == len(place.lines())
    place.unit.enter(Heartbeat("ready"))
    again.accept(place.lines()[-1])
    again.flush()  # and then a crash
    accepted.clear()
    after = place.open()
    assert accepted == [len(place.lines()) - 1]
    assert state(after) == verified_anew(place)


def test_it_is_kept_after_so_many_lines_and_the_more_rarely_the_more_is_unsettled(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "VERIFIED_EVERY_LINES", 10)
    archive, sizes = place.open(), set()
    for line in place.lines():
        archive.accept(line)
        archive.flush()
        sizes.add(archive._verified_size)
    assert len(sizes) >= len(place.lines()) // 10 - 1
    archive.holdings.wanted |= {f"{number:064x}": ObjectRef(f"{number:064x}", 1, "age") for number in range(1000)}
    before = archive._verified_size
    for _ in range(30):
        place.unit.enter(Heartbeat("ready"))
        archive.accept(place.lines()[-1])
        archive.flush()
    assert archive._verified_size == before


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("harm", ["removed", "emptied", "cut", "of another device", "a folder", "a link"])
def test_an_index_or_note_that_does_not_fit_is_made_anew(
    place: Place, agency: Path, tmp_path: Path, part: str, harm: str
) -> None:
    """Whatever was done to a part of it; and the ledger itself is not touched."""
    place.fill()
    whole, path = place.ledger.read_bytes(), place.index / part
    data = path.read_bytes()
    path.unlink()
    match harm:
        case "emptied":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "of another device":
            other = Place(agency, tmp_path / "other", 50)
            other.fill()
            shutil.copy(other.index / part, path)
        case "a folder":
            path.mkdir()
        case "a link":
            path.symlink_to(tmp_path / "elsewhere")
    again = place.open()
    found = state(again)
    again.close()
    assert found[0] == len(place.lines()) and place.ledger.read_bytes() == whole
    if harm != "of another device" or part not in ("recordings", "keys"):
        # These two are long enough, and what they say is held against the lines by whoever reads it.
        check_index(place, tmp_path / "scratch")
    assert found == verified_anew(place)


def test_a_whole_index_of_another_ledger_is_not_believed(
    place: Place, agency: Path, tmp_path: Path, accepted: list[int]
) -> None:
    """Nor one that an earlier copy of this archive had, with lines that are not these: sealed, but not of this file."""
    place.fill()
    other = Place(agency, tmp_path / "other", 50)
    other.fill()
    shutil.rmtree(place.index)
    shutil.copytree(other.index, place.index)
    accepted.clear()
    again = place.open()
    assert len(accepted) == again.chain.size == len(place.lines())
    assert state(again) == verified_anew(place)


def test_an_older_note_and_index_only_mean_more_to_verify(place: Place, tmp_path: Path, accepted: list[int]) -> None:
    place.fill(20)
    shutil.copytree(place.index, tmp_path / "older")
    place.fill()
    shutil.rmtree(place.index)
    shutil.copytree(tmp_path / "older", place.index)
    accepted.clear()
    again = place.open()
    assert accepted == list(range(20, len(place.lines())))
    check_index(place, tmp_path / "scratch")
    assert state(again) == verified_anew(place)


@pytest.fixture(scope="module")
def shared(agency: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(agency, tmp_path_factory.mktemp("shared"))
    place.fill()
    return place


@example_settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_note_with_any_byte_changed_or_under_another_key_is_not_believed(shared: Place, data: st.DataObject) -> None:
    """Else who can write into the archive, but does not have the dock's keys, could name the key of the next line."""
    place = shared
    path = place.index / "verified"
    kept = bytearray(path.read_bytes())
    kept[data.draw(st.integers(0, len(kept) - 1))] ^= data.draw(st.integers(1, 255))
    assert archive_module.read_verified(path, b"other", "er-1") is None
    path.write_bytes(bytes(kept))
    assert archive_module.read_verified(path, KEY, "er-1") is None
    archive = place.open()  # which keeps it anew when it is closed
    assert archive.chain.size == len(place.lines())
    archive.close()


def test_a_ledger_that_went_back_or_was_altered_at_its_end_is_verified_whole(place: Place) -> None:
    """Cut by whole lines: the shorter one is what is held. With another last line: it does not verify."""
    place.fill()
    lines = place.ledger.read_bytes().splitlines(keepends=True)
    place.ledger.write_bytes(b"".join(lines[:-3]))
    shorter = place.open()
    assert shorter.chain.size == len(lines) - 3
    shorter.close()
    last = lines[-4]
    place.ledger.write_bytes(b"".join(lines[:-4]) + last[:200] + (b"A" if last[200:201] != b"A" else b"B") + last[201:])
    with pytest.raises(FormatError):
        place.open()


def test_objects_and_receipts_are_the_same_after_every_restart(place: Place) -> None:
    """Wanted, held, receipted, owed, entered: told from what was kept and the lines after it, as from all lines."""
    place.fill()
    archive = place.open()
    assert len(archive.holdings.wanted) == 3 and not archive.holdings.unreceipted
    place.hand_over(archive, 2)
    assert len(archive.holdings.unreceipted) == 2 and not archive.holdings.only_receipts
    ref = place.receipt(archive)
    place.hand_over(archive, 1)
    archive.close()
    again = place.open()
    assert (len(again.holdings.wanted), len(again.holdings.unreceipted), len(again.receipts.owed)) == (0, 1, 1)
    assert state(again) == verified_anew(place)
    place.unit.enter(ReceiptEntry(DOCK, ref, again.chain.size), ref)
    again.close()
    place.fill()
    after = place.open()
    assert not after.receipts.owed and set(after.holdings.wanted) == {ref.digest}
    place.hand_over(after, 1)
    assert ref.digest in after.holdings.unreceipted and after.holdings.holds(ref.digest)
    assert state(after) == verified_anew(place)


def test_a_receipt_of_another_dock_is_an_object_like_any_other(place: Place) -> None:
    """It lists what this dock has not receipted; only receipts wait then, so that none is signed for them alone."""
    ref = place.unit.keep(b"of another dock")
    place.unit.folder.object_path(ref).rename(place.unit.folder.objects / f"{ref.digest}.jws")
    place.unit.enter(ReceiptEntry("dock-2", ObjectRef(ref.digest, ref.size, "jws"), 3))
    place.unit.enter(Adopted("policy", 1, ObjectRef("e" * 64, 9, "jws")))
    place.fill()
    archive = place.open()
    assert ref.digest in archive.holdings._receipts and "e" * 64 not in archive.holdings._receipts
    assert state(archive) == verified_anew(place)


def test_rot_of_ours_is_not_called_a_fork_of_the_devices(place: Place) -> None:
    """A damaged index is found out by the lines, a damaged line by the index; the session ends, the archive stays."""
    place.fill()
    lines, archive = place.lines(), place.open()
    assert archive.same_line(5, lines[5]) and not archive.same_line(5, lines[6])
    root = root_of_file(place.ledger, 20)
    assert root and archive.has_root(20, root) and not archive.has_root(20, b"\0" * 32)
    assert not archive.has_root(len(lines) + 1, root)
    tree = place.index / "tree"
    tree.write_bytes(bytes(255 - byte for byte in tree.read_bytes()))
    assert archive.has_root(20, root)
    place.unit.enter(Heartbeat("ready"))
    archive.accept(place.lines()[-1])
    archive.close()
    assert not (place.index / "verified").exists(), "the next start makes it anew"
    again = place.open()
    offsets = place.index / "offsets"
    whole = offsets.read_bytes()
    offsets.write_bytes(bytes(len(whole)))
    with pytest.raises(StorageError):
        again.same_line(5, lines[5])
    again.close()
    rotten = place.open()
    data = bytearray(place.ledger.read_bytes())
    data[sum(len(line) + 1 for line in lines[:5]) + 50] ^= 1
    place.ledger.write_bytes(bytes(data))
    with pytest.raises(StorageError):
        rotten.same_line(5, lines[5] + b"x")
    rotten.close()


@pytest.mark.slow
def test_killed_at_any_write_the_archive_opens_as_what_its_lines_say(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taking lines, objects and an entered receipt in; keeping what was verified; making the index anew."""
    monkeypatch.setattr(archive_module, "VERIFIED_EVERY_LINES", 4)
    place.fill(12)
    archive = place.open()
    place.hand_over(archive, 1)
    ref = place.receipt(archive)
    archive.close()
    place.unit.enter(ReceiptEntry(DOCK, ref, 12), ref)
    saved, dock = tmp_path / "saved", place.settings.folder
    shutil.copytree(dock, saved)

    def prepare() -> None:
        shutil.rmtree(dock)
        shutil.copytree(saved, dock)

    def take_in() -> None:
        archive = place.open()
        for number, line in enumerate(place.lines()[archive.chain.size :]):
            archive.accept(line)
            if number % 3 == 0:
                archive.flush()
        archive.flush()
        place.hand_over(archive, 2)
        archive.close()

    def make_anew() -> None:
        (place.index / "verified").unlink(missing_ok=True)
        take_in()

    points = 0
    for work in (take_in, make_anew):
        for _ in kill_points(prepare, work, every=3):
            again = place.open()
            found = state(again)
            again.close()
            check_index(place, tmp_path / "scratch")
            assert found == verified_anew(place)
            points += 1
    assert points > 50


def test_memory_and_the_cost_of_opening_do_not_follow_the_length_of_the_ledger(
    place: Place, accepted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that an opened archive keeps in memory counts lines, and nothing of the ledger but its end is read."""
    for number in range(300):
        place.unit.enter(Heartbeat(f"ready {number}"))
    place.fill()
    read: list[int] = []
    pread: Callable[..., bytes] = os.pread
    monkeypatch.setattr(os, "pread", lambda *how: (read.append(how[1]), pread(*how))[1])
    accepted.clear()
    archive = place.open()
    assert accepted == [] and len(read) < 60 and sum(read) < 8_000
    assert all(len(value) < 10 for value in vars(archive).values() if isinstance(value, list | dict | set | tuple))

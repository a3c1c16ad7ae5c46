"""Where a ledger stands: a start reads only what came after it was kept, and knows what a reading of all lines tells.

Whatever was done to what is kept beside the ledger, and at whatever moment the power went, the ledger goes on as one.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kill_points import kill_points
from samples import GENESIS, TIME, Enrolled, boot_fields

from agent.errors import FormatError
from agent.evidence.encoding import sha256_hex
from agent.evidence.entries import (
    Adopted,
    Close,
    Heartbeat,
    Interlock,
    ObjectRef,
    Open,
    ReceiptEntry,
    Segment,
)
from agent.evidence.folder import EvidenceFolder
from agent.evidence.index import INDEX, IndexWriter, build_index
from agent.evidence.ledger import ChainState
from agent.evidence.receipts import Receipt, sign_receipt
from agent.recorder import standing as module
from agent.recorder.journal import Journal, Past
from agent.recorder.recovery import closing_entries
from agent.recorder.release import has_root, root_at
from agent.recorder.standing import Standing
from agent.recorder.start import enter

PARTS = ("offsets", "tree", "recordings", "keys", "standing")
PERMITTED = Interlock("permitted", None, "clear", "clear", [], None)


class Unit:
    """A recorder's evidence: continued by ``start`` as a process does it, without its parts."""

    def __init__(self, folder: Path, enrolled: Enrolled) -> None:
        self.enrolled, self.folder = enrolled, EvidenceFolder(folder)
        self.index = folder / INDEX
        self.folder.objects.mkdir(parents=True, exist_ok=True)
        self.sealed = 0

    def standing(self) -> tuple[Standing, Past]:
        return Standing.open(self.folder, self.enrolled.trust, "er-1")

    def start(self) -> None:
        self.now, past = self.standing()
        self.journal = Journal(self.folder, past, "er-1", "sample", 1000, lambda: TIME, self.now)
        begins, left = past.size == 0, self.now.unfinished
        fields = {"counter": self.now.boots, "tail_cut_bytes": past.tail_cut_bytes}
        self.journal.boot(self.enrolled.key("er-1"), **{**boot_fields(self.enrolled), **fields})
        if begins:
            self.journal.enter(GENESIS)
        self.now.book.sweep()
        for body in closing_entries(left, []):
            enter(self.journal, self.folder, body)

    def seal(self) -> ObjectRef:
        self.sealed += 1
        data = b"%d of %d" % (self.sealed, self.journal.size)
        ref = ObjectRef(sha256_hex(data), len(data), "age")
        self.folder.object_path(ref).write_bytes(data)
        return ref

    def record(self, segments: int, close: bool = True) -> None:
        name = f"{self.journal.size:016x}"
        self.journal.begin_recording(name)
        enter(self.journal, self.folder, Open(name, "video", None, None, None, None, [], PERMITTED, None, None))
        for index in range(segments):
            piece = Segment(name, index, self.seal(), index * 5, 5, None, 25, False)
            enter(self.journal, self.folder, piece)
        if close:
            enter(self.journal, self.folder, Close(name, "button", segments, 25 * segments, 0, 5 * segments))
            self.journal.rotate("recording_end")

    def receipt(self, dock: str = "dock-1") -> None:
        size = self.journal.size
        root = root_at(self.folder.ledger, size)
        listed = list(self.now.book.sizes.values())
        token = sign_receipt(
            Receipt(1, "receipt", dock, "er-1", listed, size, root, 1), self.enrolled.key(dock, "receipt.key")
        )
        receipt, ref = self.now.book.check(token)
        enter(self.journal, self.folder, ReceiptEntry(receipt.dock, ref, receipt.ledger_size))

    def release(self, remove: bool = True) -> None:
        for entry in self.now.book.releasable(1):
            enter(self.journal, self.folder, entry)
            if remove:
                self.now.book.remove(entry)

    def crash(self) -> None:
        """What is open stays open; what was written is there, as after a kill."""

    def check(self, scratch: Path) -> None:
        """The chain accepts the ledger; index and standing are what its lines give."""
        kept, past = self.standing()
        chain = ChainState(self.enrolled.trust, "er-1")
        for line in self.folder.ledger.read_bytes().split(b"\n")[:-1]:
            chain.accept(line)
        assert (past.size, past.head, past.tree.root()) == (chain.size, chain.head, chain.tree.root())
        shutil.rmtree(scratch, ignore_errors=True)
        build_index(scratch, self.folder.ledger)
        for name in PARTS[:-1]:
            assert (self.index / name).read_bytes() == (scratch / name).read_bytes(), name
        shutil.rmtree(self.index)
        anew = self.standing()[0]
        assert told(kept) == told(anew)
        for one in (kept, anew):
            one.close()


def told(standing: Standing) -> tuple[object, ...]:
    """All that a standing knows."""
    book, left = standing.book, standing.unfinished
    unfinished = left and (left.recording, left.indexes, left.frames, left.duration_us)
    known = (standing.boots, standing.in_force, unfinished, book.sizes, book.released)
    return (*known, dict(book.held_by), {one: sorted(of) for one, of in book.covered_by.items()}, book.receipts())


def work(unit: Unit) -> None:
    """A life: recordings, a receipt, a release that a cut interrupts, a recording that a cut interrupts."""
    unit.start()
    enter(unit.journal, unit.folder, Adopted("policy", 1, ObjectRef("a" * 64, 1, "jws")))
    unit.record(2)
    unit.receipt()
    unit.record(1)
    unit.release()
    unit.receipt("dock-2")
    unit.release(remove=False)
    unit.crash()
    unit.start()
    unit.record(2)
    unit.record(1, close=False)
    unit.journal.close()
    unit.start()
    unit.record(1)
    unit.journal.close()


@pytest.fixture
def unit(enrolled: Enrolled, tmp_path: Path) -> Unit:
    return Unit(tmp_path / "evidence", enrolled)


@pytest.mark.parametrize("every", [1, 7, 1000])
def test_a_standing_kept_at_any_line_knows_what_all_lines_tell(
    unit: Unit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Kept after each line, now and then, or never but at a proper end."""
    monkeypatch.setattr(module, "KEEP_EVERY_LINES", every)
    work(unit)
    unit.check(tmp_path / "scratch")


def test_a_start_reads_only_the_lines_after_it_was_kept(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the ledger is; a release that is done is forgotten, so that what is kept does not grow either."""
    unit.start()
    for _ in range(3):
        unit.record(4)
        unit.receipt()
        unit.release()
    unit.journal.close()
    kept_bytes = (unit.index / "standing").stat().st_size
    read: list[int] = []
    follow = Standing._follow
    monkeypatch.setattr(
        Standing, "_follow", lambda self, line, entry: (read.append(entry.seq), follow(self, line, entry))[1]
    )
    standing, past = unit.standing()
    assert read == [] and past.size > 30 and not standing.book.sizes and not standing.book.receipts()
    unit.start()
    for number in range(20):
        unit.journal.enter(Heartbeat(f"ready {number}"))
    unit.crash()
    read.clear()
    after = unit.standing()[1]
    assert read == list(range(past.size, after.size))
    unit.start()
    unit.journal.close()
    assert abs((unit.index / "standing").stat().st_size - kept_bytes) < 100


@pytest.fixture(scope="module")
def kept(enrolled: Enrolled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence of two runs in ``evidence``, and the index of the first in ``earlier``."""
    place = tmp_path_factory.mktemp("kept")
    unit = Unit(place / "evidence", enrolled)
    unit.start()
    unit.record(2)
    unit.journal.close()
    shutil.copytree(unit.index, place / "earlier")
    unit.start()
    unit.receipt()
    unit.record(1, close=False)
    unit.journal.close()
    return place


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_was_done_to_index_and_standing_the_start_is_the_same(
    kept: Path, enrolled: Enrolled, tmp_path: Path, data: st.DataObject
) -> None:
    """Parts cut, emptied, lengthened, removed; or all of an earlier moment."""
    shutil.rmtree(tmp_path / "evidence", ignore_errors=True)
    shutil.copytree(kept / "evidence", tmp_path / "evidence")
    unit = Unit(tmp_path / "evidence", enrolled)
    if data.draw(st.booleans()):
        shutil.rmtree(unit.index)
        shutil.copytree(kept / "earlier", unit.index)
    for name in data.draw(st.lists(st.sampled_from(PARTS), max_size=2)):
        path = unit.index / name
        if not path.exists():
            continue
        whole = path.read_bytes()
        size = data.draw(st.integers(0, len(whole)))
        match data.draw(st.sampled_from(["cut", "removed", "more"])):
            case "cut":
                os.truncate(path, size)
            case "more":
                path.write_bytes(whole + bytes(size))
            case "removed":
                path.unlink()
    unit.check(tmp_path / "scratch")


def test_what_is_kept_is_not_believed_of_another_ledger_nor_with_a_byte_altered(
    unit: Unit, enrolled: Enrolled, tmp_path: Path
) -> None:
    """A longer ledger's index and standing beside this one; each byte of the standing altered."""
    unit.start()
    unit.record(1)
    unit.journal.close()
    other = Unit(tmp_path / "other", enrolled)
    other.start()
    other.record(3)
    other.journal.close()
    whole = (unit.index / "standing").read_bytes()
    for at in range(0, len(whole), 7):
        altered = bytearray(whole)
        altered[at] ^= 1
        (unit.index / "standing").write_bytes(bytes(altered))
        assert module._read_kept(unit.index / "standing") is None
    shutil.rmtree(unit.index)
    shutil.copytree(other.index, unit.index)
    unit.check(tmp_path / "scratch")


def test_a_ledger_cut_back_behind_its_standing_is_read_whole(unit: Unit, tmp_path: Path) -> None:
    """A copy put back, or a card that lost its newest writes: the lines that are there are the ledger."""
    work(unit)
    ledger = unit.folder.ledger
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:-4]) + lines[-4][:50])
    past = unit.standing()[1]
    assert (past.size, past.tail_cut_bytes) == (len(lines) - 4, 50)
    unit.check(tmp_path / "scratch")


def test_damage_after_what_was_kept_is_found_at_the_start(unit: Unit) -> None:
    """The lines that follow must join the one that was last when it was kept."""
    unit.start()
    unit.record(1)
    unit.journal.close()
    size = unit.journal.size
    unit.start()
    unit.record(1)
    unit.crash()
    lines = unit.folder.ledger.read_bytes().splitlines(keepends=True)
    unit.folder.ledger.write_bytes(b"".join(lines[: size + 1] + lines[size + 2 :]))
    with pytest.raises(FormatError, match=f"line {size + 1}"):
        unit.standing()


def test_a_receipt_that_cannot_be_read_any_more_frees_nothing_whatever_was_kept(unit: Unit) -> None:
    """R22: what is kept names the receipts that count; each is read and verified anew."""
    unit.start()
    unit.record(2)
    unit.receipt()
    assert unit.now.book.releasable(1)
    unit.journal.close()
    assert unit.standing()[0].book.releasable(1)
    for receipt in unit.folder.objects.glob("*.jws"):
        receipt.write_bytes(b"altered")
    assert unit.standing()[0].book.releasable(1) == []


def test_trouble_with_the_index_costs_no_entry(
    unit: Unit, enrolled: Enrolled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk above all: the index is given up for this run, and made good at the next start."""
    unit.start()
    unit.record(1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as trouble:
        trouble.setattr(IndexWriter, "flush", full)
        trouble.setattr(IndexWriter, "mark", full)
        unit.record(2)
        unit.journal.close()
    unit.check(tmp_path / "scratch")
    shutil.rmtree(unit.index)
    unit.index.symlink_to(tmp_path / "nowhere")
    unit.start()
    unit.record(1)
    unit.journal.close()
    unit.index.unlink()
    unit.check(tmp_path / "scratch")


def test_the_index_tells_roots_and_the_lines_have_the_last_word(unit: Unit) -> None:
    """A receipt's root at an earlier size is found without reading the ledger, and found with a damaged index too."""
    unit.start()
    unit.record(3)
    size = unit.journal.size - 2
    root = root_at(unit.folder.ledger, size)
    hidden = unit.folder.ledger.rename(unit.folder.path / "hidden")
    assert has_root(unit.folder, size, root)
    hidden.rename(unit.folder.ledger)
    assert not has_root(unit.folder, size, "0" * 64)
    (unit.index / "tree").write_bytes(bytes((unit.index / "tree").stat().st_size))
    assert has_root(unit.folder, size, root)


def test_a_unit_cut_between_its_first_line_and_genesis_begins_once_more(unit: Unit, tmp_path: Path) -> None:
    """Nobody has seen that line; with a second boot before genesis no ledger would ever verify."""
    unit.start()
    unit.journal.close()
    first = unit.folder.ledger.read_bytes().splitlines(keepends=True)[0]
    for torn in (b"", b"torn"):
        shutil.rmtree(unit.index, ignore_errors=True)
        unit.folder.ledger.write_bytes(first + torn)
        unit.start()
        unit.record(1)
        unit.journal.close()
        lines = unit.folder.ledger.read_bytes()
        assert first not in lines and unit.now.boots == 1
        unit.check(tmp_path / "scratch")


@pytest.mark.slow
def test_killed_at_any_write_the_ledger_goes_on_as_one(
    unit: Unit, enrolled: Enrolled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through recordings, receipts, releases and starts, with the standing kept every few lines."""
    monkeypatch.setattr(module, "KEEP_EVERY_LINES", 3)
    folder = unit.folder.path

    def prepare() -> None:
        shutil.rmtree(folder)
        unit.folder.objects.mkdir(parents=True)

    points = 0
    for _ in kill_points(prepare, lambda: work(Unit(folder, enrolled)), every=11):
        again = Unit(folder, enrolled)
        again.start()
        again.record(1)
        again.journal.close()
        again.check(tmp_path / "scratch")
        points += 1
    assert points > 30

"""Segments and what is left of them after a cut at any instant."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import PERMITTED, RECORDING, Enrolled

from agent.errors import StorageError, StorageFullError
from agent.evidence.entries import Body, Close, Gap, ObjectRef, Open, Segment
from agent.evidence.folder import EvidenceFolder
from agent.evidence.fragments import Fragment
from agent.evidence.sealing import CHUNK_BYTES, header_bytes, open_sealed, recipient_key
from agent.recorder import pieces, segments
from agent.recorder.pieces import (
    UNLISTED,
    piece_name,
    place_segment,
    recover_open,
    recover_pieces,
    set_pieces_aside,
    set_unlisted_aside,
)
from agent.recorder.recovery import Unfinished, closing_entries, follow
from agent.recorder.segments import SegmentSink
from agent.system import durable

INIT = b"init" * 100
SECOND = 1_000_000


def fragment(number: int, size: int = 50_000) -> Fragment:
    return Fragment(bytes([number]) * size, number * SECOND, SECOND, 25)


@pytest.fixture
def folder(tmp_path: Path) -> EvidenceFolder:
    folder = EvidenceFolder(tmp_path / "evidence")
    folder.objects.mkdir(parents=True)
    return folder


def sink_into(folder: EvidenceFolder, enrolled: Enrolled, segment_us: int = 2 * SECOND) -> tuple[SegmentSink, list]:
    found: list[Segment] = []
    keys = [recipient_key(one) for one in enrolled.trust.recipients]
    return SegmentSink(folder, RECORDING, keys, segment_us, found.append), found


def age(path: Path, enrolled: Enrolled) -> tuple[int, bytes]:
    command = ["age", "-d", "-i", str(enrolled.agekeys[0]), str(path)]
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    return done.returncode, done.stdout


def names(folder: EvidenceFolder) -> list[str]:
    return sorted(path.name for path in folder.objects.iterdir())


def test_segments_begin_with_the_initialisation_part_and_hold_whole_fragments(
    folder: EvidenceFolder, enrolled: Enrolled
) -> None:
    sink, found = sink_into(folder, enrolled)
    sink.origin_us = 7
    for number in range(5):
        sink.add(INIT, fragment(number))
    sink.finish()
    assert [(one.index, one.start_us, one.duration_us, one.frames) for one in found] == [
        (0, 0, 2 * SECOND, 50), (1, 2 * SECOND, 2 * SECOND, 50), (2, 4 * SECOND, SECOND, 25),
    ]  # fmt: skip
    assert [one.first_frame_us for one in found] == [7, 2 * SECOND + 7, 4 * SECOND + 7]
    assert (sink.count, sink.frames, sink.duration_us) == (3, 125, 5 * SECOND)
    for one in found:
        place_segment(folder, one)
        path = folder.object_path(one.object)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == one.object.digest
        numbers = range(one.index * 2, min(one.index * 2 + 2, 5))
        assert age(path, enrolled) == (0, INIT + b"".join(fragment(number).data for number in numbers))
    assert len(names(folder)) == 3


def test_a_segment_has_its_digest_as_its_name_only_after_its_line(folder: EvidenceFolder, enrolled: Enrolled) -> None:
    sink, found = sink_into(folder, enrolled)
    sink.add(INIT, fragment(0))
    assert names(folder) == [f".{piece_name(RECORDING, 0)}.0.tail", f"{piece_name(RECORDING, 0)}.open"]
    sink.finish()
    assert names(folder) == [f"{piece_name(RECORDING, 0)}.sealed"]
    place_segment(folder, found[0])
    assert names(folder) == [found[0].object.file_name]
    place_segment(folder, found[0])


def test_whole_chunks_are_on_disk_after_every_fragment(folder: EvidenceFolder, enrolled: Enrolled) -> None:
    sink, _ = sink_into(folder, enrolled, 60 * SECOND)
    written = len(INIT)
    for number in range(4):
        sink.add(INIT, fragment(number))
        written += len(fragment(number).data)
        path = folder.objects / f"{piece_name(RECORDING, 0)}.open"
        assert path.stat().st_size > (written - 1) // CHUNK_BYTES * CHUNK_BYTES


@pytest.fixture(scope="module")
def torn(enrolled: Enrolled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bytes, bytes]]:
    """The bytes of an open piece, and what was in it."""
    folder = EvidenceFolder(tmp_path_factory.mktemp("torn"))
    folder.objects.mkdir()
    sink, _ = sink_into(folder, enrolled, 60 * SECOND)
    for number in range(5):
        sink.add(INIT, fragment(number))
    yield (
        (folder.objects / f"{piece_name(RECORDING, 0)}.open").read_bytes(),
        INIT + b"".join(fragment(number).data for number in range(5)),
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_open_piece_cut_at_any_byte_is_recovered_to_whole_chunks_that_stock_age_opens(
    tmp_path: Path, torn: tuple[bytes, bytes], enrolled: Enrolled, data: st.DataObject
) -> None:
    sealed, plain = torn
    header = header_bytes(sealed)
    edges = [header + number * (CHUNK_BYTES + 16) + step for number in range(4) for step in (-1, 0, 1)]
    cut = data.draw(st.sampled_from([0, *edges]) | st.integers(0, len(sealed)))
    folder = EvidenceFolder(tmp_path / "cut")
    shutil.rmtree(folder.path, ignore_errors=True)
    folder.objects.mkdir(parents=True)
    (folder.objects / f"{piece_name(RECORDING, 3)}.open").write_bytes(sealed[:cut])
    chunks = max(0, cut - header) // (CHUNK_BYTES + 16)
    recovered = recover_pieces(folder, set())
    if chunks == 0:
        assert (recovered, names(folder)) == ([], [])
        return
    (one,) = recovered
    assert (one.recording, one.index, one.recovered, one.frames) == (RECORDING, 3, True, 0)
    place_segment(folder, one)
    assert names(folder) == [one.object.file_name]
    assert folder.object_path(one.object).stat().st_size == one.object.size
    code, found = age(folder.object_path(one.object), enrolled)
    assert code != 0
    assert found == plain[: chunks * CHUNK_BYTES]


def test_recovering_twice_is_the_same_as_once(folder: EvidenceFolder, torn: tuple[bytes, bytes]) -> None:
    (folder.objects / f"{piece_name(RECORDING, 0)}.open").write_bytes(torn[0])
    assert recover_pieces(folder, set()) == recover_pieces(folder, set())


def test_a_sealed_piece_without_its_line_is_entered_whole(folder: EvidenceFolder, enrolled: Enrolled) -> None:
    sink, found = sink_into(folder, enrolled)
    sink.add(INIT, fragment(0))
    sink.finish()
    (one,) = recover_pieces(folder, set())
    assert (one.object, one.recovered) == (found[0].object, True)


def test_a_piece_whose_line_is_there_only_gets_its_name(folder: EvidenceFolder, enrolled: Enrolled) -> None:
    sink, found = sink_into(folder, enrolled)
    sink.add(INIT, fragment(0))
    sink.finish()
    assert recover_pieces(folder, {found[0].object.digest}) == []
    assert names(folder) == [found[0].object.file_name]


def test_a_storage_error_leaves_what_was_whole_as_a_recovered_segment(
    folder: EvidenceFolder, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, found = sink_into(folder, enrolled, 60 * SECOND)
    for number in range(3):
        sink.add(INIT, fragment(number))

    def broken(self: durable.AppendFile, data: bytes) -> int:
        raise StorageError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(durable.AppendFile, "append", broken)
        with pytest.raises(StorageError):
            sink.add(INIT, fragment(3))
    sink.salvage()
    sink.salvage()
    assert [(one.index, one.recovered) for one in found] == [(0, True), (1, True)]
    assert sink.count == 2
    assert left(folder, enrolled) == INIT + b"".join(fragment(number).data for number in range(3))


def test_on_a_full_disk_all_that_was_taken_is_kept_without_writing_anything(
    folder: EvidenceFolder, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renaming and cutting need no room; whatever does is refused."""
    sink, found = sink_into(folder, enrolled, 60 * SECOND)
    for number in range(3):
        sink.add(INIT, fragment(number))

    def no_room(*_: object) -> None:
        raise StorageFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(durable.AppendFile, "append", no_room)
        patch.setattr(pieces, "write_atomic", no_room)
        with pytest.raises(StorageFullError):
            sink.add(INIT, fragment(3))
        sink.salvage()
    assert [(one.index, one.recovered) for one in found] == [(0, True), (1, True)]
    assert left(folder, enrolled) == INIT + b"".join(fragment(number).data for number in range(3))


def test_pieces_whose_recording_is_closed_are_set_aside_and_not_deleted(
    folder: EvidenceFolder, enrolled: Enrolled
) -> None:
    sink, found = sink_into(folder, enrolled)
    sink.add(INIT, fragment(0))
    sink.finish()
    set_pieces_aside(folder, recover_pieces(folder, set()))
    assert names(folder) == []
    assert [path.name for path in (folder.path / UNLISTED).iterdir()] == [found[0].object.file_name]


def test_a_piece_that_holds_no_whole_chunk_lives_on_in_its_tail_and_without_one_is_removed(
    folder: EvidenceFolder, enrolled: Enrolled
) -> None:
    sink, _ = sink_into(folder, enrolled)
    sink.add(INIT, fragment(0, size=10))
    path = folder.objects / f"{piece_name(RECORDING, 0)}.open"
    (kept,) = recover_open(path)
    assert kept.name == f"{piece_name(RECORDING, 0)}.sealed"
    assert left(folder, enrolled) == INIT + fragment(0, size=10).data
    path.write_bytes(kept.read_bytes()[:300])
    kept.unlink()
    assert recover_open(path) == []
    assert not path.exists()


class Cut(BaseException):
    """The power is gone."""


class PowerSupply:
    """Lasts for so many durable operations; the one after does not happen. Appending can be torn in the middle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, operations: int, torn: bool = False) -> None:
        self.left, self.torn = operations, torn
        for module, names_in_it in ((pieces, ("write_atomic", "move", "remove_file")), (segments, ("move",))):
            for name in names_in_it:
                monkeypatch.setattr(module, name, self._limited(getattr(module, name)))
        monkeypatch.setattr(durable.AppendFile, "append", self._appending(durable.AppendFile.append))
        monkeypatch.setattr(durable.AppendFile, "cut", self._limited(durable.AppendFile.cut))

    def _limited(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise Cut
            return operation(*arguments)

        return run

    def _appending(self, append: Callable[..., int]) -> Callable[..., int]:
        def run(file: durable.AppendFile, data: bytes) -> int:
            self.left -= 1
            if self.left < 0:
                if self.torn:
                    append(file, data[: len(data) // 2])
                raise Cut
            return append(file, data)

        return run


def left(folder: EvidenceFolder, enrolled: Enrolled) -> bytes:
    """What the key still opens of all pieces, in order."""
    secret = next(line for line in enrolled.agekeys[0].read_text().splitlines() if line.startswith("AGE-SECRET"))
    identity = pyrage.x25519.Identity.from_str(secret)
    found = sorted(folder.objects.glob("*.sealed"))
    return b"".join(open_sealed(path.read_bytes(), identity) for path in found)


@pytest.mark.parametrize("torn", [False, True])
def test_cut_at_any_operation_every_fragment_that_was_taken_is_there_however_often_recovering_is_cut_too(
    tmp_path: Path, enrolled: Enrolled, torn: bool
) -> None:
    sizes = (30_000, 100, 64_000, 200_000, 10, 5, 70_000, 131_072)
    for operations in range(60):
        folder, taken = EvidenceFolder(tmp_path / str(operations)), []
        folder.objects.mkdir(parents=True)
        sink, _ = sink_into(folder, enrolled, 4 * SECOND)
        finished = False
        with pytest.MonkeyPatch.context() as patch, suppress(Cut):
            PowerSupply(patch, operations, torn)
            for number, size in enumerate(sizes):
                sink.add(INIT, fragment(number, size))
                taken.append(fragment(number, size).data)
            sink.finish()
            finished = True
        for interrupted in range(8):
            with pytest.MonkeyPatch.context() as patch, suppress(Cut):
                PowerSupply(patch, interrupted)
                recover_pieces(folder, set())
        recover_pieces(folder, set())
        whole = left(folder, enrolled).replace(INIT, b"")
        assert whole.startswith(b"".join(taken)), f"after {operations} operations"
        assert not list(folder.objects.glob(".*.tail"))
        assert not list(folder.objects.glob("*.open"))
        if finished:
            return
    pytest.fail("the longest run was not reached")


def test_sealed_objects_that_no_line_names_are_set_aside_and_not_deleted(folder: EvidenceFolder) -> None:
    for letter in "ab":
        (folder.objects / f"{letter * 64}.age").write_bytes(os.urandom(9))
    (folder.objects / f"{'c' * 64}.jws").write_bytes(b"document")
    assert set_unlisted_aside(folder, {"a" * 64}) == 1
    assert names(folder) == [f"{'a' * 64}.age", f"{'c' * 64}.jws"]
    assert [path.name for path in (folder.path / UNLISTED).iterdir()] == [f"{'b' * 64}.age"]


# What the ledger's tail asks for


def left_by(*bodies: Body) -> Unfinished | None:
    left: Unfinished | None = None
    for body in bodies:
        left = follow(left, body)
    return left


OPENED = Open(RECORDING, "video", None, None, None, None, [], PERMITTED, None, None)
CLOSED = Close(RECORDING, "button", 1, 25, 0, SECOND)


def segment(index: int, recovered: bool = False, recording: str = RECORDING) -> Segment:
    frames = 0 if recovered else 25
    return Segment(recording, index, ObjectRef(f"{index:064x}", 9, "age"), 0, frames * 40_000, None, frames, recovered)


def test_a_ledger_that_ends_between_recordings_asks_for_nothing() -> None:
    assert left_by(OPENED, segment(0), CLOSED) is None
    assert closing_entries(left_by(OPENED, CLOSED), [segment(1, recovered=True)]) == []


def test_a_recording_that_was_cut_gets_its_pieces_a_gap_and_a_close_with_the_reason() -> None:
    other = segment(7, recovered=True, recording="f" * 16)
    found = closing_entries(left_by(OPENED, segment(0)), [segment(0, True), segment(1, True), other])
    assert found == [
        segment(1, True),
        Gap(RECORDING, "power_cut", None, 0),
        Close(RECORDING, "power_cut", 2, 25, 0, SECOND),
    ]


def test_a_second_cut_during_the_recovery_adds_no_piece_twice() -> None:
    left = left_by(OPENED, segment(0), segment(1, True))
    assert [type(body) for body in closing_entries(left, [segment(1, True)])] == [Gap, Close]


def test_what_is_missing_is_said_before_the_segment_that_it_is_missing_in(
    folder: EvidenceFolder, enrolled: Enrolled
) -> None:
    sink, found = sink_into(folder, enrolled)
    said: list[int] = []
    sink.before_sealed = lambda: said.append(len(found))
    for number in range(4):
        sink.add(INIT, fragment(number))
    sink.finish()
    assert said == list(range(len(found)))

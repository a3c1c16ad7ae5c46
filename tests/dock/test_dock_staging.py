"""Objects are read back beside the intake: more comes in meanwhile, and nothing is closed under a reader."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from custody_rig import DOCK, trust_of

from agent.dock.archive import DeviceArchive
from agent.dock.settings import DockSettings
from agent.dock.staging import Staging, list_path
from agent.errors import FormatError, StorageError
from agent.evidence.entries import ObjectRef
from agent.system import durable

DATA = os.urandom(200_000)
REF = ObjectRef(hashlib.sha256(DATA).hexdigest(), len(DATA), "age")


def filled(folder: Path) -> Staging:
    staging = Staging.begin(folder / REF.file_name, REF, 65_536)
    for number in range(staging.count):
        staging.write(number, DATA[number * 65_536 : (number + 1) * 65_536])
    return staging


def test_another_thread_reads_back_what_the_disk_holds(tmp_path: Path) -> None:
    """Begun twice it is read once, and whoever asks early waits."""
    staging = filled(tmp_path)
    assert not staging.is_being_read
    staging.begin_read_back()
    staging.begin_read_back()
    assert staging.read_back() == REF.digest and staging.is_read
    staging.close()


def test_closing_waits_for_the_reader(tmp_path: Path) -> None:
    """The descriptor it reads from could else become another file's."""
    stagings = [filled(tmp_path / name) for name in map(str, range(8)) if not (tmp_path / name).mkdir()]
    for staging in stagings:
        staging.begin_read_back()
        staging.close()
        assert staging.is_read and staging.read_back() == REF.digest


def test_a_disk_that_fails_is_told_to_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = filled(tmp_path)

    def failing(_handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    staging.begin_read_back()
    with pytest.raises(StorageError, match="Input/output error"):
        staging.read_back()


def test_a_forked_process_reads_back_with_threads_of_its_own(tmp_path: Path) -> None:
    """Those of its parent are not in it."""
    assert filled(tmp_path).read_back() == REF.digest
    child = os.fork()
    if child == 0:
        (tmp_path / "child").mkdir()
        os._exit(0 if filled(tmp_path / "child").read_back() == REF.digest else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_torn_list_begins_the_object_anew(tmp_path: Path) -> None:
    """The list is not synced: after a power cut it may be anything."""
    filled(tmp_path).close()
    list_path(tmp_path / REF.file_name).write_bytes(b'{"size":2')
    with pytest.raises(FormatError):
        Staging.resume(tmp_path / REF.file_name, REF)


def test_names_that_a_killed_process_left_are_synced_before_anything_is_claimed(
    agency: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a fresh process nobody knows what only the cache holds; after the first time it knows."""
    settings = DockSettings(DOCK, tmp_path / "dock", agency / DOCK)
    for folder in (settings.archive, settings.staging):
        folder.mkdir(parents=True)
    archive = DeviceArchive(settings, "er-1", trust_of(settings.credentials), bytes(32))
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    archive.flush()
    archive.flush()
    assert synced == [archive.folder.objects]
    archive.close()

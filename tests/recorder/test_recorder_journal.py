"""The journal: durable lines, torn tails, full disks, kills; and the chain accepts what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from samples import GENESIS, TIME, Enrolled, boot_fields

from agent.errors import FormatError, StorageError, StorageFullError
from agent.evidence.checkpoint import check_ledger_signature, open_note
from agent.evidence.entries import Entry, Epoch, Heartbeat
from agent.evidence.folder import EvidenceFolder
from agent.evidence.ledger import ChainState, unverified_entries
from agent.recorder.journal import CHECKPOINT_EVERY_LINES, Journal, Past, read_past
from agent.system import durable

ROOT = Path(__file__).resolve().parents[2]
Opener = Callable[[], Journal]


@pytest.fixture
def open_journal(enrolled: Enrolled, tmp_path: Path) -> Opener:
    """Continues the journal in a folder, as a start of the process does."""

    def open_it(epoch_lines: int = 1000) -> Journal:
        folder = EvidenceFolder(tmp_path)
        past = read_past(folder.ledger)
        journal = Journal(folder, past, "er-1", "sample", epoch_lines, lambda: TIME)
        journal.boot(enrolled.key("er-1"), **{**boot_fields(enrolled), "tail_cut_bytes": past.tail_cut_bytes})
        if past.size == 0:
            journal.enter(GENESIS)
        return journal

    return open_it


def accepted(enrolled: Enrolled, path: Path) -> tuple[ChainState, list[Entry]]:
    chain = ChainState(enrolled.trust, "er-1")
    data = (path / "ledger.jws").read_bytes()
    assert data.endswith(b"\n")
    return chain, [chain.accept(line) for line in data.split(b"\n")[:-1]]


def test_what_was_entered_is_a_ledger_that_the_chain_accepts(
    enrolled: Enrolled, open_journal: Opener, tmp_path: Path
) -> None:
    for _ in range(2):
        journal = open_journal()
        journal.enter(Heartbeat("ready"))
        journal.close()
    chain, entries = accepted(enrolled, tmp_path)
    assert [entry.type for entry in entries] == ["boot", "genesis", "heartbeat", "boot", "heartbeat"]
    assert chain.size == journal.size
    assert list(unverified_entries(tmp_path / "ledger.jws")) == entries


def test_the_key_rotates_after_its_lines_and_the_checkpoint_is_signed_by_the_key_in_force(
    enrolled: Enrolled, open_journal: Opener, tmp_path: Path
) -> None:
    journal = open_journal(3)  # type: ignore[call-arg]
    for _ in range(7):
        journal.enter(Heartbeat("ready"))
    chain, entries = accepted(enrolled, tmp_path)
    assert [entry.seq for entry in entries if isinstance(entry.body, Epoch)] == [4, 8]
    journal.checkpoint()
    note = open_note((tmp_path / "checkpoint").read_bytes())
    assert (note.checkpoint.size, note.checkpoint.root) == (chain.size, chain.tree.root())
    assert chain.keys.epoch_key is not None
    check_ledger_signature(note, chain.keys.epoch_key)


def test_a_checkpoint_is_never_more_than_sixteen_lines_behind(open_journal: Opener, tmp_path: Path) -> None:
    journal = open_journal()
    for _ in range(40):
        journal.enter(Heartbeat("ready"))
        path = tmp_path / "checkpoint"
        size = open_note(path.read_bytes()).checkpoint.size if path.exists() else 0
        assert journal.size - size < CHECKPOINT_EVERY_LINES


def test_a_torn_last_line_is_cut_off_and_said(enrolled: Enrolled, open_journal: Opener, tmp_path: Path) -> None:
    journal = open_journal()
    journal.enter(Heartbeat("ready"))
    journal.close()
    ledger = tmp_path / "ledger.jws"
    whole = ledger.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for cut in (last + 1, last + 100, len(whole) - 1):
        ledger.write_bytes(whole[:cut])
        past = read_past(ledger)
        assert past.tail_cut_bytes == cut - last
        assert ledger.read_bytes() == whole[:last]
    ledger.write_bytes(whole[: last + 100])
    open_journal().close()
    _, entries = accepted(enrolled, tmp_path)
    assert entries[-1].body.tail_cut_bytes == 100  # type: ignore[union-attr]


def test_a_ledger_damaged_in_its_middle_is_not_continued(open_journal: Opener, tmp_path: Path) -> None:
    journal = open_journal()
    journal.enter(Heartbeat("ready"))
    journal.close()
    lines = (tmp_path / "ledger.jws").read_bytes().splitlines(keepends=True)
    for wrong in ([lines[0], lines[2]], [lines[0], b"\n", *lines[1:]], [lines[0], b"\x00" * 30 + b"\n"]):
        (tmp_path / "ledger.jws").write_bytes(b"".join(wrong))
        with pytest.raises(FormatError):
            read_past(tmp_path / "ledger.jws")


def test_no_ledger_is_an_empty_past(tmp_path: Path) -> None:
    assert read_past(tmp_path / "ledger.jws").size == Past().size == 0


FULL_DISK = """
import resource, sys
from pathlib import Path
from agent.errors import StorageFullError
from agent.evidence.entries import Heartbeat
from agent.evidence.folder import EvidenceFolder
from agent.recorder.journal import Journal, read_past
from samples import GENESIS, TIME, Enrolled, boot_fields

folder, enrolled = EvidenceFolder(Path(sys.argv[1])), Enrolled(Path(sys.argv[2]))
journal = Journal(folder, read_past(folder.ledger), "er-1", "sample", 1000, lambda: TIME)
journal.boot(enrolled.key("er-1"), **boot_fields(enrolled))
journal.enter(GENESIS)
try:
    while True:
        journal.enter(Heartbeat("ready"))
        reserve = (folder.path / "reserve").exists()
        print(journal.size, reserve, flush=True)
except StorageFullError:
    print("full", journal.size, flush=True)
"""


def test_on_a_full_disk_the_reserve_still_takes_the_last_lines(enrolled: Enrolled, tmp_path: Path) -> None:
    """A file system of 3 MiB, filled by somebody else to the last byte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["unshare", "-m", "sh", "-c",
               'mount -t tmpfs -o size=3m none "$1" && cd "$2" && exec "$3" "$4" "$1" "$5"', "sh"]  # fmt: skip
    probe = subprocess.run([*command[:4], "true"], capture_output=True, timeout=20, check=False)
    if os.geteuid() != 0 or probe.returncode:
        pytest.skip("lane root: mounting a small file system needs privileges")
    script = tmp_path / "script.py"
    filler = """
import os
def fill():
    with open(folder.path / "filler", "ab", buffering=0) as file:
        for size in (65536, 1):
            try:
                while file.write(bytes(size)): pass
            except OSError: pass
"""
    begin = 'try:\n    while True:\n        journal.enter(Heartbeat("ready"))'
    script.write_text(FULL_DISK.replace(begin, filler + "journal.enter(Heartbeat('ready'))\nfill()\n" + begin))
    done = subprocess.run(
        [*command, str(disk), str(ROOT), sys.executable, str(script), str(enrolled.folder)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[-1].startswith("full")
    held = [line for line in lines if line.endswith("True")]
    freed = [line for line in lines if line.endswith("False")]
    assert len(freed) > 500, "the reserve of 1 MiB holds the end of many a recording"
    assert len(held) < 40, "a page or two were left when the disk filled"


def test_the_reserve_is_given_up_for_a_line_that_finds_no_room(
    open_journal: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal()
    append = durable.AppendFile.append

    def full(self: durable.AppendFile, data: bytes) -> int:
        if (tmp_path / "reserve").exists():
            raise StorageFullError("no room")
        return append(self, data)

    monkeypatch.setattr(durable.AppendFile, "append", full)
    journal.enter(Heartbeat("ready"))
    assert not (tmp_path / "reserve").exists()
    monkeypatch.setattr(durable.AppendFile, "append", lambda self, data: (_ for _ in ()).throw(StorageFullError("x")))
    with pytest.raises(StorageError):
        journal.enter(Heartbeat("ready"))


APPEND = """
import sys
from pathlib import Path
from agent.evidence.entries import Heartbeat
from agent.evidence.folder import EvidenceFolder
from agent.recorder.journal import Journal, read_past
from samples import GENESIS, TIME, Enrolled, boot_fields

folder, enrolled = EvidenceFolder(Path(sys.argv[1])), Enrolled(Path(sys.argv[2]))
past = read_past(folder.ledger)
journal = Journal(folder, past, "er-1", "sample", 5, lambda: TIME)
journal.boot(enrolled.key("er-1"), **boot_fields(enrolled))
if past.size == 0:
    journal.enter(GENESIS)
while True:
    journal.enter(Heartbeat("ready"))
    print(journal.size, flush=True)
"""


def test_kill_9_in_a_loop_of_appends_leaves_a_ledger_that_the_chain_accepts_with_every_line_that_was_promised(
    enrolled: Enrolled, tmp_path: Path
) -> None:
    (tmp_path / "evidence").mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-c", APPEND, str(tmp_path / "evidence"), str(enrolled.folder)]
    for lines_until_kill in (1, 12, 30):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            promised = [int(process.stdout.readline()) for _ in range(lines_until_kill)][-1]
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        read_past(tmp_path / "evidence" / "ledger.jws")  # cuts a torn line
        chain, _ = accepted(enrolled, tmp_path / "evidence")
        assert chain.size >= promised

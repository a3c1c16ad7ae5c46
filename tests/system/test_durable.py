"""The durable-write tool: whole or not at all, under full disks, failed syncs and kill -9 at every step."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import LockedError, StorageError, StorageFullError
from agent.system import durable

ROOT = Path(__file__).resolve().parents[2]

# Runs ``body`` with every file-system call of the tool counted; dies by SIGKILL just before call number KILL_AT.
# Prints the calls made, so that a run to the end tells how many there are.
CHILD = """
import os, signal, sys
from pathlib import Path
count = 0
def counted(name, real):
    def call(*args, **kwargs):
        global count
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        if name == "write" and args[0] > 2 and len(args[1]) > 1:
            return real(args[0], args[1][: len(args[1]) // 2])  # a short write is allowed at any time
        result = real(*args, **kwargs)
        print(name, flush=True)
        return result
    return call
sys.path.insert(0, sys.argv[3])
from agent.system import durable
for name in ("write", "fsync", "fdatasync", "fchmod", "ftruncate", "close", "replace", "rename"):
    setattr(os, name, counted(name, getattr(os, name)))
path = Path(sys.argv[1])
"""


def run_child(body: str, path: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD + body, str(path), str(kill_at), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def killed_at_every_step(body: str, path: Path) -> Iterator[int]:
    """Yields after each run that was killed; ends with the first run that was not."""
    for step in range(80):
        done = run_child(body, path, step)
        yield step
        if done.returncode == 0:
            return
        assert done.returncode == -signal.SIGKILL, done.stderr
    raise AssertionError("the child never ran to its end")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("lane root: mounting a tmpfs needs root")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], check=False)
    if mounted.returncode != 0:
        pytest.skip("lane root: this machine does not allow mounting a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True, timeout=30)


@pytest.fixture
def file_limit() -> Iterator[int]:
    """No file may grow past 64 KiB in this process: a write past it fails with EFBIG, after a short write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    yield 65_536
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


def test_write_atomic_replaces_the_whole_file_with_the_exact_mode(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old and longer")
    old_umask = os.umask(0)
    try:
        durable.write_atomic(path, b"new", 0o600)
    finally:
        os.umask(old_umask)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_write_atomic_replaces_a_symbolic_link_and_leaves_its_target_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"untouched")
    (tmp_path / "link").symlink_to(target)
    durable.write_atomic(tmp_path / "link", b"new")
    assert target.read_bytes() == b"untouched"
    assert not (tmp_path / "link").is_symlink()


def test_write_atomic_syncs_the_file_before_the_rename_and_the_folder_after(tmp_path: Path) -> None:
    done = run_child("durable.write_atomic(path, b'x')", tmp_path / "f", -1)
    calls = [call for call in done.stdout.split() if call in {"fsync", "rename", "replace"}]
    assert calls in (["fsync", "replace", "fsync"], ["fsync", "rename", "fsync"]), done.stderr


def test_write_atomic_killed_at_any_step_leaves_the_old_or_the_new_bytes(tmp_path: Path) -> None:
    path = tmp_path / "register.json"
    old, new = b"old" * 1000, b"new!" * 2000
    seen = set()
    path.write_bytes(old)
    for _ in killed_at_every_step("durable.write_atomic(path, b'new!' * 2000)", path):
        seen.add(path.read_bytes())
    assert seen == {old, new}
    assert path.read_bytes() == new
    assert durable.sweep_aside(tmp_path) > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["register.json"]


def test_write_atomic_on_a_full_disk_keeps_the_old_file_and_says_full(small_disk: Path) -> None:
    path = small_disk / "register.json"
    durable.write_atomic(path, b"old")
    with pytest.raises(StorageFullError, match=r"register\.json"):
        durable.write_atomic(path, b"n" * 400_000)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in small_disk.iterdir()] == ["register.json"]


def test_write_atomic_over_a_file_size_limit_keeps_the_old_file(tmp_path: Path, file_limit: int) -> None:
    path = tmp_path / "register.json"
    durable.write_atomic(path, b"old")
    with pytest.raises(StorageFullError):
        durable.write_atomic(path, b"n" * (file_limit + 1))
    assert path.read_bytes() == b"old"


def test_write_atomic_into_a_missing_folder_is_a_storage_error_that_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere") as caught:
        durable.write_atomic(tmp_path / "nowhere" / "f", b"x")
    assert not isinstance(caught.value, StorageFullError)


def test_append_returns_the_offset_and_continues_an_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with durable.AppendFile(path, 0o600) as file:
        assert file.append(b"one\n") == 0
        assert file.append(b"two\n") == 4
    with durable.AppendFile(path) as file:
        assert file.size == 8
        assert file.append(b"three\n") == 8
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_append_on_a_full_disk_leaves_whole_lines_only_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    path = small_disk / "ledger"
    (small_disk / "filler").write_bytes(b"f" * 150_000)
    line = b"l" * 9_999 + b"\n"
    with durable.AppendFile(path) as file:
        with pytest.raises(StorageFullError, match="ledger"):
            for _ in range(100):
                file.append(line)
        good = file.size
        assert path.stat().st_size == good
        assert good % len(line) == 0
        assert good > 0
        (small_disk / "filler").unlink()
        assert file.append(line) == good
    assert path.read_bytes() == line * (good // len(line) + 1)


def test_append_over_a_file_size_limit_undoes_the_short_write(tmp_path: Path, file_limit: int) -> None:
    path = tmp_path / "ledger"
    with durable.AppendFile(path) as file:
        file.append(b"a" * 60_000)
        with pytest.raises(StorageFullError):
            file.append(b"b" * 10_000)  # 5,536 bytes fit
        assert path.stat().st_size == file.size == 60_000
        file.append(b"c" * (file_limit - 60_000))
    assert b"b" not in path.read_bytes()


def test_append_to_a_full_device_is_storage_full() -> None:
    with durable.AppendFile(Path("/dev/full")) as file, pytest.raises(StorageFullError, match="/dev/full"):
        file.append(b"x")


def test_append_killed_at_any_step_leaves_a_prefix_of_what_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    body = "file = durable.AppendFile(path); file.append(b'one\\n'); file.append(b'two\\n'); file.close()"
    lengths = set()
    for _ in killed_at_every_step(body, path):
        assert b"one\ntwo\n".startswith(path.read_bytes())
        lengths.add(path.stat().st_size)
        path.unlink()
    assert {0, 4, 8} <= lengths


def test_after_a_failed_sync_every_further_append_is_refused_until_the_file_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger"

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with durable.AppendFile(path) as file:
        file.append(b"good\n")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", fails)
            with pytest.raises(StorageError, match="Input/output"):
                file.append(b"lost\n")
        with pytest.raises(StorageError, match="open it anew"):
            file.append(b"more\n")
    assert path.read_bytes() == b"good\n"
    with durable.AppendFile(path) as file:
        assert file.append(b"more\n") == 5


def test_cut_shortens_the_file_and_the_next_append_follows(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(b"whole\nto")
    with durable.AppendFile(path) as file:
        file.cut(6)
        assert file.append(b"next\n") == 6
        with pytest.raises(ValueError, match="cannot cut"):
            file.cut(100)
    assert path.read_bytes() == b"whole\nnext\n"


def test_append_refuses_a_symbolic_link_and_a_closed_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(StorageError):
        durable.AppendFile(tmp_path / "link")
    file = durable.AppendFile(tmp_path / "ledger")
    file.close()
    file.close()
    with pytest.raises(StorageError, match="closed"):
        file.append(b"x")


def test_private_folder_has_mode_0700_even_if_it_was_open_before(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(0o755)
    durable.make_private_folder(tmp_path / "keys")
    durable.make_private_folder(tmp_path / "deep" / "keys")
    for folder in (tmp_path / "keys", tmp_path / "deep" / "keys"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folder_aside_appears_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    with durable.folder_aside(tmp_path / "out") as aside:
        (aside / "a").write_bytes(b"a")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "a").read_bytes() == b"a"
    with pytest.raises(StorageError, match="exists already"), durable.folder_aside(tmp_path / "out"):
        pass
    with pytest.raises(RuntimeError), durable.folder_aside(tmp_path / "other") as aside:
        raise RuntimeError
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out"]


def test_folder_aside_killed_at_any_step_leaves_nothing_or_the_whole(tmp_path: Path) -> None:
    body = """
with durable.folder_aside(path) as aside:
    for name in ("a", "b"):
        durable.write_atomic(aside / name, name.encode())
"""
    path = tmp_path / "out"
    for _ in killed_at_every_step(body, path):
        if path.exists():
            assert {entry.name: entry.read_text() for entry in path.iterdir()} == {"a": "a", "b": "b"}
            durable.remove_file(path / "a")
            durable.remove_file(path / "b")
            path.rmdir()
    (tmp_path / ".out.b.x.aside").mkdir()
    durable.sweep_aside(tmp_path, "out")
    assert [entry.name for entry in tmp_path.iterdir()] == [".out.b.x.aside"]


def test_a_locked_folder_is_refused_to_a_second_holder_until_the_first_is_gone(tmp_path: Path) -> None:
    with durable.lock_folder(tmp_path):
        with pytest.raises(LockedError, match="in use"):
            durable.lock_folder(tmp_path)
        with pytest.raises(LockedError):
            durable.lock_folder(tmp_path, wait_seconds=0.12)
    durable.lock_folder(tmp_path).release()


def test_the_lock_of_a_killed_process_is_free_again(tmp_path: Path) -> None:
    body = "durable.lock_folder(path); print('held', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD + body, str(tmp_path), "-1", str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LockedError):
            durable.lock_folder(tmp_path)
        child.kill()
        child.wait(timeout=30)
    durable.lock_folder(tmp_path, wait_seconds=5).release()

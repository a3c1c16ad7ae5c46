"""The real chronyd beside the machine's own time service: it commands no clock (-x) and keeps to the loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpsd_rig import free_port

PATH = f"{os.environ['PATH']}:/usr/sbin"
_MAGIC = 0x534F434B
"""Of ``struct sock_sample`` in chrony's refclock_sock.c."""


def need_chrony() -> tuple[str, str]:
    """chronyd and chronyc; skips, loudly, where they are not installed."""
    found = [shutil.which(name, path=PATH) for name in ("chronyd", "chronyc")]
    if not all(found):
        pytest.skip("lane chrony: chronyd not installed")
    return str(found[0]), str(found[1])


@contextlib.contextmanager
def chronyd(folder: Path, *lines: str) -> Iterator[tuple[str, ...]]:
    """Runs it with these lines of configuration; gives the command that asks it for its tracking."""
    daemon, client = need_chrony()
    folder.mkdir(mode=0o700)
    port = free_port()
    common = (f"cmdport {port}", "bindcmdaddress 127.0.0.1", "bindcmdaddress /", f"pidfile {folder}/pid")
    (folder / "chrony.conf").write_text("\n".join((*common, *lines)) + "\n")
    user = ("-u", "root") if os.geteuid() == 0 else ()
    process = subprocess.Popen(
        [daemon, "-x", "-d", *user, "-f", str(folder / "chrony.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield (client, "-n", "-c", "-h", "127.0.0.1", "-p", str(port), "tracking")
    finally:
        process.terminate()
        process.wait(10)


def pulse(path: Path) -> None:
    """One sample of a receiver that finds the clock right, given the way gpsd gives it."""
    now = time.time()
    sample = struct.pack("@qqdiiii", int(now), int(now % 1 * 1e6), 0.0, 0, 0, 0, _MAGIC)
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.sendto(sample, str(path))

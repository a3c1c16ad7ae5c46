"""A receiver that plays logs to the real gpsd, the real gpsd itself, and a server that says whatever a test wants.

gpsfake would do the first two, but Debian has it in one package with half a desktop; a TCP source is the same to gpsd.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Self

import pytest

LOGS = Path(__file__).parent / "nmea"
PLACE = (41.85, 123.8)
"""Where the receiver of the logs stands, and 120 m above the sea."""
LOG_BEGINS_US = 1_780_300_800_000_000
"""2026-06-01 08:00 UTC."""
EPOCH_SECONDS = 0.1
"""The logs are played ten times as fast as they tell."""
PATH = f"{os.environ['PATH']}:/usr/sbin"


def need_gpsd() -> str:
    """The program; skips, loudly, where it is not installed."""
    program = shutil.which("gpsd", path=PATH)
    if program is None:
        pytest.skip("lane gpsd: gpsd not installed")
    return program


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def epochs(name: str) -> list[bytes]:
    """The log's epochs, comments left out."""
    text = "\n".join(line for line in (LOGS / name).read_text().splitlines() if not line.startswith("#"))
    return [one.replace("\n", "\r\n").encode() + b"\r\n" for one in text.strip().split("\n\n")]


class Server:
    """Accepts on a port of the loopback and serves each connection on a thread of its own, until closed."""

    def __init__(self, port: int = 0) -> None:
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listening.getsockname()[1]
        self.closing = threading.Event()
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self.connections:
            connection.close()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.serve(connection)

    def serve(self, connection: socket.socket) -> None:
        """What a connection is served; OSError ends it."""
        raise NotImplementedError


class Receiver(Server):
    """Plays a log over and over; another one from the moment that ``plays`` is changed."""

    plays = "standing.nmea"

    def serve(self, connection: socket.socket) -> None:
        """See ``Server.serve``."""
        while not self.closing.is_set():
            log = self.plays
            for epoch in cycle(epochs(log)):
                if self.plays != log or self.closing.wait(EPOCH_SECONDS):
                    break
                connection.sendall(epoch)


class Saying(Server):
    """Sends each connection the bytes that it is told, piece by piece, and holds the line, or not."""

    def __init__(self, *pieces: bytes, hangs_up: bool = False) -> None:
        self.pieces, self._hangs_up = list(pieces), hangs_up
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """See ``Server.serve``."""
        said = 0
        while not self.closing.is_set():
            for piece in self.pieces[said:]:
                connection.sendall(piece)
                said += 1
            if self._hangs_up:
                connection.recv(4096)  # what is unread when a connection is closed resets it
                connection.close()
                return
            self.closing.wait(0.02)


@contextlib.contextmanager
def gpsd(port: int, receiver: Receiver) -> Iterator[subprocess.Popen[bytes]]:
    """The real gpsd on ``port``; killed in the end."""
    command = [need_gpsd(), "-N", "-n", "-S", str(port), f"tcp://127.0.0.1:{receiver.port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)

"""A fixed camera that can be pulled out and put back: GStreamer's RTSP server in a process of its own."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from lanes import lanes

SCRIPT = Path(__file__).parent / "rigs" / "rtsp-server.py"


class RtspServer:
    """Serves ``url`` while it runs; may be killed and started again on the same port."""

    def __init__(self, *login: str) -> None:
        if missing := lanes()["rtsp"]:
            pytest.skip(f"lane rtsp: {missing}")
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/camera"
        self._login = login
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self, size: str = "320x240") -> None:
        self._process = subprocess.Popen(
            ["/usr/bin/python3", str(SCRIPT), str(self.port), size, *self._login],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.kill()
            pytest.fail("the RTSP server does not start")

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()

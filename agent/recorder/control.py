"""The local control socket: one JSON object per line each way. The socket's file mode says who may press.

The server only enqueues requests for the main loop and waits, with a limit, for its answers.
"""

from __future__ import annotations

import json
import queue
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.errors import FormatError, NotRunningError, RefusedError, StorageError
from agent.evidence.encoding import load_object

ANSWER_SECONDS: Final = 15.0
MAX_REQUEST_BYTES: Final = 262_144
"""An assignment is the longest thing to be said, and its text is escaped on the way."""
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody at the socket asked for; the main loop puts exactly one answer."""

    do: str
    fields: Answer
    answers: queue.Queue[Answer] = field(default_factory=lambda: queue.Queue(1))

    def answer(self, **fields: Any) -> None:
        """Answers; a second answer is dropped."""
        with suppress(queue.Full):
            self.answers.put_nowait(fields)


class ControlServer:
    """Listens on a Unix socket from ``start`` until ``close``."""

    def __init__(self, path: Path, post: Callable[[Request], None]) -> None:
        """Binds the socket (mode 0660). Raises StorageError."""

        class Handler(socketserver.StreamRequestHandler):
            timeout = ANSWER_SECONDS

            def handle(self) -> None:
                with suppress(OSError):  # the client went away; nobody is left to be told
                    self.wfile.write(json.dumps(_serve(self.rfile.readline(MAX_REQUEST_BYTES), post)).encode() + b"\n")

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 16

        self._path = path
        try:
            path.unlink(missing_ok=True)
            self._server = Server(str(path), Handler)
            path.chmod(0o660)
        except OSError as error:
            raise StorageError(f"cannot listen on {path}: {error}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="control", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stops listening and removes the socket."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


def _serve(line: bytes, post: Callable[[Request], None]) -> Answer:
    try:
        fields = load_object(line)
        do = fields.pop("do", None)
        if not isinstance(do, str):
            raise FormatError("a request names what to do")
    except FormatError as error:
        return {"ok": False, "message": str(error)}
    request = Request(do, fields)
    post(request)
    try:
        return request.answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        return {"ok": False, "message": f"no answer within {ANSWER_SECONDS:.0f} s"}


def ask(path: Path, do: str, **fields: Any) -> Answer:
    """Asks the running recorder. Raises NotRunningError, or RefusedError with the recorder's own words."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(ANSWER_SECONDS + 5)
            channel.connect(str(path))
            channel.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
            with channel.makefile("rb") as stream:
                line = stream.readline()
        answer: Answer = json.loads(line)
    except (OSError, ValueError) as error:
        raise NotRunningError(f"no recorder answers at {path}: {error}") from error
    if not answer.get("ok", False):
        raise RefusedError(str(answer.get("message", "refused")))
    return answer

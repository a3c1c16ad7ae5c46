"""The witness over HTTP: a WSGI application around its core, and the server that runs it. The one module with waitress.

Every request proves itself by the signatures in it, so there is no login and no TLS here. Bodies, connections, threads
and waiting are all bounded.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

from waitress.server import create_server

from agent.errors import ConfigError, StorageError
from agent.evidence.checkpoint import verifier_key
from agent.system.logs import logger
from agent.witness.core import WitnessCore
from agent.witness.protocol import ADD_CHECKPOINT, ADD_KEYS, MAX_CHECKPOINT_BYTES, MAX_KEYS_BYTES, Answer

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

THREADS: Final = 4
CONNECTIONS: Final = 64
IDLE_SECONDS: Final = 10
_MONITORING: Final = re.compile(r"/([0-9a-f]{64})/checkpoint")
_log = logger("witness")


def application(core: WitnessCore) -> App:
    """The WSGI application."""
    posts: dict[str, tuple[int, Callable[[bytes], Answer]]] = {
        ADD_CHECKPOINT: (MAX_CHECKPOINT_BYTES, core.add_checkpoint),
        ADD_KEYS: (MAX_KEYS_BYTES, core.add_keys),
    }

    def answer(environ: Environ) -> Answer:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if path in posts:
            return _post(environ, *posts[path]) if method == "POST" else _refuse(405, "this call is a POST")
        if method != "GET":
            return _refuse(405, "only GET is answered here")
        if path in ("", "/"):
            return Answer(200, describe(core).encode())
        found = _MONITORING.fullmatch(path)
        note = core.checkpoint(found[1]) if found else None
        return Answer(200, note) if note is not None else _refuse(404, "there is nothing of this name")

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            said = answer(environ)
        except StorageError as error:
            _log.error("见证方存储故障 storage fault", code=error.code, why=str(error))
            said = _refuse(503, "the witness cannot write its memory; nothing was cosigned")
        headers = [("Content-Type", said.kind), ("Content-Length", str(len(said.body)))]
        start_response(f"{said.status} {HTTPStatus(said.status).phrase}", headers)
        return [said.body]

    return app


def _post(environ: Environ, limit: int, call: Callable[[bytes], Answer]) -> Answer:
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isascii() or not length.isdigit():
        return _refuse(400, "the length is not a number")
    if len(length) > 9 or int(length) > limit:
        return _refuse(413, f"at most {limit} bytes are read")
    body: bytes = environ["wsgi.input"].read(int(length))
    return call(body) if len(body) == int(length) else _refuse(400, "the body is shorter than was said")


def _refuse(status: int, reason: str) -> Answer:
    return Answer(status, f"{reason}\n".encode())


def describe(core: WitnessCore) -> str:
    """What ``GET /`` says: who this is and what it is for."""
    return (
        "执法记录仪账本的见证方。 A witness of enforcement recorders' ledgers.\n"
        f"name {core.name}\nkey {verifier_key(core.name, core.public_key)}\n"
        f"POST {ADD_CHECKPOINT}  https://c2sp.org/tlog-witness\nPOST {ADD_KEYS}  boot and epoch lines\n"
        "GET /<SHA-256 of the origin>/checkpoint\n"
    )


class _Forward(logging.Handler):
    """What the server itself has to say becomes a line of our log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Called by ``logging``."""
        level = _log.error if record.levelno >= logging.ERROR else _log.warning
        level("http", detail=record.getMessage()[:500])


class WitnessServer:
    """Listens from the moment it is made; ``run`` serves until SystemExit is raised in it, as by a signal handler."""

    def __init__(self, app: App, listen: str) -> None:
        """``listen``: ADDRESS:PORT; port 0 takes any free one. Raises ConfigError when it cannot be had."""
        reports = logging.getLogger("waitress")
        reports.handlers, reports.propagate = [_Forward()], False
        reports.setLevel(logging.WARNING)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # waiting a moment for a thread is no news
        host, _, port = listen.rpartition(":")
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        try:
            door = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=CONNECTIONS)
            self.port = int(door.getsockname()[1])
            self._server = create_server(
                app,
                sockets=[door],
                ident=None,
                threads=THREADS,
                connection_limit=CONNECTIONS,
                backlog=CONNECTIONS,
                channel_timeout=IDLE_SECONDS,
                cleanup_interval=IDLE_SECONDS // 2,
                max_request_header_size=16_384,
                max_request_body_size=MAX_KEYS_BYTES + 1,
                inbuf_overflow=MAX_KEYS_BYTES * 2,  # a body stays in memory: nothing is put into files
                log_socket_errors=False,
            )
        except (OSError, ValueError, OverflowError) as error:
            raise ConfigError(f"witness.listen = {listen!r}: cannot listen there: {error}") from error

    def run(self) -> None:
        """Serves; when it ends, requests under way have been answered, for up to five seconds."""
        try:
            self._server.run()
        finally:
            self._server.close()

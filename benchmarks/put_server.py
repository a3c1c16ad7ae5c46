"""HTTPS PUT as plain as it can be: a TLS server that writes and syncs each file, and a client that sends a folder.

``put_server.py serve PORT CREDENTIALS FOLDER`` and ``put_server.py send PORT CREDENTIALS FOLDER``.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BLOCK = 1 << 20


def _tls(purpose: int, credentials: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(credentials / "tls.crt", credentials / "tls.key")
    context.load_verify_locations(credentials / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def serve(port: int, credentials: Path, folder: Path) -> None:
    """Serves until it is killed."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_PUT(self) -> None:
            left = int(self.headers["Content-Length"])
            target = folder / Path(self.path).name
            with target.open("wb") as file:
                while left:
                    block = self.rfile.read(min(BLOCK, left))
                    file.write(block)
                    left -= len(block)
                file.flush()
                os.fsync(file.fileno())
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.socket = _tls(ssl.PROTOCOL_TLS_SERVER, credentials).wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


def send(port: int, credentials: Path, folder: Path) -> float:
    """Sends every file below a folder over one connection; seconds."""
    begun = time.monotonic()
    context = _tls(ssl.PROTOCOL_TLS_CLIENT, credentials)
    link = http.client.HTTPSConnection("localhost", port, context=context, timeout=60, blocksize=BLOCK)
    link.connect()
    link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        with path.open("rb") as file:
            link.request("PUT", f"/{path.name}", file, {"Content-Length": str(path.stat().st_size)})
        if link.getresponse().read() or False:
            raise SystemExit("a PUT was not taken")
    return time.monotonic() - begun


if __name__ == "__main__":
    what, port_, credentials_, folder_ = sys.argv[1:]
    if what == "serve":
        serve(int(port_), Path(credentials_), Path(folder_))
    else:
        print(send(int(port_), Path(credentials_), Path(folder_)))

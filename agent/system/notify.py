"""systemd's notification protocol (sd_notify(3)): ready, status, watchdog. Does nothing outside a notify service."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(**fields: str | int) -> None:
    """Sends fields such as ``READY=1``, ``STATUS="..."``, ``WATCHDOG=1``. Never waits, never raises."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    message = "\n".join(f"{key}={value}" for key, value in fields.items()).encode()
    # A supervisor that is not listening must not take the recorder down with it.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
        channel.sendto(message, address)

"""A bad link: a TCP proxy before a broker that cuts at a chosen byte, falls silent, damages, delays and throttles.

What it sees is TLS, so that it can do no more than an attacker on the line, or bad reception, could do as well.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, Self

_CHUNK_BYTES: Final = 16_384
_START_SECONDS: Final = 10.0
_LINGER_SECONDS: Final = 5.0
"""How long the broker is given to read what was forwarded before a cut."""

Cut = Literal["close", "reset", "silence"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one connection. Bytes are those of TLS, from the connection's beginning."""

    cut_up_after: int | None = None
    """The connection ends when so many bytes of the device have been forwarded."""
    cut_down_after: int | None = None
    cut: Cut = "close"
    """Close: the broker reads what was forwarded. Reset: neither side does. Silence: both wait for a word in vain."""
    damage_up_at: int | None = None
    """This byte of the device's arrives with a bit changed."""
    delay_seconds: float = 0.0
    """Of every chunk, both ways."""
    bytes_per_second: float | None = None
    """Of the device's, at most."""


class LinkProxy:
    """Listens on a port of its own and forwards to another; ``plan`` is asked for every connection, by number."""

    def __init__(self, target_port: int, plan: Callable[[int], Plan]) -> None:
        self._target, self.plan = target_port, plan
        self.port = self.connections = self.cuts = self.up_bytes = 0
        """``up_bytes``: the device's bytes that were forwarded."""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link-proxy", daemon=True)
        self._ended: asyncio.Event | None = None
        self._live: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise SystemExit("the proxy does not start")
        return self

    def __exit__(self, *_: object) -> None:
        if self._ended is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_START_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0, limit=_CHUNK_BYTES)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for task in self._live:
            task.cancel()
        await asyncio.gather(*self._live, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._live.add(task)
        task.add_done_callback(self._live.discard)
        plan = self.plan(self.connections)
        self.connections += 1
        far: asyncio.StreamWriter | None = None
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._target, limit=_CHUNK_BYTES)
            for end in (writer, far):
                end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._both(plan, (reader, writer), (far_reader, far))
        except (OSError, asyncio.CancelledError):
            return  # the broker is gone, or we are: the device sees its connection end
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _both(self, plan: Plan, near: _Ends, far: _Ends) -> None:
        up = asyncio.create_task(self._forward(plan, near[0], far[1], plan.cut_up_after, up=True))
        down = asyncio.create_task(self._forward(plan, far[0], near[1], plan.cut_down_after, up=False))
        try:
            done, _ = await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            was_cut = any(task.result() for task in done)
            self.cuts += was_cut
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        if was_cut:
            await _cut(plan.cut, near, far)
        elif down not in done:
            await _let_read(far)

    async def _forward(
        self, plan: Plan, source: asyncio.StreamReader, to: asyncio.StreamWriter, limit: int | None, up: bool
    ) -> bool:
        """Until the end or the cut; whether it was the cut."""
        passed = 0
        with suppress(OSError):
            while limit is None or passed < limit:
                data = await source.read(_CHUNK_BYTES if limit is None else min(_CHUNK_BYTES, limit - passed))
                if not data:
                    return False
                await _slow_down(plan, len(data), up)
                to.write(_damaged(data, plan.damage_up_at, passed) if up else data)
                await to.drain()
                passed += len(data)
                self.up_bytes += len(data) if up else 0
            return True
        return False


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _slow_down(plan: Plan, count: int, up: bool) -> None:
    pause = plan.delay_seconds + (count / plan.bytes_per_second if up and plan.bytes_per_second else 0.0)
    if pause:
        await asyncio.sleep(pause)


def _damaged(data: bytes, at: int | None, passed: int) -> bytes:
    if at is None or not passed <= at < passed + len(data):
        return data
    changed = bytearray(data)
    changed[at - passed] ^= 0x10
    return bytes(changed)


async def _cut(how: Cut, near: _Ends, far: _Ends) -> None:
    if how == "silence":
        await asyncio.sleep(3600)
    if how == "reset":
        for _, writer in (near, far):
            now = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        return
    near[1].transport.abort()
    await _let_read(far)


async def _let_read(far: _Ends) -> None:
    """The broker gets all that was forwarded, and then the end."""
    reader, writer = far
    with suppress(OSError, asyncio.TimeoutError):
        writer.write_eof()
        async with asyncio.timeout(_LINGER_SECONDS):
            while await reader.read(_CHUNK_BYTES):
                pass

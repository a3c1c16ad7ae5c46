"""Position and GNSS time from gpsd, over its JSON protocol (gpsd_json(5)).

A client of our own: the ones on PyPI wait in the caller's thread and do not come back after gpsd was restarted.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

import structlog
from annotated_types import Ge, Le
from pydantic import Field, TypeAdapter, ValidationError

from agent.errors import HardwareError
from agent.hardware.parts import Fix
from agent.hardware.settings import GpsdSettings

WATCH = b'?WATCH={"enable":true,"json":true};\n'
PROTOCOL = 3
LONGEST_LINE_BYTES = 64 * 1024
"""gpsd's own limit is below 16 KiB."""
CONNECT_SECONDS = 3.0
SILENCE_SECONDS = 30.0
"""A receiver reports once a second; after this long a new connection is tried, should the old one be dead."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 15.0
STOP_LIMIT_SECONDS = 5.0

_NO_PLACE_YET, _FLAT, _SIMULATED = 1, 2, 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = structlog.get_logger(__name__)

Metres = Annotated[float, Ge(0.0)]


@dataclass(frozen=True, slots=True)
class _Version:
    """The first line of every gpsd."""

    kind: Annotated[Literal["VERSION"], Field(alias="class")]
    proto_major: int


@dataclass(frozen=True, slots=True)
class _Report:
    """A TPV line: errors in metres with 95 % confidence; more fields are there and not read."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"allow_inf_nan": False}

    kind: Annotated[Literal["TPV"], Field(alias="class")]
    mode: Annotated[int, Ge(0), Le(3)]
    status: int = 0
    time: datetime | None = None
    lat: Annotated[float, Ge(-90.0), Le(90.0)] | None = None
    lon: Annotated[float, Ge(-180.0), Le(180.0)] | None = None
    eph: Metres | None = None
    epx: Metres | None = None
    epy: Metres | None = None
    altMSL: float | None = None


_VERSION, _REPORT = TypeAdapter(_Version), TypeAdapter(_Report)


@dataclass(frozen=True, slots=True)
class GnssTime:
    """What the satellites' time was (microseconds since 1970, UTC) for the report that came at ``taken_ns``.

    The report comes after the moment that it names: by the receiver's reckoning and a slow line, up to a second.
    """

    utc_us: int
    taken_ns: int


@dataclass(frozen=True, slots=True)
class Heard:
    """One report; without a place, none could be had at that moment."""

    fix: Fix | None
    time: GnssTime | None


def heard(line: bytes, now_ns: int) -> Heard | None:
    """What a line of gpsd says at ``now_ns``; None for whatever is not a whole and sensible TPV line."""
    try:
        report = _REPORT.validate_json(line)
    except ValidationError:
        return None
    if report.mode <= _NO_PLACE_YET or report.status == _SIMULATED:
        # Before a fix the time is only the receiver's own clock.
        return Heard(None, None)
    return Heard(_fix(report, now_ns), _time(report.time, now_ns))


def _fix(report: _Report, now_ns: int) -> Fix | None:
    """A place without a bound on its error is no place: it could not be held against a zone's edge."""
    error_metres = _horizontal_error(report)
    if report.lat is None or report.lon is None or error_metres is None:
        return None
    altitude_metres = report.altMSL if report.mode > _FLAT else None
    return Fix(report.lat, report.lon, error_metres, now_ns, altitude_metres)


def _horizontal_error(report: _Report) -> float | None:
    if report.eph is not None:
        return report.eph
    return None if report.epx is None or report.epy is None else math.hypot(report.epx, report.epy)


def _time(stamp: datetime | None, now_ns: int) -> GnssTime | None:
    if stamp is None or stamp.tzinfo is None:
        return None
    return GnssTime((stamp - _EPOCH) // timedelta(microseconds=1), now_ns)


class GpsdPositioning:
    """A thread that stays with gpsd, keeps the newest report, and comes back after each failure. See ``Positioning``.

    Opening needs no gpsd: it may come later, and a recorder without a position still records.
    """

    def __init__(self, settings: GpsdSettings) -> None:
        self._settings = settings
        self._where = f"gpsd at {settings.host}:{settings.port}"
        self._newest = Heard(None, None)
        self._trouble: str | None = f"{self._where} has not answered yet"
        self._stopping, self._socket = threading.Event(), _Socket()
        self._thread = threading.Thread(target=self._run, name="gpsd", daemon=True)
        self._thread.start()

    def fix(self) -> Fix | None:
        """See ``Positioning.fix``. The last place stays, and ages, while gpsd is away."""
        return self._newest.fix

    def time(self) -> GnssTime | None:
        """The newest report's time, however old; None before the first fix and after it was lost. Never waits."""
        return self._newest.time

    def check(self) -> None:
        """See ``Positioning.check``."""
        if self._trouble is not None:
            raise HardwareError(self._trouble)

    def close(self) -> None:
        """See ``Positioning.close``; at most 5 s."""
        self._stopping.set()
        self._socket.shut()
        self._thread.join(STOP_LIMIT_SECONDS)

    def _run(self) -> None:
        pauses = pauses_seconds()
        while not self._stopping.is_set():
            try:
                for line in self._lines():
                    self._well()
                    if report := heard(line, time.monotonic_ns()):
                        self._newest, pauses = report, pauses_seconds()
            except (OSError, HardwareError) as error:
                self._say(f"{self._where}: {error}")
            self._stopping.wait(next(pauses))

    def _well(self) -> None:
        if self._trouble is not None:
            _log.info("gpsd answers", where=self._where)
        self._trouble = None

    def _say(self, trouble: str) -> None:
        if self._trouble != trouble and not self._stopping.is_set():
            _log.warning("gpsd does not answer", where=self._where, trouble=trouble)
        self._trouble = trouble

    def _lines(self) -> Iterator[bytes]:
        """Lines of one connection, the greeting being right; ends with OSError or HardwareError."""
        with self._socket.connected(self._settings.host, self._settings.port) as connection:
            connection.sendall(WATCH)
            lines = _received(connection)
            _must_be_gpsd(next(lines))
            yield b""  # gpsd is there, even if no receiver says anything yet
            yield from lines


class _Socket:
    """The connection of the moment, so that another thread can cut it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: socket.socket | None = None
        self._shut = False

    def connected(self, host: str, port: int) -> socket.socket:
        connection = socket.create_connection((host, port), CONNECT_SECONDS)
        connection.settimeout(SILENCE_SECONDS)
        with self._lock:
            self._now = connection
            if self._shut:
                connection.close()
        return connection

    def shut(self) -> None:
        with self._lock:
            self._shut = True
            if self._now is not None:
                try:
                    self._now.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # gone already


def _received(connection: socket.socket) -> Iterator[bytes]:
    rest = b""
    while piece := _piece(connection):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
        if len(rest) > LONGEST_LINE_BYTES:
            raise HardwareError("what it sends has no lines")
    raise HardwareError("it closed the connection")


def _piece(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except TimeoutError:
        raise HardwareError(f"it says nothing for {SILENCE_SECONDS:g} s: is a receiver connected to it?") from None


def _must_be_gpsd(greeting: bytes) -> None:
    try:
        version = _VERSION.validate_json(greeting)
    except ValidationError:
        raise HardwareError("what answers there is not gpsd") from None
    if version.proto_major != PROTOCOL:
        raise HardwareError(f"protocol {version.proto_major} of gpsd is not known here, only {PROTOCOL}")


def pauses_seconds() -> Iterator[float]:
    """How long to wait before each new try: doubling, up to a bound."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

"""``recorder doctor``: each thing that a recorder needs, tried once, with what to do about it. Records nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config import RecorderConfig, load
from agent.errors import HardwareError, RecorderError, StorageError
from agent.hardware.assembly import open_parts
from agent.hardware.parts import ClockReading, Fix, Parts, Positioning, PowerReading, TimeSource
from agent.recorder.assignments import AssignmentBook, Tasking
from agent.recorder.credentials import Credentials, check_notice, load_credentials
from agent.recorder.hazard_sources import load_zone_map
from agent.rules.explosion import Marking, parse_plate
from agent.rules.zones import ZoneMap

FIX_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """One thing tried; ``error`` is None when it is well."""

    item: str
    text: str
    error: RecorderError | None = None


def examine(path: Path) -> list[Row]:
    """All rows; a failure ends what depends on it."""
    rows: list[Row] = []
    config: RecorderConfig | None = _try(
        rows, "配置 configuration", lambda: load(path, RecorderConfig), lambda one: str(path)
    )
    if config is None:
        return rows
    credentials = _try(
        rows, "证书与策略 credentials", lambda: load_credentials(config.recorder.credentials), _say_credentials
    )
    if credentials:
        documents = credentials.documents
        _try(rows, "告知语音 notice", lambda: check_notice(documents), lambda _: documents.policy.notice.text)
        _try(rows, "任务 assignment", lambda: _tasking(config, credentials), _say_tasking)
        _explosion(rows, config, credentials)
    parts = _try(
        rows,
        "部件 parts",
        lambda: open_parts(config.hardware, config.recorder.evidence),
        _say_kinds,
    )
    if parts is not None:
        _try(rows, "时钟 clock", parts.clock.read, _say_clock)
        _try(rows, "电源 power", parts.power.read, _say_power)
        if positioning := parts.positioning:
            _try(rows, "定位 position", lambda: _position(positioning), _say_position)
        if parts.thermometer:
            _try(rows, "温度 temperature", parts.thermometer.read, _say_temperature)
        _try(rows, "存储 storage", parts.storage.free_bytes, lambda free: f"{free / 1e9:.1f} GB")
        parts.close()
    _try(rows, "证据目录 evidence", lambda: _writable(config.recorder.evidence), str)
    return rows


def _tasking(config: RecorderConfig, credentials: Credentials) -> Tasking:
    settings, device = config.recorder, credentials.identity.device
    codes = settings.unsigned_codes
    return AssignmentBook(
        settings.assignment, settings.evidence, credentials.trust, device, unsigned_codes=codes
    ).read()


def _say_tasking(tasking: Tasking) -> str:
    return f"{tasking.assignment.matter} ({tasking.source})" if tasking.assignment else "无 none"


def _explosion(rows: list[Row], config: RecorderConfig, credentials: Credentials) -> None:
    """R13.1: what the unit's plate says, and the zone map that the policy names."""
    documents = credentials.documents
    if approval := documents.profile.ex_approval:
        _try(rows, "防爆标志 Ex marking", lambda: parse_plate(approval.marking), _say_plate)
    if digest := documents.policy.hazard.zone_map:
        _try(rows, "区域图 zone map", lambda: _zone_map(config, digest), _say_map)


def _zone_map(config: RecorderConfig, digest: str) -> ZoneMap:
    if config.hardware.positioning == "none":
        raise HardwareError("the policy names a zone map, but no positioning is configured: the hazard stays unknown")
    return load_zone_map(config.recorder.credentials, digest)


def _say_credentials(credentials: Any) -> str:
    profile = credentials.documents.profile
    return f"{profile.device}, {profile.officer}, policy {credentials.documents.policy.version}"


def _say_plate(plate: tuple[Marking, ...]) -> str:
    return "\n".join(f"{one.level} {one.group} ≤ {one.celsius} °C" for one in plate)


def _say_map(zones: ZoneMap) -> str:
    return ", ".join(dict.fromkeys(area.name for area in zones.areas))


def _say_kinds(parts: Parts) -> str:
    by_kind: dict[str, list[str]] = {}
    for part, kind in parts.kinds.items():
        by_kind.setdefault(kind, []).append(part)
    return "\n".join(f"{kind}: {', '.join(names)}" for kind, names in by_kind.items())


def _say_power(reading: PowerReading) -> str:
    percent = "?" if reading.percent is None else reading.percent
    mains = {True: ", 外接电源 mains", False: ", 电池供电 battery", None: ""}[reading.on_mains]
    return f"{percent} %, {reading.minutes_left if reading.minutes_left is not None else '?'} min{mains}"


def _say_clock(reading: ClockReading) -> str:
    match reading.source:
        case TimeSource.NONE:
            return "无可信时间源：开始录制时会登记 no trusted time source: recordings will say so"
        case TimeSource.RTC:
            return "rtc: 开机后未经校准，误差未知 not set since power-on, error unknown: recordings will say so"
    return f"{reading.source.value}, ± {reading.error_us} µs"


def _position(positioning: Positioning) -> Fix | None:
    """A receiver that has just been asked needs a moment: up to FIX_SECONDS for its newest report."""
    until = time.monotonic() + FIX_SECONDS
    while positioning.fix() is None and time.monotonic() < until:
        time.sleep(0.1)
    positioning.check()
    return positioning.fix()


def _say_position(fix: Fix | None) -> str:
    """To about a hundred metres: enough to see that it is right, and a report that is sent on names nobody's door."""
    if fix is None:
        return "尚无定位，请到室外再试 no fix yet: try again under open sky"
    return f"{fix.latitude:.3f}, {fix.longitude:.3f}, ± {fix.error_metres:.0f} m"


def _say_temperature(millicelsius: int | None) -> str:
    return "暂无读数 no reading just now" if millicelsius is None else f"{millicelsius / 1000:.1f} °C"


def _writable(path: Path) -> Path:
    parent = path if path.exists() else path.parent
    if not parent.is_dir():
        raise StorageError(f"{parent} is not a folder")
    return path.resolve()


def _try(rows: list[Row], item: str, attempt: Callable[[], Any], say: Callable[[Any], str]) -> Any:
    try:
        found = attempt()
    except RecorderError as error:
        rows.append(Row(item, f"{error}\n{error.advice}", error))
        return None
    rows.append(Row(item, say(found)))
    return found

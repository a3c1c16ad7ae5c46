"""Configuration: one TOML file per role. An error names the key, the value found and what is allowed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from agent.custody.settings import CustodySettings
from agent.dock.cluster.settings import IntakeSettings
from agent.dock.settings import DockSettings
from agent.errors import ConfigError
from agent.hardware.settings import HardwareSettings
from agent.recorder.settings import RecorderSettings
from agent.witness.settings import WitnessSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Section ``[log]``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True)
class RecorderConfig:
    """The file of ``recorder run``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    recorder: RecorderSettings
    hardware: HardwareSettings
    custody: CustodySettings | None = None
    """Left out: nothing is published, everything stays on the device."""
    log: LogSettings = field(default_factory=LogSettings)


@dataclass(frozen=True, slots=True)
class DockConfig:
    """The file of ``recorder dock``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    dock: DockSettings
    log: LogSettings = field(default_factory=LogSettings)


@dataclass(frozen=True, slots=True)
class IntakeConfig:
    """The file of ``recorder intake`` and ``recorder archive``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    intake: IntakeSettings
    log: LogSettings = field(default_factory=LogSettings)


@dataclass(frozen=True, slots=True)
class WitnessConfig:
    """The file of ``recorder witness``."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    witness: WitnessSettings
    log: LogSettings = field(default_factory=LogSettings)


def load(path: Path, kind: type[T]) -> T:
    """Reads a configuration file; relative paths in it count from its folder. Raises ConfigError."""
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # besides its own errors: text that is not UTF-8, endless numbers
        raise ConfigError(f"{path} is not TOML: {error}") from error
    try:
        config: T = TypeAdapter(kind).validate_python(found)
    except ValidationError as error:
        raise ConfigError(f"{path}: " + "; ".join(_sentence(one) for one in error.errors(include_url=False))) from error
    return _anchored(config, path.resolve().parent)


def _sentence(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "the file"
    if error["type"] in ("missing", "missing_argument"):
        return f"{key} is missing"
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key} is not a key that is known here"
    return f"{key} = {error['input']!r}: {error['msg']}"


def _anchored(value: T, folder: Path) -> T:
    """The same settings with every relative path made absolute."""
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed: dict[str, Any] = {}
    for one in fields(value):
        inner = getattr(value, one.name)
        if isinstance(inner, Path):
            changed[one.name] = folder / inner
        elif isinstance(inner, list):
            changed[one.name] = [folder / item if isinstance(item, Path) else item for item in inner]
        elif is_dataclass(inner):
            changed[one.name] = _anchored(inner, folder)
    return replace(value, **changed)

"""Settings of the device side, table ``[custody]`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from pydantic import ConfigDict

from agent.custody.wire import MAX_PART_BYTES


@dataclass(frozen=True, slots=True)
class CustodySettings:
    """Where the dock's broker is and how to speak to it."""

    enabled: bool = True
    host: str = "dock.local"
    """Must be a name (or address) in the broker's certificate."""
    port: Annotated[int, Ge(1), Le(65535)] = 8883
    credentials: Path = Path("/etc/enforcement-recorder/credentials")
    """Folder with ``tls.key``, ``tls.crt`` and ``ca.crt`` (PEM)."""
    part_bytes: Annotated[int, Ge(1024), Le(MAX_PART_BYTES)] = 262_144
    window_bytes: Annotated[int, Ge(65536)] = 8_388_608
    """Most that is outstanding towards the dock, however much credit it gives."""
    stall_seconds: Annotated[float, Ge(0.1)] = 10.0
    """Without any news of what is outstanding for this long, the dock is asked what it holds."""
    subscribe_qos: Annotated[int, Ge(0), Le(1)] = 1
    """0 at a cluster of nats-servers, which would else keep a replicated queue for every filter of every device."""
    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

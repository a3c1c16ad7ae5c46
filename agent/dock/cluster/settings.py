"""Settings of an intake's workers, table ``[intake]``, and of the bucket and broker behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import ConfigDict, Field

_NAME = r"^[a-z0-9-]{1,64}\z"
_STRICT: ConfigDict = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """The archive, table ``[intake.s3]``. Keys come from where boto3 finds them (environment, profile, instance)."""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\z")]
    """Made with object lock; nothing else may write to it."""
    retention_days: Annotated[int, Ge(1), Le(36_500)]
    """How long nobody, the account's owner included, can delete or change what is stored (COMPLIANCE mode)."""
    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s]{1,500}\z")] | None = None
    """None: Amazon's own."""
    region: str = "us-east-1"
    profile: str | None = None
    ca: Path | None = None
    """Root certificate (PEM) of the endpoint, when it is the agency's own."""
    prefix: Annotated[str, Field(pattern=r"^([a-z0-9-]{1,64}/)*\z")] = ""
    """Before every key, so that agencies may share a bucket."""
    write_once: Literal["required", "not-claimed"] = "required"
    """Not claimed: a bucket without object lock is used, and nothing is said about who may delete what it holds."""
    timeout_seconds: Annotated[float, Ge(0.1), Le(600)] = 20.0
    """Of one request without an answer; it is tried three times."""
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One server of the broker's cluster, table ``[[intake.nodes]]``."""

    name: Annotated[str, Field(pattern=_NAME)]
    credentials: Path
    """On that machine: ``tls.key``, ``tls.crt`` and ``ca.crt``."""
    store: Path
    """On that machine: JetStream's folder."""
    host: str = "localhost"
    """By which the other nodes reach it; in its certificate."""
    mqtt_port: Annotated[int, Ge(1), Le(65535)] = 8883
    route_port: Annotated[int, Ge(1), Le(65535)] = 6222
    store_bytes: Annotated[int, Ge(67_108_864)] = 8_589_934_592
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """One worker. All workers of an intake are one dock: they share ``id``, credentials and bucket."""

    id: Annotated[str, Field(pattern=_NAME)]
    """As in the certificate and in the trust bundle; what receipts are signed as."""
    worker: Annotated[str, Field(pattern=_NAME)]
    """Of this process; no two alike."""
    scratch: Path
    """Objects not yet whole. A worker that begins empties it; nothing is lost with it."""
    credentials: Path
    """As ``provision dock add`` wrote it."""
    s3: BucketSettings
    host: str = "localhost"
    """The cluster's name, behind which all nodes stand."""
    port: Annotated[int, Ge(1), Le(65535)] = 8883
    window_bytes: Annotated[int, Ge(65536)] = 8_388_608
    """Credit outstanding per device."""
    budget_bytes: Annotated[int, Ge(65536)] = 268_435_456
    """Credit outstanding over all devices of this worker, shared out evenly."""
    heartbeat_seconds: Annotated[float, Ge(0.1), Le(60)] = 2.0
    silence_seconds: Annotated[float, Ge(0.5), Le(600)] = 10.0
    """A worker not heard of for so long no longer counts; its devices are served by others."""
    console: Path | None = None
    """Unix socket for the status; in ``scratch``'s folder when not given."""
    nodes: Annotated[list[NodeSettings], Field(max_length=64)] = field(default_factory=list)
    """For ``recorder intake node``, which writes a node's configuration."""
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    @property
    def console_socket(self) -> Path:
        """Where the status is served."""
        return self.console or self.scratch.with_name(f"{self.worker}.sock")

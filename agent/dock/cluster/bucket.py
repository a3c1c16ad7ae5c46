"""An S3 bucket as an archive sees it: keys are written once, read back, listed, never deleted.

The only module that imports boto3. Every request has a time limit and is tried three times; then it is a StorageError.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

from agent.dock.cluster.settings import BucketSettings
from agent.errors import ArchiveServerError, ConfigError, StorageError

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError as error:  # the extra is for those who run an intake
    raise ConfigError("boto3 不在此环境 boto3 is not installed: pip install 'enforcement-recorder[cluster]'") from error

MAX_OBJECT_BYTES: Final = 5_368_709_120
"""S3's own limit on what one request may store."""
_ATTEMPTS: Final = 3
_CONNECTIONS: Final = 64
_BLOCK_BYTES: Final = 1_048_576
_THERE_ALREADY: Final = frozenset({409, 412})
"""409: another request for the same key is under way; it will win, or this one is made anew."""
_NOT_THERE: Final = 404


class AlreadyThereError(Exception):
    """The key is there already; nothing was written. Not an error of the product's: whoever writes must judge."""


@dataclass(slots=True)
class Usage:
    """What was asked of the server by this process, for what it costs."""

    requests: dict[str, int]
    sent_bytes: int = 0
    read_bytes: int = 0


class Bucket:
    """Threads may share it. Keys are given without the prefix."""

    def __init__(self, settings: BucketSettings, adapt: Callable[[Any], None] = lambda _client: None) -> None:
        """Makes the client, asks nothing yet. ``adapt``: for tests, to damage the client. Raises ConfigError."""
        self._settings = settings
        self.usage = Usage({})
        self._counting = threading.Lock()
        try:
            session = boto3.session.Session(profile_name=settings.profile, region_name=settings.region)
            more = {"endpoint_url": settings.endpoint, "config": _config(settings), **_verify(settings)}
            self._client: Any = session.client("s3", **more)
        except (BotoCoreError, ValueError) as error:
            raise ConfigError(f"[intake.s3] cannot be used: {error}") from error
        adapt(self._client)

    # -- writing ----------------------------------------------------------------------------------------------------

    def put_once(self, key: str, data: bytes, lock: bool = True) -> None:
        """Stores bytes under a key that nothing has yet, locked for the retention; durable when it returns.

        Raises AlreadyThereError, StorageError. After a StorageError it may have been stored all the same.
        """
        self._put(key, data, len(data), hashlib.sha256(data).digest(), lock)

    def put_file_once(self, key: str, path: Path, sha256: bytes) -> None:
        """The same for a file whose digest is known; the server refuses what does not hash to it."""
        try:
            with path.open("rb") as file:
                self._put(key, file, os.fstat(file.fileno()).st_size, sha256, lock=True)
        except OSError as error:
            raise StorageError(f"reading {path}: {error.strerror or error}") from error

    def _put(self, key: str, body: bytes | BinaryIO, size: int, sha256: bytes, lock: bool) -> None:
        more = self._lock_now() if lock else {}
        with self._asking("put", key):
            self._client.put_object(
                **self._named(key),
                Body=body,
                ContentLength=size,
                IfNoneMatch="*",
                **_sum(sha256),
                **more,
            )
        self._count("put", sent=size)

    def _lock_now(self) -> dict[str, Any]:
        if self._settings.write_once == "not-claimed":
            return {}
        return _lock(datetime.now(UTC) + timedelta(days=self._settings.retention_days))

    # -- reading ----------------------------------------------------------------------------------------------------

    def get(self, key: str) -> bytes:
        """A small object, whole. Raises StorageError, also when it is not there."""
        return b"".join(self.stream(key))

    def find(self, key: str) -> bytes | None:
        """A small object, or None when there is none of this key."""
        return self.get(key) if self.size_of(key) is not None else None

    def stream(self, key: str) -> Iterator[bytes]:
        """An object, block by block."""
        with self._asking("get", key):
            body = self._client.get_object(**self._named(key))["Body"]
            try:
                while block := body.read(_BLOCK_BYTES):
                    self._count(None, read=len(block))
                    yield block
            finally:
                body.close()
        self._count("get")

    def digest_of(self, key: str) -> tuple[str, int]:
        """SHA-256 (hex) and size of what the server gives back."""
        hasher, size = hashlib.sha256(), 0
        for block in self.stream(key):
            hasher.update(block)
            size += len(block)
        return hasher.hexdigest(), size

    def size_of(self, key: str) -> int | None:
        """Bytes of an object; None when it is not there."""
        try:
            with self._asking("head", key):
                size = int(self._client.head_object(**self._named(key))["ContentLength"])
        except ArchiveServerError as error:
            if _status(error.__cause__) != _NOT_THERE:
                raise
            size = None
        self._count("head")
        return size

    def keys(self, prefix: str, most: int | None = None) -> Iterator[str]:
        """Keys that begin so, in order; at most so many."""
        paging = {"MaxItems": most, "PageSize": min(most, 1000)} if most else {}
        begin = self._settings.prefix
        with self._asking("list", prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._settings.bucket, Prefix=begin + prefix, PaginationConfig=paging
            )
            for page in pages:
                self._count("list")
                yield from (str(one["Key"])[len(begin) :] for one in page.get("Contents", []))

    def folders(self, prefix: str) -> Iterator[str]:
        """The names between ``prefix`` and the next slash."""
        begin = self._settings.prefix + prefix
        with self._asking("list", prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._settings.bucket, Prefix=begin, Delimiter="/"
            )
            for page in pages:
                self._count("list")
                yield from (str(one["Prefix"])[len(begin) : -1] for one in page.get("CommonPrefixes", []))

    # -- for the canary -----------------------------------------------------------------------------------------------

    def put_locked(self, key: str, data: bytes, until: datetime) -> str | None:
        """Stores bytes locked until then; returns the version, None when the server keeps none."""
        with self._asking("put", key):
            found = self._client.put_object(
                **self._named(key), Body=data, **_sum(hashlib.sha256(data).digest()), **_lock(until)
            )
        version: str | None = found.get("VersionId")
        return version

    def lock_of(self, key: str) -> tuple[str, datetime] | None:
        """Mode and end of an object's lock, in whole seconds; None when it has none."""
        with self._asking("head", key):
            found = self._client.head_object(**self._named(key))
        mode, until = found.get("ObjectLockMode"), found.get("ObjectLockRetainUntilDate")
        return None if mode is None or until is None else (str(mode), until.replace(microsecond=0))

    def try_to_delete(self, key: str, version: str) -> None:
        """Deletes a version, where the server lets it. Raises ArchiveServerError."""
        with self._asking("delete", key):
            self._client.delete_object(**self._named(key), VersionId=version)

    def try_to_lock(self, key: str, version: str, mode: str, until: datetime) -> None:
        """Changes a version's lock, where the server lets it. Raises ArchiveServerError."""
        retention = {"Mode": mode, "RetainUntilDate": until}
        with self._asking("retention", key):
            self._client.put_object_retention(**self._named(key), VersionId=version, Retention=retention)

    # -- asking -----------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> BucketSettings:
        """Where it is."""
        return self._settings

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": self._settings.prefix + key}

    @contextmanager
    def _asking(self, what: str, key: str) -> Iterator[None]:
        where = f"{what} {self._settings.bucket}/{self._settings.prefix}{key}"
        try:
            yield
        except ClientError as error:
            if what == "put" and _status(error) in _THERE_ALREADY:
                self._count("put")
                raise AlreadyThereError(key) from error
            raise ArchiveServerError(f"{where}: {error}") from error
        except BotoCoreError as error:
            raise StorageError(f"{where}: {error}") from error

    def _count(self, what: str | None, sent: int = 0, read: int = 0) -> None:
        with self._counting:
            if what is not None:
                self.usage.requests[what] = self.usage.requests.get(what, 0) + 1
            self.usage.sent_bytes += sent
            self.usage.read_bytes += read


def _sum(sha256: bytes) -> dict[str, str]:
    # The server compares. Some want the algorithm named as well.
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": base64.b64encode(sha256).decode()}


def _lock(until: datetime) -> dict[str, Any]:
    return {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}


def _status(error: BaseException | None) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"]) if isinstance(error, ClientError) else 0


def _config(settings: BucketSettings) -> Any:
    return Config(
        connect_timeout=settings.timeout_seconds,
        read_timeout=settings.timeout_seconds,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        max_pool_connections=_CONNECTIONS,
        s3={"addressing_style": "path" if settings.endpoint else "auto"},
        # Ours is SHA-256 and always given; another one would only be a second reading of the bytes.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _verify(settings: BucketSettings) -> dict[str, Any]:
    return {"verify": str(settings.ca)} if settings.ca else {}

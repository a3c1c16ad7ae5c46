"""The canary: shows by trying that the server keeps what it says, before anything is claimed of the archive.

Many servers take the headers of object lock and of conditional writes, say yes, and do neither.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

from agent.dock.cluster.bucket import AlreadyThereError, Bucket
from agent.errors import ArchiveServerError, WriteOnceError

FOLDER: Final = "canary/"
LOCKED_FOR: Final = timedelta(minutes=10)
"""A canary lies in the bucket for at least so long; a rule of the bucket's may remove it afterwards."""
_AT_ONCE: Final = 4


def prove(bucket: Bucket) -> None:
    """Returns when conditional writes work and, where write-once is required, the lock holds.

    Conditional writes are what keeps two workers apart: without them no bucket is accepted, whatever the settings
    claim. Raises WriteOnceError, StorageError.
    """
    key = FOLDER + secrets.token_hex(16)
    _prove_condition(bucket, key)
    if bucket.settings.write_once == "required":
        _prove_lock(bucket, key + "-locked")


def _prove_condition(bucket: Bucket, key: str) -> None:
    def write(number: int) -> bool:
        try:
            bucket.put_once(key, b"canary %d" % number, lock=False)
        except AlreadyThereError:
            return False
        return True

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        won = sum(threads.map(write, range(_AT_ONCE)))
    if won != 1 or write(_AT_ONCE):
        raise WriteOnceError(f"the server ignores conditional writes (If-None-Match): {won} of {_AT_ONCE} writes won")


def _prove_lock(bucket: Bucket, key: str) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + LOCKED_FOR
    try:
        version = bucket.put_locked(key, b"canary", until)
    except ArchiveServerError as error:
        raise WriteOnceError(f"the bucket takes no locked object: {error}") from error
    if version is None or bucket.lock_of(key) != ("COMPLIANCE", until):
        raise WriteOnceError("the server stores an object that was to be locked without its lock")
    _must_refuse("deletes a locked object", lambda: bucket.try_to_delete(key, version))
    _must_refuse("shortens a lock", lambda: bucket.try_to_lock(key, version, "COMPLIANCE", until - LOCKED_FOR / 2))
    _must_refuse("weakens a lock", lambda: bucket.try_to_lock(key, version, "GOVERNANCE", until))
    if bucket.get(key) != b"canary":
        raise WriteOnceError("a locked object reads differently")


def _must_refuse(what: str, attempt: Callable[[], None]) -> None:
    try:
        attempt()
    except ArchiveServerError:
        return
    raise WriteOnceError(f"the server {what}")

"""The S3 server of the tests: moto's, with what it lacks of S3. ``python s3_server.py PORT FOLDER``

* A condition is judged and the object stored in one step, however many requests come at once.
* A lock in COMPLIANCE mode can be neither shortened nor weakened.
* What was stored is written to FOLDER before the answer leaves, so that killing the process loses nothing.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from pathlib import Path
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.exceptions import AccessDeniedByLock
from moto.s3.models import S3Backend, s3_backends
from moto.s3.responses import S3Response
from moto.server import main

KEPT = ("lock_mode", "lock_until", "lock_legal_status", "checksum_value")


def one_at_a_time() -> None:
    lock, plain = threading.Lock(), S3Response.put_object

    def put_object(self: S3Response) -> Any:
        with lock:
            return plain(self)

    S3Response.put_object = put_object


def locks_that_hold() -> None:
    plain = S3Backend.put_object_retention

    def put_object_retention(self: S3Backend, bucket: str, key: str, version_id: str | None, retention: Any) -> None:
        held = self.get_object(bucket, key, version_id=version_id)
        if held is not None and held.lock_mode == "COMPLIANCE":
            mode, until = retention
            if mode != "COMPLIANCE" or until < held.lock_until:
                raise AccessDeniedByLock
        plain(self, bucket, key, version_id=version_id, retention=retention)

    S3Backend.put_object_retention = put_object_retention


def keep_in(folder: Path) -> None:
    numbers, plain = itertools.count(len(list(folder.iterdir()))), S3Backend.put_object

    def put_object(self: S3Backend, bucket: str, key: str, value: bytes, **more: Any) -> Any:
        new = plain(self, bucket, key, value, **more)
        head = {"bucket": bucket, "key": key, "with": {name: more[name] for name in KEPT if name in more}}
        head["locked"] = self.get_bucket(bucket).object_lock_enabled
        target = folder / f"{next(numbers):09d}"
        aside = target.with_suffix(".aside")
        aside.write_bytes(json.dumps(head).encode() + b"\n" + value)
        aside.rename(target)
        return new

    S3Backend.put_object = put_object


def restore(folder: Path) -> None:
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for path in sorted(folder.iterdir()):
        if path.suffix:
            path.unlink()  # killed while it was written: no answer had left
            continue
        line, _, value = path.read_bytes().partition(b"\n")
        head = json.loads(line)
        if head["bucket"] not in backend.buckets:
            bucket = backend.create_bucket(head["bucket"], "us-east-1")
            if head["locked"]:
                bucket.object_lock_enabled, bucket.versioning_status = True, "Enabled"
        backend.put_object(head["bucket"], head["key"], value, **head["with"])


if __name__ == "__main__":
    port, place = sys.argv[1:]
    one_at_a_time()
    locks_that_hold()
    restore(Path(place))
    keep_in(Path(place))
    main(["-H", "127.0.0.1", "-p", port])

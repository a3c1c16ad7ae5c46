"""What did not verify, in the bucket: the bytes as they came, and beside them why. Nothing is removed here.

Not locked: it is no evidence yet, and no device may be able to fill the bucket with what nobody can delete.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import Final

from agent.dock.cluster.bucket import AlreadyThereError, Bucket
from agent.dock.quarantine import LEAST_BYTES, REASONS, What
from agent.errors import QuarantineFullError, StorageError
from agent.evidence.encoding import sha256_hex

ROOT: Final = "quarantine/"
SESSION_BYTES: Final = 268_435_456
"""Most that one session of a device may leave here; then its ledger is refused. All of it is still on the device."""


class BucketQuarantine:
    """One device's part, as long as one worker serves it. Used by the thread of its intake."""

    def __init__(self, bucket: Bucket, device: str) -> None:
        self._bucket, self._device, self._kept_bytes = bucket, device, 0

    def keep(self, what: What, name: str, data: bytes, detail: str) -> str:
        """Keeps bytes; returns their key. Durable then. Raises QuarantineFullError, StorageError."""
        size = max(len(data), LEAST_BYTES)
        if self._kept_bytes + size > SESSION_BYTES:
            raise QuarantineFullError(f"{self._device} has left {self._kept_bytes} bytes in quarantine: {detail}")
        key = f"{ROOT}{self._device}/{time.time_ns() // 1000}-{secrets.token_hex(4)}-{name}"
        try:
            self._bucket.put_once(key + ".reason.json", self._reason(what, key, data, detail), lock=False)
            self._bucket.put_once(key, data, lock=False)
        except AlreadyThereError as error:
            raise StorageError(f"{key} in the bucket is taken") from error
        self._kept_bytes += size
        return key

    def _reason(self, what: What, key: str, data: bytes, detail: str) -> bytes:
        chinese, english = REASONS[what]
        said = {
            "v": 1, "type": "quarantine", "device": self._device, "file": key.rpartition("/")[2], "what": what,
            "size": len(data), "digest": sha256_hex(data), "reason": chinese, "reason_english": english,
            "detail": detail[:4096], "kept_us": time.time_ns() // 1000,
        }  # fmt: skip
        return json.dumps(said, ensure_ascii=False, indent=1).encode() + b"\n"

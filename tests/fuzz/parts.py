"""Several files in one input: each after its length, which the fuzzer may make longer or shorter."""

from __future__ import annotations


def join(*parts: bytes) -> bytes:
    """Each part after its length in three bytes."""
    return b"".join(len(part).to_bytes(3, "big") + part for part in parts)


def split(data: bytes, count: int) -> list[bytes]:
    """``count`` parts, whatever the bytes are; the last ones may be empty."""
    found = []
    for _ in range(count):
        size = int.from_bytes(data[:3], "big")
        found.append(data[3 : 3 + size])
        data = data[3 + size :]
    return found

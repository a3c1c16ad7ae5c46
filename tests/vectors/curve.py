"""As much of edwards25519 as an attacker needs: points of small and of mixed order, odd spellings of a point."""

from __future__ import annotations

import hashlib

from nacl.signing import SigningKey

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

Point = tuple[int, int]
NEUTRAL: Point = (0, 1)


def add(a: Point, b: Point) -> Point:
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def times(count: int, point: Point) -> Point:
    out = NEUTRAL
    while count:
        if count & 1:
            out = add(out, point)
        point, count = add(point, point), count >> 1
    return out


def x_of(y: int, odd: int) -> int | None:
    """The x coordinate with this lowest bit, None when no point has this y."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return x if x & 1 == odd or x == 0 else P - x


def encode(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(data: bytes) -> Point:
    number = int.from_bytes(data, "little")
    y, odd = number & (2**255 - 1), number >> 255
    x = x_of(y, odd)
    if x is None:
        raise ValueError("not a point")
    return x, y


def eighth() -> Point:
    """A point of order 8: what is left of some point when its part of prime order is taken away."""
    for y in range(2, 100):
        x = x_of(y, 0)
        if x is None:
            continue
        point = times(L, (x, y))
        if times(4, point) != NEUTRAL:
            return point
    raise ValueError("none found")


def mixed(public_key: bytes) -> bytes:
    """A key with a part of small order added."""
    return encode(add(decode(public_key), eighth()))


def non_canonical() -> bytes:
    """A point whose y is so small that y + p fits as well, spelled so; of prime order if there is one."""
    points = [(x, y) for y in range(2, 19) if (x := x_of(y, 0)) is not None]
    prime = [point for point in points if times(L, point) == NEUTRAL]
    x, y = (prime or points)[0]
    return (y + P | (x & 1) << 255).to_bytes(32, "little")


def not_on_curve() -> bytes:
    return next(y for y in range(2, 100) if x_of(y, 0) is None).to_bytes(32, "little")


def secret_scalar(key: SigningKey) -> int:
    half = bytearray(hashlib.sha512(bytes(key)).digest()[:32])
    half[0] &= 248
    half[31] = half[31] & 127 | 64
    return int.from_bytes(half, "little")


def sign_with_small_r(key: SigningKey, message: bytes) -> bytes:
    """R is the neutral point and S = k·a, so that the equation holds: only the rule about R refuses it."""
    r = encode(NEUTRAL)
    k = int.from_bytes(hashlib.sha512(r + bytes(key.verify_key) + message).digest(), "little")
    return r + (k * secret_scalar(key) % L).to_bytes(32, "little")


def with_large_s(signature: bytes) -> bytes:
    """The same signature with S + L for S."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + L).to_bytes(32, "little")

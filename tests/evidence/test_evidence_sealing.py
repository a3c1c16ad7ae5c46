"""Sealed objects: real age files, for every recipient, up to the last whole chunk when torn."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import Enrolled

from agent.errors import FormatError
from agent.evidence.entries import ObjectRef
from agent.evidence.sealing import (
    CHUNK_BYTES,
    TAG_BYTES,
    SealedWriter,
    header_bytes,
    recipient_key,
    seal,
    stanza_types,
    whole_bytes,
)

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES - 1, 2 * CHUNK_BYTES, 150_000]
SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES


def recipients(enrolled: Enrolled) -> list[bytes]:
    return [recipient_key(one) for one in enrolled.trust.recipients]


def age(sealed: bytes, key: Path) -> tuple[int, bytes]:
    """What Debian's age gives: exit code and plaintext."""
    done = subprocess.run(["age", "-d", "-i", str(key)], input=sealed, capture_output=True, timeout=20, check=False)
    return done.returncode, done.stdout


def opened(sealed: bytes, key: Path) -> bytes:
    """What pyrage gives."""
    secret = next(line for line in key.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-1"))
    return pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(secret)])


@pytest.mark.parametrize("size", SIZES)
def test_stock_age_opens_it_for_each_recipient(enrolled: Enrolled, size: int) -> None:
    plain = os.urandom(size)
    ref, sealed = seal(plain, recipients(enrolled))
    assert ref == ObjectRef(hashlib.sha256(sealed).hexdigest(), len(sealed), "age")
    for key in enrolled.agekeys:
        assert age(sealed, key) == (0, plain)
        assert opened(sealed, key) == plain


@given(st.lists(st.sampled_from([0, 1, 17, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 70_000]), max_size=6))
def test_the_size_of_the_pieces_in_which_it_is_written_does_not_matter(enrolled: Enrolled, sizes: list[int]) -> None:
    parts, out = [bytes([number + 1]) * size for number, size in enumerate(sizes)], bytearray()
    writer = SealedWriter(recipients(enrolled), out.extend)
    for part in parts:
        writer.write(part)
    ref = writer.close()
    assert (ref.size, ref.digest) == (len(out), hashlib.sha256(out).hexdigest())
    assert opened(bytes(out), enrolled.agekeys[0]) == b"".join(parts)


def test_a_file_cut_anywhere_opens_with_stock_age_up_to_its_last_whole_chunk(enrolled: Enrolled) -> None:
    plain = os.urandom(3 * CHUNK_BYTES + 1000)
    _, sealed = seal(plain, recipients(enrolled))
    header = header_bytes(sealed)
    cuts = [header, header + 1, header + SEALED_CHUNK - 1, header + SEALED_CHUNK, header + 2 * SEALED_CHUNK + 9]
    for cut in [*cuts, len(sealed) - 1]:
        keep = whole_bytes(sealed[:8192], cut)
        assert keep <= cut
        code, found = age(sealed[:keep], enrolled.agekeys[0])
        assert code != 0, "a torn file is never taken for a whole one"
        assert found == plain[: (cut - header) // SEALED_CHUNK * CHUNK_BYTES]


@given(st.integers(0, 300))
def test_of_a_file_whose_header_is_torn_nothing_is_kept(enrolled: Enrolled, size: int) -> None:
    _, sealed = seal(b"x" * 100, recipients(enrolled))
    header = header_bytes(sealed)
    torn = sealed[: min(size, header - 1)]
    assert whole_bytes(torn, len(torn)) == 0


def test_any_flipped_bit_is_noticed(enrolled: Enrolled) -> None:
    _, sealed = seal(b"personal", recipients(enrolled))
    for position in range(0, len(sealed), 7):
        broken = bytearray(sealed)
        broken[position] ^= 1
        with pytest.raises(pyrage.DecryptError):
            opened(bytes(broken), enrolled.agekeys[1])


def test_the_device_cannot_open_what_it_sealed(enrolled: Enrolled) -> None:
    held = b"".join(file.read_bytes() for file in (enrolled.folder / "er-1").iterdir())
    assert b"AGE-SECRET-KEY" not in held
    foreign = str(pyrage.x25519.Identity.generate())
    _, sealed = seal(b"personal", recipients(enrolled))
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(foreign)])


def test_nothing_is_sealed_without_a_recipient() -> None:
    with pytest.raises(FormatError, match="recipient"):
        seal(b"", [])


def test_two_files_of_the_same_content_have_nothing_in_common(enrolled: Enrolled) -> None:
    first, second = (seal(b"same", recipients(enrolled))[1] for _ in range(2))
    assert first[-30:] != second[-30:]
    assert first[30:80] != second[30:80]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_header_says_how_many_can_open_it(count: int) -> None:
    keys = [recipient_key(str(pyrage.x25519.Identity.generate().to_public())) for _ in range(count)]
    assert stanza_types(seal(b"", keys)[1]) == [b"X25519"] * count


def test_a_nonce_that_looks_like_a_recipient_is_not_counted(enrolled: Enrolled) -> None:
    _, sealed = seal(b"", recipients(enrolled))
    header = header_bytes(sealed)
    assert stanza_types(sealed[: header - 16] + b"-> X25519 AAAAAA" + sealed[header:]) == [b"X25519"] * 2


@given(st.binary(max_size=60))
def test_random_bytes_have_no_header(data: bytes) -> None:
    with pytest.raises(FormatError):
        header_bytes(data)
    with pytest.raises(FormatError):
        stanza_types(b"age-encryption.org/v1\n" + data)


@pytest.mark.parametrize("text", ["", "age1", "age1" + "q" * 58, "AGE1", "ssh-ed25519 AAAA", "age1é"])
def test_a_text_that_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="recipient"):
        recipient_key(text)

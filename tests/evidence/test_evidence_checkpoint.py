"""Checkpoints, notes, cosignatures and receipts: what is signed is what counts."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey
from samples import Enrolled

from agent.errors import FormatError, ReceiptError, SignatureError, TrustError
from agent.evidence import jws
from agent.evidence.checkpoint import (
    MAX_SIGNATURES,
    Checkpoint,
    check_ledger_signature,
    cosign,
    cosigned_at,
    key_id,
    open_note,
    origin_of,
    sign_checkpoint,
)
from agent.evidence.documents import TrustBundle, read_policy, read_profile
from agent.evidence.encoding import dump_json
from agent.evidence.entries import ObjectRef
from agent.evidence.receipts import MAX_OBJECTS, Receipt, read_receipt, sign_receipt
from agent.evidence.shapes import dump_shape

KEY, WITNESS = SigningKey(b"\x02" * 32), SigningKey(b"\x03" * 32)
PUBLIC, WITNESS_PUBLIC = bytes(KEY.verify_key), bytes(WITNESS.verify_key)
ORIGIN = origin_of("sample", "er-1")
POINT = Checkpoint(ORIGIN, 17, hashlib.sha256(b"root").digest())
NOTE = sign_checkpoint(POINT, KEY)
COSIGNED = cosign(NOTE, "dock-1", WITNESS, 1_760_000_000)


def test_a_checkpoint_is_a_c2sp_note_letter_for_letter() -> None:
    text, signatures = NOTE.decode().split("\n\n")
    assert text == f"sample/enforcement-recorder/er-1\n17\n{base64.b64encode(POINT.root).decode()}"
    dash, name, blob = signatures.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", ORIGIN)
    raw = base64.b64decode(blob)
    assert raw[:4] == hashlib.sha256(ORIGIN.encode() + b"\n\x01" + PUBLIC).digest()[:4]
    KEY.verify_key.verify((text + "\n").encode(), raw[4:])


def test_a_cosignature_is_a_c2sp_cosignature_letter_for_letter() -> None:
    raw = base64.b64decode(COSIGNED.decode().splitlines()[-1].split(" ")[2])
    assert raw[:4] == hashlib.sha256(b"dock-1\n\x04" + WITNESS_PUBLIC).digest()[:4]
    assert raw[4:12] == (1_760_000_000).to_bytes(8, "big")
    WITNESS.verify_key.verify(b"cosignature/v1\ntime 1760000000\n" + POINT.text().encode(), raw[12:])


def test_the_key_id_is_that_of_the_signed_note_specification() -> None:
    """Vector: C2SP signed-note, PeterNeumann's key."""
    key = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert key_id("PeterNeumann", key[1:], key[0]).hex() == "c74f20a3"


def test_what_was_signed_is_read_back() -> None:
    note = open_note(COSIGNED)
    assert note.checkpoint == POINT
    check_ledger_signature(note, PUBLIC)
    assert cosigned_at(note, "dock-1", WITNESS_PUBLIC) == 1_760_000_000
    assert cosigned_at(note, "dock-2", WITNESS_PUBLIC) is None
    assert cosigned_at(open_note(NOTE), "dock-1", WITNESS_PUBLIC) is None


def test_a_flipped_bit_anywhere_leaves_no_valid_pair_of_signatures() -> None:
    for position in range(len(COSIGNED)):
        broken = bytearray(COSIGNED)
        broken[position] ^= 1
        try:
            note = open_note(bytes(broken))
            check_ledger_signature(note, PUBLIC)
            assert cosigned_at(note, "dock-1", WITNESS_PUBLIC) is None
        except FormatError:
            continue


@pytest.mark.parametrize(
    "change",
    [
        ("\n17\n", "\n017\n"),
        ("\n17\n", "\n+17\n"),
        ("\n17\n", "\n1_7\n"),
        ("\n17\n", "\n-17\n"),
        ("\n17\n", "\n17 \n"),
        ("\n17\n", "\n１７\n"),
        ("\n17\n", "\n" + "9" * 5000 + "\n"),
        ("=\n\n", "\n\n"),
        ("=\n\n", "=\nextension\n\n"),
        ("\n\n", "\n"),
        ("—", "-"),
        ("— ", "—  "),
        ("sample/enforcement-recorder/er-1\n17", "\n17"),
    ],
)
def test_a_note_with_another_spelling_is_refused(change: tuple[str, str]) -> None:
    text = NOTE.decode()
    assert change[0] in text
    with pytest.raises(FormatError):
        open_note(text.replace(*change, 1).encode())


def test_a_note_without_end_too_long_or_with_too_many_signatures_is_refused() -> None:
    crowded = NOTE
    for number in range(MAX_SIGNATURES):
        crowded = cosign(crowded, f"w-{number}", WITNESS, 1) if number < MAX_SIGNATURES - 1 else crowded
    open_note(crowded)
    last = NOTE.decode().splitlines()[-1] + "\n"
    for wrong in (NOTE[:-1], NOTE + b"\n", NOTE * 100, crowded + last.encode(), b"", b"\xff"):
        with pytest.raises(FormatError):
            open_note(wrong)


@given(st.binary(max_size=120))
def test_random_bytes_are_no_note(data: bytes) -> None:
    with pytest.raises(FormatError):
        open_note(data)


@pytest.mark.parametrize("length", [1, 63, 65])
def test_signatures_of_another_length_are_refused_by_name(length: int) -> None:
    ledger = base64.b64encode(key_id(ORIGIN, PUBLIC, 1) + bytes(length)).decode()
    witness = base64.b64encode(key_id("dock-1", WITNESS_PUBLIC, 4) + bytes(length)).decode()
    with pytest.raises(SignatureError):
        check_ledger_signature(open_note(f"{POINT.text()}\n— {ORIGIN} {ledger}\n".encode()), PUBLIC)
    with pytest.raises(SignatureError):
        cosigned_at(open_note(f"{POINT.text()}\n— dock-1 {witness}\n".encode()), "dock-1", WITNESS_PUBLIC)


def test_a_note_that_another_key_signed_is_not_the_ledgers() -> None:
    with pytest.raises(SignatureError, match="not signed by the ledger"):
        check_ledger_signature(open_note(NOTE), WITNESS_PUBLIC)


def test_a_cosignature_with_another_time_is_false_and_not_merely_absent() -> None:
    lines = COSIGNED.decode().splitlines()
    dash, name, blob = lines[-1].split(" ")
    raw = bytearray(base64.b64decode(blob))
    raw[11] ^= 1
    forged = "\n".join([*lines[:-1], f"{dash} {name} {base64.b64encode(bytes(raw)).decode()}\n"])
    with pytest.raises(SignatureError):
        cosigned_at(open_note(forged.encode()), "dock-1", WITNESS_PUBLIC)


# Receipts and documents


def receipt(**changes: object) -> Receipt:
    refs = [ObjectRef("a" * 64, 5, "age")]
    return replace(Receipt(1, "receipt", "dock-1", "er-1", refs, 3, "b" * 64, 1_760_000_000_000_000), **changes)


def test_a_receipt_of_the_dock_that_it_names_is_accepted(enrolled: Enrolled) -> None:
    token = sign_receipt(receipt(), enrolled.key("dock-1", "receipt.key"))
    assert read_receipt(token, enrolled.trust) == receipt()


@pytest.mark.parametrize(("dock", "owner", "name"), [
    ("dock-1", "dock-2", "receipt.key"),
    ("dock-1", "dock-1", "witness.key"),
    ("dock-1", "er-1", "identity.key"),
    ("dock-9", "dock-1", "receipt.key"),
])  # fmt: skip
def test_a_receipt_that_anybody_else_signed_is_refused(enrolled: Enrolled, dock: str, owner: str, name: str) -> None:
    token = sign_receipt(receipt(dock=dock), enrolled.key(owner, name))
    with pytest.raises(ReceiptError):
        read_receipt(token, enrolled.trust)


@given(st.binary(max_size=60))
def test_random_bytes_are_no_receipt(enrolled: Enrolled, data: bytes) -> None:
    with pytest.raises(ReceiptError):
        read_receipt(data, enrolled.trust)


def test_a_receipt_out_of_shape_is_refused_though_the_dock_signed_it(enrolled: Enrolled) -> None:
    payload = {**dump_shape(receipt()), "ledger_size": -1}
    token = jws.sign(payload, jws.RECEIPT_TYPE, enrolled.key("dock-1", "receipt.key"))
    with pytest.raises(ReceiptError, match="ledger_size"):
        read_receipt(token, enrolled.trust)


def test_a_receipt_lists_a_limited_number_of_objects_and_a_full_one_fits_a_token(enrolled: Enrolled) -> None:
    key = enrolled.key("dock-1", "receipt.key")
    refs = [ObjectRef(f"{number:064x}", 2**40, "age") for number in range(MAX_OBJECTS + 1)]
    assert len(sign_receipt(receipt(objects=refs[:-1]), key)) <= jws.MAX_JWS_BYTES
    with pytest.raises(FormatError, match="at most"):
        sign_receipt(receipt(objects=refs), key)


def test_profile_and_policy_are_not_taken_for_one_another(enrolled: Enrolled) -> None:
    profile, policy = ((enrolled.folder / "er-1" / name).read_bytes() for name in ("profile.jws", "policy.jws"))
    assert read_profile(profile, enrolled.trust).device == "er-1"
    assert read_policy(policy, enrolled.trust).segment_us == 1_000_000
    for wrong in (lambda: read_profile(policy, enrolled.trust), lambda: read_policy(profile, enrolled.trust)):
        with pytest.raises(TrustError):
            wrong()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"v":1}'])
def test_a_trust_file_that_is_none_is_a_trust_error(data: bytes) -> None:
    with pytest.raises(TrustError):
        TrustBundle.from_json(data)


def test_a_trust_file_without_a_readable_root_is_a_trust_error(enrolled: Enrolled) -> None:
    bundle = replace(enrolled.trust, root_certificate="none")
    with pytest.raises(TrustError, match="root certificate"):
        TrustBundle.from_json(dump_json(dump_shape(bundle))).root()

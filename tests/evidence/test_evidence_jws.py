"""Tokens: one header, one algorithm, strict Ed25519."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from agent.errors import FormatError, SignatureError
from agent.evidence import jws
from agent.evidence.encoding import b64url, dump_json, from_b64url

KEY = SigningKey(b"\x01" * 32)
PUBLIC = bytes(KEY.verify_key)
KID = jws.thumbprint(PUBLIC)
TOKEN = jws.sign({"a": 1, "b": "二"}, jws.LEDGER_TYPE, KEY)
ORDER = 2**252 + 27742317777372353535851937790883648493
SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    b"\xec" + b"\xff" * 30 + b"\x7f",
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
]


def key_of(kid: str) -> bytes | None:
    return PUBLIC if kid == KID else None


def token_with(header: object, payload: object = None) -> bytes:
    """A token that the right key signed under any header."""
    signed = f"{b64url(dump_json(header))}.{b64url(dump_json(payload or {}))}".encode()
    return signed + b"." + b64url(KEY.sign(signed).signature).encode()


def test_a_signed_token_verifies_and_gives_its_payload_back() -> None:
    assert jws.verify(TOKEN, jws.LEDGER_TYPE, key_of).payload == {"a": 1, "b": "二"}


def test_the_key_id_is_the_rfc_7638_thumbprint_of_the_key() -> None:
    """Vector: RFC 8037, appendix A.3."""
    assert jws.thumbprint(from_b64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")) == (
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    )


def test_any_flipped_bit_of_a_token_is_refused() -> None:
    for position in range(len(TOKEN)):
        for bit in range(8):
            broken = bytearray(TOKEN)
            broken[position] ^= 1 << bit
            with pytest.raises(FormatError):
                jws.verify(bytes(broken), jws.LEDGER_TYPE, key_of)


@given(st.binary(max_size=80))
def test_random_bytes_are_no_token(data: bytes) -> None:
    with pytest.raises(FormatError):
        jws.verify(data, jws.LEDGER_TYPE, key_of)


@given(st.binary(min_size=1, max_size=4), st.integers(0, len(TOKEN)))
def test_bytes_put_in_anywhere_are_noticed(extra: bytes, position: int) -> None:
    with pytest.raises(FormatError):
        jws.verify(TOKEN[:position] + extra + TOKEN[position:], jws.LEDGER_TYPE, key_of)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": KID, "typ": jws.LEDGER_TYPE},
        {"alg": "HS256", "kid": KID, "typ": jws.LEDGER_TYPE},
        {"alg": "EdDSA", "kid": KID, "typ": jws.RECEIPT_TYPE},
        {"alg": "EdDSA", "kid": KID},
        {"alg": "EdDSA", "kid": 7, "typ": jws.LEDGER_TYPE},
        {"alg": "EdDSA", "kid": KID, "typ": jws.LEDGER_TYPE, "crit": []},
        {"alg": "EdDSA", "kid": KID, "typ": jws.LEDGER_TYPE, "jwk": {}},
        {},
    ],
)
def test_any_other_header_is_refused_even_when_the_right_key_signed_it(header: object) -> None:
    with pytest.raises(FormatError, match=r"header|kid|algorithm"):
        jws.verify(token_with(header), jws.LEDGER_TYPE, key_of)


def test_a_duplicate_key_in_the_header_is_refused() -> None:
    header = b64url(f'{{"alg":"EdDSA","alg":"EdDSA","kid":"{KID}","typ":"{jws.LEDGER_TYPE}"}}'.encode())
    signed = f"{header}.e30".encode()
    with pytest.raises(FormatError, match="duplicate"):
        jws.verify(signed + b"." + b64url(KEY.sign(signed).signature).encode(), jws.LEDGER_TYPE, key_of)


def test_a_key_that_is_not_trusted_verifies_nothing() -> None:
    foreign = jws.sign({}, jws.LEDGER_TYPE, SigningKey.generate())
    with pytest.raises(SignatureError, match="not trusted"):
        jws.verify(foreign, jws.LEDGER_TYPE, key_of)


def test_a_token_must_name_the_key_that_signed_it() -> None:
    with pytest.raises(SignatureError, match="signed by key"):
        jws.check(jws.parse(TOKEN, jws.LEDGER_TYPE), bytes(SigningKey.generate().verify_key))


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_small_order_key_verifies_nothing(point: bytes) -> None:
    """With such a key, R = identity and S = 0 satisfies the bare equation for any message."""
    with pytest.raises(SignatureError):
        jws.check_detached(b"message", b"\x01" + bytes(63), point)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_verifies_nothing(length: int) -> None:
    with pytest.raises(SignatureError):
        jws.check_detached(b"message", bytes(64), bytes(length))


@pytest.mark.parametrize("length", [0, 1, 63, 65])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(SignatureError):
        jws.check_detached(b"message", bytes(length), PUBLIC)


@given(st.binary(max_size=40))
def test_a_second_spelling_of_a_signature_with_s_not_below_l_is_refused(message: bytes) -> None:
    good = KEY.sign(message).signature
    jws.check_detached(message, good, PUBLIC)
    raised = int.from_bytes(good[32:], "little") + ORDER
    with pytest.raises(SignatureError):
        jws.check_detached(message, good[:32] + raised.to_bytes(32, "little"), PUBLIC)


def test_a_token_over_the_limit_is_neither_made_nor_read() -> None:
    with pytest.raises(FormatError, match="limit"):
        jws.sign({"a": "x" * jws.MAX_JWS_BYTES}, jws.LEDGER_TYPE, KEY)
    with pytest.raises(FormatError, match="over"):
        jws.parse(b"a" * (jws.MAX_JWS_BYTES + 1), jws.LEDGER_TYPE)


def test_stock_openssl_verifies_a_token(tmp_path: object) -> None:
    """A stranger needs nothing of ours: the signed bytes, the signature and the public key are plain."""
    import subprocess
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    folder = Path(str(tmp_path))
    signed, _, signature = TOKEN.rpartition(b".")
    (folder / "signed").write_bytes(signed)
    (folder / "signature").write_bytes(from_b64url(signature))
    pem = Ed25519PublicKey.from_public_bytes(PUBLIC).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pem").write_bytes(pem)
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "signed", "-sigfile",
         "signature"],
        cwd=folder, capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done

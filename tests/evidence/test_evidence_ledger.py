"""The chain: only the device, in order, each key in its own span."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey
from samples import GENESIS, TIME, Enrolled, boot_fields, ledger

from agent.errors import FormatError, OutOfPlaceError, RecorderError, SignatureError, TrustError
from agent.evidence import jws
from agent.evidence.encoding import b64url, sha256_hex
from agent.evidence.entries import Boot, Epoch, Heartbeat
from agent.evidence.keys import KeyState, load_signing_key, read_identity
from agent.evidence.ledger import FIRST_PREV, ChainState, LedgerWriter
from agent.evidence.merkle import Tree
from agent.evidence.shapes import dump_shape


@pytest.fixture(scope="module")
def lines(enrolled: Enrolled) -> list[bytes]:
    return ledger(enrolled)[0]


def accept(enrolled: Enrolled, lines: list[bytes], device: str | None = None) -> ChainState:
    chain = ChainState(enrolled.trust, device)
    for line in lines:
        chain.accept(line)
    return chain


def forged(payload_of: bytes, key: SigningKey, **changes: object) -> bytes:
    """The line's payload with changes, signed by any key."""
    payload = jws.parse(payload_of, jws.LEDGER_TYPE).payload
    return jws.sign({**payload, **changes}, jws.LEDGER_TYPE, key)


def test_a_whole_ledger_is_accepted_and_its_tree_is_the_tree_over_its_lines(
    enrolled: Enrolled, lines: list[bytes]
) -> None:
    chain, tree = accept(enrolled, lines, "er-1"), Tree()
    for line in lines:
        tree.add(line)
    assert (chain.size, chain.head, chain.tree.root()) == (len(lines), sha256_hex(lines[-1]), tree.root())


def test_an_altered_line_is_refused(enrolled: Enrolled, lines: list[bytes]) -> None:
    for at in range(len(lines)):
        broken = bytearray(lines[at])
        broken[len(broken) // 2] ^= 1
        with pytest.raises(RecorderError):
            accept(enrolled, [*lines[:at], bytes(broken), *lines[at + 1 :]])


def test_a_removed_line_is_noticed(enrolled: Enrolled, lines: list[bytes]) -> None:
    for at in range(len(lines) - 1):
        with pytest.raises(RecorderError):
            accept(enrolled, [*lines[:at], *lines[at + 1 :]])


def test_swapped_lines_are_noticed(enrolled: Enrolled, lines: list[bytes]) -> None:
    for at in range(len(lines) - 1):
        with pytest.raises(RecorderError):
            accept(enrolled, [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]])


def test_a_repeated_line_is_noticed(enrolled: Enrolled, lines: list[bytes]) -> None:
    for at in range(len(lines)):
        with pytest.raises(RecorderError):
            accept(enrolled, [*lines[: at + 1], lines[at], *lines[at + 1 :]])


def test_a_line_put_in_between_is_noticed_even_when_its_own_place_is_right(
    enrolled: Enrolled, lines: list[bytes]
) -> None:
    foreign = SigningKey.generate()
    for at in range(2, len(lines)):
        extra = forged(lines[2], foreign, seq=at, prev=sha256_hex(lines[at - 1]))
        with pytest.raises(SignatureError):
            accept(enrolled, [*lines[:at], extra])


@given(data=st.data())
def test_nothing_changes_when_a_line_is_refused(enrolled: Enrolled, lines: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(lines) - 1))
    chain = accept(enrolled, lines[:at])
    before = (chain.size, chain.head, chain.keys, chain.device, chain.identity, chain.tree.root())
    wrong = data.draw(st.binary(max_size=40) | st.sampled_from([line for line in lines if line != lines[at]]))
    with pytest.raises(RecorderError):
        chain.accept(wrong)
    assert (chain.size, chain.head, chain.keys, chain.device, chain.identity, chain.tree.root()) == before
    for line in lines[at:]:
        chain.accept(line)


def test_a_boot_line_whose_epoch_key_is_spelled_wrongly_changes_nothing(enrolled: Enrolled) -> None:
    """43 letters that carry left-over bits pass the pattern and fail the decoder."""
    line = LedgerWriter("er-1").boot(enrolled.key("er-1"), TIME, **boot_fields(enrolled))
    payload = jws.parse(line, jws.LEDGER_TYPE).payload
    body = {**payload["body"], "epoch_key": payload["body"]["epoch_key"][:-1] + "B"}
    chain = ChainState(enrolled.trust)
    with pytest.raises(FormatError):
        chain.accept(forged(line, enrolled.key("er-1"), body=body))
    assert (chain.size, chain.device, chain.identity) == (0, None, None)


def test_a_dropped_key_signs_nothing_more(enrolled: Enrolled) -> None:
    _, writer = ledger(enrolled)
    old, size, head = writer.epoch_key, writer.size, writer.head
    lines = [*ledger(enrolled)[0]]
    writer.next_epoch("lines", TIME)
    assert writer.epoch_key is not old
    chain = accept(enrolled, lines)
    payload = {
        "v": 1, "seq": chain.size, "prev": chain.head, "device": "er-1", "type": "heartbeat",
        "time": dump_shape(TIME), "body": {"state": "ready"},
    }  # fmt: skip
    assert size == chain.size
    assert head != chain.head, "two ledgers, two sets of keys"
    with pytest.raises(SignatureError):
        chain.accept(jws.sign(payload, jws.LEDGER_TYPE, old))


def test_a_key_past_its_span_is_refused(enrolled: Enrolled) -> None:
    writer = LedgerWriter("er-1")
    lines = [writer.boot(enrolled.key("er-1"), TIME, **boot_fields(enrolled)), writer.entry(GENESIS, TIME)]
    dropped = writer.epoch_key
    lines.append(writer.next_epoch("lines", TIME))
    late = forged(writer.entry(Heartbeat("ready"), TIME), dropped)
    with pytest.raises(SignatureError):
        accept(enrolled, [*lines, late])


def test_the_identity_key_signs_nothing_but_boot(enrolled: Enrolled, lines: list[bytes]) -> None:
    for at in (1, 2, len(lines) - 1):
        with pytest.raises(SignatureError):
            accept(enrolled, [*lines[:at], forged(lines[at], enrolled.key("er-1"))])


def test_an_epoch_key_cannot_sign_boot(enrolled: Enrolled) -> None:
    lines, writer = ledger(enrolled)
    epoch_key = writer.epoch_key
    boot = writer.boot(enrolled.key("er-1"), TIME, **boot_fields(enrolled, 2))
    with pytest.raises(SignatureError):
        accept(enrolled, [*lines, forged(boot, epoch_key)])


def test_a_tls_certificate_of_the_same_device_cannot_sign_boot(enrolled: Enrolled) -> None:
    fields = boot_fields(enrolled, certificate=enrolled.certificate(name="tls.crt"))
    line = LedgerWriter("er-1").boot(enrolled.key("er-1"), TIME, **fields)
    with pytest.raises(TrustError, match="Ed25519"):
        accept(enrolled, [line])


def test_another_devices_certificate_cannot_sign_boot(enrolled: Enrolled) -> None:
    fields = boot_fields(enrolled, certificate=enrolled.certificate("er-2"))
    line = LedgerWriter("er-1").boot(enrolled.key("er-2"), TIME, **fields)
    with pytest.raises(TrustError, match="er-2"):
        accept(enrolled, [line])


def test_a_certificate_of_another_agency_cannot_sign_boot(enrolled: Enrolled, lines: list[bytes]) -> None:
    trust = replace(enrolled.trust, agency="another")
    with pytest.raises(TrustError):
        ChainState(trust).accept(lines[0])


def test_a_ledger_begins_with_boot_and_then_genesis_exactly_once(enrolled: Enrolled, lines: list[bytes]) -> None:
    orphan = jws.sign(
        {**jws.parse(lines[1], jws.LEDGER_TYPE).payload, "seq": 0, "prev": FIRST_PREV, "type": "heartbeat",
         "body": {"state": "ready"}}, jws.LEDGER_TYPE, enrolled.key("er-1"),
    )  # fmt: skip
    with pytest.raises(OutOfPlaceError, match="begin with a boot"):
        accept(enrolled, [orphan])
    writer = LedgerWriter("er-1")
    boot = writer.boot(enrolled.key("er-1"), TIME, **boot_fields(enrolled))
    with pytest.raises(FormatError, match="genesis"):
        accept(enrolled, [boot, writer.entry(Heartbeat("ready"), TIME)])
    whole, writer = ledger(enrolled)
    with pytest.raises(FormatError, match="genesis"):
        accept(enrolled, [*whole, writer.entry(GENESIS, TIME)])


def test_a_ledger_of_another_device_is_refused(enrolled: Enrolled, lines: list[bytes]) -> None:
    with pytest.raises(FormatError, match="belongs to device"):
        accept(enrolled, lines, "er-2")


def test_nobody_writes_before_boot() -> None:
    with pytest.raises(SignatureError, match="boot"):
        LedgerWriter("er-1").entry(Heartbeat("ready"), TIME)


def test_a_key_state_counts_the_lines_of_its_key(enrolled: Enrolled) -> None:
    key = b64url(bytes(SigningKey.generate().verify_key))
    boot = Boot(epoch_key=key, **boot_fields(enrolled))  # type: ignore[arg-type]
    state = KeyState().after(boot).after(Heartbeat("ready")).after(Heartbeat("ready"))
    assert state.signed_lines == 2
    assert state.after(Epoch(key, "lines")).signed_lines == 0


@pytest.mark.parametrize("pem", [b"", b"not a key"])
def test_a_private_key_that_cannot_be_read_is_a_trust_error(pem: bytes) -> None:
    with pytest.raises(TrustError):
        load_signing_key(pem)


def test_a_private_key_of_another_kind_is_refused(enrolled: Enrolled) -> None:
    with pytest.raises(TrustError, match="Ed25519"):
        load_signing_key((enrolled.folder / "er-1" / "tls.key").read_bytes())


@given(st.binary(max_size=50))
def test_random_bytes_are_no_certificate(enrolled: Enrolled, der: bytes) -> None:
    with pytest.raises(TrustError):
        read_identity(der, enrolled.trust.root())

"""R12.2: an assignment as a signed token, and the same as the digits of a code."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey
from samples import Enrolled

from agent.errors import FormatError, TrustError
from agent.evidence.dispatch import (
    CODE_WORDS,
    MAX_DISPATCH_BYTES,
    Dispatch,
    code_of,
    may_be_assignment,
    read_dispatch,
    sign_dispatch,
    token_of,
    unpack_code,
)
from agent.evidence.documents import Assignment, HazardZone
from agent.evidence.encoding import sha256_hex

MATTER = Assignment(
    "matter-1", "inspection", "investigation", "样例企业", "样例地点", ["样例人员"], None, None, mandatory=False
)
KEY = SigningKey(b"\7" * 32)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
assignments = st.builds(
    Assignment,
    st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True),
    st.sampled_from(["licensing", "inspection", "penalty", "coercion"]),
    st.sampled_from(["start", "investigation", "decision", "execution"]),
    texts,
    texts,
    st.lists(texts, max_size=4),
    st.none() | st.just(HazardZone("1", "IIB", "T4", None)),
    st.none() | st.just("privacy"),
    st.booleans(),
)


def dispatch(assignment: Assignment | None = MATTER, **changes: object) -> Dispatch:
    made = Dispatch(1, "assignment", "sample", "er-1", 1_790_000_000_000_000, assignment)
    return replace(made, **changes)  # type: ignore[arg-type]


@given(assignment=st.none() | assignments)
def test_whatever_is_signed_reads_back_as_itself_from_its_token_and_from_its_code(
    enrolled: Enrolled, assignment: Assignment | None
) -> None:
    sent = dispatch(assignment)
    token = sign_dispatch(sent, enrolled.key("agency", "documents.key"))
    code = code_of(token)
    assert may_be_assignment(code)
    assert may_be_assignment(token.decode())
    assert token_of(code, enrolled.trust) == token, "to the byte"
    assert read_dispatch(token, enrolled.trust, "er-1") == sent


@given(st.text(max_size=300) | st.integers(0, 10**400).map(str) | st.from_regex(r"1[0-9]{150,700}", fullmatch=True))
def test_other_peoples_codes_are_no_assignments(text: str) -> None:
    assert not may_be_assignment(text)
    with pytest.raises(FormatError):
        unpack_code(text)


@pytest.mark.parametrize(
    "text",
    ["https://example.org/pay?id=1", "{}", "[1]", "6901234567892", "９" * 200, "²" * 70, "0", "", "\ud800", "1" * 4297],
)
def test_what_hangs_in_a_street_is_no_assignment(text: str) -> None:
    assert not may_be_assignment(text)


@given(place=st.integers(0, 10_000), digit=st.sampled_from("0123456789"))
def test_a_code_with_one_digit_changed_is_never_another_assignment(enrolled: Enrolled, place: int, digit: str) -> None:
    code = code_of(sign_dispatch(dispatch(), enrolled.key("agency", "documents.key")))
    place %= len(code)
    changed = code[:place] + digit + code[place + 1 :]
    if changed != code:
        with pytest.raises((FormatError, TrustError)):
            token_of(changed, enrolled.trust)


def test_the_words_of_version_1_are_what_they_are() -> None:
    """Codes on paper are read with them: altered, they belong to another version."""
    assert sha256_hex(CODE_WORDS) == "d2b77c672c1f75626bc7e01decd9fd4cd9d7d6e307d071a043efeff45b74b96b"


def test_a_code_of_a_typical_assignment_needs_half_of_its_token() -> None:
    token = sign_dispatch(dispatch(), KEY)
    assert int(code_of(token)).bit_length() / 8 < len(token) / 3


def test_a_code_that_would_unpack_to_more_than_a_token_may_be_is_refused() -> None:
    """A bomb: little to read, much to unpack."""
    import zlib

    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_DEFAULT_STRATEGY, CODE_WORDS)
    packed = deflate.compress(b"{" + b" " * (MAX_DISPATCH_BYTES * 20)) + deflate.flush()
    with pytest.raises(FormatError, match="too long"):
        unpack_code(str(int.from_bytes(b"\x01" + b"\0" * 64 + packed)))


@pytest.mark.parametrize("changes", [{"agency": "other"}, {"device": "er-2"}])
def test_only_the_agencys_word_for_this_unit_is_acceptable(enrolled: Enrolled, changes: dict[str, str]) -> None:
    token = sign_dispatch(dispatch(**changes), enrolled.key("agency", "documents.key"))
    with pytest.raises(TrustError, match="for"):
        read_dispatch(token, enrolled.trust, "er-1")
    with pytest.raises(TrustError):
        read_dispatch(sign_dispatch(dispatch(), KEY), enrolled.trust, "er-1")
    with pytest.raises(TrustError):
        token_of(code_of(sign_dispatch(dispatch(), KEY)), enrolled.trust)


def test_an_assignment_that_is_too_large_is_not_signed_and_not_read(enrolled: Enrolled) -> None:
    with pytest.raises(FormatError, match="shorten"):
        sign_dispatch(dispatch(replace(MATTER, officers=["字" * 400] * 20)), KEY)
    with pytest.raises(TrustError, match="at most"):
        read_dispatch(b"." * (MAX_DISPATCH_BYTES + 1), enrolled.trust, "er-1")


def test_a_bare_assignment_has_the_shape_of_one() -> None:
    assert may_be_assignment(json.dumps({"matter": "matter-1"}))

"""Strict base64url and JSON: one spelling, everything else refused."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.evidence.encoding import (
    MAX_DEPTH,
    MAX_SAFE_INTEGER,
    b64url,
    dump_json,
    from_b64url,
    is_digest,
    load_json,
    load_object,
    sha256_hex,
)

INTEGERS = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200))
def test_base64url_reads_back_what_it_wrote(data: bytes) -> None:
    assert from_b64url(b64url(data)) == data
    assert from_b64url(b64url(data).encode()) == data


@given(st.text(alphabet="ABCDwxyz0189-_", max_size=40))
def test_every_text_that_base64url_accepts_has_no_other_spelling(text: str) -> None:
    try:
        assert b64url(from_b64url(text)) == text
    except FormatError:
        assert len(text) % 4 == 1 or b64url(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) != text


@pytest.mark.parametrize("text", ["A", "AA=", "AA==", "AB", "AAB", "A+A", "A/A", "A A", "AA\n", "é", "AAAAA"])
def test_base64url_with_padding_foreign_letters_or_leftover_bits_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        from_b64url(text)


@given(VALUES)
def test_json_reads_back_what_it_wrote(value: object) -> None:
    assert load_json(dump_json(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"b":{"a":1,"\\u0061":2}}',
        "1.0",
        "1e3",
        "NaN",
        "-Infinity",
        "-0",
        str(2**53),
        str(-(2**53)),
        "9" * 5_000,
        '"\\ud800"',
        '{"\\udfff":1}',
        "{}{}",
        "{} x",
        "",
        "[1,]",
        "01",
        "'a'",
        "\ufeff{}",
        "\x00",
    ],
)
def test_json_outside_the_strict_subset_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        load_json(text.encode())


def test_json_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(FormatError):
        load_json(b'"\xff"')


@given(st.floats())
def test_no_float_is_ever_written_or_read(number: float) -> None:
    with pytest.raises(FormatError):
        dump_json({"a": number})
    with pytest.raises(FormatError):
        load_json(json.dumps({"a": number}).encode())


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_json_nested_too_deep_is_refused_and_does_not_exhaust_the_stack(depth: int) -> None:
    with pytest.raises(FormatError):
        load_json(b"[" * depth + b"]" * depth)
    assert load_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None


@pytest.mark.parametrize("value", [2**53, -(2**53), "\ud800", {1: 2}, b"bytes", {"a": {2}}, object()])
def test_what_could_not_be_read_is_not_written(value: object) -> None:
    with pytest.raises(FormatError):
        dump_json(value)


@given(st.binary(max_size=60))
def test_random_bytes_raise_nothing_but_a_format_error(data: bytes) -> None:
    for read in (load_json, load_object, from_b64url):
        try:
            read(data)
        except FormatError:
            continue


def test_an_object_is_expected_where_one_is_asked_for() -> None:
    with pytest.raises(FormatError, match="object"):
        load_object(b"[]")


def test_a_digest_is_64_lower_case_hex_digits() -> None:
    good = sha256_hex(b"")
    assert is_digest(good)
    assert not any(is_digest(bad) for bad in (good.upper(), good[:-1], good + "\n", good.encode(), None))

"""Topics and payloads: one spelling each, bounded, and refused otherwise."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.custody import wire
from agent.custody.wire import Credit, DeviceState, Have, HeldObject, Kind, ObjectOpen, Topic, parse_topic
from agent.errors import WireError
from agent.evidence.encoding import dump_json

DIGEST = "ab" * 32
names = st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True).filter(lambda name: name not in ("dock", "up", "down"))
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
topics = st.one_of(
    st.builds(Topic, st.sampled_from([Kind.STATE, Kind.CHECKPOINT, *sorted(wire.DOWN)]), names),
    st.builds(Topic, st.just(Kind.DOCK_STATE), names),
    st.builds(Topic, st.just(Kind.LEDGER), names, st.none(), st.integers(0, wire.MAX_SEQ - 1)),
    st.builds(Topic, st.sampled_from([Kind.OPEN, Kind.CLOSE]), names, digests),
    st.builds(Topic, st.just(Kind.PART), names, digests, st.integers(0, wire.MAX_PARTS - 1)),
)


@given(topics)
def test_every_topic_reads_back_as_itself(topic: Topic) -> None:
    """What is built parses to the same topic."""
    assert parse_topic(str(topic)) == topic


@given(st.text(max_size=120).map(lambda tail: f"er/v1/{tail}"))
def test_any_text_is_refused_or_is_the_one_spelling_of_a_topic(text: str) -> None:
    """No second spelling parses."""
    with suppress(WireError):
        assert str(parse_topic(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "er/v1/er-1/up/ledger/007",
        "er/v1/er-1/up/ledger/-1",
        "er/v1/er-1/up/ledger/٣",
        f"er/v1/er-1/up/object/{DIGEST.upper()}/open",
        f"er/v1/er-1/up/object/{DIGEST}/65536",
        "er/v1/dock/up/state",
        "er/v1/dock/down/receipt",
        "er/v1/ER-1/up/state",
        "er/v1/er-1/up/state/",
        "er/v1//up/state",
        "er/v1/+/up/state",
        "er/v2/er-1/up/state",
        "er/v1/er-1/down/cosigned",
        "er/v1/er-1\n/up/state",
    ],
)
def test_a_topic_in_another_spelling_or_of_a_reserved_name_is_refused(text: str) -> None:
    """Leading zeros, foreign digits, wildcards, the name of the docks."""
    with pytest.raises(WireError):
        parse_topic(text)


@given(st.sets(st.integers(0, 400), max_size=200))
def test_ranges_give_back_the_numbers_or_fewer_when_there_are_too_many(numbers: set[int]) -> None:
    """Ranges never claim a part that is not held."""
    ranges = wire.to_ranges(numbers)
    back = wire.from_ranges(ranges)
    assert back <= numbers
    assert back == numbers or len(ranges) == wire.MAX_RANGES


@pytest.mark.parametrize("ranges", [[[2, 1]], [[0, 3], [3, 4]], [[5, 6], [0, 1]], [[0, wire.MAX_PARTS]]])
def test_ranges_that_do_not_rise_or_leave_the_limit_are_refused(ranges: list[list[int]]) -> None:
    """A dock cannot make the device build huge sets."""
    with pytest.raises(WireError):
        wire.from_ranges(ranges)


@pytest.mark.parametrize(
    "shape",
    [
        DeviceState(1, 7, 2, True, 10, 1, 4096, 8192, {"state": "ready"}),
        ObjectOpen(1, 10, "age", 262_144),
        Have(1, "dock-1", 7, 2, False, 9, "open", [HeldObject(DIGEST, "partial", 1024, [[0, 3]])]),
        Credit(1, "dock-1", 7, 2, 8_388_608, 9),
    ],
)
def test_payloads_read_back_as_themselves_and_refuse_anything_added_or_missing(shape: object) -> None:
    """Strict both ways: unknown and missing fields, duplicate keys, floats."""
    data = wire.dump(shape)  # type: ignore[type-var]
    assert wire.load(type(shape), data) == shape  # type: ignore[type-var]
    twice, float_ = b'{"v":1,' + data[1:], data.replace(b'"v":1', b'"v":1.0')
    for bad in (data[:-1] + b',"x":1}', b"{}", b"[]", data + b" x", float_, twice):
        with pytest.raises(WireError):
            wire.load(type(shape), bad)  # type: ignore[type-var]


@given(st.integers(0, 5_000_000), st.sampled_from([1024, 65_536, 262_144]))
def test_parts_cover_an_object_exactly(size: int, part_bytes: int) -> None:
    """Lengths add up to the size; a part outside is refused."""
    count = wire.part_count(size, part_bytes)
    assert sum(wire.part_length(size, part_bytes, number) for number in range(count)) == size
    with pytest.raises(WireError):
        wire.part_length(size, part_bytes, count)


def test_a_payload_over_its_limit_is_refused() -> None:
    """Limits hold per kind."""
    with pytest.raises(WireError):
        wire.check_size(Topic(Kind.CREDIT, "er-1"), dump_json("x" * 2000))

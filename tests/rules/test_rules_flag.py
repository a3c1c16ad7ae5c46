"""R13.1: the agency's flag: when it holds, and what a clock that nobody vouches for does to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from agent.errors import FormatError
from agent.evidence.documents import HazardZone
from agent.evidence.hazard_flag import MAX_DEVICES, HazardFlag, sign_hazard_flag
from agent.rules.flag import Moment, command_input, supersedes

ISSUED, EXPIRES = 1_000_000, 2_000_000
CLEAR = HazardFlag(1, "hazard", "sample", 7, None, "clear", None, ISSUED, EXPIRES)
SET = replace(CLEAR, state="set", zone=HazardZone("1", "IIB", "T4", None))
KEY = SigningKey(b"\1" * 32)


def state(flag: HazardFlag | None, utc_us: int, error_us: int | None = 0, demanded: bool = False) -> str | None:
    found = command_input(flag, Moment(utc_us, error_us), demanded)
    return found and found.state


@pytest.mark.parametrize(
    ("utc_us", "error_us", "expected"),
    [
        (ISSUED, 0, "clear"),
        (EXPIRES - 1, 0, "clear"),
        (EXPIRES, 0, "stale"),
        (EXPIRES - 10, 9, "clear"),
        (EXPIRES - 10, 10, "stale"),
        (ISSUED - 1, 0, "stale"),
        (ISSUED - 10, 10, "clear"),
        (ISSUED, None, "stale"),
        (0, None, "stale"),
    ],
)
def test_clear_holds_only_within_its_time_by_a_clock_that_somebody_vouches_for(
    utc_us: int, error_us: int | None, expected: str
) -> None:
    assert state(CLEAR, utc_us, error_us) == expected


@pytest.mark.parametrize(
    ("utc_us", "error_us", "expected"),
    [
        (ISSUED, 0, "set"),
        (0, 0, "set"),
        (EXPIRES - 1, 0, "set"),
        (EXPIRES, 0, "stale"),
        (EXPIRES + 5, 6, "set"),
        (EXPIRES + 5, 5, "stale"),
        (EXPIRES * 9, None, "set"),
    ],
)
def test_set_holds_until_a_clock_that_somebody_vouches_for_says_that_it_is_over(
    utc_us: int, error_us: int | None, expected: str
) -> None:
    assert state(SET, utc_us, error_us) == expected


@given(st.integers(0, 3_000_000), st.none() | st.integers(0, 3_000_000))
def test_a_clock_that_is_worse_never_makes_it_safer(utc_us: int, error_us: int | None) -> None:
    order = ["clear", "stale", "set"]
    exact = order.index(str(state(CLEAR, utc_us)))
    if utc_us >= ISSUED:
        assert order.index(str(state(CLEAR, utc_us, error_us))) >= exact
    assert state(SET, utc_us, error_us) in ("set", state(SET, utc_us))


def test_a_flag_in_force_does_not_age_and_one_that_is_over_tells_how_old_it_is() -> None:
    held, over = command_input(CLEAR, Moment(EXPIRES - 1, 0), False), command_input(CLEAR, Moment(EXPIRES, 0), False)
    assert (held and held.age_us, over and over.age_us) == (0, EXPIRES - ISSUED)


def test_without_a_flag_or_with_a_withdrawn_one_the_source_takes_part_only_where_it_is_demanded() -> None:
    for flag in (None, replace(CLEAR, state="withdrawn")):
        assert state(flag, ISSUED) is None
        assert state(flag, ISSUED, demanded=True) == "stale"


def test_only_a_higher_version_replaces_a_flag() -> None:
    assert supersedes(CLEAR, None)
    assert supersedes(replace(CLEAR, version=8), CLEAR)
    assert not supersedes(SET, CLEAR)
    assert not supersedes(replace(SET, version=6), CLEAR)


@pytest.mark.parametrize(
    ("changes", "about"),
    [
        ({"expires_us": ISSUED}, "expires before"),
        ({"zone": SET.zone}, "names no zone"),
        ({"state": "withdrawn", "zone": SET.zone}, "names no zone"),
        ({"devices": []}, "devices"),
        ({"devices": ["er-1"] * (MAX_DEVICES + 1)}, "devices"),
        ({"devices": ["Not A Name"]}, "devices"),
    ],
)
def test_a_flag_that_contradicts_itself_is_not_signed(changes: dict[str, object], about: str) -> None:
    with pytest.raises(FormatError, match=about):
        sign_hazard_flag(replace(CLEAR, **changes), KEY)


def test_the_longest_list_of_the_longest_names_has_room() -> None:
    names = [f"{number:064d}" for number in range(MAX_DEVICES)]
    assert sign_hazard_flag(replace(SET, devices=names), KEY)

"""Contacts and indicators: the real gpiozero classes on mock pins, and the absent ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hardware_lanes import eventually

from agent.errors import HardwareError
from agent.hardware.absent import AbsentContact, AbsentIndicator
from agent.hardware.parts import OFF, Contact, Drivable, Edge, Indicator, Pattern
from agent.hardware.pi.gpio import GpioContact, GpioIndicator, buzzer, lamp
from agent.hardware.simulated.controls import SimulatedContact, open_mock


@pytest.fixture
def board() -> Iterator[Any]:
    made = open_mock()
    yield made
    made.close()


@pytest.fixture(params=[False, True], ids=["closes", "opens"])
def contact(request: pytest.FixtureRequest, board: Any) -> Iterator[SimulatedContact]:
    made = SimulatedContact(17, board, opens=request.param)
    yield made
    made.close()


@pytest.fixture(params=[lamp, buzzer], ids=["lamp", "buzzer"])
def indicator(request: pytest.FixtureRequest, board: Any) -> Iterator[GpioIndicator]:
    made = request.param(24, board)
    yield made
    made.close()


def test_a_contact_is_at_rest_until_driven_and_reads_what_it_was_driven_to(contact: SimulatedContact) -> None:
    assert isinstance(contact, Drivable)
    states = [contact.active]
    for wanted in (True, False):
        contact.drive(wanted)
        states.append(contact.active)
    assert states == [False, True, False]


def test_every_edge_is_delivered_raw_with_its_moment_however_close(contact: SimulatedContact) -> None:
    edges: list[Edge] = []
    contact.listen(edges.append)
    before = time.monotonic_ns()
    for wanted in (True, False, True, True, False):
        contact.drive(wanted)
    assert [edge.active for edge in edges] == [True, False, True, False]
    stamps = [edge.at_ns for edge in edges]
    assert before <= stamps[0] and stamps == sorted(stamps) and stamps[-1] <= time.monotonic_ns()


def test_an_open_circuit_reads_as_active_where_the_switch_opens_on_hazard(board: Any) -> None:
    """A cut wire leaves the pull-up alone on the pin: the hazard counts as set (R13.1)."""
    untouched = GpioContact(22, board, opens=True)
    assert untouched.active
    untouched.close()


def test_a_closed_contact_says_so_and_may_be_closed_again(contact: SimulatedContact) -> None:
    contact.close()
    contact.close()
    with pytest.raises(HardwareError):
        _ = contact.active


def test_two_parts_on_one_pin_are_refused(board: Any) -> None:
    first = GpioContact(17, board)
    with pytest.raises(HardwareError, match="17"):
        lamp(17, board)
    first.close()


def test_an_indicator_goes_on_steadily_and_off(indicator: GpioIndicator, board: Any) -> None:
    indicator.show(Pattern(1))
    assert board.pin(24).state
    indicator.show(OFF)
    assert not board.pin(24).state


def test_a_pattern_runs_as_often_as_it_says_and_then_stays_off(indicator: GpioIndicator, board: Any) -> None:
    pin = board.pin(24)
    indicator.show(Pattern(10, 10, times=3))
    eventually(lambda: [state.state for state in pin.states] == [False, True, False, True, False, True, False])


def test_one_long_pulse_ends(indicator: GpioIndicator, board: Any) -> None:
    pin = board.pin(24)
    indicator.show(Pattern(20, times=1))
    eventually(lambda: [state.state for state in pin.states] == [False, True, False])


def test_a_new_pattern_replaces_the_running_one_at_once(indicator: GpioIndicator, board: Any) -> None:
    indicator.show(Pattern(5000, 5000))
    before = time.monotonic()
    indicator.show(OFF)
    assert time.monotonic() - before < 1
    assert not board.pin(24).state


def test_closing_an_indicator_switches_it_off(indicator: GpioIndicator, board: Any) -> None:
    indicator.show(Pattern(1))
    indicator.close()
    indicator.close()
    assert [state.state for state in board.pin(24).states][-1] is False
    with pytest.raises(HardwareError):
        indicator.show(Pattern(1))


def test_absent_controls_do_nothing_and_nobody_can_drive_them() -> None:
    button: Contact = AbsentContact()
    light: Indicator = AbsentIndicator()
    button.listen(lambda edge: pytest.fail("an edge from nowhere"))
    light.show(Pattern(100))
    assert not button.active
    assert not isinstance(button, Drivable)
    button.close()
    light.close()

"""The officer's hands: edges of two buttons become gestures; a request over the socket moves a simulated one's pin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from agent.hardware.parts import Contact, Drivable, Edge
from agent.recorder.gestures import Gesture, GestureState, on_edge, on_time

ButtonName = Literal["record", "photo"]
BUTTONS: Final[tuple[ButtonName, ...]] = ("record", "photo")


@dataclass(frozen=True, slots=True)
class Made:
    """A gesture on a button."""

    button: ButtonName
    gesture: Gesture


class Hands:
    """Both buttons. Belongs to the main loop."""

    def __init__(self, record: Contact, photo: Contact) -> None:
        self._contacts: dict[ButtonName, Contact] = {"record": record, "photo": photo}
        self._states = {name: GestureState() for name in BUTTONS}
        self._releases: list[tuple[int, Drivable]] = []
        """Simulated buttons that are to come up again, and when (CLOCK_MONOTONIC ns)."""

    def edge(self, button: ButtonName, edge: Edge) -> Iterator[Made]:
        """One edge."""
        self._states[button], gesture = on_edge(self._states[button], edge)
        if gesture:
            yield Made(button, gesture)

    def time(self, now_ns: int) -> Iterator[Made]:
        """Time passes: a button that is still down may have become a hold."""
        for button, contact in self._contacts.items():
            self._states[button], gesture = on_time(self._states[button], now_ns, contact.active)
            if gesture:
                yield Made(button, gesture)
        for due in [one for one in self._releases if one[0] <= now_ns]:
            self._releases.remove(due)
            due[1].drive(False)

    def touch(self, button: ButtonName, now_ns: int, hold_ns: int) -> Iterator[Made]:
        """Presses a button; a simulated one by its pin, so that the road is the same as for a finger."""
        contact = self._contacts[button]
        if isinstance(contact, Drivable):
            contact.drive(True)
            self._releases.append((now_ns + hold_ns, contact))
        else:
            yield Made(button, Gesture.PRESS)

"""Stand-ins for controls that the configuration says this computer does not have; stamped as "none"."""

from __future__ import annotations

from collections.abc import Callable

from agent.hardware.parts import Edge, Pattern


class AbsentContact:
    """A contact that nobody can touch: never active, no edges. See ``Contact``."""

    @property
    def active(self) -> bool:
        """Never."""
        return False

    def listen(self, deliver: Callable[[Edge], None]) -> None:
        """Nothing will ever be delivered."""

    def close(self) -> None:
        """Nothing to give back."""


class AbsentIndicator:
    """A lamp or buzzer that is not there. See ``Indicator``."""

    def show(self, pattern: Pattern) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Nothing to give back."""

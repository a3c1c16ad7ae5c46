"""Loading PortAudio, and the one lock around its calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from agent.errors import HardwareError, HardwareLibraryMissingError
from agent.hardware.delivery import bounded

_CALLS = threading.Lock()
"""PortAudio's own calls are not safe against each other from several threads; its callbacks are outside of this."""


def load() -> Any:
    """The module ``sounddevice``; raises HardwareLibraryMissingError, also when its C library is not there."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the wrapper is there, libportaudio is not
        raise HardwareLibraryMissingError(
            f"sound needs sounddevice and PortAudio: sudo apt install libportaudio2; pip install sounddevice ({error})"
        ) from error
    return sounddevice


def portaudio_call(what: str, call: Callable[[], object]) -> None:
    """One PortAudio call on its own, within a limit; raises HardwareError when it fails or hangs."""

    def alone() -> None:
        with _CALLS:
            call()

    bounded(what, alone)


def first_accepted(
    what: str, candidates: list[tuple[int, int]], check: Callable[[int, int], object]
) -> tuple[int, int]:
    """The first (rate, channels) that ``check`` accepts; raises HardwareError with the first refusal."""
    refusal: HardwareError | None = None
    for rate, channels in candidates:
        try:
            portaudio_call(what, lambda rate=rate, channels=channels: check(rate, channels))  # type: ignore[misc]
        except HardwareError as error:
            refusal = refusal or error
        else:
            return rate, channels
    raise refusal or HardwareError(f"{what}: nothing to try")

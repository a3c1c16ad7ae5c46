"""Loading PortAudio, and the one lock around its calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from agent.errors import HardwareError, HardwareLibraryMissingError
from agent.hardware.delivery import bounded

_CALLS = threading.Lock()
"""PortAudio's own calls are not safe against each other from several threads; its callbacks are outside of this."""
_OPEN: list[Any] = []
"""Streams that are open; changed only under the lock."""

T = TypeVar("T")


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


def opened(stream: Any) -> None:
    """To be called within the ``portaudio_call`` that opens ``stream``."""
    _OPEN.append(stream)


def close_stream(what: str, stream: Any) -> None:
    """Ends and closes a stream; raises HardwareError where its driver fails or hangs."""

    def close() -> None:
        # Aborting first: closing a stream that still plays would wait for its end.
        stream.abort()
        stream.close()
        _OPEN.remove(stream)

    portaudio_call(f"{what} close", close)


def found_again(what: str, call: Callable[[], T]) -> T:
    """``call``; where that raises HardwareError, once more with the devices listed anew.

    PortAudio lists them once: what is plugged in later, or again, is not there for it. Listing ends every stream, so
    it is done only while none is open; and where PortAudio hangs, nothing is tried again.
    """
    try:
        return call()
    except HardwareError:
        if _CALLS.locked():
            raise
        portaudio_call(f"{what}: devices", _list_anew)
        return call()


def _list_anew() -> None:
    if not _OPEN:
        library = load()
        library._terminate()
        library._initialize()


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
            if _CALLS.locked():  # it hangs: the next question would, too
                break
        else:
            return rate, channels
    raise refusal or HardwareError(f"{what}: nothing to try")

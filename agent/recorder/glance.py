"""R12.2: looks for the code of an assignment in the pictures that are thrown away while the camera warms up.

The officer holds the code before the camera and presses; nothing of these pictures is kept (R12.1).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import av
import zxingcpp

from agent.hardware.parts import VideoFrame

LOOK_SECONDS: Final = 0.2
"""At most five looks a second: what a small processor can spare while the notice plays."""
_FORMATS: Final = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
MAX_CODE_CHARACTERS: Final = 4_296
"""What the largest QR code holds."""


@dataclass(frozen=True, slots=True)
class CodeSeen:
    """A code's text, not yet judged."""

    text: str


def read_code(picture: av.VideoFrame) -> str | None:
    """The text of a QR code in the picture; None when there is none that can be read."""
    grey = picture.reformat(format="gray").to_ndarray()
    for found in zxingcpp.read_barcodes(grey, formats=_FORMATS):
        if 0 < len(found.text) <= MAX_CODE_CHARACTERS:
            return str(found.text)
    return None


class Glance:
    """Looks at the newest picture only, on a thread of its own; each text is posted once."""

    def __init__(self, post: Callable[[CodeSeen], None]) -> None:
        self._post = post
        self._newest: VideoFrame | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="glance", daemon=True)
        self._thread.start()

    def show(self, frame: VideoFrame) -> None:
        """A picture that is thrown away; any thread, never waits."""
        self._newest = frame

    def close(self) -> None:
        """Looks no more; returns at once. Harmless when repeated."""
        self._stopping.set()
        self._newest = None

    def _run(self) -> None:
        seen: set[str] = set()
        while not self._stopping.wait(LOOK_SECONDS):
            frame, self._newest = self._newest, None
            text = read_code(frame.picture) if frame is not None else None
            if text is not None and text not in seen and not self._stopping.is_set():
                seen.add(text)
                self._post(CodeSeen(text))

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

from agent.errors import HardwareError
from agent.evidence.dispatch import MAX_CODE_CHARACTERS, may_be_assignment
from agent.hardware.parts import EncodedPicture, VideoFrame
from agent.recorder.stills import decoded

LOOK_SECONDS: Final = 0.2
"""At most five looks a second: what a small processor can spare while the notice plays."""
_FORMATS: Final = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
MOST_POSTED: Final = 8
"""A screen that shows one code after another keeps nobody busy."""


@dataclass(frozen=True, slots=True)
class CodeSeen:
    """A code's text, not yet judged."""

    text: str


def read_codes(picture: av.VideoFrame) -> list[str]:
    """The texts of all QR codes in the picture that can be read."""
    grey = picture.reformat(format="gray").to_ndarray()
    texts = [str(found.text) for found in zxingcpp.read_barcodes(grey, formats=_FORMATS)]
    return [text for text in texts if 0 < len(text) <= MAX_CODE_CHARACTERS]


def _codes(frame: VideoFrame | EncodedPicture | None) -> list[str]:
    try:
        raw = decoded(frame) if isinstance(frame, EncodedPicture) else frame
    except HardwareError:
        return []  # the next keyframe is looked at instead
    return read_codes(raw.picture) if raw else []


class Glance:
    """Looks at the newest picture only, on a thread of its own.

    Codes that are not ours are passed over in silence: in a street there are many. What could be ours is posted once,
    and at most MOST_POSTED of one glance.
    """

    def __init__(self, post: Callable[[CodeSeen], None]) -> None:
        self._post = post
        self._newest: VideoFrame | EncodedPicture | None = None
        self._posted: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="glance", daemon=True)
        self._thread.start()

    def show(self, frame: VideoFrame | EncodedPicture) -> None:
        """A picture that is thrown away, whole by itself; any thread, never waits."""
        self._newest = frame

    def close(self) -> None:
        """Looks no more; returns at once. Harmless when repeated."""
        self._stopping.set()
        self._newest = None

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            frame, self._newest = self._newest, None
            for text in _codes(frame):
                self._consider(text)

    def _consider(self, text: str) -> None:
        known = text in self._posted or len(self._posted) >= MOST_POSTED
        if not known and may_be_assignment(text) and not self._stopping.is_set():
            self._posted.add(text)
            self._post(CodeSeen(text))

"""Capture of one recording: camera and microphone threads enqueue, one encoder thread encodes, seals and reports.

Until ``hold_from`` nothing that the parts deliver is kept, not even in memory (R12.1, no pre-event buffer); until
``store`` nothing is encoded. All reports go through ``post``, which only enqueues.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import av

from agent.errors import HardwareError, RecorderError, StorageError
from agent.evidence.entries import Gap, Segment
from agent.evidence.fragments import Fragment
from agent.hardware.parts import AudioBlock, AudioFormat, Camera, Microphone, VideoFrame
from agent.recorder.encoder import Encoder, EncoderSettings
from agent.recorder.levels import SoundLevel, level_of
from agent.recorder.machine import CaptureEnded, PartLost, SegmentSealed
from agent.recorder.segments import SegmentSink

MAX_FRAMES_WAITING: Final = 24
MAX_BLOCKS_WAITING: Final = 400
END_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class StillTaken:
    """A picture asked for, raw; the main loop has it sealed."""

    recording: str
    frame: VideoFrame
    at_us: int


Report = CaptureEnded | PartLost | SegmentSealed | StillTaken


@dataclass(slots=True)
class _Waiting:
    """What the parts delivered and the encoder has not taken yet; bounded, and what does not fit is counted."""

    items: deque[VideoFrame | AudioBlock] = field(default_factory=deque)
    frames: int = 0
    blocks: int = 0
    dropped: int = 0

    def put(self, item: VideoFrame | AudioBlock) -> None:
        if isinstance(item, VideoFrame):
            if self.frames >= MAX_FRAMES_WAITING:
                self.dropped += 1
                return
            self.frames += 1
        elif self.blocks < MAX_BLOCKS_WAITING:
            self.blocks += 1
        else:
            return  # the encoder fills the hole with silence at the right place
        self.items.append(item)

    def take(self) -> VideoFrame | AudioBlock | None:
        if not self.items:
            return None
        item = self.items.popleft()
        if isinstance(item, VideoFrame):
            self.frames -= 1
        else:
            self.blocks -= 1
        return item


class Capture:
    """One recording from warm camera to sealed last segment. The main loop calls its methods; none waits long."""

    def __init__(
        self,
        recording: str,
        camera: Camera,
        microphone: Microphone | None,
        settings: EncoderSettings,
        sink: SegmentSink,
        post: Callable[[Report], None],
        stills_only: bool = False,
        hears: Callable[[AudioBlock], None] | None = None,
    ) -> None:
        """``hears`` gets the microphone's blocks until ``hold_from``, to measure the notice; it only enqueues."""
        self.recording = recording
        self._camera, self._microphone = camera, microphone
        self._settings, self._sink, self._post = settings, sink, post
        self.stills_only = stills_only
        self._ready = threading.Condition()
        self._waiting = _Waiting()
        self._gate_ns: int | None = None
        self._storing = self._ending = self._abandoned = False
        self._stills_wanted = 0
        self._hears = hears
        self.sound_level: SoundLevel | None = None
        """Of the newest block, also while warming up; None without a microphone."""
        self._origin_ns: int | None = None
        self._last_ns = 0
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)

    @property
    def sound(self) -> AudioFormat | None:
        """What the microphone delivers; None without one."""
        return self._microphone.format if self._microphone else None

    def warm_up(self) -> None:
        """Starts the parts; their frames are thrown away. Raises HardwareError when the camera cannot start."""
        self._camera.start(self._on_frame, lambda error: self._on_fault("camera", error))
        if self._microphone:
            try:
                self._microphone.start(self._on_block, lambda error: self._on_fault("microphone", error))
            except HardwareError as error:
                self._on_fault("microphone", error)
        self._thread.start()

    def hold_from(self, from_us: int) -> None:
        """From this monotonic moment on what is captured waits in memory."""
        with self._ready:
            self._gate_ns = from_us * 1000

    def store(self) -> None:
        """The recording is open: what waits is encoded and stored."""
        with self._ready:
            self._storing = True
            self._ready.notify_all()

    def want_still(self) -> None:
        """The next frame is reported as a still."""
        with self._ready:
            self._stills_wanted += 1

    def finish(self) -> None:
        """Stops the parts; everything waiting is stored, then ``CaptureEnded`` is posted."""
        self._stop_parts()
        with self._ready:
            self._ending = True
            self._ready.notify_all()

    def abandon(self) -> None:
        """Stops the parts and throws everything away; nothing is posted. Harmless after the end."""
        self._stop_parts()
        with self._ready:
            self._abandoned = self._ending = True
            self._ready.notify_all()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)

    def media_us(self, now_us: int) -> int:
        """Media time of a monotonic moment; 0 before the first frame."""
        return max(0, now_us - self._origin_ns // 1000) if self._origin_ns is not None else 0

    @property
    def last_frame_ns(self) -> int:
        """Capture time of the newest frame delivered (also while warming up); 0 before any."""
        return self._last_ns

    @property
    def dropped(self) -> int:
        """Frames that found no room because the encoder was behind."""
        return self._waiting.dropped

    def _stop_parts(self) -> None:
        self._camera.stop()
        if self._microphone:
            self._microphone.stop()

    def _on_frame(self, frame: VideoFrame) -> None:
        with self._ready:
            self._last_ns = frame.captured_ns
            self._keep(frame)

    def _on_block(self, block: AudioBlock) -> None:
        self.sound_level = level_of(block, self.sound_level)
        with self._ready:
            if self._gate_ns is None and self._hears:
                self._hears(block)
            self._keep(block)

    def _keep(self, item: VideoFrame | AudioBlock) -> None:
        if self._gate_ns is not None and item.captured_ns >= self._gate_ns and not self._ending:
            self._waiting.put(item)
            self._ready.notify_all()

    def _on_fault(self, part: str, error: HardwareError) -> None:
        cause = "camera" if part == "camera" else "microphone"
        gap = Gap(self.recording, cause, None, 0)  # type: ignore[arg-type]
        self._post(PartLost(gap, ends_recording=part == "camera", why=str(error)))

    def _next(self) -> VideoFrame | AudioBlock | None:
        """The next item to encode; None when the recording is over. Waits in bounded steps."""
        with self._ready:
            while True:
                if self._abandoned:
                    return None
                if self._storing and (item := self._waiting.take()):
                    return item
                if self._ending:
                    return None
                self._ready.wait(1.0)

    def _run(self) -> None:
        try:
            self._encode_all()
        except StorageError as error:
            self._fail("storage", error)
        except (RecorderError, av.error.FFmpegError, ValueError) as error:
            self._fail("encoder", error)
        if not self._abandoned:
            sink = self._sink
            self._post(CaptureEnded(self.recording, sink.count, sink.frames, self.dropped, sink.duration_us))

    def _fail(self, cause: str, error: Exception) -> None:
        """Ends the recording from inside: what is whole stays, the rest is said to be missing."""
        try:
            self._sink.salvage()
        except StorageError as second:
            # The piece stays under its working name for the next start to recover; the recording must end either way.
            error.add_note(f"and what was there could not be kept: {second}")
        gap = Gap(self.recording, cause, None, 0)  # type: ignore[arg-type]
        self._post(PartLost(gap, ends_recording=True, why=str(error)))
        with self._ready:
            self._ending = True

    def _encode_all(self) -> None:
        encoder = Encoder(self._camera.format, self.sound, self._settings)
        while (item := self._next()) is not None:
            if isinstance(item, AudioBlock):
                self._write(encoder, encoder.add_block(item))
                continue
            self._mark_origin(item)
            self._still(item)
            if not self.stills_only:
                self._write(encoder, encoder.add_frame(item))
        if not self._abandoned:
            self._write(encoder, encoder.finish())
            self._sink.finish()

    def _mark_origin(self, frame: VideoFrame) -> None:
        if self._origin_ns is None:
            self._origin_ns = frame.captured_ns
            self._sink.origin_us = frame.captured_ns // 1000

    def _still(self, frame: VideoFrame) -> None:
        with self._ready:
            wanted, self._stills_wanted = self._stills_wanted > 0, max(0, self._stills_wanted - 1)
        if wanted:
            self._post(StillTaken(self.recording, frame, self.media_us(frame.captured_ns // 1000)))

    def _write(self, encoder: Encoder, fragments: list[Fragment]) -> None:
        for fragment in fragments:
            self._sink.add(encoder.init, fragment)


def sealed_report(post: Callable[[Report], None]) -> Callable[[Segment], None]:
    """What a SegmentSink calls: posts the segment."""
    return lambda segment: post(SegmentSealed(segment))

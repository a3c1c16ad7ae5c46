"""Capture of one recording: the parts' threads enqueue, one encoder thread encodes, seals and reports, one thread
watches the parts.

Until ``hold_from`` nothing that the parts deliver is kept, not even in memory (R12.1, no pre-event buffer); until
``store`` nothing is encoded. All reports go through ``post``, which only enqueues.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import av

from agent.errors import HardwareError, RecorderError, StorageError, StorageFullError
from agent.evidence.entries import Gap, Segment
from agent.hardware.parts import (
    AudioBlock,
    AudioFormat,
    Camera,
    EncodedPicture,
    Microphone,
    PacketCamera,
    VideoFrame,
)
from agent.recorder.encoder import Encoder
from agent.recorder.feed import AnyFeed, Feed, Missing
from agent.recorder.levels import SoundLevel, level_of
from agent.recorder.machine import CaptureEnded, PartLost, SegmentSealed
from agent.recorder.muxing import Film, Item, Piece
from agent.recorder.packets import StreamCopy
from agent.recorder.segments import SegmentSink
from agent.recorder.settings import EncoderSettings
from agent.recorder.stills import decoded
from agent.recorder.waiting import Waiting
from agent.recorder.watch import Limits, limits_at
from agent.system.memory import give_back

END_SECONDS: Final = 20.0
WATCH_SECONDS: Final = 0.1
LOST_NS: Final = 10_000_000_000
"""A part that the recording cannot do without may be silent for so long."""
STREAM_LOST_NS: Final = 120_000_000_000
"""The same for a fixed camera: it may be starting anew, as may the network between."""
STUCK_NS: Final = 20_000_000_000
"""So long may the encoder take over one picture: a card that stalls for longer is broken."""
OVERLOAD_NS: Final = 10_000_000_000
"""Dropped pictures are reported at most so often while recording."""
Cause = Literal["camera", "microphone", "storage", "overload", "encoder"]


@dataclass(frozen=True, slots=True)
class StillTaken:
    """A picture asked for, raw; the main loop has it sealed."""

    recording: str
    frame: VideoFrame
    at_us: int


Report = CaptureEnded | PartLost | SegmentSealed | StillTaken


class Capture:
    """One recording from warm parts to sealed last segment. The main loop calls its methods; none waits long.

    ``camera`` None records sound alone. A camera that encodes by itself is copied, not encoded; its own sound, where
    it has one, is taken instead of the microphone's. ``lost_ns``: how long the part that the recording cannot do
    without may be silent before the recording is ended.
    """

    def __init__(
        self,
        recording: str,
        camera: Camera | PacketCamera | None,
        microphone: Microphone | None,
        settings: EncoderSettings,
        sink: SegmentSink,
        post: Callable[[Report], None],
        stills_only: bool = False,
        hears: Callable[[AudioBlock], None] | None = None,
        sees: Callable[[VideoFrame | EncodedPicture], None] | None = None,
        lost_ns: int = LOST_NS,
    ) -> None:
        """``hears`` gets the microphone's blocks until ``hold_from``, to measure the notice; ``sees`` the pictures, to
        look for a code. Both only enqueue.
        """
        self.recording = recording
        self._camera, self._settings, self._sink, self._post = camera, settings, sink, post
        self._own_sound = camera.sound if isinstance(camera, PacketCamera) else None
        self._microphone = None if self._own_sound else microphone
        self.stills_only = stills_only
        self._ready = threading.Condition()
        self._waiting = Waiting()
        self._gate_ns: int | None = None
        self._storing = self._ending = self._abandoned = False
        self._asked_again = False
        self._stills_wanted = 0
        self._hears, self._sees = hears, sees
        self.sound_level: SoundLevel | None = None
        """Of the newest block, also while warming up; None without sound."""
        self._origin_ns: int | None = None
        self._feeds = self._make_feeds(lost_ns)
        sink.before_sealed = self._report_overload
        self._busy_since_ns: int | None = None
        self._watched_ns = time.monotonic_ns()
        self._reported_drops = self._reported_blocks = 0
        self._next_overload_ns = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._watch_thread = threading.Thread(target=self._watch, name="capture watch", daemon=True)

    def _make_feeds(self, lost_ns: int) -> dict[Cause, AnyFeed]:
        feeds: dict[Cause, AnyFeed] = {}
        if self._camera is not None:
            limits = limits_at(self._camera.format.frames_per_second, lost_ns)
            feeds["camera"] = Feed("camera", self._camera, self._on_item, limits, _begins)
        if self._microphone:
            patient = Limits(lost_ns=None, pause_ns=10_000_000_000)
            limits = Limits(lost_ns=lost_ns) if self._camera is None else patient
            feeds["microphone"] = Feed("microphone", self._microphone, self._on_block, limits)
        return feeds

    @property
    def leading(self) -> Cause:
        """The part that the recording cannot do without."""
        return "microphone" if self._camera is None else "camera"

    @property
    def sound(self) -> AudioFormat | None:
        """The format of the sound recorded; None without one."""
        return self._own_sound or (self._microphone.format if self._microphone else None)

    def warm_up(self) -> None:
        """Starts the parts; what they deliver is thrown away. Raises HardwareError when the one that the recording
        cannot do without does not start; a microphone beside a camera is tried again while the recording goes on."""
        first, *others = self._feeds.values()
        first.start()
        for feed in others:
            try:
                feed.start()
            except HardwareError:
                continue  # the feed knows, and its watch reports it when the recording begins
        self._thread.start()
        self._watch_thread.start()

    def hold_from(self, from_us: int) -> None:
        """From this monotonic moment on what is captured waits in memory."""
        with self._ready:
            self._gate_ns = from_us * 1000
        if isinstance(self._camera, PacketCamera):
            self._camera.request_keyframe()

    def store(self) -> None:
        """The recording is open: what waits is encoded and stored."""
        with self._ready:
            self._storing = True
            self._ready.notify_all()

    def want_still(self) -> None:
        """The next picture is reported as a still; without a camera nothing happens."""
        if self._camera is not None:
            with self._ready:
                self._stills_wanted += 1

    def finish(self) -> None:
        """Stops the parts; everything waiting is stored, then ``CaptureEnded`` is posted."""
        self._stop_parts()
        self._end()

    def abandon(self) -> None:
        """Stops the parts and throws everything away; nothing is posted. Harmless after the end."""
        self._stop_parts()
        self._abandoned = True
        self._end()
        for thread in (self._thread, self._watch_thread):
            if thread.is_alive():
                thread.join(END_SECONDS)
        for feed in self._feeds.values():
            feed.join()

    def _end(self) -> None:
        with self._ready:
            self._ending = True
            self._ready.notify_all()

    def media_us(self, now_us: int) -> int:
        """Media time of a monotonic moment; 0 before the first frame."""
        return max(0, now_us - self._origin_ns // 1000) if self._origin_ns is not None else 0

    @property
    def last_frame_ns(self) -> int:
        """Capture time of the newest delivery (also while warming up) of the leading part; 0 before any."""
        return next(iter(self._feeds.values())).captured_ns

    @property
    def dropped(self) -> int:
        """Frames that found no room because the encoder was behind."""
        return self._waiting.dropped

    def flowing(self, now_ns: int) -> bool:
        """Whether this capture's own threads do their work; a part that is silent is another matter, and is reported.

        For the watchdog: False means that only a new process can help.
        """
        busy_since_ns = self._busy_since_ns
        stuck = busy_since_ns is not None and now_ns - busy_since_ns > STUCK_NS
        blind = self._watch_thread.is_alive() and now_ns - self._watched_ns > STUCK_NS
        return not stuck and not blind

    def _stop_parts(self) -> None:
        for feed in self._feeds.values():
            feed.stop()

    def _on_block(self, block: AudioBlock) -> None:
        if self._gate_ns is None and self._hears:
            self._hears(block)
        self._on_item(block)

    def _on_item(self, item: Item) -> None:
        if isinstance(item, AudioBlock):
            self.sound_level = level_of(item, self.sound_level)
        elif self._gate_ns is None and self._sees and _begins(item):
            self._sees(item)
        with self._ready:
            if self._gate_ns is not None and item.captured_ns >= self._gate_ns and not self._ending:
                self._waiting.put(item)
                self._ask_again(item)
                self._ready.notify_all()

    def _ask_again(self, item: Item) -> None:
        """The keyframe asked for at the end of the notice may have been exposed before it: then another is due."""
        coded = isinstance(item, EncodedPicture) and isinstance(self._camera, PacketCamera)
        if coded and self._waiting.needs_keyframe and not self._asked_again:
            self._asked_again = True
            self._camera.request_keyframe()  # type: ignore[union-attr]

    # The watch

    def _watch(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            self.look(time.monotonic_ns())

    def look(self, now_ns: int) -> None:
        """One look at the parts and at the queue; the watch thread's own."""
        self._watched_ns = now_ns
        if self._ending:
            return
        for cause, feed in self._feeds.items():
            if missing := feed.look(now_ns, self._gate_ns):
                self._report_missing(cause, missing)
        if now_ns >= self._next_overload_ns and self._report_overload():
            self._next_overload_ns = now_ns + OVERLOAD_NS

    def _report_missing(self, cause: Cause, missing: Missing) -> None:
        self._lose(cause, missing.missing_us, ends=missing.state == "lost", why=f"{missing.state}: {missing.why}")

    def _lose(
        self, cause: Cause, missing_us: int | None, *, ends: bool, why: str, dropped: int = 0, full: bool = False
    ) -> None:
        gap = Gap(self.recording, cause, missing_us, dropped)
        self._post(PartLost(gap, ends_recording=ends, why=why, full=full))

    def _report_overload(self) -> bool:
        """Reports what has been dropped since the last report; False when that is nothing."""
        with self._ready:
            dropped = self._waiting.dropped - self._reported_drops
            blocks = self._waiting.dropped_blocks - self._reported_blocks
            self._reported_drops, self._reported_blocks = self._waiting.dropped, self._waiting.dropped_blocks
        if dropped or blocks:
            why = f"the encoder is behind: {dropped} pictures and {blocks} blocks of sound dropped"
            self._lose("overload", None, ends=False, why=why, dropped=dropped)
        return bool(dropped or blocks)

    # The encoder's thread

    def _next(self) -> Item | None:
        """The next item to encode; None when the recording is over. Waits in bounded steps."""
        with self._ready:
            self._busy_since_ns = None
            while not self._abandoned:
                if self._storing and (item := self._waiting.take()):
                    self._busy_since_ns = time.monotonic_ns()
                    return item
                if self._ending:
                    return None
                self._ready.wait(1.0)
        return None

    def _run(self) -> None:
        self._encode_and_report()
        give_back()

    def _encode_and_report(self) -> None:
        try:
            self._encode_all()
        except StorageError as error:
            self._fail("storage", error)
        except (RecorderError, av.error.FFmpegError, ValueError) as error:
            self._fail("encoder", error)
        self._busy_since_ns = None
        self._over.set()
        if self._abandoned:
            return
        self._report_overload()
        for feed in self._feeds.values():
            feed.join()
        sink = self._sink
        self._post(CaptureEnded(self.recording, sink.count, sink.frames, self.dropped, sink.duration_us))

    def _fail(self, cause: Cause, error: Exception) -> None:
        """Ends the recording from inside: what is whole stays, the rest is said to be missing."""
        try:
            self._sink.salvage()
        except StorageError as second:
            # The piece stays under its working name for the next start to recover; the recording must end either way.
            error.add_note(f"and what was there could not be kept: {second}")
        self._lose(cause, None, ends=True, why=str(error), full=isinstance(error, StorageFullError))
        self._end()

    def _open_film(self) -> Film:
        camera, settings = self._camera, self._settings
        if isinstance(camera, PacketCamera):
            return StreamCopy(camera.format, self.sound, settings.sound_bit_rate)
        return Encoder(camera.format if camera else None, self.sound, settings)

    def _encode_all(self) -> None:
        film = self._open_film()
        while (item := self._next()) is not None:
            if not isinstance(item, AudioBlock):
                self._mark_origin(item.captured_ns)
                self._still(item)
            if not self.stills_only:
                pieces = film.add(item)
                if film.first_ns is not None:
                    self._mark_origin(film.first_ns)
                self._write(pieces)
        if not self._abandoned:
            self._write(film.end())
            self._sink.finish()

    def _mark_origin(self, first_ns: int) -> None:
        if self._origin_ns is None:
            self._origin_ns = first_ns
            self._sink.origin_us = first_ns // 1000

    def _still(self, picture: VideoFrame | EncodedPicture) -> None:
        if isinstance(picture, EncodedPicture) and not picture.keyframe:
            return
        with self._ready:
            wanted, self._stills_wanted = self._stills_wanted > 0, max(0, self._stills_wanted - 1)
        if wanted:
            frame = decoded(picture) if isinstance(picture, EncodedPicture) else picture
            self._post(StillTaken(self.recording, frame, self.media_us(frame.captured_ns // 1000)))

    def _write(self, pieces: list[Piece]) -> None:
        for init, fragment in pieces:
            self._sink.add(init, fragment)


def _begins(item: Item) -> bool:
    """Whether it is a picture whole by itself, from which a recording can go on: not the middle of what was coded."""
    return isinstance(item, VideoFrame) or (isinstance(item, EncodedPicture) and item.keyframe)


def sealed_report(post: Callable[[Report], None]) -> Callable[[Segment], None]:
    """What a SegmentSink calls: posts the segment."""
    return lambda segment: post(SegmentSealed(segment))

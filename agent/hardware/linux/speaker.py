"""A speaker through PortAudio, which counts what the output really took."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agent.errors import HardwareError
from agent.hardware.linux.portaudio import close_stream, first_accepted, found_again, load, opened, portaudio_call
from agent.hardware.parts import PlaybackProof
from agent.hardware.playback import INTERRUPTED, SerialSpeaker, Sound, Started, resample
from agent.hardware.settings import AudioSettings

BUFFER_SECONDS = 0.2
"""Asked of the device: an underrun would spoil the proof of the notice; a little delay spoils nothing."""
FIRST_SAMPLE_LIMIT_SECONDS = 5.0
STALL_LIMIT_SECONDS = 5.0
"""How long the output may take no sample, or drain, before it counts as gone."""


@dataclass(slots=True)
class _Progress:
    """What PortAudio's callbacks note; they do nothing else."""

    sound: Sound
    cut: threading.Event
    consumed: int = 0
    underruns: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    first: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)

    def feed(self, out: Any, underflow: bool) -> bool:
        """Fills one buffer; True when more is to come."""
        if not self.started_ns:
            self.started_ns = time.monotonic_ns()
            self.first.set()
        elif underflow:
            self.underruns += 1
        taken = self.sound.samples[self.consumed : self.consumed + len(out)]
        out[: len(taken)] = taken
        out[len(taken) :] = 0
        self.consumed += len(taken)
        return self.consumed < len(self.sound.samples)

    def finish(self) -> None:
        """The stream is no longer active: PortAudio has drained the device."""
        self.finished_ns = time.monotonic_ns()
        self.finished.set()
        self.first.set()


class PortAudioSpeaker(SerialSpeaker):
    """Opens the output for each sound, at the sound's own rate where the device accepts it. See ``Speaker``.

    A device that goes away in the middle of a sound ends it with a failure; the next sound looks for it again.

    The proof counts in frames at the rate that the device really ran at. ``ended_ns`` adds the latency that PortAudio
    states to the moment the stream was drained, so it is late rather than early.
    """

    def __init__(self, settings: AudioSettings) -> None:
        super().__init__("speaker")
        self._library = load()
        self._settings = settings
        portaudio_call("speaker", lambda: self._library.query_devices(settings.output_device, "output"))

    def _render(self, sound: Sound, cut: threading.Event, started: Started) -> PlaybackProof:
        progress = _Progress(found_again("speaker", lambda: self._as_accepted(sound)), cut)
        streams: list[Any] = []
        portaudio_call("speaker open", lambda: streams.append(self._open(progress)))
        stream = streams[0]
        try:
            portaudio_call("speaker start", stream.start)
            failure = self._follow(progress, started)
            latency_ns = int(stream.latency * 1e9)
        except HardwareError as error:
            failure, latency_ns = str(error), 0
        try:
            close_stream("speaker", stream)
        except HardwareError as error:
            failure = failure or str(error)
        return self._proof(progress, latency_ns, failure)

    def _as_accepted(self, sound: Sound) -> Sound:
        """The sound as the device takes it: as it is if possible, else with two channels or at the set rate."""
        channels = sound.samples.shape[1]
        candidates = [
            (rate, count) for rate in (sound.sample_rate, self._settings.sample_rate) for count in (channels, 2)
        ]

        def check(rate: int, count: int) -> None:
            self._library.check_output_settings(
                device=self._settings.output_device, samplerate=rate, channels=count, dtype="int16"
            )

        rate, count = first_accepted("speaker", candidates, check)
        fitted = resample(sound, rate)
        return fitted if count == channels else Sound(np.repeat(fitted.samples, count // channels, axis=1), rate)

    def _open(self, progress: _Progress) -> Any:
        library = self._library

        def feed(out: Any, frames: int, times: Any, status: Any) -> None:
            if progress.cut.is_set():
                out.fill(0)
                raise library.CallbackAbort
            if not progress.feed(out, status.output_underflow):
                raise library.CallbackStop

        stream = library.OutputStream(
            device=self._settings.output_device,
            samplerate=progress.sound.sample_rate,
            channels=progress.sound.samples.shape[1],
            dtype="int16",
            latency=BUFFER_SECONDS,
            callback=feed,
            finished_callback=progress.finish,
        )
        opened(stream)
        return stream

    def _follow(self, progress: _Progress, started: Started) -> str | None:
        """Waits for the end of the sound; what went wrong, or None."""
        if not progress.first.wait(FIRST_SAMPLE_LIMIT_SECONDS):
            return "the output took no sample"
        started(progress.started_ns)
        if not self._finishes(progress):
            return "the output stalled"
        if progress.cut.is_set() and progress.consumed < len(progress.sound.samples):
            return INTERRUPTED
        return None if progress.consumed == len(progress.sound.samples) else "the output stopped early"

    def _finishes(self, progress: _Progress) -> bool:
        """Waits as long as the output takes samples; False when it took none for STALL_LIMIT_SECONDS."""
        taken, since = progress.consumed, time.monotonic()
        while not progress.finished.wait(0.1):
            if progress.consumed != taken:
                taken, since = progress.consumed, time.monotonic()
            elif time.monotonic() - since > STALL_LIMIT_SECONDS:
                return False
        return True

    def _proof(self, progress: _Progress, latency_ns: int, failure: str | None) -> PlaybackProof:
        ended_ns = time.monotonic_ns()
        if failure is None:
            ended_ns = progress.finished_ns + latency_ns
            # Only now is it true that the sound has ended; a latency of seconds would be a lie of the driver.
            progress.cut.wait(min(2.0, max(0.0, (ended_ns - time.monotonic_ns()) / 1e9)))
        return PlaybackProof(
            frames_total=len(progress.sound.samples),
            frames_consumed=progress.consumed,
            sample_rate=progress.sound.sample_rate,
            underruns=progress.underruns,
            started_ns=progress.started_ns or ended_ns,
            ended_ns=ended_ns,
            failure=failure,
        )

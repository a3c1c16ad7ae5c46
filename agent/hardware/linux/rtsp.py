"""A fixed camera on the network over RTSP: its coded pictures as they come, its sound decoded.

The stream travels over TCP, in the RTSP connection itself, so that no packet is lost on the way unseen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import av
import numpy as np
from av.container import InputContainer

from agent.errors import HardwareError
from agent.hardware.delivery import Gate, Worker
from agent.hardware.h264 import parameter_sets, with_parameter_sets
from agent.hardware.parts import AudioBlock, AudioFormat, CameraFormat, EncodedPicture, FaultHandler
from agent.hardware.settings import StreamSettings

OPEN_SECONDS: Final = 4.0
READ_SECONDS: Final = 2.0
"""Longer than the pause between two pictures, shorter than a stop may take."""
DEFAULT_RATE: Final = 25
JUMP_NS: Final = 2_000_000_000
"""A camera that sets its own clock makes a jump; delays of the network are smaller."""
LEAK: Final = 5_000
"""The two clocks may drift apart by one part in so many (200 ppm; quartz keeps 50)."""
_QUICK: Final = {"rtsp_transport": "tcp", "fflags": "nobuffer", "analyzeduration": "100000"}
_THOROUGH: Final = {"rtsp_transport": "tcp", "analyzeduration": "3000000"}

Delivered = EncodedPicture | AudioBlock


class ArrivalClock:
    """A stream's own stamps as moments of CLOCK_MONOTONIC: by the packets that were delayed least.

    A packet cannot arrive before it was sent, so the smallest difference between arrival and stamp is the best.
    Moments rise as the stamps do; how much the camera itself needs before it sends is not known here.
    """

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        self._last_stamp_ns = 0

    def moment_ns(self, stamp_ns: int, arrived_ns: int) -> int:
        """When the camera sent what bears this stamp, given when it arrived here."""
        offset_ns, step_ns = arrived_ns - stamp_ns, stamp_ns - self._last_stamp_ns
        if self._offset_ns is None or step_ns < 0 or abs(offset_ns - self._offset_ns) > JUMP_NS:
            self._offset_ns = offset_ns
        elif offset_ns < self._offset_ns:
            self._offset_ns = max(offset_ns, self._offset_ns - step_ns // 2)
        else:
            self._offset_ns += min(offset_ns - self._offset_ns, step_ns // LEAK)
        self._last_stamp_ns = stamp_ns
        return stamp_ns + self._offset_ns


class RtspCamera:
    """Connects once to learn the format, lets go, and connects again for each start. See ``PacketCamera``.

    Neither user nor password is ever part of a message.
    """

    def __init__(self, settings: StreamSettings, rate: int | None = None) -> None:
        """``rate`` (pictures a second) is believed more than the stream. Raises HardwareError."""
        self._where = settings.url
        self._address = _with_login(settings)
        self._worker: Worker | None = None
        self._unusable: str | None = None
        with self._open(_THOROUGH) as container:
            self._format = _video_format(container.streams.video[0], rate)
            self._sound = _sound_format(container)

    @property
    def format(self) -> CameraFormat:
        """What the stream said when the camera was opened."""
        return self._format

    @property
    def sound(self) -> AudioFormat | None:
        """The same; None when the stream has no sound."""
        return self._sound

    def _open(self, options: dict[str, str]) -> InputContainer:
        try:
            container = av.open(self._address, options=options, timeout=(OPEN_SECONDS, READ_SECONDS))
        except (OSError, ValueError, av.error.FFmpegError) as error:
            # The library's message holds the address with the password.
            raise HardwareError(f"camera {self._where} cannot be reached: {_reason(error)}") from None
        streams = container.streams.video
        if not streams or streams[0].codec_context.name != "h264":
            container.close()
            what = f"sends {streams[0].codec_context.name}" if streams else "sends no picture"
            raise HardwareError(f"camera {self._where} {what}: set it to H.264")
        return container

    def start(self, deliver: Callable[[Delivered], None], fault: FaultHandler) -> None:
        """See ``PacketCamera.start``."""
        self.stop()
        if self._unusable:
            raise HardwareError(f"camera {self._where}: {self._unusable}")
        container = self._open(_QUICK)
        gate = Gate(deliver, fault)
        self._worker = Worker("rtsp camera", gate, lambda: self._film(container, gate))

    def _film(self, container: InputContainer, gate: Gate[Delivered]) -> None:
        with container:
            try:
                for item in self._items(container):
                    if not gate.is_open:
                        return
                    gate.pass_on(item)
            except (OSError, av.error.FFmpegError) as error:
                raise HardwareError(f"camera {self._where} has gone: {_reason(error)}") from None
        raise HardwareError(f"camera {self._where} has ended its stream")

    def _items(self, container: InputContainer) -> Iterator[Delivered]:
        pictures = _Pictures(container.streams.video[0], self._where)
        sounds = _Sounds(self._sound) if self._sound and container.streams.audio else None
        wanted = [container.streams.video[0], *container.streams.audio[:1]]
        for packet in container.demux(wanted):
            arrived_ns = time.monotonic_ns()
            if packet.pts is None or packet.size == 0:
                continue
            if packet.stream.type == "video":
                yield pictures.take(packet, arrived_ns)
            elif sounds:
                yield from sounds.take(packet, arrived_ns)

    def request_keyframe(self) -> None:
        """RTSP has no word for it: the first stored picture is the camera's next keyframe."""

    def stop(self) -> None:
        """See ``PacketCamera.stop``. A connection that hangs is left behind, and the next start raises."""
        worker, self._worker = self._worker, None
        if worker is not None and not worker.stop():
            self._unusable = "its connection did not end"

    def close(self) -> None:
        """See ``PacketCamera.close``."""
        self.stop()
        self._unusable = self._unusable or "closed"


class _Pictures:
    """Coded pictures with their moments; a keyframe without parameter sets gets those of the stream's description."""

    def __init__(self, stream: Any, where: str) -> None:
        self._where = where
        self._sets = parameter_sets(bytes(stream.codec_context.extradata or b""))
        self._clock = ArrivalClock()
        self._last_ns = 0

    def take(self, packet: Any, arrived_ns: int) -> EncodedPicture:
        captured_ns = self._clock.moment_ns(int(packet.pts * packet.time_base * 1_000_000_000), arrived_ns)
        if captured_ns < self._last_ns and packet.dts is not None and packet.pts != packet.dts:
            raise HardwareError(f"camera {self._where} sends B frames: switch them off (Baseline profile)")
        self._last_ns = captured_ns
        data = bytes(packet)
        if packet.is_keyframe:
            data = with_parameter_sets(data, self._sets)
        return EncodedPicture(data, captured_ns, bool(packet.is_keyframe))


class _Sounds:
    """Decoded blocks with their moments."""

    def __init__(self, sound: AudioFormat) -> None:
        self._sound = sound
        layout = "mono" if sound.channels == 1 else "stereo"
        self._resampler = av.AudioResampler(format="s16", layout=layout, rate=sound.sample_rate)
        self._clock = ArrivalClock()

    def take(self, packet: Any, arrived_ns: int) -> Iterator[AudioBlock]:
        for heard in packet.decode():
            for block in self._resampler.resample(heard):
                samples = block.to_ndarray().reshape(-1, self._sound.channels).astype(np.int16, copy=False)
                length_ns = len(samples) * 1_000_000_000 // self._sound.sample_rate
                begin_ns = int((block.pts or 0) * (block.time_base or 0) * 1_000_000_000)
                # It was sent when its last sample had been taken.
                ended_ns = self._clock.moment_ns(begin_ns + length_ns, arrived_ns)
                yield AudioBlock(samples, ended_ns - length_ns)


def _video_format(stream: Any, rate: int | None) -> CameraFormat:
    width, height = stream.codec_context.width, stream.codec_context.height
    if not width or not height:
        raise HardwareError("the camera does not say the size of its picture")
    said = float(stream.average_rate or stream.guessed_rate or 0)
    return CameraFormat(width, height, rate or (round(said) if 1 <= said <= 120 else DEFAULT_RATE))


def _sound_format(container: InputContainer) -> AudioFormat | None:
    if not container.streams.audio:
        return None
    codec = container.streams.audio[0].codec_context
    return AudioFormat(codec.sample_rate, min(2, codec.channels)) if codec.sample_rate else None


def _with_login(settings: StreamSettings) -> str:
    """The address with user and password; raises HardwareError when the password cannot be read."""
    if settings.user is None or settings.password_file is None:
        return settings.url
    try:
        password = Path(settings.password_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise HardwareError(f"the camera's password cannot be read: {settings.password_file}: {error}") from error
    parts = urlsplit(settings.url)
    login = f"{quote(settings.user, safe='')}:{quote(password, safe='')}@"
    return urlunsplit(parts._replace(netloc=login + parts.netloc))


def _reason(error: Exception) -> str:
    """What went wrong, without the address."""
    return getattr(error, "strerror", None) or type(error).__name__

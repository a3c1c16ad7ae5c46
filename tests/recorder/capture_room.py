"""A camera and a microphone that can be made to falter, an evidence folder, and everything that a capture reported."""

from __future__ import annotations

import queue
import time
from pathlib import Path
from typing import Any

import pyrage
from samples import RECORDING, Enrolled, eventually

from agent.errors import HardwareError
from agent.evidence.folder import EvidenceFolder
from agent.evidence.sealing import recipient_key
from agent.hardware.parts import AudioBlock
from agent.hardware.simulated.camera import SimulatedCamera
from agent.hardware.simulated.microphone import SimulatedMicrophone
from agent.hardware.simulated.stage import Stage, read_clip
from agent.recorder.capture import Capture, sealed_report
from agent.recorder.machine import CaptureEnded, PartLost, SegmentSealed
from agent.recorder.pieces import place_segment
from agent.recorder.segments import SegmentSink
from agent.recorder.settings import EncoderSettings


class Faltering:
    """A part in front of a real one: it can fall silent, say that it is gone, and refuse to start."""

    def __init__(self, part: Any) -> None:
        self.part = part
        self.silent = self.unplugged = False
        self.starts = 0
        self._fault: Any = None

    @property
    def format(self) -> Any:
        return self.part.format

    def start(self, deliver: Any, fault: Any) -> None:
        self.starts += 1
        if self.unplugged:
            raise HardwareError("no such device")
        self._fault = fault
        self.part.start(lambda item: None if self.silent else deliver(item), fault)

    def unplug(self) -> None:
        self.unplugged = True
        self.part.stop()
        self._fault(HardwareError("device gone"))

    def stop(self) -> None:
        self.part.stop()

    def close(self) -> None:
        self.part.close()


class Room:
    """A camera, a microphone, an evidence folder and everything that the capture reported."""

    def __init__(self, folder: Path, footage: Path, enrolled: Enrolled, sound_alone: bool = False) -> None:
        self.stage = Stage(read_clip(footage))
        self.folder = EvidenceFolder(folder)
        self.folder.objects.mkdir()
        self.enrolled = enrolled
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.reports: list[Any] = []
        self.camera = Faltering(SimulatedCamera(self.stage))
        self.microphone = Faltering(SimulatedMicrophone(self.stage))
        keys = [recipient_key(one) for one in enrolled.trust.recipients]
        self.sink = SegmentSink(self.folder, RECORDING, keys, 1_000_000, sealed_report(self.inbox.put))
        self.heard: list[AudioBlock] = []
        self.capture = self.make(None if sound_alone else self.camera)

    def make(self, camera: Any, **more: Any) -> Capture:
        settings = EncoderSettings(preset="ultrafast")
        more.setdefault("hears", self.heard.append)
        return Capture(RECORDING, camera, self.microphone, settings, self.sink, self.inbox.put, **more)

    def begin(self) -> None:
        """Warm, past the notice, storing."""
        warm(self)
        self.capture.hold_from(time.monotonic_ns() // 1000)
        self.capture.store()

    def lost(self, state: str) -> PartLost:
        """The next loss whose reason begins with this word."""
        while not (report := self.until(PartLost)).why.startswith(state):
            pass
        return report

    def end(self) -> CaptureEnded:
        self.capture.finish()
        return self.until(CaptureEnded)

    def until(self, kind: type[Any]) -> Any:
        while True:
            report = self.inbox.get(timeout=20)
            self.reports.append(report)
            if isinstance(report, kind):
                return report

    def of(self, kind: type[Any]) -> list[Any]:
        return [report for report in self.reports if isinstance(report, kind)]

    def films(self) -> list[bytes]:
        """Each segment's film, opened."""
        text = self.enrolled.agekeys[0].read_text()
        secret = next(line for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-1"))
        found = []
        for report in self.of(SegmentSealed):
            place_segment(self.folder, report.segment)
            sealed = self.folder.object_path(report.segment.object).read_bytes()
            found.append(pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(secret)]))
        return found

    def film(self) -> bytes:
        """All of it, one behind the other."""
        return b"".join(self.films())

    def close(self) -> None:
        self.capture.abandon()
        self.camera.close()
        self.microphone.close()


def warm(room: Room) -> None:
    room.capture.warm_up()
    eventually(lambda: room.capture.last_frame_ns, 5, "a delivery")

"""Filming at 1080p30 against ``ffmpeg`` doing the same: same source, same encoder settings, same segments, in turns.

Ours is the capture as the recorder runs it: camera thread, microphone thread, encoder thread, watch, and sealed, synced
segments. ``ffmpeg`` writes plain segments. Each is a whole process, started and ended; its processor time and peak
memory are the operating system's word. Both keep to the clock, so what
counts is the processor time for each picture stored.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Final

import av
import pyrage

from agent.evidence.folder import EvidenceFolder
from agent.evidence.sealing import recipient_key
from agent.hardware.linux.camera import V4l2Camera
from agent.hardware.settings import VideoSettings
from agent.hardware.simulated.microphone import SimulatedMicrophone
from agent.hardware.simulated.stage import Stage, packaged_footage, read_clip
from agent.recorder.capture import Capture, Report
from agent.recorder.machine import CaptureEnded
from agent.recorder.segments import SegmentSink
from agent.recorder.settings import EncoderSettings
from agent.system.durable import make_private_folder
from benchmarks.report import Row, Table
from benchmarks.rig import FRAMES_PER_SECOND, sample_pictures

SIZE: Final = (1920, 1080)
GOAL: Final = 1.2
PICTURES: Final = 60
FEW: Final = 20
"""A round in which more than one picture in so many was dropped does not count, if any other does: a dropped picture
was filmed, but not encoded."""
SEGMENT_SECONDS: Final = 5
MIB: Final = 1024.0
SETTINGS: Final = EncoderSettings()


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process."""

    processor_seconds: float
    peak_rss_kb: int
    frames: int
    dropped: int = 0
    """Pictures for which the machine was too slow: where there are any, the run says little."""

    @property
    def per_frame_ms(self) -> float:
        """Processor time for each stored picture."""
        return self.processor_seconds * 1e3 / self.frames


def raw_clip(path: Path, count: int) -> None:
    """Real pictures, raw, so that reading them costs next to nothing."""
    with av.open(str(path), "w", format="nut") as container:
        stream = container.add_stream("rawvideo", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number, picture in enumerate(sample_pictures(count, *SIZE)):
            picture.pts, picture.time_base = number, Fraction(1, FRAMES_PER_SECOND)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def source(clip: Path) -> str:
    """The camera, as an input device of FFmpeg: the clip again and again, at its rate, by the clock."""
    return f"movie={clip}:loop=0,setpts=N/({FRAMES_PER_SECOND}*TB),realtime"


def film(clip: Path, seconds: float, folder: Path) -> CaptureEnded:
    """In a process of its own: one recording, as long as told, by the recorder's own capture."""
    evidence = EvidenceFolder(folder / "evidence")
    make_private_folder(evidence.path)
    make_private_folder(evidence.objects)
    reports: queue.Queue[Report] = queue.Queue()
    recipient = recipient_key(str(pyrage.x25519.Identity.generate().to_public()))
    sink = SegmentSink(evidence, "0" * 16, [recipient], SEGMENT_SECONDS * 1_000_000, lambda segment: None)
    camera = V4l2Camera(VideoSettings(device=source(clip)), ffmpeg_format="lavfi")
    microphone = SimulatedMicrophone(Stage(read_clip(packaged_footage())))
    capture = Capture("0" * 16, camera, microphone, SETTINGS, sink, reports.put)
    capture.warm_up()
    capture.hold_from(time.monotonic_ns() // 1000)
    capture.store()
    deadline = time.monotonic() + 3 * seconds + 30
    while capture.media_us(time.monotonic_ns() // 1000) < seconds * 1e6 and time.monotonic() < deadline:
        time.sleep(0.05)
    capture.finish()
    while not isinstance(report := reports.get(timeout=30), CaptureEnded):
        pass
    return report


def _ours(clip: Path, seconds: float, folder: Path) -> Cost:
    call = (
        "import sys; from pathlib import Path; from benchmarks.capture import film;"
        "done = film(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])); print(done.frames, done.dropped)"
    )
    command = [sys.executable, "-c", call, str(clip), str(seconds), str(folder)]
    return _process(command, lambda said: [int(word) for word in said.split()])


def _ffmpegs(clip: Path, seconds: float, folder: Path) -> Cost:
    sound = f"amovie={packaged_footage()}:loop=0,asetpts=N/SR/TB,arealtime"
    coding = f"-preset {SETTINGS.preset} -tune zerolatency -crf {SETTINGS.quality} -maxrate {SETTINGS.maximum_bit_rate}"
    command = [
        *("ffmpeg", "-hide_banner", "-loglevel", "error", "-nostats", "-progress", "pipe:1"),
        *("-f", "lavfi", "-i", source(clip), "-f", "lavfi", "-i", sound, "-t", str(seconds)),
        *f"-c:v libx264 {coding} -bufsize {SETTINGS.maximum_bit_rate} -forced-idr 1".split(),
        *("-force_key_frames", "expr:gte(t,n_forced)", "-c:a", "aac", "-b:a", str(SETTINGS.sound_bit_rate)),
        *("-f", "segment", "-segment_time", str(SEGMENT_SECONDS), "-segment_format", "mp4"),
        *("-segment_format_options", "movflags=frag_keyframe+empty_moov+default_base_moof"),
        str(folder / "%03d.mp4"),
    ]

    def counts(said: str) -> list[int]:
        return [int([line for line in said.splitlines() if line.startswith("frame=")][-1].split("=")[1])]

    return _process(command, counts)


def _process(command: list[str], counts: Callable[[str], list[int]]) -> Cost:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss, *counts(said))


def run(out: Path, quick: bool) -> Table:
    """Both in turns; medians."""
    seconds, rounds = (1.0, 1) if quick else (30.0, 4)
    with tempfile.TemporaryDirectory(dir=out) as place:
        base = Path(place).resolve()
        clip = base / "clip.nut"
        # Not in this process: what starts another counts into the other's peak memory until it is replaced.
        call = f"from pathlib import Path; import benchmarks.capture as c; c.raw_clip(Path({str(clip)!r}), {PICTURES})"
        subprocess.run([sys.executable, "-c", call], check=True, timeout=120)
        pairs = []
        for number in range(rounds):
            folders = base / f"ours-{number}", base / f"ffmpeg-{number}"
            for folder in folders:
                folder.mkdir()
            pairs.append((_ours(clip, seconds, folders[0]), _ffmpegs(clip, seconds, folders[1])))
    fair = [pair for pair in pairs if pair[0].dropped * FEW <= pair[0].frames] or pairs
    ours, theirs = [one for one, _ in fair], [other for _, other in fair]
    ours_ms, theirs_ms = (median(one.per_frame_ms for one in costs) for costs in (ours, theirs))
    rows = [
        Row("processor time against ffmpeg's", ours_ms / theirs_ms, "x", GOAL),
        Row("processor time, ours, for each picture", ours_ms, "ms"),
        Row("processor time, ffmpeg, for each picture", theirs_ms, "ms"),
        Row("peak RSS, ours", median(one.peak_rss_kb for one in ours) / MIB, "MiB"),
        Row("peak RSS, ffmpeg", median(one.peak_rss_kb for one in theirs) / MIB, "MiB"),
    ]
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    conditions = {
        "picture": f"{SIZE[0]}x{SIZE[1]} at {FRAMES_PER_SECOND}/s by the clock, {seconds:g} s",
        "rounds that count": f"{len(fair)} of {rounds}",
        "pictures stored": f"ours {[one.frames for one in ours]}, ffmpeg {[one.frames for one in theirs]}",
        "dropped for want of time": f"{[one.dropped for one in ours]}; ffmpeg falls behind instead",
        "ours": "whole Python process, with imports; sealed segments, synced every second",
        "ffmpeg": f"{version}, plain segments, nothing synced; its libx264 is not the same build as ours",
    }
    return Table("capture", "filming at 1080p30 against ffmpeg", rows, conditions, {"ours": ours, "ffmpeg": theirs})

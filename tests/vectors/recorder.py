"""A device that records: notices, pieces of film, photos; each entry good unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.vectors import film
from tests.vectors.agency import DEVICE, NOTICE_SOUND
from tests.vectors.device import Device
from tests.vectors.pieces import Ref, heard, interlock
from tests.vectors.primitives import Dice, compact

FPS, SEGMENT_US, SOUND_RATE = 2, 2_000_000, 8_000


@dataclass
class Recording:
    """One recording under way: what its next entry needs to know."""

    name: str
    id: str
    matter: str
    kind: str
    video: dict[str, Any] | None
    sound: dict[str, Any] | None
    film_us: int = 0
    """Monotonic time of media time 0."""
    end_us: int = 0
    segments: int = 0
    frames: int = 0
    at: dict[str, list[int]] = field(default_factory=dict)
    """Numbers of its entries by type."""
    objects: list[Ref] = field(default_factory=list)
    pieces: list[Ref] = field(default_factory=list)
    """Its segments."""

    @property
    def place(self) -> str:
        return f"recording {self.id}"


class Recorder(Device):
    """Everything that an officer does with it."""

    def __init__(self, *arguments: Any, **how: Any) -> None:
        super().__init__(*arguments, **how)
        self.recordings: dict[str, Recording] = {}

    def recording(
        self, name: str, kind: str = "video", *, sound: bool = False, matter: str | None = None
    ) -> Recording:
        filmed = {"codec": "h264", "width": 16, "height": 16, "frames_per_second": FPS}
        spoken = {"codec": "aac", "sample_rate": SOUND_RATE, "channels": 1}
        r = Recording(
            name,
            Dice(f"{self.name} recording {name}").hex(16),
            matter or f"matter-{name}",
            kind,
            filmed if kind in ("video", "fixed") else None,
            spoken if sound or kind == "audio" else None,
        )
        self.recordings[name] = r
        return r

    def enter_of(self, r: Recording, kind: str, body: dict[str, Any], **how: Any) -> int:
        """An entry of a recording."""
        seq = self.enter(kind, {"recording": r.id} | body, **how)
        r.at.setdefault(kind, []).append(seq)
        return seq

    def own_epoch(self, r: Recording, reason: str) -> int:
        seq = self.epoch(reason)
        r.at.setdefault("epoch", []).append(seq)
        return seq

    def notice(self, r: Recording, *, epoch: bool = True, **changes: Any) -> int:
        """The epoch before it, and the notice: played for three seconds, and heard."""
        if epoch:
            self.own_epoch(r, "recording_begin")
        self.mono_us += 4_000_000
        means = changes.get("means", "played")
        played = means == "played"
        frames = 144_000 if played else 0
        body = {
            "means": means,
            "outcome": "completed",
            "asset": NOTICE_SOUND if played else None,
            "frames_total": frames,
            "frames_consumed": frames,
            "sample_rate": 48_000 if played else 0,
            "underruns": 0,
            "started_us": self.mono_us - 3_000_000,
            "ended_us": self.mono_us,
            "heard": heard("heard" if played else "not_measured"),
            "failure": None,
        }
        return self.enter_of(r, "notice", body | changes)

    def particulars(self, r: Recording, **changes: Any) -> dict[str, Any]:
        """What is sealed at ``open``; ``changes`` go to the assignment."""
        assignment = {
            "matter": r.matter,
            "action": "inspection",
            "stage": "investigation",
            "party": "样例当事人",
            "site": "样例地点",
            "officers": ["样例人员"],
            "hazard": None,
            "restricted": None,
            "mandatory": False,
        }
        return {
            "v": 1,
            "type": "particulars",
            "device": self.name,
            "officer": "officer-sample" if self.name == DEVICE else "officer-second",
            "section": "section-sample",
            "source": "dispatch",
            "assignment": assignment | changes,
        }

    def open(self, r: Recording, *, content: dict[str, Any] | bytes | None = None, **changes: Any) -> int:
        """``content``: other particulars; ``particulars``: another object for them."""
        plain = content if isinstance(content, bytes) else compact(content or self.particulars(r))
        if "particulars" not in changes:
            changes["particulars"] = self.seal(f"{r.name} particulars", plain)
        if changes["particulars"]:
            r.objects.append(changes["particulars"])
        body = {
            "kind": r.kind,
            "action": "inspection",
            "stage": "investigation",
            "matter": r.matter,
            "particulars": None,
            "recipients": self.agency.recipients,
            "interlock": interlock(),
            "video": r.video,
            "sound": r.sound,
        }
        seq = self.enter_of(r, "open", body | changes)
        r.film_us = self.mono_us + 500_000
        return seq

    def mark(self, r: Recording, kind: str = "site_sign") -> int:
        return self.enter_of(r, "mark", {"kind": kind, "at_us": max(0, self.mono_us - r.film_us)})

    def film(self, r: Recording, start_us: int, duration_us: int, *, fewer: int = 0) -> bytes:
        """The content of a segment that fits its entry; ``fewer``: frames that the last fragment lacks."""
        tracks, seconds = [], -(-duration_us // 1_000_000)
        if r.video:
            tracks.append(film.video_track(r.video["frames_per_second"]))
        if r.sound:
            tracks.append(film.sound_track(r.sound["sample_rate"], len(tracks) + 1))
        fragments = []
        for second in range(seconds):
            runs = []
            for track in tracks:
                begin = track.sample_at(start_us + second * 1_000_000)
                end = track.sample_at(start_us + min((second + 1) * 1_000_000, duration_us))
                short = fewer if second == seconds - 1 and track.handler == "vide" else 0
                runs.append((begin, end - begin - short))
            fragments.append(runs)
        return film.film(tracks, fragments)

    def segment(self, r: Recording, *, plain: bytes | None = None, fewer: int = 0, **changes: Any) -> int:
        """The next piece, two seconds; ``plain`` is its content if it shall not fit the entry."""
        start, duration = changes.get("start_us", r.end_us), changes.get("duration_us", SEGMENT_US)
        frames = duration * r.video["frames_per_second"] // 1_000_000 - fewer if r.video else 0
        if "object" not in changes:
            content = self.film(r, start, duration, fewer=fewer) if plain is None else plain
            changes["object"] = self.seal(f"{r.name} segment {r.segments}", content)
        body = {
            "index": r.segments,
            "object": None,
            "start_us": start,
            "duration_us": duration,
            "first_frame_us": r.film_us + start,
            "frames": frames,
            "recovered": False,
        } | changes
        r.objects.append(body["object"])
        r.pieces.append(body["object"])
        if not body["recovered"]:
            self.mono_us = max(self.mono_us, r.film_us + start + duration)
            r.end_us = start + duration
        r.segments, r.frames = r.segments + 1, r.frames + body["frames"]
        return self.enter_of(r, "segment", body)

    def photo(self, r: Recording, plain: bytes = b"\xff\xd8\xff\xd9", **changes: Any) -> int:
        at = max(0, self.mono_us - r.film_us)
        ref = changes.pop("object", None) or self.seal(f"{r.name} photo at {at}", plain)
        r.objects.append(ref)
        return self.enter_of(r, "photo", {"object": ref, "at_us": at, "captured_us": r.film_us + at} | changes)

    def positions(self, *times_us: int) -> list[dict[str, Any]]:
        place = {"latitude_e7": 0, "longitude_e7": 0, "altitude_mm": None, "error_mm": 5000, "source": "gnss"}
        return [{"at_us": at} | place for at in times_us]

    def track(self, r: Recording, *times_us: int, **changes: Any) -> bytes:
        """Telemetry as it is sealed."""
        shape = {"v": 1, "type": "telemetry", "device": self.name, "recording": r.id}
        return compact(shape | {"positions": self.positions(*times_us)} | changes)

    def telemetry(self, r: Recording, plain: bytes | None = None, **changes: Any) -> int:
        content = self.track(r, 0, 1_000_000) if plain is None else plain
        ref = changes.pop("object", None) or self.seal(f"{r.name} telemetry", content)
        r.objects.append(ref)
        body = {"object": ref, "start_us": 0, "end_us": 1_000_000, "samples": 2}
        return self.enter_of(r, "telemetry", body | changes)

    def remark(self, **changes: Any) -> bytes:
        """The officer's own words as they are sealed."""
        return compact({"v": 1, "type": "remark", "device": self.name, "text": "样例说明"} | changes)

    def restricted(self, r: Recording | None, content: str = "privacy", note: Ref | None = None) -> int:
        return self.enter("restricted", {"recording": r.id if r else None, "content": content, "note": note})

    def gap(self, r: Recording, cause: str = "storage", **changes: Any) -> int:
        return self.enter_of(r, "gap", {"cause": cause, "missing_us": None, "dropped": 0} | changes)

    def close(self, r: Recording, *, epoch: bool = True, **changes: Any) -> int:
        body = {
            "reason": "button",
            "segments": r.segments,
            "frames": r.frames,
            "dropped": 0,
            "duration_us": r.end_us,
        }
        seq = self.enter_of(r, "close", body | changes)
        if epoch:
            self.own_epoch(r, "recording_end")
        return seq

    def start(self, name: str, kind: str = "video", **how: Any) -> Recording:
        """A good notice, then the recording is open; ``how`` goes to ``open``."""
        r = self.recording(name, kind)
        self.notice(r)
        self.open(r, **how)
        return r

    def finish(self, r: Recording) -> None:
        """The site is marked, the recording closes."""
        self.mark(r)
        self.close(r)

    def record(
        self,
        name: str,
        *,
        kind: str = "video",
        rich: bool = False,
        segments: int = 2,
        matter: str | None = None,
        **how: Any,
    ) -> Recording:
        """A whole good recording; ``rich``: with sound, a photo and telemetry. ``how`` goes to ``open``."""
        r = self.recording(name, kind, sound=rich, matter=matter)
        self.notice(r)
        self.open(r, **how)
        for index in range(segments):
            self.segment(r)
            if index == 0:
                self.mark(r)
                if rich:
                    self.photo(r)
                    self.telemetry(r)
        self.close(r)
        return r

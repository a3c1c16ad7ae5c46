"""The shell around the state machine: carries out actions in order, on the main loop, and decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

from agent.errors import HardwareError
from agent.evidence.documents import Particulars, Remark
from agent.evidence.encoding import dump_json
from agent.evidence.entries import Gap, Heard, Notice, ObjectRef, Photo, SoundFormat, VideoFormat
from agent.evidence.sealing import seal
from agent.hardware.parts import EncodedPicture, Parts, PlaybackProof, VideoFrame
from agent.recorder import machine
from agent.recorder.announcer import Announcer, Rank, Saying
from agent.recorder.audibility import NOT_MEASURED, AudibilityMeter
from agent.recorder.capture import LOST_NS, STREAM_LOST_NS, Capture, StillTaken, sealed_report
from agent.recorder.credentials import Documents
from agent.recorder.facts import Noted
from agent.recorder.feedback import SIGNALS, Signal, saying, signal_of
from agent.recorder.glance import Glance
from agent.recorder.levels import SoundLevel
from agent.recorder.segments import SegmentSink
from agent.recorder.settings import RecorderSettings
from agent.recorder.start import Opened, enter
from agent.recorder.stills import jpeg
from agent.system.durable import remove_file, write_atomic
from agent.system.logs import logger

log = logger("recorder")


class Shell:
    """Parts, journal and the capture under way, behind one method per action."""

    def __init__(
        self,
        settings: RecorderSettings,
        parts: Parts,
        opened: Opened,
        documents: Documents,
        post: Callable[[Any], None],
        appended: Callable[[], None],
    ) -> None:
        self.settings, self.parts, self.opened, self.documents = settings, parts, opened, documents
        self._post, self._appended = post, appended
        self.capture: Capture | None = None
        self.notice_deadline_ns: int | None = None
        self._particulars: ObjectRef | None = None
        self._glance: Glance | None = None
        self._notice_recording = ""
        self._meter: AudibilityMeter | None = None
        self.announcer = Announcer(parts.speaker, parts.buzzer)
        self.noted = Noted()
        self.signal: Signal | None = None

    def perform(self, action: machine.Action) -> None:
        """Carries out one action. Raises StorageError when the ledger cannot be written; that ends the process."""
        match action:
            case machine.Enter(body):
                enter(self.opened.journal, self.opened.folder, body)
                log.info("entered", type=body.TYPE, size=self.opened.journal.size)
                self._appended()
                self.noted.entered(body, self.opened.journal.size)
            case machine.Tell(prompt):
                log.info("told", prompt=prompt.name, zh=prompt.chinese, en=prompt.english)
                self.announcer.say(saying(prompt))
                self.noted.told(prompt)
            case machine.RotateKey():
                self._quiet()
                self.opened.journal.rotate("recording_end")
                self._appended()
            case machine.GoOff(power_off):
                log.info("off duty", power_off=power_off)
            case _:
                self._on_recording(action)

    def show(self, state: machine.State, uploading: bool = False) -> None:
        """The lamp, when what it tells has changed."""
        hazard, part_lost = state.leave_by_us is not None, bool(self.noted.lost)
        found = signal_of(state.phase, hazard=hazard, part_lost=part_lost, uploading=uploading)
        if found is not self.signal:
            self.signal = found
            self.parts.lamp.show(SIGNALS[found].lamp)

    @property
    def sound_level(self) -> SoundLevel | None:
        """At the microphone, while a recording is under way."""
        return self.capture.sound_level if self.capture else None

    @property
    def minimum_free_bytes(self) -> int:
        """Of the policy in force."""
        return self.documents.policy.minimum_free_bytes

    def close(self) -> None:
        """Nothing more is said."""
        self.announcer.close()

    def _begin_sounds(self) -> None:
        """What the policy wants to be heard in the recording itself: the notice once more, a tone now and then."""
        notice = self.documents.policy.notice
        if notice.repeat:
            self.announcer.say(Saying("repeat", Rank.NOTICE, self.documents.notice, digest=notice.digest))
        self.announcer.tone_every(notice.tone_interval_us / 1e6 if notice.tone_interval_us else None)

    def _quiet(self) -> None:
        self.announcer.tone_every(None)
        self.announcer.cut("repeat")

    def _on_recording(self, action: machine.Action) -> None:
        match action:
            case machine.WarmUp(recording):
                self._warm_up(recording)
            case machine.PlayNotice(recording):
                self._play_notice(recording)
            case machine.AttestOral(recording):
                self._attest(recording, "oral")
            case machine.AttestPosted(recording):
                self._attest(recording, "posted")
            case machine.SealParticulars(recording):
                self._forget_particulars()
                self._particulars = self._seal_particulars(recording)
            case _:
                self._on_capture(action)

    def _on_capture(self, action: machine.Action) -> None:
        match action:
            case machine.HoldFrames(from_us) if self.capture:
                self.capture.hold_from(from_us)
                self._look_no_more()
            case machine.CutNotice():
                self.announcer.cut("notice")
            case machine.Store() if self.capture:
                self.capture.store()
                if self.capture.stills_only:
                    self.capture.want_still()
                else:
                    self._begin_sounds()
            case machine.TakePhoto() if self.capture:
                self.capture.want_still()
            case machine.Finish() if self.capture:
                self._quiet()
                self.capture.finish()
            case machine.CoolDown() if self.capture:
                self._look_no_more()
                self.capture.abandon()
                self.capture = None
                self._forget_particulars()
            case _:
                log.warning("action without a capture", action=type(action).__name__)

    def _warm_up(self, recording: machine.Recording) -> None:
        sink = SegmentSink(
            self.opened.folder,
            recording.id,
            self.documents.recipients,
            self.documents.policy.segment_us,
            sealed_report(self._post),
        )
        parts = self.parts
        self.capture = Capture(
            recording.id,
            None if recording.kind == "audio" else parts.camera,
            parts.microphone,
            self.settings.encoder,
            sink,
            self._post,
            stills_only=recording.kind == "photo",
            hears=self._meter.take if self._meter else None,
            sees=self._look_for_code(recording),
            lost_ns=STREAM_LOST_NS if recording.kind == "fixed" else LOST_NS,
        )
        self._particulars = self._seal_particulars(recording)
        try:
            self.capture.warm_up()
        except HardwareError as error:
            log.error("cannot start", part=self.capture.leading, code=error.code, why=str(error))
            self._post(machine.PartLost(Gap(recording.id, self.capture.leading, None, 0), True, str(error)))

    def _look_for_code(self, recording: machine.Recording) -> Callable[[VideoFrame | EncodedPicture], None] | None:
        """R12.2: where assignments are taken, the pictures of the warming camera are looked at for one."""
        if self.settings.assignment is None or recording.kind not in ("video", "photo"):
            return None
        self._glance = Glance(self._post)
        return self._glance.show

    def _look_no_more(self) -> None:
        if self._glance:
            self._glance.close()
            self._glance = None

    def seal_remark(self, text: str) -> ObjectRef:
        """R13.3: the officer's own words, sealed and durable."""
        return self._seal(dump_json(asdict(Remark(1, "remark", self.documents.profile.device, text))))

    def _seal(self, plain: bytes) -> ObjectRef:
        ref, sealed = seal(plain, self.documents.recipients)
        write_atomic(self.opened.folder.object_path(ref), sealed, 0o640)
        return ref

    def _seal_particulars(self, recording: machine.Recording) -> ObjectRef:
        """R12.2: who, what, where: sealed, durable, and only its digest goes into the ledger."""
        profile = self.documents.profile
        content = Particulars(
            1,
            "particulars",
            profile.device,
            profile.officer,
            profile.section,
            recording.source if recording.assignment else None,
            recording.assignment,
        )
        return self._seal(dump_json(asdict(content)))

    def _forget_particulars(self) -> None:
        """No recording came of it: no line names them, and what no line names has no place among the objects."""
        if self._particulars:
            remove_file(self.opened.folder.object_path(self._particulars))
            self._particulars = None

    def _play_notice(self, recording: machine.Recording) -> None:
        self._notice_recording = recording.id
        self.notice_deadline_ns = time.monotonic_ns() + 60_000_000_000
        pressed_ns = time.monotonic_ns()
        microphone = self.parts.microphone
        self._meter = AudibilityMeter(self.documents.notice, microphone.format.sample_rate) if microphone else None
        self.announcer.say(
            Saying(
                "notice",
                Rank.NOTICE,
                self.documents.notice,
                digest=self.documents.policy.notice.digest,
                ended=lambda proof: self._post((recording.id, proof)),
                started=lambda started_ns: log.info("notice started", after_us=(started_ns - pressed_ns) // 1000),
            )
        )
        self.opened.journal.begin_recording(recording.id)  # while it plays: nobody waits for this

    def notice_ended(self, recording_id: str, proof: PlaybackProof, mono_us: int) -> machine.NoticeEnded:
        """The event for a notice that ended: what was played, what the microphone heard of it."""
        self.notice_deadline_ns = None
        heard = self._heard()
        notice = Notice(
            recording=recording_id,
            means="played",
            outcome="completed" if proof.completed else "failed",
            asset=self.documents.policy.notice.digest,
            frames_total=proof.frames_total,
            frames_consumed=proof.frames_consumed,
            sample_rate=proof.sample_rate,
            underruns=proof.underruns,
            started_us=proof.started_ns // 1000,
            # Rounded up: a frame exposed in the very microsecond of the end is not before it.
            ended_us=-(-proof.ended_ns // 1000),
            heard=heard if proof.completed else NOT_MEASURED,
            failure=proof.failure[:500] if proof.failure else None,
        )
        return self._ended(notice, mono_us)

    def _heard(self) -> Heard:
        meter, self._meter = self._meter, None
        return meter.result() if meter else NOT_MEASURED

    def _attest(self, recording: machine.Recording, means: Literal["oral", "posted"]) -> None:
        now = time.monotonic_ns() // 1000
        notice = Notice(recording.id, means, "completed", None, 0, 0, 0, 0, now, now, NOT_MEASURED, None)
        self._post(self._ended(notice, now))

    def _ended(self, notice: Notice, mono_us: int) -> machine.NoticeEnded:
        camera, sound = self.parts.camera.format, self.capture.sound if self.capture else None
        policy = self.documents.policy
        return machine.NoticeEnded(
            recording=notice.recording,
            proof=notice,
            must_be_heard=policy.notice.must_be_heard,
            particulars=self._particulars,
            recipients=tuple(policy.recipients),
            video=VideoFormat("h264", camera.width, camera.height, camera.frames_per_second),
            sound=SoundFormat("aac", sound.sample_rate, sound.channels) if sound else None,
            mono_us=mono_us,
        )

    def seal_still(self, still: StillTaken) -> machine.PhotoSealed:
        """Seals a still, durably."""
        ref = self._seal(jpeg(still.frame))
        return machine.PhotoSealed(Photo(still.recording, ref, still.at_us, still.frame.captured_ns // 1000))

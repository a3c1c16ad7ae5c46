"""The recorder process: one loop takes everything off one queue, asks the state machine, and lets the shell act."""

from __future__ import annotations

import queue
import secrets
import signal
import time
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from agent.errors import (
    FormatError,
    ReceiptError,
    RecorderError,
    StorageError,
    TrustError,
    UsageError,
)
from agent.evidence.entries import Clock as ClockEntry
from agent.evidence.entries import Gap, Heartbeat, ReceiptEntry, Refused, Witnessed
from agent.hardware.assembly import open_parts
from agent.hardware.parts import Contact, Drivable, Edge, PlaybackProof
from agent.hardware.prompts import Prompt
from agent.hardware.settings import HardwareSettings
from agent.recorder import machine
from agent.recorder.capture import StillTaken
from agent.recorder.control import ControlServer, Request
from agent.recorder.credentials import load_assignment, load_credentials, load_documents
from agent.recorder.facts import facts
from agent.recorder.feedback import PHASE_TEXT
from agent.recorder.gestures import Gesture, GestureState, on_edge, on_time
from agent.recorder.release import keep_cosigned
from agent.recorder.settings import RecorderSettings
from agent.recorder.shell import Shell
from agent.recorder.situation import SituationReader
from agent.recorder.start import adopt, open_evidence
from agent.rules.interlock import hazard_state
from agent.system.logs import logger
from agent.system.notify import notify

TICK_SECONDS: Final = 0.05
STALL_NS: Final = 3_000_000_000
HEARTBEAT_SECONDS: Final = 300.0
CLOCK_STEP_US: Final = 500_000
INBOX: Final = 20_000
MAX_HOLD_MS: Final = 60_000

log = logger("recorder")


@dataclass(frozen=True, slots=True)
class ButtonEdge:
    """An edge of a named contact."""

    button: str
    edge: Edge


@dataclass(frozen=True, slots=True)
class ReceiptArrived:
    """A dock's receipt, not yet judged."""

    token: bytes


@dataclass(frozen=True, slots=True)
class CosignedArrived:
    """A checkpoint that a dock has cosigned, not yet judged."""

    note: bytes


@dataclass(frozen=True, slots=True)
class HazardFlagArrived:
    """R13.1: a hazard flag, not yet judged."""

    token: bytes


class Custody(Protocol):
    """What the daemon needs of the device side of custody."""

    def start(self) -> None:
        """Begins to publish."""

    def stop(self, timeout: float) -> None:
        """Ends; returns within the limit (seconds)."""

    def notify(self) -> None:
        """Something new is on disk."""

    def announce(self, state: dict[str, Any]) -> None:
        """Sets the retained state."""

    def released(self, digests: list[str]) -> None:
        """These objects are gone from the device."""

    def status(self) -> dict[str, Any]:
        """For ``recorder status``."""


class Daemon:
    """One recorder. ``run`` returns when asked to stop; every other method belongs to the loop."""

    def __init__(self, settings: RecorderSettings, hardware: HardwareSettings) -> None:
        """Opens parts and evidence. Raises any RecorderError; nothing is left open then."""
        self._settings = settings
        self.inbox: queue.Queue[Any] = queue.Queue(INBOX)
        self._credentials = load_credentials(settings.credentials)
        self.parts = open_parts(hardware, settings.evidence)
        try:
            opened = open_evidence(settings.evidence, self._credentials, self.parts, settings.credentials)
        except BaseException:
            self.parts.close()
            raise
        self._opened = opened
        try:
            self._control = ControlServer(settings.control, self.post)
        except BaseException:
            opened.journal.close()
            opened.lock.release()
            self.parts.close()
            raise
        self._shell = Shell(settings, self.parts, opened, self._credentials.documents, self.post, self._appended)
        self._facts = SituationReader(
            self.parts,
            self._credentials.trust,
            self._credentials.documents,
            credentials=settings.credentials,
            evidence=settings.evidence,
            command_demanded=settings.hazard_command,
        )
        self.state = machine.State()
        self.custody: Custody | None = None
        self._buttons = {"record": GestureState(), "photo": GestureState()}
        self._scripted: list[tuple[int, Drivable, bool]] = []
        self._stopping = self._told_empty = False
        self._witnessed = 0
        """News (``Journal.news``) up to which a cosignature has been entered in this run."""
        self._next_second_ns = 0
        self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
        self._clock = self.parts.clock.read()

    @property
    def device(self) -> str:
        """This unit's id."""
        return self._credentials.identity.device

    def post(self, item: Any) -> None:
        """Enqueues, from any thread; never waits. A full queue is logged: it would mean that the loop stands still."""
        try:
            self.inbox.put_nowait(item)
        except queue.Full:
            log.error("inbox full", dropped=type(item).__name__)

    def run(self) -> None:
        """Runs until SIGTERM or SIGINT; seals a running recording before it returns. Raises StorageError."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.post("stop"))
        self._listen()
        self._control.start()
        if self.custody:
            self.custody.start()
        self._poll_hazard()
        if self.parts.dock_contact.active:
            self._feed(machine.DockChanged(True))
            self._release()
        self._shell.show(self.state)
        notify(READY=1, STATUS="ready")
        log.info("ready", device=self.device, ledger_size=self._opened.journal.size)
        try:
            while not (self._stopping and self.state.recording is None):
                self._turn()
        finally:
            self._close()

    def _listen(self) -> None:
        contacts: dict[str, Contact | None] = {
            "record": self.parts.record_button,
            "photo": self.parts.photo_button,
            "dock": self.parts.dock_contact,
            "hazard": self.parts.hazard_switch,
        }
        for name, contact in contacts.items():
            if contact:
                contact.listen(lambda edge, name=name: self.post(ButtonEdge(name, edge)))  # type: ignore[misc]

    def _close(self) -> None:
        notify(STOPPING=1)
        if self._shell.capture:
            self._shell.capture.abandon()
        self._control.close()
        if self.custody:
            self.custody.stop(5.0)
        self._opened.journal.close()
        self._opened.lock.release()
        self._shell.close()
        self.parts.close()

    def _turn(self) -> None:
        """One turn: at most one item, then what time brings."""
        try:
            item = self.inbox.get(timeout=TICK_SECONDS)
        except queue.Empty:
            item = None
        if item is not None:
            self._take(item)
        self._pass_time(time.monotonic_ns())

    def _take(self, item: Any) -> None:
        match item:
            case ButtonEdge(button, edge):
                self._on_button(button, edge)
            case (str() as recording, PlaybackProof() as proof):
                self._feed(self._shell.notice_ended(recording, proof, _now_us()))
            case StillTaken() as still:
                self._feed(self._shell.seal_still(still))
            case Request() as request:
                self._answer(request)
            case ReceiptArrived(token):
                self._on_receipt(token)
            case CosignedArrived(note):
                self._on_cosigned(note)
            case HazardFlagArrived(token):
                self._on_hazard_flag(token)
            case "stop":
                self._stopping = True
                self._feed(machine.StopAsked("shutdown"))
            case _:
                self._feed(item)

    def _feed(self, event: machine.Event) -> None:
        """Asks the state machine and carries out its actions in order."""
        if isinstance(event, machine.PartLost):
            log.error("part lost", cause=event.gap.cause, why=event.why)
        before = self.state.phase
        self.state, actions = machine.reduce(self.state, event)
        for action in actions:
            self._shell.perform(action)
        if isinstance(event, machine.CaptureEnded):
            self._shell.capture = None
            self._release()
        if self.state.phase is not before:
            self._shell.show(self.state)
            notify(STATUS=self.state.phase.value)
            log.info("phase", now=self.state.phase.value)

    # What the officer's hand does

    def _on_button(self, button: str, edge: Edge) -> None:
        if button == "dock":
            self._feed(machine.DockChanged(edge.active))
            return self._release()
        if button == "hazard":
            return self._poll_hazard()
        self._buttons[button], gesture = on_edge(self._buttons[button], edge)
        if gesture:
            self._gesture(button, gesture)

    def _gesture(self, button: str, gesture: Gesture) -> None:
        log.info("gesture", button=button, gesture=gesture.value)
        if button == "photo":
            return self._press("photo") if gesture is not Gesture.HOLD else None
        match gesture:
            case Gesture.PRESS:
                self._press("video")
            case Gesture.DOUBLE_PRESS:
                self._mark("moment")
            case Gesture.HOLD:
                self._feed(machine.StopAsked("button"))

    def _press(self, kind: machine.Kind) -> None:
        if self.state.phase is machine.Phase.RECORDING and kind == "photo":
            return self._feed(machine.PhotoAsked())
        if self.state.phase not in (machine.Phase.READY, machine.Phase.BLOCKED):
            return
        try:
            situation = self._facts.read(load_assignment(self._settings.assignment))
        except FormatError as error:
            log.error("assignment unusable", why=str(error))
            self._shell.perform(machine.Enter(Refused("R12.2", "assignment_unusable", None)))
            return self._shell.perform(machine.Tell(Prompt.REFUSED_ASSIGNMENT))
        self._feed(machine.Pressed(kind, secrets.token_hex(8), situation, _now_us()))

    def _mark(self, kind: Any) -> None:
        capture = self._shell.capture
        self._feed(machine.MarkAsked(kind, capture.media_us(_now_us()) if capture else 0))

    # What the judgement looks at

    def _poll_hazard(self) -> None:
        try:
            situation = self._facts.read(load_assignment(self._settings.assignment))
        except FormatError as error:
            # What the matter demands is unknown then, which is one more input, and the other inputs still count.
            log.error("assignment unusable", why=str(error))
            situation = self._facts.read(None, matter_known=False)
        self._feed(machine.HazardChanged(hazard_state(situation.inputs, situation.policy), situation))

    # What time brings

    def _pass_time(self, now_ns: int) -> None:
        for name, contact in (("record", self.parts.record_button), ("photo", self.parts.photo_button)):
            self._buttons[name], gesture = on_time(self._buttons[name], now_ns, contact.active)
            if gesture:
                self._gesture(name, gesture)
        for touch in [one for one in self._scripted if one[0] <= now_ns]:
            self._scripted.remove(touch)
            touch[1].drive(touch[2])
        if now_ns >= self._next_second_ns:
            self._next_second_ns = now_ns + 1_000_000_000
            self._each_second(now_ns)

    def _each_second(self, now_ns: int) -> None:
        self._poll_hazard()
        self._watch_clock()
        self._tell_when_empty()
        self._shell.show(self.state, uploading=not self._told_empty and self.custody is not None)
        if self._opened.journal.settle():
            self._appended()
        deadline, capture = self._shell.notice_deadline_ns, self._shell.capture
        if deadline and now_ns > deadline:
            self._shell.announcer.cut("notice")  # its proof, with the failure, follows as for any notice that was cut
        stalled = capture is not None and now_ns - capture.last_frame_ns > STALL_NS
        if self.state.phase is machine.Phase.RECORDING and capture and stalled:
            gap = Gap(capture.recording, "camera", None, 0)
            self._feed(machine.PartLost(gap, True, "no frame for 3 s"))
        elif not stalled or self.state.phase is not machine.Phase.RECORDING:
            notify(WATCHDOG=1)
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
            self._shell.perform(machine.Enter(Heartbeat(self.state.phase.value)))

    def _watch_clock(self) -> None:
        """A step of the wall clock against the monotonic one, or another source, is an entry."""
        now, before = self.parts.clock.read(), self._clock
        step = (now.utc_us - before.utc_us) - (now.monotonic_us - before.monotonic_us)
        if abs(step) > CLOCK_STEP_US or now.source is not before.source:
            self._shell.perform(machine.Enter(ClockEntry(step, before.source.value, now.source.value)))
        self._clock = now

    # Custody

    def _appended(self) -> None:
        if self.custody:
            self.custody.notify()

    def _on_receipt(self, token: bytes) -> None:
        try:
            receipt, ref = self._opened.book.check(token)
        except ReceiptError as error:
            log.error("receipt refused", code=error.code, why=str(error))
            return
        self._shell.perform(machine.Enter(ReceiptEntry(receipt.dock, ref, receipt.ledger_size)))
        self._release()

    def _on_cosigned(self, note: bytes) -> None:
        try:
            point = keep_cosigned(self._opened.folder, note, self._credentials.trust, self.device)
        except (FormatError, ReceiptError) as error:
            log.error("cosignature refused", code=error.code, why=str(error))
            return
        log.info("cosigned", size=point.size)
        news = self._opened.journal.news
        if point.size >= news > self._witnessed:
            self._witnessed = news
            self._shell.perform(machine.Enter(Witnessed(note.decode())))

    def _on_hazard_flag(self, token: bytes) -> None:
        try:
            newer = self._facts.flags.take(token)
        except TrustError as error:
            log.error("hazard flag refused", code=error.code, why=str(error))
            return
        if newer:
            log.info("hazard flag", state=self._facts.flags.flag and self._facts.flags.flag.state)
            self._poll_hazard()

    def _tell_when_empty(self) -> None:
        """Says once per docking that everything is with the dock and the unit may be taken out."""
        held = len(self._opened.book.sizes) - len(self._opened.book.released)
        progress = self.custody.status() if self.custody else {}
        done = held == 0 and progress.get("connected") and progress.get("ledger_lines_pending") == 0
        if self.state.phase is machine.Phase.DOCKED and done and not self._told_empty:
            self._told_empty = True
            self._shell.perform(machine.Tell(Prompt.MAY_BE_TAKEN))
        elif self.state.phase is not machine.Phase.DOCKED:
            self._told_empty = False

    def _release(self) -> None:
        """R22: what enough receipts cover may go, and only in a dock: in the field a second copy does no harm."""
        if self.state.phase is not machine.Phase.DOCKED:
            return
        for entry in self._opened.book.releasable(self._shell.documents.policy.receipts_needed):
            self._shell.perform(machine.Enter(entry))
            removed = self._opened.book.remove(entry)
            log.info("released", objects=len(removed), bytes=entry.bytes)
            if self.custody:
                self.custody.released(removed)

    # The control socket

    def _answer(self, request: Request) -> None:
        try:
            self._do(request)
        except RecorderError as error:
            request.answer(ok=False, code=error.code, message=str(error))
            if isinstance(error, StorageError):
                raise
        request.answer(ok=True, **self.status())

    def _do(self, request: Request) -> None:
        match request.do:
            case "press" | "photo":
                self._touch(request.do, _hold_seconds(request.fields.get("hold_ms", 100)))
            case "mark" | "stop" if self.state.recording is None:
                request.answer(ok=False, message="没有进行中的记录 no recording is under way")
            case "stop":
                self._feed(machine.StopAsked("command"))
            case "mark":
                self._mark(request.fields.get("kind", "moment"))
            case "reload":
                self._reload(request)
            case "drive":
                self._drive(request)
            case "status":
                pass
            case _:
                request.answer(ok=False, message=f"unknown request {request.do!r}")

    def _touch(self, button: str, hold_seconds: float) -> None:
        """Presses the button; a simulated one by its pin, so that the road is the same as for a finger."""
        contact = self.parts.record_button if button == "press" else self.parts.photo_button
        if isinstance(contact, Drivable):
            contact.drive(True)
            self._scripted.append((time.monotonic_ns() + int(hold_seconds * 1e9), contact, False))
        else:
            self._gesture("record" if button == "press" else "photo", Gesture.PRESS)

    def _drive(self, request: Request) -> None:
        """Moves a simulated switch; a real one is moved by hand."""
        part = request.fields.get("part")
        contact: object = self.parts.dock_contact if part == "dock" else self.parts.hazard_switch
        if not isinstance(contact, Drivable):
            request.answer(ok=False, message="this part is not simulated: move it by hand")
            return
        contact.drive(bool(request.fields.get("active")))

    def _reload(self, request: Request) -> None:
        """Takes a newer profile or policy from the credentials folder; an older or foreign one is refused."""
        old = self._shell.documents
        try:
            new = load_documents(self._settings.credentials, self._credentials.trust, self.device)
            if new.profile.version < old.profile.version or new.policy.version < old.policy.version:
                raise TrustError("an older profile or policy than the one in force is not taken")
        except TrustError as error:
            request.answer(ok=False, code=error.code, message=str(error))
            return
        if self.state.recording is not None:
            request.answer(ok=False, message="not while recording")
            return
        adopt(self._opened.folder, self._opened.journal, self._opened.in_force, new)
        self._shell.documents = new
        self._facts.use(new)
        self._appended()

    def status(self) -> dict[str, Any]:
        """What ``recorder status`` shows."""
        zh, en = PHASE_TEXT[self.state.phase]
        capture = self._shell.capture
        power = self.parts.power.read()
        return {
            "device": self.device,
            "phase": self.state.phase.value,
            "phase_zh": zh,
            "phase_en": en,
            "recording": self.state.recording.id if self.state.recording else None,
            "media_seconds": capture.media_us(_now_us()) / 1e6 if capture else 0.0,
            "hazard": self.state.hazard,
            "docked": self.state.docked,
            "ledger_size": self._opened.journal.size,
            "free_bytes": self.parts.storage.free_bytes(),
            "power": asdict(power),
            "held_objects": len(self._opened.book.sizes) - len(self._opened.book.released),
            "custody": self.custody.status() if self.custody else None,
            **facts(self.parts, self._shell, self._settings.encoder),
        }


def _hold_seconds(hold_ms: object) -> float:
    if not isinstance(hold_ms, int) or not 0 < hold_ms <= MAX_HOLD_MS:
        raise UsageError(f"hold_ms is a number of milliseconds from 1 to {MAX_HOLD_MS}")
    return hold_ms / 1000


def _now_us() -> int:
    return time.monotonic_ns() // 1000

"""The recorder process: one loop takes everything off one queue, asks the state machine, and lets the shell act."""

from __future__ import annotations

import queue
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from agent.errors import (
    HardwareError,
    RecorderError,
    StorageError,
    TrustError,
)
from agent.evidence.documents import RestrictedContent
from agent.evidence.entries import Body, Heartbeat
from agent.hardware.assembly import open_parts
from agent.hardware.parts import Contact, PlaybackProof
from agent.hardware.prompts import Prompt
from agent.hardware.settings import HardwareSettings
from agent.recorder import machine
from agent.recorder.capture import StillTaken
from agent.recorder.control import ControlServer, Request
from agent.recorder.credentials import check_notice, load_credentials, load_documents
from agent.recorder.desk import Desk
from agent.recorder.facts import facts
from agent.recorder.feedback import PHASE_TEXT
from agent.recorder.gestures import Gesture
from agent.recorder.glance import CodeSeen
from agent.recorder.handover import Custody, Handover
from agent.recorder.hands import Hands, Made
from agent.recorder.messages import AssignmentArrived, ButtonEdge, CosignedArrived, HazardFlagArrived, ReceiptArrived
from agent.recorder.outlook import Outlook, now_us
from agent.recorder.reducer import reduce
from agent.recorder.settings import RecorderSettings
from agent.recorder.shell import Shell
from agent.recorder.start import adopt, open_evidence
from agent.recorder.telemetry import Tracker
from agent.system.logs import logger
from agent.system.notify import notify

TICK_SECONDS: Final = 0.05
HEARTBEAT_SECONDS: Final = 300.0
INBOX: Final = 20_000
FRESH_FIX_NS: Final = 10_000_000_000
LAST_WORDS_SECONDS: Final = 8.0
"""How long the unit may still speak before it goes off."""
POWER_OFF_SECONDS: Final = 20.0

log = logger("recorder")


class Daemon:
    """One recorder. ``run`` returns when asked to stop; every other method belongs to the loop."""

    def __init__(self, settings: RecorderSettings, hardware: HardwareSettings) -> None:
        """Opens parts and evidence. Raises any RecorderError; nothing is left open then."""
        self._settings = settings
        self.inbox: queue.Queue[Any] = queue.Queue(INBOX)
        self._credentials = load_credentials(settings.credentials)
        try:
            check_notice(self._credentials.documents)
        except TrustError as error:
            log.error("the notice will not be played", code=error.code, why=str(error))
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
        trust, documents = self._credentials.trust, self._credentials.documents
        self._handover = Handover(opened, trust, self.device, self._enter)
        self._shell = Shell(settings, self.parts, opened, documents, self.post, self._handover.appended)
        self._outlook = Outlook(settings, self.parts, trust, documents)
        self._hands = Hands(self.parts.record_button, self.parts.photo_button)
        self._desk = Desk(self)
        self._tracker = Tracker(opened.folder, self.device, self.parts.positioning)
        self.state = machine.State()
        self._told_empty = self._told_uploading = False
        self._next_second_ns = 0
        self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS

    @property
    def device(self) -> str:
        """This unit's id."""
        return self._credentials.identity.device

    @property
    def receipts_needed(self) -> int:
        """Of how many docks, by the policy in force (R22). Any thread."""
        return self._shell.documents.policy.receipts_needed

    @property
    def custody(self) -> Custody | None:
        """The device side of custody, if there is one."""
        return self._handover.custody

    @custody.setter
    def custody(self, custody: Custody) -> None:
        self._handover.custody = custody

    def post(self, item: Any) -> None:
        """Enqueues, from any thread; never waits. A full queue is logged: it would mean that the loop stands still."""
        try:
            self.inbox.put_nowait(item)
        except queue.Full:
            log.error("inbox full", dropped=type(item).__name__)

    def run(self) -> None:
        """Runs until it goes off duty; a running recording is sealed before it returns. Raises StorageError."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.post(machine.OffAsked()))
        self._listen()
        self._control.start()
        if self.custody:
            self.custody.start()
        self._poll_hazard()
        if self.parts.dock_contact.active:
            self._feed(machine.DockChanged(True))
        self._shell.show(self.state)
        notify(READY=1, STATUS="ready")
        log.info("ready", device=self.device, ledger_size=self._opened.journal.size)
        try:
            while self.state.phase is not machine.Phase.OFF_DUTY:
                self._turn()
        finally:
            self._close()
        if self.state.power_off:
            self._power_off()

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
        if self.state.power_off:
            self._shell.announcer.finish(LAST_WORDS_SECONDS)
        self._shell.close()
        self.parts.close()

    def _power_off(self) -> None:
        """R13.1, where the policy wants it; everything is sealed and closed by now."""
        if not self._settings.power_off:
            log.warning("no command switches this unit off: recorder.power_off is empty")
            return
        try:
            subprocess.run(self._settings.power_off, check=True, timeout=POWER_OFF_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            raise HardwareError(f"the unit could not be switched off: {error}; do it by hand") from error

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
            case ButtonEdge():
                self._on_edge(item)
            case (str() as recording, PlaybackProof() as proof):
                self._feed(self._shell.notice_ended(recording, proof, now_us()))
            case StillTaken() as still:
                self._feed(self._shell.seal_still(still))
            case Request() as request:
                self._answer(request)
            case machine.CaptureEnded():
                self._capture_ended(item)
            case _:
                self._take_message(item)

    def _take_message(self, item: Any) -> None:
        match item:
            case ReceiptArrived(token):
                self._handover.on_receipt(token)
                self._release()
            case CosignedArrived(note):
                self._handover.on_cosigned(note)
            case HazardFlagArrived(token):
                if self._outlook.take_flag(token):
                    self._poll_hazard()
            case AssignmentArrived(token):
                self._reassigned(self._outlook.take_assignment(token, self.state.phase))
            case CodeSeen(text):
                self._reassigned(self._outlook.take_code(text, self.state.phase))
            case _:
                self._feed(item)

    def _feed(self, event: machine.Event) -> None:
        """Asks the state machine and carries out its actions in order."""
        if isinstance(event, machine.PartLost):
            log.error("part lost", cause=event.gap.cause, why=event.why)
        before = self.state.phase
        self.state, actions = reduce(self.state, event)
        for action in actions:
            self._shell.perform(action)
        if self.state.phase is not before:
            self._shell.show(self.state)
            notify(STATUS=self.state.phase.value)
            log.info("phase", now=self.state.phase.value)
            self._release()

    def _enter(self, body: Body) -> None:
        self._shell.perform(machine.Enter(body))

    # What the officer's hand does

    def _on_edge(self, moved: ButtonEdge) -> None:
        match moved.button:
            case "record" | "photo" as button:
                self.made(self._hands.edge(button, moved.edge))
            case "dock":
                self._feed(machine.DockChanged(moved.edge.active))
            case _:
                self._poll_hazard()

    def made(self, gestures: Iterable[Made]) -> None:
        """Gestures, in order; what each means on which button."""
        for one in gestures:
            log.info("gesture", button=one.button, gesture=one.gesture.value)
            match one.button, one.gesture:
                case "record", Gesture.PRESS:
                    self.press(self._settings.record_kind)
                case "record", Gesture.DOUBLE_PRESS:
                    self.mark("moment")
                case "record", Gesture.HOLD:
                    self._feed(machine.StopAsked("button"))
                case "photo", Gesture.PRESS:
                    self.press("photo")
                case "photo", Gesture.DOUBLE_PRESS:
                    self.mark("site_sign")
                case "photo", Gesture.HOLD:
                    self.restrict(self._settings.restricted_content, None)

    def touch(self, button: str, hold_ns: int) -> None:
        """A press over the control socket."""
        self.made(self._hands.touch("photo" if button == "photo" else "record", time.monotonic_ns(), hold_ns))

    def press(self, kind: machine.Kind) -> None:
        """A recording, or a picture of the one that runs, is asked for."""
        self._feed(self._outlook.pressed(kind))

    def mark(self, kind: machine.MarkKind) -> None:
        """A mark at this moment."""
        capture, now = self._shell.capture, now_us()
        self._feed(machine.MarkAsked(kind, capture.media_us(now) if capture else 0, now))

    def stop(self) -> None:
        """A stop over the control socket."""
        self._feed(machine.StopAsked("command"))

    def restrict(self, content: RestrictedContent, text: str | None) -> None:
        """R13.2, R13.3: content that must not be recorded; the officer's words are sealed first."""
        note = self._shell.seal_remark(text) if text else None
        self._feed(machine.RestrictedDeclared(content, note))

    # What arrives

    def _poll_hazard(self) -> None:
        self._feed(self._outlook.hazard(self.state.recording))

    def assign(self, text: str | None) -> None:
        """Over the control socket: this is the matter from now on; None: there is none. Raises as the book does."""
        book = self._outlook.assignments
        changed = book.take_file(text.encode()) if text else book.clear()
        if changed:
            self._reassigned(self._outlook.reassigned("by hand", self.state.phase))

    def _reassigned(self, follows: machine.Reassigned | Prompt | None) -> None:
        match follows:
            case machine.Reassigned():
                self._feed(follows)
            case Prompt():
                self._shell.perform(machine.Tell(follows))

    # What time brings

    def _pass_time(self, now_ns: int) -> None:
        self.made(self._hands.time(now_ns))
        if now_ns >= self._next_second_ns:
            self._next_second_ns = now_ns + 1_000_000_000
            self._each_second(now_ns)

    def _each_second(self, now_ns: int) -> None:
        self._poll_hazard()
        self._watch_clock()
        self._feed(self._outlook.measured())
        self._look_where_we_are()
        self._release()
        self._tell_when_empty()
        self._shell.show(self.state, uploading=not self._told_empty and self.custody is not None)
        if self._opened.journal.settle():
            self._handover.appended()
        if self._shell.notice_deadline_ns and now_ns > self._shell.notice_deadline_ns:
            self._shell.announcer.cut("notice")  # its proof, with the failure, follows as for any notice that was cut
        if self._is_alive(now_ns):
            notify(WATCHDOG=1)
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
            self._enter(Heartbeat(self.state.phase.value))
        if self._settings.begin_at_start and self.state.phase in (machine.Phase.READY, machine.Phase.FAULT):
            self.press(self._settings.record_kind)

    def _is_alive(self, now_ns: int) -> bool:
        """The loop turns, or this would not be asked; while recording frames must flow too."""
        capture = self._shell.capture
        return self.state.phase is not machine.Phase.RECORDING or capture is None or capture.flowing(now_ns)

    def _watch_clock(self) -> None:
        entry = self._outlook.clock_change()
        if entry:
            self._enter(entry)

    def _tell_when_empty(self) -> None:
        """Says once per docking that it uploads, and once that everything is with the dock and it may be taken out."""
        if self.state.phase is not machine.Phase.DOCKED:
            self._told_empty = self._told_uploading = False
        elif self._handover.complete:
            if not self._told_empty:
                self._shell.perform(machine.Tell(Prompt.MAY_BE_TAKEN))
            self._told_empty = True
        elif self.custody and not self._told_uploading:
            self._told_uploading = True
            self._shell.perform(machine.Tell(Prompt.UPLOADING))

    # Positions

    def _look_where_we_are(self) -> None:
        """R12.2: one position a second into the recording's telemetry."""
        capture = self._shell.capture
        if self.state.phase is machine.Phase.RECORDING and capture is not None:
            self._tracker.look(capture, self._shell.documents.recipients)
            if self._tracker.due:
                self._seal_track()

    def _seal_track(self) -> None:
        entry = self._tracker.seal()
        if entry:
            self._feed(machine.TelemetrySealed(entry))

    def _capture_ended(self, ended: machine.CaptureEnded) -> None:
        self._seal_track()
        self._tracker.end()
        self._feed(ended)
        self._shell.capture = None

    # Custody

    def _release(self) -> None:
        if self.state.phase is machine.Phase.DOCKED:
            self._handover.release(self._shell.documents.policy, self._outlook.clock)

    # The control socket

    def _answer(self, request: Request) -> None:
        try:
            self._desk.answer(request)
        except RecorderError as error:
            request.answer(ok=False, code=error.code, message=str(error))
            if isinstance(error, StorageError):
                raise
        request.answer(ok=True, **self.status())

    def reload(self) -> None:
        """Takes a newer profile or policy from the credentials folder. Raises TrustError for an older, or foreign."""
        old = self._shell.documents
        new = load_documents(self._settings.credentials, self._credentials.trust, self.device)
        if new.profile.version < old.profile.version or new.policy.version < old.policy.version:
            raise TrustError("an older profile or policy than the one in force is not taken")
        check_notice(new)
        adopt(self._opened.folder, self._opened.journal, self._opened.in_force, new)
        self._shell.documents = new
        self._outlook.use(new)
        self._handover.appended()

    def status(self) -> dict[str, Any]:
        """What ``recorder status`` shows."""
        zh, en = PHASE_TEXT[self.state.phase]
        capture = self._shell.capture
        return {
            "device": self.device,
            "phase": self.state.phase.value,
            "phase_zh": zh,
            "phase_en": en,
            "recording": self.state.recording.id if self.state.recording else None,
            "matter": self._outlook.matter(self.state.recording),
            "media_seconds": capture.media_us(now_us()) / 1e6 if capture else 0.0,
            "hazard": self.state.hazard,
            "hazard_refuses": self._outlook.hazard_refuses,
            "docked": self.state.docked,
            "ledger_size": self._opened.journal.size,
            "free_bytes": self.parts.storage.free_bytes(),
            "power": asdict(self._outlook.power()),
            "held_objects": self._handover.held_objects,
            "custody": self._handover.status(),
            **facts(self.parts, self._shell, self._settings.encoder),
        }

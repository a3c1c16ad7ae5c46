"""What is said, one sound at a time: notice before warnings, warnings before confirmations, the tone into silence.

The decisions are ``ask``, ``cut`` and ``over``, pure functions over a Programme. The Announcer carries them out on a
thread of its own; whoever asks for something to be said only enqueues.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Final

from agent.errors import HardwareError
from agent.evidence.encoding import sha256_hex
from agent.hardware.parts import OFF, Indicator, Pattern, PlaybackProof, Speaker
from agent.hardware.playback import INTERRUPTED, failed
from agent.hardware.prompts import TONE_FILE
from agent.system.logs import logger

log = logger("announcer")

_INBOX: Final = 256
_WAIT_SECONDS: Final = 5.0


class Rank(IntEnum):
    """What goes before what."""

    TONE = 0
    """Only said into silence; never waits."""
    CONFIRMATION = 1
    """Waits its turn; a newer one takes the place of one that waits, as the older has lost its meaning."""
    WARNING = 2
    """Cuts a confirmation short; is never lost."""
    NOTICE = 3
    """Cuts everything short; nothing cuts it but its own ``cut`` (R12.1)."""


@dataclass(frozen=True, slots=True)
class Saying:
    """A sound to be played. One that waits gives way to a newer one of the same name."""

    name: str
    rank: Rank
    sound: Path
    buzzer: Pattern = OFF
    """Shown as the sound begins."""
    digest: str | None = None
    """SHA-256 that the file must have at the moment it is played."""
    ended: Callable[[PlaybackProof], None] | None = None
    """Called on the announcer's thread when the sound has ended or was dropped; of the notice exactly once. A warning
    that was cut short ends again."""
    started: Callable[[int], None] | None = None


@dataclass(frozen=True, slots=True)
class Programme:
    """What is being said and what waits, in the order of asking. There are only so many names, so it is bounded."""

    now: Saying | None = None
    waiting: tuple[Saying, ...] = ()


@dataclass(frozen=True, slots=True)
class Begin:
    """Play this; ``over`` follows."""

    saying: Saying


@dataclass(frozen=True, slots=True)
class Cut:
    """Cut the running sound short; ``over`` follows."""


@dataclass(frozen=True, slots=True)
class Drop:
    """This will not be said."""

    saying: Saying


Command = Begin | Cut | Drop
Step = tuple[Programme, list[Command]]


def ask(programme: Programme, saying: Saying) -> Step:
    """Something is to be said."""
    if programme.now is None and not programme.waiting:
        return Programme(saying), [Begin(saying)]
    if saying.rank is Rank.TONE or _being_said(programme.now, saying):
        return programme, [Drop(saying)]
    gone = [one for one in programme.waiting if _gives_way(one, saying)]
    waiting = (*(one for one in programme.waiting if one not in gone), saying)
    commands: list[Command] = [Drop(one) for one in gone]
    if programme.now and saying.rank > programme.now.rank:
        commands.append(Cut())
    return replace(programme, waiting=waiting), commands


def _being_said(now: Saying | None, saying: Saying) -> bool:
    return now is not None and now.sound == saying.sound and saying.rank is not Rank.NOTICE


def _gives_way(waiting: Saying, newer: Saying) -> bool:
    return waiting.name == newer.name or waiting.rank is newer.rank is Rank.CONFIRMATION


def cut(programme: Programme, name: str) -> Step:
    """What has this name is not to be said any more."""
    gone = [one for one in programme.waiting if one.name == name]
    commands: list[Command] = [Drop(one) for one in gone]
    if programme.now and programme.now.name == name:
        commands.append(Cut())
    return replace(programme, waiting=tuple(one for one in programme.waiting if one not in gone)), commands


def over(programme: Programme, whole: bool) -> Step:
    """The running sound has ended. A warning that the notice has cut short comes again after it."""
    waiting, ended = programme.waiting, programme.now
    if ended and ended.rank is Rank.WARNING and not whole and _outranked(ended, waiting):
        waiting = (ended, *(one for one in waiting if one.name != ended.name))
    if not waiting:
        return Programme(), []
    following = max(waiting, key=lambda one: one.rank)  # of equals the first
    rest = tuple(one for one in waiting if one is not following)
    return Programme(following, rest), [Begin(following)]


def _outranked(saying: Saying, waiting: tuple[Saying, ...]) -> bool:
    return any(one.rank > saying.rank for one in waiting) and all(one.name != saying.name for one in waiting)


@dataclass(frozen=True, slots=True)
class _Ended:
    saying: Saying
    proof: PlaybackProof


@dataclass(frozen=True, slots=True)
class _Cut:
    name: str


@dataclass(frozen=True, slots=True)
class _ToneEvery:
    seconds: float | None


class Announcer:
    """The speaker's and the buzzer's only user. Its methods enqueue and return at once; any thread."""

    def __init__(self, speaker: Speaker, buzzer: Indicator) -> None:
        self._speaker, self._buzzer = speaker, buzzer
        self._inbox: queue.Queue[Saying | _Ended | _Cut | _ToneEvery | None] = queue.Queue(_INBOX)
        self._programme = Programme()
        self._tone_seconds: float | None = None
        self._next_tone = 0.0
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
        self._thread.start()

    def say(self, saying: Saying) -> None:
        """To be said when its turn comes."""
        self._post(saying)

    def cut(self, name: str) -> None:
        """What has this name ends now, or is not begun."""
        self._post(_Cut(name))

    def tone_every(self, seconds: float | None) -> None:
        """From now on the tone sounds at this interval, the first after one interval; None: no more."""
        self._post(_ToneEvery(seconds))

    def finish(self, seconds: float) -> None:
        """Waits until nothing is said any more and nothing waits, at most so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (self._programme != Programme() or not self._inbox.empty()):
            time.sleep(0.05)

    def close(self) -> None:
        """Nothing more is said. The speaker is cut short by its own ``close``."""
        self._post(None)
        self._thread.join(_WAIT_SECONDS)

    def _post(self, item: Saying | _Ended | _Cut | _ToneEvery | None) -> None:
        try:
            self._inbox.put_nowait(item)
        except queue.Full:
            log.error("announcer full", dropped=type(item).__name__)

    def _run(self) -> None:
        while True:
            try:
                item = self._inbox.get(timeout=self._patience())
            except queue.Empty:
                self._sound_tone()
                continue
            if item is None:
                return
            self._take(item)

    def _patience(self) -> float:
        if self._tone_seconds is None:
            return _WAIT_SECONDS
        return min(_WAIT_SECONDS, max(0.0, self._next_tone - time.monotonic()))

    def _sound_tone(self) -> None:
        if self._tone_seconds is not None and time.monotonic() >= self._next_tone:
            self._next_tone = time.monotonic() + self._tone_seconds
            self._carry_out(ask(self._programme, Saying("tone", Rank.TONE, TONE_FILE)))

    def _take(self, item: Saying | _Ended | _Cut | _ToneEvery) -> None:
        match item:
            case Saying():
                self._carry_out(ask(self._programme, item))
            case _Cut(name):
                self._carry_out(cut(self._programme, name))
            case _ToneEvery(seconds):
                self._tone_seconds, self._next_tone = seconds, time.monotonic() + (seconds or 0.0)
            case _Ended(saying, proof):
                self._settle(saying, proof)
                self._carry_out(over(self._programme, proof.completed))

    def _carry_out(self, step: Step) -> None:
        self._programme, commands = step
        for command in commands:
            match command:
                case Begin(saying):
                    self._begin(saying)
                case Cut():
                    self._speaker.stop()
                case Drop(saying):
                    self._settle(saying, failed(INTERRUPTED))

    def _begin(self, saying: Saying) -> None:
        if saying.buzzer != OFF:
            self._buzzer.show(saying.buzzer)
        try:
            if saying.digest:
                check_sound(saying.sound, saying.digest)
            self._speaker.play(saying.sound, lambda proof: self._post(_Ended(saying, proof)), saying.started)
        except HardwareError as error:
            self._post(_Ended(saying, failed(str(error))))

    def _settle(self, saying: Saying, proof: PlaybackProof) -> None:
        if proof.failure and proof.failure != INTERRUPTED:
            log.error("not said", name=saying.name, why=proof.failure)
        if saying.ended:
            saying.ended(proof)


def check_sound(path: Path, digest: str) -> None:
    """Raises HardwareError unless the file's SHA-256 is this one: what is played is what the agency signed."""
    try:
        found = sha256_hex(path.read_bytes())
    except OSError as error:
        raise HardwareError(f"sound {path} cannot be read: {error.strerror}") from error
    if found != digest:
        raise HardwareError(f"sound {path} is not the one that the policy names (SHA-256 {found[:16]}...)")

"""What is said and in which order: one sound at a time, the notice first, no warning lost."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import chirp, eventually

from agent.errors import HardwareError
from agent.evidence.encoding import sha256_hex
from agent.hardware.parts import OFF, Pattern, PlaybackProof
from agent.hardware.playback import INTERRUPTED, SerialSpeaker, Sound, Started
from agent.hardware.prompts import TONE_FILE
from agent.recorder.announcer import Announcer, Begin, Cut, Drop, Programme, Rank, Saying, ask, cut, over


def saying(name: str, rank: Rank = Rank.WARNING) -> Saying:
    return Saying(name, rank, Path(f"{name}.wav"))


NOTICE, REPEAT = saying("notice", Rank.NOTICE), saying("repeat", Rank.NOTICE)
BATTERY, FAULT = saying("battery"), saying("fault")
MARKED, DOCKED = saying("marked", Rank.CONFIRMATION), saying("docked", Rank.CONFIRMATION)
TONE = saying("tone", Rank.TONE)


@pytest.mark.parametrize(
    ("now", "waiting", "asked", "commands", "waits"),
    [
        (None, (), MARKED, [Begin(MARKED)], ()),
        (None, (), TONE, [Begin(TONE)], ()),
        (MARKED, (), TONE, [Drop(TONE)], ()),
        (MARKED, (), BATTERY, [Cut()], (BATTERY,)),
        (BATTERY, (), MARKED, [], (MARKED,)),
        (BATTERY, (), BATTERY, [Drop(BATTERY)], ()),
        (BATTERY, (MARKED,), DOCKED, [Drop(MARKED)], (DOCKED,)),
        (BATTERY, (FAULT,), NOTICE, [Cut()], (FAULT, NOTICE)),
        (NOTICE, (), BATTERY, [], (BATTERY,)),
        (NOTICE, (BATTERY,), BATTERY, [Drop(BATTERY)], (BATTERY,)),
        (NOTICE, (), MARKED, [], (MARKED,)),
        (NOTICE, (MARKED,), REPEAT, [], (MARKED, REPEAT)),
    ],
    ids=str,
)
def test_asking(
    now: Saying | None, waiting: tuple[Saying, ...], asked: Saying, commands: list[object], waits: tuple[Saying, ...]
) -> None:
    """A row a rule: what is done when something is asked for while something is said and something waits."""
    programme, done = ask(Programme(now, waiting), asked)
    assert (done, programme.waiting) == (commands, waits)


def test_the_end_of_a_sound_begins_the_most_important_that_waits_and_of_equals_the_first() -> None:
    programme, done = over(Programme(NOTICE, (MARKED, FAULT, BATTERY)), whole=True)
    assert done == [Begin(FAULT)]
    assert programme == Programme(FAULT, (MARKED, BATTERY))
    assert over(Programme(NOTICE), whole=True) == (Programme(), [])


def test_a_warning_that_the_notice_has_cut_is_said_again_after_it() -> None:
    programme, _ = ask(Programme(BATTERY), NOTICE)
    programme, done = over(programme, whole=False)
    assert done == [Begin(NOTICE)]
    _, done = over(programme, whole=True)
    assert done == [Begin(BATTERY)]


def test_a_confirmation_that_was_cut_is_not_repeated() -> None:
    programme, _ = ask(Programme(MARKED), FAULT)
    assert over(programme, whole=False) == (Programme(FAULT), [Begin(FAULT)])


def test_cutting_by_name_ends_what_sounds_and_drops_what_waits_and_nothing_else() -> None:
    assert cut(Programme(NOTICE, (MARKED,)), "notice") == (Programme(NOTICE, (MARKED,)), [Cut()])
    assert cut(Programme(MARKED, (NOTICE,)), "notice") == (Programme(MARKED), [Drop(NOTICE)])
    assert cut(Programme(MARKED, (FAULT,)), "notice") == (Programme(MARKED, (FAULT,)), [])


class Player:
    """A model of what carries the decisions out: what is cut ends as not whole."""

    def __init__(self) -> None:
        self.programme, self.cutting = Programme(), False
        self.owed: set[str] = set()

    def ask(self, item: Saying) -> None:
        if item.rank is Rank.WARNING:
            self.owed.add(item.name)
        self._obey(ask(self.programme, item))

    def end(self) -> None:
        if self.programme.now is None:
            return
        if not self.cutting:
            self.owed.discard(self.programme.now.name)
        self._obey(over(self.programme, whole=not self.cutting))

    def _obey(self, step: tuple[Programme, list[Begin | Cut | Drop]]) -> None:
        before, (self.programme, commands) = self.programme.now, step
        for command in commands:
            if isinstance(command, Cut):
                assert before is not None and before.rank is not Rank.NOTICE
                self.cutting = True
            elif isinstance(command, Begin):
                assert command.saying is self.programme.now, "one sound at a time"
                self.cutting = False


@given(st.lists(st.sampled_from([NOTICE, BATTERY, FAULT, MARKED, DOCKED, TONE, None]), max_size=40))
def test_whatever_is_asked_for_the_notice_is_not_cut_and_every_warning_is_said_whole_in_the_end(
    story: list[Saying | None],
) -> None:
    """None: the sound that is played ends."""
    player = Player()
    for item in story:
        player.ask(item) if item else player.end()
    for _ in range(20):
        player.end()
    assert player.programme == Programme()
    assert player.owed == set()


class FakeSpeaker(SerialSpeaker):
    """Sounds end when the test says so; every rule of SerialSpeaker is the real one."""

    def __init__(self) -> None:
        super().__init__("fake speaker")
        self.begun: queue.Queue[int] = queue.Queue()
        self.finish = threading.Event()

    def _render(self, sound: Sound, cut: threading.Event, started: Started) -> PlaybackProof:
        started(1)
        self.begun.put(len(sound.samples))
        while not cut.is_set() and not self.finish.wait(0.005):
            pass
        self.finish.clear()
        whole = not cut.is_set()
        total = len(sound.samples)
        return PlaybackProof(total, total if whole else 0, 8000, 0, 1, 2, None if whole else INTERRUPTED)


class Buzzer:
    def __init__(self) -> None:
        self.shown: list[Pattern] = []

    def show(self, pattern: Pattern) -> None:
        self.shown.append(pattern)

    def close(self) -> None:
        pass


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder, self.speaker, self.buzzer = folder, FakeSpeaker(), Buzzer()
        self.announcer = Announcer(self.speaker, self.buzzer)
        self.proofs: queue.Queue[PlaybackProof] = queue.Queue()

    def make(self, name: str, rank: Rank, samples: int, buzzer: Pattern = OFF, digest: str | None = None) -> Saying:
        path = self.folder / f"{name}.wav"
        path.write_bytes(chirp(samples / 8000))
        return Saying(name, rank, path, buzzer, digest, self.proofs.put if rank is Rank.NOTICE else None)

    def begun(self) -> int:
        return self.speaker.begun.get(timeout=10)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.announcer.close()
    made.speaker.close()


def test_a_prompt_waits_for_the_notice_and_the_buzzer_with_it(desk: Desk) -> None:
    desk.announcer.say(desk.make("notice", Rank.NOTICE, 100))
    assert desk.begun() == 100
    desk.announcer.say(desk.make("battery", Rank.WARNING, 200, Pattern(1)))
    desk.announcer.say(desk.make("marked", Rank.CONFIRMATION, 300))
    desk.speaker.finish.set()
    assert desk.proofs.get(timeout=10).completed
    assert desk.begun() == 200
    assert desk.buzzer.shown == [Pattern(1)]
    desk.speaker.finish.set()
    assert desk.begun() == 300


def test_the_notice_cuts_a_warning_which_comes_again(desk: Desk) -> None:
    desk.announcer.say(desk.make("battery", Rank.WARNING, 200))
    assert desk.begun() == 200
    desk.announcer.say(desk.make("notice", Rank.NOTICE, 100))
    assert desk.begun() == 100
    desk.speaker.finish.set()
    assert desk.begun() == 200


def test_a_notice_is_proved_once_when_it_is_cut_while_it_sounds_or_while_it_waits(desk: Desk) -> None:
    desk.announcer.say(desk.make("notice", Rank.NOTICE, 100))
    assert desk.begun() == 100
    desk.announcer.say(desk.make("repeat", Rank.NOTICE, 150))
    desk.announcer.cut("repeat")
    assert desk.proofs.get(timeout=10).failure == INTERRUPTED
    desk.announcer.cut("notice")
    assert desk.proofs.get(timeout=10).failure == INTERRUPTED
    desk.announcer.say(desk.make("marked", Rank.CONFIRMATION, 300))
    assert desk.begun() == 300
    assert desk.proofs.empty()


def test_a_notice_whose_file_is_not_the_signed_one_is_not_played_and_its_proof_says_why(desk: Desk) -> None:
    notice = desk.make("notice", Rank.NOTICE, 100, digest=sha256_hex(chirp(100 / 8000)))
    desk.announcer.say(notice)
    assert desk.begun() == 100
    desk.speaker.finish.set()
    assert desk.proofs.get(timeout=10).completed
    notice.sound.write_bytes(chirp(0.1))
    desk.announcer.say(notice)
    proof = desk.proofs.get(timeout=10)
    assert proof.failure is not None and "policy" in proof.failure
    assert desk.speaker.begun.empty()
    notice.sound.unlink()
    desk.announcer.say(notice)
    assert "cannot be read" in (desk.proofs.get(timeout=10).failure or "")


def test_the_tone_sounds_at_its_interval_into_silence_until_it_is_switched_off(desk: Desk) -> None:
    desk.announcer.tone_every(0.05)
    length = desk.begun()
    assert length > 2000, TONE_FILE
    desk.speaker.finish.set()
    assert desk.begun() == length
    desk.announcer.say(desk.make("battery", Rank.WARNING, 200))
    assert desk.begun() == 200, "the tone gives way"
    desk.announcer.tone_every(None)
    desk.speaker.finish.set()
    desk.announcer.say(desk.make("marked", Rank.CONFIRMATION, 300))
    while (found := desk.begun()) == length:
        desk.speaker.finish.set()
    assert found == 300


def test_a_speaker_that_refuses_ends_the_notice_with_its_words(desk: Desk) -> None:
    desk.speaker.close()
    desk.announcer.say(desk.make("notice", Rank.NOTICE, 100))
    assert "closed" in (desk.proofs.get(timeout=10).failure or "")


def test_more_than_anybody_asks_for_is_dropped_and_never_waited_for(desk: Desk) -> None:
    stuck = threading.Event()

    def block(sound: Path, ended: Callable[[PlaybackProof], None], started: object = None) -> None:
        stuck.wait(10)
        raise HardwareError("gone")

    desk.speaker.play = block  # type: ignore[method-assign]
    for _ in range(1000):
        desk.announcer.say(MARKED)
    stuck.set()
    eventually(desk.announcer._inbox.empty, 10, "the inbox emptied")

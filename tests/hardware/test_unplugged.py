"""A speaker and a microphone that go away and come back: nothing hangs, and the next use finds them again.

Runs inside a sound room of its own, whose PulseAudio is killed, stopped and started again.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hardware_lanes import eventually, need_lane

from agent.errors import HardwareError
from agent.hardware.parts import AudioBlock, Microphone, PlaybackProof, Speaker
from agent.hardware.prompts import NOTICE_FILE, Prompt
from agent.hardware.settings import AudioSettings

PULSEAUDIO = (
    "pulseaudio", "-n", "--daemonize=yes", "--exit-idle-time=-1", "--log-target=null",
    "-L", "module-null-sink sink_name=room rate=48000", "-L", "module-native-protocol-unix auth-anonymous=1",
)  # fmt: skip


class Plug:
    """The room's PulseAudio: pulled out, put in, or hung."""

    def __init__(self) -> None:
        self._pid_file = Path(os.environ["XDG_RUNTIME_DIR"]) / "pulse" / "pid"

    def send(self, number: signal.Signals) -> None:
        os.kill(int(self._pid_file.read_text()), number)

    def pull(self) -> None:
        self.send(signal.SIGKILL)
        self._pid_file.unlink()

    def put_in(self) -> None:
        if not self._pid_file.exists():
            subprocess.run(PULSEAUDIO, check=True, timeout=20, capture_output=True)


@pytest.fixture
def plug() -> Iterator[Plug]:
    need_lane("unplugged", "ER_LANE_UNPLUGGED")
    made = Plug()
    yield made
    made.put_in()


@pytest.fixture
def speaker(plug: Plug) -> Iterator[Speaker]:
    from agent.hardware.linux.speaker import PortAudioSpeaker

    made = PortAudioSpeaker(AudioSettings())
    yield made
    made.close()


@pytest.fixture
def microphone(plug: Plug) -> Iterator[Microphone]:
    from agent.hardware.linux.microphone import PortAudioMicrophone

    made = PortAudioMicrophone(AudioSettings())
    yield made
    made.close()


def play(speaker: Speaker, sound: Path) -> PlaybackProof:
    """The sound's proof; 30 s is more than all limits of the speaker together."""
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    speaker.play(sound, proofs.put)
    return proofs.get(timeout=30)


def test_a_speaker_pulled_out_in_the_middle_fails_that_sound_and_plays_the_next_when_it_is_back(
    plug: Plug, speaker: Speaker
) -> None:
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    started: queue.Queue[int] = queue.Queue()
    speaker.play(NOTICE_FILE, proofs.put, started.put)
    started.get(timeout=10)
    plug.pull()
    proof = proofs.get(timeout=30)
    assert proof.failure is not None and not proof.completed
    assert proof.frames_consumed < proof.frames_total
    assert play(speaker, Prompt.MARKED.file).failure is not None, "it is gone"
    plug.put_in()
    assert play(speaker, Prompt.MARKED.file).completed, "and back"


def test_a_microphone_pulled_out_is_a_fault_and_starts_again_when_it_is_back(
    plug: Plug, microphone: Microphone
) -> None:
    blocks: list[AudioBlock] = []
    faults: queue.Queue[HardwareError] = queue.Queue()
    microphone.start(blocks.append, faults.put)
    eventually(lambda: blocks, 10)
    plug.pull()
    faults.get(timeout=20)
    with pytest.raises(HardwareError):
        microphone.start(blocks.append, faults.put)
    plug.put_in()
    blocks.clear()
    microphone.start(blocks.append, faults.put)
    eventually(lambda: blocks, 10)


def test_a_driver_that_hangs_is_not_waited_for_and_serves_again_when_it_does(
    plug: Plug, speaker: Speaker, microphone: Microphone
) -> None:
    blocks: list[AudioBlock] = []
    faults: queue.Queue[HardwareError] = queue.Queue()
    proofs: queue.Queue[PlaybackProof] = queue.Queue()
    started: queue.Queue[int] = queue.Queue()
    microphone.start(blocks.append, faults.put)
    speaker.play(NOTICE_FILE, proofs.put, started.put)
    started.get(timeout=10)
    plug.send(signal.SIGSTOP)
    try:
        faults.get(timeout=20)
        proof = proofs.get(timeout=30)
        assert proof.failure is not None and proof.frames_consumed < proof.frames_total
        assert play(speaker, Prompt.MARKED.file).failure is not None
        with pytest.raises(HardwareError):
            microphone.start(blocks.append, faults.put)
    finally:
        plug.send(signal.SIGCONT)
    eventually(lambda: play(speaker, Prompt.MARKED.file).completed, 30)
    blocks.clear()
    microphone.start(blocks.append, faults.put)
    eventually(lambda: blocks, 10)


def test_the_devices_are_not_listed_anew_while_a_stream_is_open(plug: Plug, microphone: Microphone) -> None:
    """Listing would end the recording's sound for the sake of a prompt."""
    from agent.hardware.linux.portaudio import found_again

    blocks: list[AudioBlock] = []
    faults: queue.Queue[HardwareError] = queue.Queue()
    microphone.start(blocks.append, faults.put)
    eventually(lambda: blocks, 10)

    def absent() -> None:
        raise HardwareError("no such device")

    with pytest.raises(HardwareError, match="no such device"):
        found_again("speaker", absent)
    count = len(blocks)
    eventually(lambda: len(blocks) > count, 10)
    assert faults.empty()

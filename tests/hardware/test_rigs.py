"""The lanes that need a rig around them: each runs its tests in a process of its own, inside the rig."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hardware_lanes import best_match, read_mono

from agent.hardware.playback import read_wav, resample
from agent.hardware.prompts import Prompt

ROOT = Path(__file__).parents[2]
RIGS = ROOT / "tests" / "rigs"
PLAY_ONCE = """
import dataclasses, json, queue, sys
from pathlib import Path
from agent.hardware.linux.speaker import PortAudioSpeaker
from agent.hardware.settings import AudioSettings
proofs = queue.Queue()
speaker = PortAudioSpeaker(AudioSettings())
speaker.play(Path(sys.argv[1]), proofs.put)
print(json.dumps(dataclasses.asdict(proofs.get(timeout=30))))
speaker.close()
"""


def _environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(entry for entry in (more.pop("first", ""), str(ROOT)) if entry)
    return os.environ | {"PYTHONPATH": path} | more


def _run(command: list[str], environment: dict[str, str], seconds: float = 100) -> str:
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


_OWN_CONFTEST = ("--confcutdir", str(Path(__file__).parent), "-o", "markers=slow")
"""A rig's environment has no more packages than the room needs, so the whole suite's conftest stays out."""


def _run_tests(prefix: list[str], environment: dict[str, str], *selection: str, seconds: float = 100) -> None:
    """Runs the selected tests; they must all pass, and none of them may skip inside its own rig."""
    command = [*prefix, "-m", "pytest", "-q", "-p", "no:cacheprovider", *_OWN_CONFTEST, *selection]
    out = _run(command, environment, seconds)
    counts = re.search(r"^(\d+) passed(?!.*skipped)", out, re.MULTILINE)
    assert counts and int(counts[1]) > 0, out[-2000:]


def _need(lane: str, *tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"lane {lane}: {', '.join(missing)} not installed")
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"lane {lane}: {error}")


@pytest.mark.parametrize("prompt", [Prompt.MARKED, Prompt.RECORDING_STARTED], ids=lambda prompt: prompt.name.lower())
def test_what_leaves_alsa_is_the_sound_whole_and_undistorted(tmp_path: Path, prompt: Prompt) -> None:
    _need("portaudio-file")
    config, out = tmp_path / "asound.conf", tmp_path / "out.wav"
    config.write_text(
        "pcm.!default { type plug slave { rate 48000 channels 1 format S16_LE\n"
        f' pcm {{ type file slave.pcm null file "{out}" format wav }} }} }}\n'
        "ctl.!default { type hw card 0 }\n",
        encoding="ascii",
    )
    alsa = f"/usr/share/alsa/alsa.conf:{config}"
    said = _run([sys.executable, "-c", PLAY_ONCE, str(prompt.file)], _environment(ALSA_CONFIG_PATH=alsa))
    proof = json.loads(said.strip().splitlines()[-1])
    assert proof["failure"] is None and proof["underruns"] == 0
    assert proof["frames_consumed"] == proof["frames_total"]
    sound = resample(read_wav(prompt.file), 48000).samples[:, 0].astype(np.float64)
    played = read_mono(out)
    match, place = best_match(played, sound)
    assert match > 0.95
    # Whole: PortAudio begins with one buffer of silence and pads the last one; between them stands every sample.
    assert place < 0.5 * 48000 and np.abs(played[: place - 100]).max(initial=0) < 50
    assert len(sound) <= len(played) - place + 100 and len(played) - place - len(sound) < 0.5 * 48000


def _need_room() -> None:
    _need("sound-room", "pulseaudio", "pactl")
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        pytest.skip("lane sound-room: ALSA's PulseAudio plugin (libasound2-plugins) is not installed")


@pytest.mark.timeout(200)
def test_unplugged_speaker_and_microphone_are_not_waited_for_and_found_again(tmp_path: Path) -> None:
    """In a sound room of its own, whose PulseAudio is killed, stopped and started again."""
    _need_room()
    _run_tests(
        [str(RIGS / "sound-room.sh"), str(tmp_path / "room"), sys.executable],
        _environment(ER_LANE_UNPLUGGED="1"),
        "tests/hardware/test_unplugged.py",
        seconds=190,
    )


@pytest.mark.timeout(250)
def test_portaudio_keeps_the_contracts_and_hears_itself_in_the_sound_room(tmp_path: Path) -> None:
    _need_room()
    room = tmp_path / "room"
    _run_tests(
        [str(RIGS / "sound-room.sh"), str(room), sys.executable],
        _environment(ER_LANE_SOUND_ROOM="1"),
        *(f"tests/hardware/test_{name}.py" for name in ("sound_room", "speaker_contract", "microphone_contract")),
        *("-k", "portaudio or sound_room"),
        seconds=240,
    )


@pytest.mark.timeout(150)
def test_the_real_picamera2_keeps_the_camera_contract_on_libcameras_software_camera() -> None:
    folder = os.environ.get("ER_LIBCAMERA_RIG")
    if not folder:
        pytest.skip("lane picamera2: ER_LIBCAMERA_RIG names no folder; see tests/rigs/README.md")
    rig = Path(folder)
    python = rig / "venv-pi" / "bin" / "python"
    assert python.exists(), f"{rig} was not made by build.sh and venv.sh"
    _run_tests(
        [str(python)],
        _environment(first=str(rig / "site"), LIBCAMERA_LOG_LEVELS="*:ERROR"),
        *("tests/hardware/test_camera_contract.py", "tests/hardware/test_packet_camera_contract.py", "-k", "picamera2"),
    )

"""The sounds that are shipped."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hardware.playback import read_wav
from agent.hardware.prompts import (
    NOTICE_FILE,
    NOTICE_TEXT,
    TONE_FILE,
    Prompt,
    battery_prompt,
    print_list,
    storage_prompt,
)


@pytest.mark.parametrize("file", [NOTICE_FILE, *(prompt.file for prompt in Prompt)], ids=lambda file: file.name)
def test_each_sound_is_mono_16_bit_speech_loud_enough_and_not_clipped(file: Path) -> None:
    sound = read_wav(file)
    level = np.abs(sound.samples.astype(int))
    assert sound.samples.shape[1] == 1
    assert 0.4 < len(level) / sound.sample_rate < 12
    assert 15000 < level.max() < 32000
    assert np.sqrt((level.astype(float) ** 2).mean()) > 1500


def test_the_notice_is_the_text_of_the_regulation() -> None:
    assert NOTICE_TEXT == "您好，我们是望花区应急管理局执法人员，现依法对执法过程进行全程录音录像，请您配合。"


def test_the_sounds_are_what_the_script_makes_of_the_texts(tmp_path: Path) -> None:
    if not (shutil.which("espeak-ng") and shutil.which("sox")):
        pytest.skip("lane sounds: espeak-ng and sox are not installed")
    listed = io.StringIO()
    print_list(listed)
    names = [line.split("\t")[0] for line in listed.getvalue().splitlines()]
    script = shutil.copy(NOTICE_FILE.parent / "make-sounds.sh", tmp_path)
    folder = str(Path(sys.executable).parent)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    env = {"PATH": f"{tmp_path}/bin:{folder}:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([script], env=env, check=True, timeout=60, capture_output=True)
    assert (tmp_path / TONE_FILE.name).read_bytes()[:4] == b"RIFF"
    lengths = {name: len(read_wav(tmp_path / name).samples) for name in names}
    shipped = {name: len(read_wav(NOTICE_FILE.parent / name).samples) for name in names}
    # Bytes differ between versions of espeak-ng and sox; what was said does not.
    assert {name: pytest.approx(length, rel=0.2) for name, length in shipped.items()} == lengths


@given(st.integers(0, 10_000))
def test_what_is_said_to_be_left_is_never_more_than_there_is(minutes: int) -> None:
    for prompt in (battery_prompt(minutes), storage_prompt(minutes)):
        said = re.search(r"_(\d+)_(MINUTE|HOUR)", prompt.name)
        assert said is None or int(said[1]) * (60 if said[2] == "HOUR" else 1) <= minutes


@pytest.mark.parametrize(
    ("minutes", "battery", "storage"),
    [
        (4, Prompt.BATTERY_LOW, Prompt.STORAGE_LOW),
        (5, Prompt.BATTERY_5_MINUTES, Prompt.STORAGE_LOW),
        (14, Prompt.BATTERY_10_MINUTES, Prompt.STORAGE_10_MINUTES),
        (29, Prompt.BATTERY_20_MINUTES, Prompt.STORAGE_10_MINUTES),
        (61, Prompt.BATTERY_30_MINUTES, Prompt.STORAGE_1_HOUR),
        (240, Prompt.BATTERY_30_MINUTES, Prompt.STORAGE_4_HOURS),
    ],
)
def test_what_is_left_is_said_at_fixed_steps(minutes: int, battery: Prompt, storage: Prompt) -> None:
    assert (battery_prompt(minutes), storage_prompt(minutes)) == (battery, storage)


def test_the_tone_is_short_and_soft_and_does_not_click() -> None:
    sound = read_wav(TONE_FILE)
    level = np.abs(sound.samples[:, 0].astype(int))
    assert 0.1 < len(level) / sound.sample_rate < 0.3
    assert 5000 < level.max() < 10000
    assert level[:5].max() < 500 and level[-5:].max() < 500


def test_every_prompt_has_its_own_words_in_both_languages() -> None:
    assert len({prompt.chinese for prompt in Prompt}) == len({prompt.english for prompt in Prompt}) == len(Prompt)
    assert len({hashlib.sha256(prompt.file.read_bytes()).digest() for prompt in Prompt}) == len(Prompt)

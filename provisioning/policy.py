"""The agency's policy: safe values to begin with, and the limits within which an administrator may change them."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from agent.errors import UsageError
from agent.evidence.documents import BatteryPolicy, HazardPolicy, HazardZone, NoticePolicy, Policy
from agent.evidence.encoding import sha256_hex

NOTICE_TEXT: Final = "您好，我们是望花区应急管理局执法人员，现依法对执法过程进行全程录音录像，请您配合。"
"""R12.1: the default words; they must be what is heard in the notice file."""
MIB: Final = 1024 * 1024
_LONGEST_NOTICE_SECONDS: Final = 60.0
NO_ZONE: Final = ""
"""As a setting: the policy assumes no zone any more."""
NO_ZONE_MAP: Final = ""
"""As a setting: the policy names no map any more."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an administrator may set; None leaves a value as it is."""

    notice_text: str | None = None
    must_be_heard: bool | None = None
    notice_repeat: bool | None = None
    tone_interval_us: int | None = None
    """0: no tone."""
    hazard_max_age_us: int | None = None
    stale_counts_as_set: bool | None = None
    assumed_zone: HazardZone | Literal[""] | None = None
    """The zone, or NO_ZONE."""
    zone_map: str | None = None
    """SHA-256 of the map, or NO_ZONE_MAP."""
    power_down: bool | None = None
    alarm_minutes: int | None = None
    seal_minutes: int | None = None
    segment_us: int | None = None
    epoch_lines: int | None = None
    receipts_needed: int | None = None
    release_after_us: int | None = None
    minimum_free_bytes: int | None = None


def default_policy(agency: str, notice: bytes, recipients: list[str]) -> Policy:
    """The values to begin with, as version 0, which is never signed. ``notice`` is the WAV file's bytes."""
    return Policy(
        v=1,
        type="policy",
        version=0,
        agency=agency,
        issued_us=0,
        notice=NoticePolicy(
            check_notice(notice), NOTICE_TEXT, must_be_heard=False, repeat=False, tone_interval_us=None
        ),
        hazard=HazardPolicy(
            max_age_us=10_000_000, stale_counts_as_set=True, assumed_zone=None, zone_map=None, power_down=False
        ),
        battery=BatteryPolicy(alarm_minutes=15, seal_minutes=3),
        recipients=recipients,
        segment_us=5_000_000,
        epoch_lines=256,
        receipts_needed=1,
        release_after_us=0,
        minimum_free_bytes=200 * MIB,
    )


def check_notice(wav: bytes) -> str:
    """The digest of a notice that every unit can play. Raises UsageError saying what is wrong with the file.

    Taken: uncompressed WAV, 16 bit, mono or stereo, 8 to 48 kHz, 0.5 to 60 s, not silent.
    """
    try:
        with wave.open(io.BytesIO(wav)) as sound:
            frames, rate = sound.getnframes(), sound.getframerate()
            channels, width = sound.getnchannels(), sound.getsampwidth()
            samples = sound.readframes(frames)
    except (wave.Error, EOFError) as error:
        raise UsageError(f"the notice must be an uncompressed WAV file: {error}") from error
    if width != 2 or channels not in (1, 2) or not 8_000 <= rate <= 48_000:
        raise UsageError(
            "告知语音须为 16 位、单声道或双声道、8 至 48 kHz 的 WAV；"
            " the notice must be 16 bit, mono or stereo, 8 to 48 kHz,"
            f" not {8 * width} bit, {channels} channels, {rate} Hz: sox IN.wav -b 16 -c 1 -r 48000 OUT.wav"
        )
    seconds = frames / rate
    if not 0.5 <= seconds <= _LONGEST_NOTICE_SECONDS or len(samples) != frames * channels * width:
        raise UsageError(
            f"the notice must last 0.5 to {_LONGEST_NOTICE_SECONDS:.0f} s and be whole, not {seconds:.2f} s"
        )
    if not any(samples):
        raise UsageError("告知语音全为静音； the notice is silent from beginning to end")
    return sha256_hex(wav)


def changed(policy: Policy, settings: Settings, notice: bytes | None = None) -> Policy:
    """The policy with these settings, checked against their limits (UsageError). The version is left as it is."""
    parts: dict[str, Any] = {
        "notice": replace(
            policy.notice,
            **_given(
                digest=notice and check_notice(notice),
                text=settings.notice_text,
                must_be_heard=settings.must_be_heard,
                repeat=settings.notice_repeat,
                tone_interval_us=settings.tone_interval_us,
            ),
        ),
        "hazard": replace(
            policy.hazard,
            **_given(
                max_age_us=settings.hazard_max_age_us,
                stale_counts_as_set=settings.stale_counts_as_set,
                assumed_zone=settings.assumed_zone,
                zone_map=settings.zone_map,
                power_down=settings.power_down,
            ),
        ),
        "battery": replace(
            policy.battery, **_given(alarm_minutes=settings.alarm_minutes, seal_minutes=settings.seal_minutes)
        ),
    }
    numbers = _given(
        segment_us=settings.segment_us,
        epoch_lines=settings.epoch_lines,
        receipts_needed=settings.receipts_needed,
        release_after_us=settings.release_after_us,
        minimum_free_bytes=settings.minimum_free_bytes,
    )
    return checked(_with_nothing_as_none(replace(policy, **parts, **numbers)))


def _with_nothing_as_none(policy: Policy) -> Policy:
    """No tone, no zone and no map are set by values that no policy has."""
    notice = replace(policy.notice, tone_interval_us=policy.notice.tone_interval_us or None)
    hazard = policy.hazard
    hazard = replace(hazard, assumed_zone=hazard.assumed_zone or None, zone_map=hazard.zone_map or None)
    return replace(policy, notice=notice, hazard=hazard)


def _given(**values: Any) -> dict[str, Any]:
    # Any, because dataclasses.replace takes fields of every kind; their shape is checked when the policy is signed.
    return {name: value for name, value in values.items() if value is not None}


_LIMITS: Final = {
    "segment_us": (1_000_000, 60_000_000),
    "epoch_lines": (1, 65_536),
    # None would let a device drop evidence that nobody has confirmed (R22).
    "receipts_needed": (1, 8),
    "release_after_us": (0, 30 * 86_400_000_000),
    "minimum_free_bytes": (MIB, 1024 * 1024 * MIB),
}


def checked(policy: Policy) -> Policy:
    """The policy itself, if every value is within its limits; raises UsageError naming value and limits."""
    for name, (low, high) in _LIMITS.items():
        _require(name, getattr(policy, name), low, high)
    _require("hazard.max_age_us", policy.hazard.max_age_us, 1_000_000, 600_000_000)
    # Less than five minutes is no warning; more than thirty is one that nobody heeds.
    _require("battery.alarm_minutes", policy.battery.alarm_minutes, 5, 30)
    _require("battery.seal_minutes", policy.battery.seal_minutes, 1, policy.battery.alarm_minutes - 1)
    if policy.notice.tone_interval_us is not None:
        _require("notice.tone_interval_us", policy.notice.tone_interval_us, 5_000_000, 3_600_000_000)
    if not policy.notice.text.strip():
        raise UsageError("the notice text must not be empty: R12.1 asks for words that can be checked")
    return policy


def _require(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UsageError(f"policy {name} must be {low} to {high}, not {value}")

"""What a screen shows of a unit: the facts that matter, what needs a hand marked, within 80 columns."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from agent.commands.status_view import TROUBLE, essence, level_bar, line, panel, rows

READY: dict[str, Any] = {
    "device": "er-1",
    "phase": "ready",
    "phase_zh": "待命",
    "phase_en": "ready",
    "signal": "ready",
    "signal_zh": "待命",
    "signal_en": "ready",
    "recording": None,
    "media_seconds": 0.0,
    "hazard": "clear",
    "docked": False,
    "ledger_size": 12,
    "free_bytes": 20_000_000_000,
    "space_seconds": 26_640,
    "power": {"percent": 62, "minutes_left": 85, "on_mains": False},
    "clock": {"source": "ntp", "error_us": 2_400},
    "position": {"error_metres": 4.6, "age_seconds": 1.2},
    "lost_parts": [],
    "sound_dbfs": None,
    "warnings": [],
    "entries": [{"at": "2026-01-02T03:04:05+00:00", "seq": 11, "type": "self_test"}],
    "custody": {"pending_objects": 3, "pending_bytes": 4_200_000, "connected": True},
}
RECORDING = READY | {
    "phase": "recording",
    "signal": "recording",
    "signal_zh": "正在录音录像",
    "signal_en": "recording",
    "recording": "00112233445566aa",
    "media_seconds": 3_725.9,
    "sound_dbfs": {"peak": -9.3, "rms": -23.4},
}
WORST = RECORDING | {
    "signal": "trouble",
    "signal_zh": "正在录制，有部件中断",
    "signal_en": "recording, with a part lost",
    "hazard": "stale",
    "clock": {"source": "none", "error_us": None},
    "position": None,
    "lost_parts": ["camera", "microphone"],
    "space_seconds": 1_700,
    "power": {"percent": None, "minutes_left": 4, "on_mains": None},
    "warnings": [{"at": "2026-01-02T03:04:05+00:00", "zh": "麦克风中断", "en": "Microphone lost"}] * 5,
    "entries": [{"at": "2026-01-02T03:04:05+00:00", "seq": 10**9, "type": "checkpoint"}] * 8,
}


def drawn(status: dict[str, Any], **options: Any) -> str:
    out = io.StringIO()
    Console(file=out, width=80, **options).print(panel(status))
    return out.getvalue()


def value(status: dict[str, Any], label: str) -> str | None:
    return next((row.value for row in rows(status) if label in row.label), None)


def test_a_ready_unit_shows_what_is_left_and_what_is_trusted_and_no_trouble() -> None:
    assert value(READY, "state") == "待命 ready"
    assert value(READY, "left") == "空间 space 7.4 h  电池 battery 85 min, 62 %"
    assert value(READY, "clock") == "网络 NTP ±2 ms"
    assert value(READY, "position") == "±5 m, 1 s 前 ago"
    assert value(READY, "pending") == "3 个 objects, 4.2 MB  已联机 online"
    assert not any(row.trouble for row in rows(READY))


def test_a_recording_shows_its_time_its_id_and_how_loud_it_is() -> None:
    assert value(RECORDING, "recording") == "01:02:05  00112233445566aa"
    assert "-23 dBFS, 峰值 peak -9" in (value(RECORDING, "sound") or "")


def test_a_hazard_that_the_units_approval_covers_is_shown_and_is_no_trouble() -> None:
    (row,) = [one for one in rows({**READY, "hazard": "set", "hazard_refuses": False}) if one.label.startswith("危险")]
    assert "approved" in row.value
    assert not row.trouble
    (row,) = [one for one in rows({**READY, "hazard": "set", "hazard_refuses": True}) if one.label.startswith("危险")]
    assert row.trouble


@pytest.mark.parametrize("label", ["state", "left", "hazard", "clock", "position", "lost"])
def test_whatever_needs_a_hand_is_marked_with_a_sign_and_not_by_colour_alone(label: str) -> None:
    assert [row.trouble for row in rows(WORST) if label in row.label] == [True]
    assert drawn(WORST, no_color=True).count(TROUBLE) >= 6


@pytest.mark.parametrize("status", [READY, RECORDING, WORST, WORST | {"device": "x" * 60}])
@pytest.mark.parametrize("options", [{}, {"no_color": True}, {"force_terminal": True}])
def test_it_fits_into_80_columns_with_and_without_colour(status: dict[str, Any], options: dict[str, Any]) -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, record=True, **options)
    console.print(panel(status))
    assert all(cell_len(text) <= 80 for text in console.export_text(styles=False).splitlines())


def test_the_newest_warnings_and_entries_are_shown_and_no_more() -> None:
    text = drawn(WORST)
    assert text.count("麦克风中断") == 3
    assert text.count(f"#{10**9} checkpoint") == 5
    assert "03:04:05Z" in text


def test_a_unit_on_mains_is_in_no_trouble_over_its_battery() -> None:
    status = READY | {"power": {"percent": 3, "minutes_left": 4, "on_mains": True}}
    assert not any(row.trouble for row in rows(status))
    assert "外接电源 on mains" in (value(status, "left") or "")


@pytest.mark.parametrize(
    ("rms", "peak", "filled", "stroke"),
    [(-60, -60, 0, None), (0, 0, 24, None), (-30, -15, 12, 17), (-99, -99, 0, None)],
)
def test_the_level_bar_is_filled_to_the_mean_and_has_a_stroke_at_the_peak(
    rms: float, peak: float, filled: int, stroke: int | None
) -> None:
    bar = level_bar(rms, peak).split(" ")[0]
    assert len(bar) == 24 and bar.count("█") == filled
    assert (bar.index("│") if "│" in bar else None) == stroke


def test_a_line_says_state_recording_and_trouble() -> None:
    assert line(READY) == "er-1: 待命 ready"
    assert line(WORST).startswith("er-1: 正在录制，有部件中断 recording, with a part lost  记录 00112233445566aa  ！")


def test_what_merely_runs_on_is_no_news_and_what_changes_is() -> None:
    later = RECORDING | {"media_seconds": 9_000.0, "ledger_size": 99, "sound_dbfs": None, "space_seconds": 20_000}
    assert essence(later) == essence(RECORDING)
    for news in ({"hazard": "set"}, {"docked": True}, {"signal": "sealing"}, {"lost_parts": ["camera"]},
                 {"warnings": WORST["warnings"]}, {"clock": {"source": "rtc", "error_us": None}}):  # fmt: skip
        assert essence(RECORDING | news) != essence(RECORDING)


@pytest.mark.parametrize(
    ("matter", "shown", "trouble"),
    [
        ({"number": "matter-7", "source": "qr", "unusable": False}, "matter-7  二维码 code", False),
        ({"number": "matter-7", "source": "dispatch", "unusable": False}, "matter-7  下发 dispatch", False),
        ({"number": None, "source": None, "unusable": False}, "无 none", False),
        ({"number": None, "source": None, "unusable": True}, "无法读取 cannot be read", True),
    ],
)
def test_the_matter_is_shown_by_its_number_and_its_way_and_one_that_cannot_be_read_needs_a_hand(
    matter: dict[str, Any], shown: str, trouble: bool
) -> None:
    status = READY | {"matter": matter}
    assert [(row.value, row.trouble) for row in rows(status) if "matter" in row.label] == [(shown, trouble)]
    assert essence(status) != essence(READY), "a new matter is news"


def test_an_answer_without_the_newer_facts_is_shown_as_far_as_it_goes() -> None:
    plain = {name: READY[name] for name in ("device", "phase", "phase_zh", "phase_en", "recording", "media_seconds",
             "hazard", "docked", "ledger_size", "free_bytes", "power")}  # fmt: skip
    assert "待命" in drawn(plain)
    assert "20.0 GB" in drawn(plain)

"""R12.2: an assignment as a QR code, for paper, for a screen, and for a terminal."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import segno
from rich.text import Text

from agent.errors import UsageError
from agent.evidence.dispatch import code_of
from agent.system import durable

QUIET: Final = 4
"""Empty squares around a code, as the standard demands."""
MOST_SQUARES: Final = 73
"""Version 14. With its border 81 across, at three pixels each 243 of 1,280: an A4 sheet (190 mm printed) at arm's
length before a lens that sees 90 degrees wide. What is finer, a body-worn camera cannot be relied on to read."""
SQUARE_MILLIMETRES: Final = 2.4
"""Three pixels wide for that camera at that distance."""
_FILE_MODE: Final = 0o640
_HALVES: Final = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


@dataclass(frozen=True, slots=True)
class Code:
    """A code, ready to be drawn."""

    qr: segno.QRCode

    @property
    def squares(self) -> int:
        """Across, without the border."""
        return int(self.qr.symbol_size(border=0)[0])

    @property
    def millimetres(self) -> int:
        """How wide it must be shown, border included, to be read at arm's length."""
        return round((self.squares + 2 * QUIET) * SQUARE_MILLIMETRES)


def make_code(token: bytes) -> Code:
    """The code of a signed assignment. Raises UsageError for one too fine for a unit's camera."""
    digits = code_of(token)
    # As few squares as can be: what a lens cannot tell apart, no correction brings back. Room left over is used for it.
    code = Code(segno.make_qr(digits, error="l", boost_error=True))
    if code.squares > MOST_SQUARES:
        raise UsageError(
            f"二维码过密，摄像头读不出：{code.squares} 格，最多 {MOST_SQUARES}；任务 {len(token)} 字节，"
            "请缩短当事人、地点或人员，或改由采集站下发。 "
            f"The code would be too fine to be read, {code.squares} squares across and at most {MOST_SQUARES}: "
            f"of the {len(token)} bytes shorten party, site or officers, or send it through the dock"
        )
    return code


def picture_kind(path: Path) -> str:
    """``png`` or ``svg``; raises UsageError for any other ending."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise UsageError(f"--qr {path}: FILE.png, FILE.svg, or - for the terminal")
    return kind


def write_code(code: Code, path: Path) -> None:
    """Writes a PNG, or an SVG that prints at the size it must have; durable. Raises UsageError for any other ending."""
    drawn = io.BytesIO()
    if picture_kind(path) == "png":
        code.qr.save(drawn, kind="png", scale=8, border=QUIET)
    else:
        code.qr.save(drawn, kind="svg", scale=SQUARE_MILLIMETRES, unit="mm", border=QUIET, light="white")
    durable.write_atomic(path, drawn.getvalue(), _FILE_MODE)


def terminal(code: Code) -> Text:
    """Two squares to a character, black on white whatever the terminal's own colours are."""
    rows = [tuple(row) for row in code.qr.matrix_iter(border=QUIET)]
    rows += [(0,) * len(rows[0])] * (len(rows) % 2)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    lines = ("".join(_HALVES[int(upper), int(lower)] for upper, lower in zip(*pair, strict=True)) for pair in pairs)
    return Text("\n".join(lines), style="black on bright_white", no_wrap=True, overflow="ignore")

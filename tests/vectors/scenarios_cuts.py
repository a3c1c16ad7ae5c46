"""The end of a ledger cut off, or torn."""

from __future__ import annotations

from tests.vectors.builder import Bundle, cut, orphaned, scenario, small
from tests.vectors.recorder import Recorder


def shorter(b: Bundle, d: Recorder) -> None:
    """Both notes speak of more lines than there are."""
    for where in ("checkpoint", "cosigned"):
        b.expect("LEDGER_CUT", where)
    for path in orphaned(d, d.size):
        b.expect("OBJECT_UNLISTED", f"file {path.removeprefix('objects/')}")
    b.witnessed = False


@scenario("cut-last-line", "The last line is removed.")
def cut_last_line(b: Bundle) -> None:
    d = small(b)
    cut(d, d.size - 1)
    shorter(b, d)


@scenario("cut-inside-recording", "The ledger is cut inside a recording: it has no end, and files stay that nothing names.")
def cut_inside_recording(b: Bundle) -> None:
    d = small(b)
    r = d.recordings["second"]
    cut(d, r.at["segment"][0] + 1)
    shorter(b, d)
    b.expect("RECORDING_UNFINISHED", r.place)


@scenario("cut-newest-recording", "The newest recording is removed whole, entries and objects.")
def cut_newest_recording(b: Bundle) -> None:
    d = small(b)
    cut(d, d.recordings["second"].at["epoch"][0], objects=True)
    shorter(b, d)


@scenario("cut-to-boot", "Only the first line is left.")
def cut_to_boot(b: Bundle) -> None:
    d = small(b)
    cut(d, 1, objects=True)
    shorter(b, d)


@scenario("cut-with-notes-removed", "The newest recording is removed whole, and the notes with it; a witness kept one, and it is given.")
def cut_with_notes_removed(b: Bundle) -> None:
    d = small(b)
    b.notes = [d.note(own=False)]
    cut(d, d.recordings["second"].at["epoch"][0], objects=True)
    del d.files["checkpoint"], d.files["cosigned"]
    b.expect("LEDGER_CUT", "note 0")
    b.witnessed = False


@scenario("cut-unnoticed", "The newest lines, which no witness saw, are removed with the checkpoint: only that they are not witnessed could have shown.")
def cut_unnoticed(b: Bundle) -> None:
    d = small(b)
    del d.files["checkpoint"]
    d.files["cosigned"] = d.note(d.size - 1).encode()
    cut(d, d.size - 1)


@scenario("torn-last-line", "The last line is torn.")
def torn_last_line(b: Bundle) -> None:
    d = small(b)
    last = d.lines[-1]
    cut(d, d.size - 1)
    d.files["ledger.jws"] += last[:100]  # type: ignore[operator]
    shorter(b, d)
    b.expect("TORN_TAIL", d.size)


@scenario("torn-newline", "The newline of the last line is missing: it is no line.")
def torn_newline(b: Bundle) -> None:
    d = small(b)
    last = d.lines[-1]
    cut(d, d.size - 1)
    d.files["ledger.jws"] += last  # type: ignore[operator]
    shorter(b, d)
    b.expect("TORN_TAIL", d.size)


@scenario("torn-after-the-end", "Bytes of a line that was being written follow the last line.")
def torn_after_the_end(b: Bundle) -> None:
    d = small(b)
    d.files["ledger.jws"] += d.lines[-1][:50]  # type: ignore[operator]
    b.expect("TORN_TAIL", d.size)


@scenario("torn-first-line", "There is but one line, and it is torn: a ledger of no lines.")
def torn_first_line(b: Bundle) -> None:
    d = small(b)
    first = d.lines[0]
    cut(d, 0, objects=True)
    d.files["ledger.jws"] = first[:100]
    shorter(b, d)
    b.expect("TORN_TAIL", 0)
    b.recordings = False


@scenario("torn-tail-too-long", "More than 65,536 bytes follow the last newline: no line is so long.")
def torn_tail_too_long(b: Bundle) -> None:
    d = small(b)
    d.files["ledger.jws"] += b"a" * 65_537  # type: ignore[operator]
    b.expect("LINE_MALFORMED", d.size)


@scenario("torn-tail-longest", "65,536 bytes follow the last newline: as long as a line may be.")
def torn_tail_longest(b: Bundle) -> None:
    d = small(b)
    d.files["ledger.jws"] += b"a" * 65_536  # type: ignore[operator]
    b.expect("TORN_TAIL", d.size)

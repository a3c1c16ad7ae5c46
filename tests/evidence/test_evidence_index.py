"""The index beside a ledger: continued where it stood, or refused; and what it says is what the lines say."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import TIME

from agent.errors import FormatError
from agent.evidence.entries import Adopted, Body, Boot, Close, Entry, Epoch, Heartbeat, Interlock, ObjectRef, Open
from agent.evidence.index import IndexWriter, KeptIndex, LedgerIndex, Mark
from agent.evidence.merkle import EMPTY_ROOT, LeafNodes, leaf_hash, root_at
from agent.evidence.shapes import dump_shape, load_shape

PARTS = ("offsets", "tree", "recordings", "keys")
KEY = "A" * 43


def _open(number: int) -> Open:
    permitted = Interlock("permitted", None, "clear", "clear", [], None)
    return Open(f"{number:016x}", "video", None, None, None, None, [], permitted, None, None)


BODIES: tuple[Body, ...] = (
    Boot(0, "", KEY, "s", {}, 0),
    Adopted("profile", 1, ObjectRef("0" * 64, 1, "jws")),
    Adopted("policy", 1, ObjectRef("1" * 64, 1, "jws")),
    Epoch(KEY, "recording_begin"),
    Epoch(KEY, "recording_end"),
    _open(1),
    _open(2),
    Close(f"{1:016x}", "button", 0, 0, 0, 0),
    Close(f"{2:016x}", "button", 0, 0, 0, 0),
    Heartbeat("ready"),
)
LINES = st.lists(st.tuples(st.sampled_from(BODIES), st.binary(min_size=1, max_size=40)), max_size=40)


class Kept:
    """A ledger of any lines (the index does not judge them), and its index."""

    def __init__(self, folder: Path, mark: Mark | None = None) -> None:
        self.folder, self.ledger, self.index = folder, folder / "ledger.jws", folder / "index"
        self.ledger.touch()
        self.writer = IndexWriter.resume(self.index, self.ledger, mark) if mark else IndexWriter(self.index)

    def add(self, lines: list[tuple[Body, bytes]]) -> None:
        with self.ledger.open("ab") as file:
            for body, data in lines:
                line = data.replace(b"\n", b" ")
                file.write(line + b"\n")
                self.writer.add(line, Entry(self.writer.tree.size, "", "er-1", TIME, body))

    def files(self) -> dict[str, bytes]:
        self.writer.flush()
        return {name: (self.index / name).read_bytes() for name in PARTS}


def fresh(place: Path, name: str = "one") -> Path:
    shutil.rmtree(place / name, ignore_errors=True)
    (place / name).mkdir()
    return place / name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index")


@given(before=LINES, lost=LINES, after=LINES)
def test_an_index_continued_at_its_mark_is_the_one_that_was_never_left(
    place: Path, before: list[tuple[Body, bytes]], lost: list[tuple[Body, bytes]], after: list[tuple[Body, bytes]]
) -> None:
    """Whatever was written beyond the mark before a crash, and the lines then appended again."""
    kept = Kept(fresh(place))
    kept.add(before)
    mark = load_shape(Mark, dump_shape(kept.writer.mark()))
    kept.add(lost)
    kept.writer.close()
    os.truncate(kept.ledger, mark.end_bytes)
    again = Kept(kept.folder, mark)
    again.add(after)
    whole = Kept(fresh(place, "two"))
    whole.add(before + after)
    assert again.files() == whole.files()
    assert again.writer.mark() == whole.writer.mark()
    again.writer.close()
    whole.writer.close()


@given(lines=LINES.filter(bool), data=st.data())
def test_an_index_or_ledger_that_is_shorter_or_another_is_not_continued(
    place: Path, lines: list[tuple[Body, bytes]], data: st.DataObject
) -> None:
    """A part that was cut, an altered last line, another root: each is refused, so that it is made anew."""
    kept = Kept(fresh(place))
    kept.add(lines)
    mark = kept.writer.mark()
    kept.writer.close()
    victims = [path for path in (*(kept.index / name for name in PARTS), kept.ledger) if path.stat().st_size]
    victim = data.draw(st.sampled_from(victims))
    wrong = data.draw(st.sampled_from(["cut", "last line", "root", "head", "end"]))
    if wrong == "cut":
        os.truncate(victim, data.draw(st.integers(0, victim.stat().st_size - 1)))
    elif wrong == "last line":
        ledger = kept.ledger.read_bytes()
        kept.ledger.write_bytes(ledger[:-2] + bytes([ledger[-2] ^ 0x41]) + b"\n")
    else:
        other: dict[str, object] = {"root": "f" * 64, "head": "f" * 64, "end": mark.end_bytes + 1}
        mark = replace(mark, **{{"end": "end_bytes"}.get(wrong, wrong): other[wrong]})  # type: ignore[arg-type]
    with pytest.raises((FormatError, OSError)):
        IndexWriter.resume(kept.index, kept.ledger, mark)


@given(lines=LINES)
def test_a_reader_beside_the_writer_finds_lines_tree_and_keys(place: Path, lines: list[tuple[Body, bytes]]) -> None:
    kept = Kept(fresh(place))
    kept.add(lines)
    kept.writer.flush()
    stored = kept.ledger.read_bytes().split(b"\n")[:-1]
    size = len(stored)
    seen = KeptIndex(kept.index, kept.ledger, size)
    assert [seen.line(seq) for seq in range(size)] == stored
    leaves = [leaf_hash(line) for line in stored]
    for old in range(size + 1):
        assert root_at(seen, old) == root_at(LeafNodes(leaves), old)
    boots = [seq for seq, (body, _) in enumerate(lines) if isinstance(body, Boot)]
    since = boots[-1] if boots else 0
    named = [seq for seq, (body, _) in enumerate(lines) if isinstance(body, Boot | Epoch) and seq >= since]
    assert list(seen) == [(seq, stored[seq]) for seq in named]
    assert kept.writer.boot == (boots[-1] if boots else -1)
    with LedgerIndex(kept.index, kept.ledger) as index:
        for old in range(size):
            assert list(index.key_lines(old)) == list(KeptIndex(kept.index, kept.ledger, old))
            assert all(seq < old for seq, _ in index.key_lines(old))
    kept.writer.close()


def test_the_index_of_an_empty_ledger_is_empty_and_can_be_continued(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    mark = kept.writer.mark()
    kept.writer.close()
    assert mark.size == 0 and bytes.fromhex(mark.root) == EMPTY_ROOT
    Kept(tmp_path, mark).writer.close()
    with LedgerIndex(kept.index, kept.ledger) as index:
        assert (index.size, list(index.key_lines(0)), index.find("0" * 16)) == (0, [], None)
        with pytest.raises(FormatError):
            index.line(0)


def test_a_missing_index_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        KeptIndex(tmp_path / "index", tmp_path / "ledger.jws", 1).node(0, 0)
    with pytest.raises(OSError):
        LedgerIndex(tmp_path / "index", tmp_path / "ledger.jws")

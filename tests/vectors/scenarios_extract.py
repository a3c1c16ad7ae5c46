"""Extracts that hold."""

from __future__ import annotations

from tests.vectors.builder import Bundle, scenario
from tests.vectors.extracts import Extract, place
from tests.vectors.recorder import Recorder
from tests.vectors.scenarios_good import day


def whole_day(b: Bundle) -> Recorder:
    """The day from which everything is extracted; it lies in no vector itself."""
    d = Recorder(b.agency)
    day(d, release=False)
    return d


def first(b: Bundle) -> Extract:
    return Extract.of(whole_day(b), "first")


@scenario("good-extract", "The first recording of the day, handed over.")
def good_extract(b: Bundle) -> None:
    place(b, first(b))


@scenario("good-extract-with-identity", "The same, with the archive's key.")
def good_extract_with_identity(b: Bundle) -> None:
    place(b, first(b))
    b.with_identity()


@scenario("good-extract-later", "The last recording of the day: a later boot and documents adopted again before it.")
def good_extract_later(b: Bundle) -> None:
    place(b, Extract.of(whole_day(b), "third"))


@scenario("good-extract-open-end", "The recording's close is the last line of the ledger: the span ends with it.")
def good_extract_open_end(b: Bundle) -> None:
    d = Recorder(b.agency)
    d.begin()
    r = d.recording("first")
    d.notice(r)
    d.open(r)
    d.segment(r)
    d.mark(r)
    d.close(r, epoch=False)
    place(b, Extract.of(d, "first"))

"""Extracts that hold."""

from __future__ import annotations

from tests.vectors.builder import Bundle, scenario
from tests.vectors.extracts import Extract, Files, place
from tests.vectors.recorder import Recorder
from tests.vectors.scenarios_good import day, power_cut


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
    r = d.start("first")
    d.segment(r)
    d.mark(r)
    d.close(r, epoch=False)
    place(b, Extract.of(d, "first"))


@scenario("good-extract-recovered", "The power went in the recording: the span holds the next start, and ends with the epoch after the close.")
def good_extract_recovered(b: Bundle) -> None:
    d = Recorder(b.agency)
    d.begin()
    power_cut(d)
    d.heartbeat()
    extract = Extract.of(d, "first")
    place(b, extract)
    b.expect("GAP", extract.r.at["gap"][0])


@scenario("good-extract-ended-by-boot", "The recording's close was the last line of a run: the span ends with the next start.")
def good_extract_ended_by_boot(b: Bundle) -> None:
    d = Recorder(b.agency)
    d.begin()
    r = d.start("first")
    d.segment(r)
    d.mark(r)
    d.close(r, reason="shutdown", epoch=False)
    end = d.boot()
    d.heartbeat()
    extract = Extract.of(d, "first")
    extract.numbers = [seq for seq in extract.numbers if seq <= end]
    place(b, extract)


@scenario("good-extract-beside", "Files that are no part of an extract lie in its folder.")
def good_extract_beside(b: Bundle) -> None:
    def beside(files: Files) -> None:
        files |= {"readme": b"not evidence\n", "checkpoint": b"not asked for\n", "objects/.hidden": b"", "ledger.jws": b"not asked for\n"}

    place(b, first(b), beside)

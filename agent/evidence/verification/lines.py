"""Step 1: the ledger's lines, one after the other, until one does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from agent.errors import (
    AlgorithmError,
    FormatError,
    KeySpanError,
    OutOfPlaceError,
    SignatureError,
    TrustError,
    UnknownTypeError,
)
from agent.evidence.entries import Boot, Close, Entry, Epoch, Notice, Unknown
from agent.evidence.folder import open_regular
from agent.evidence.jws import MAX_JWS_BYTES
from agent.evidence.ledger import ChainState
from agent.evidence.verification.case import Case, at

_CODES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (AlgorithmError, "ALGORITHM_REFUSED"),
    (KeySpanError, "KEY_OUT_OF_SPAN"),
    (SignatureError, "SIGNATURE_INVALID"),
    (OutOfPlaceError, "LINE_OUT_OF_PLACE"),
    (UnknownTypeError, "TYPE_UNKNOWN"),
    (FormatError, "LINE_MALFORMED"),
    (TrustError, "CERTIFICATE"),
)
"""What a refused line is called, by the kind of its error; the first that fits."""
_REPORTED_BYTES: Final = 1 << 16


def code_of(error: Exception) -> str:
    """The finding that stands for an error of ``ChainState.accept``."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def split_lines(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Lines without newline, and whether they had one. One over the limit comes cut, and is the last."""
    while line := file.readline(MAX_JWS_BYTES + 2):
        whole = line.endswith(b"\n")
        yield line.removesuffix(b"\n"), whole
        if not whole:
            return


def read_lines(case: Case, take: Callable[[Entry], None]) -> ChainState | None:
    """Judges every line and gives each good one to ``take``; None when there is no ledger to read."""
    file = open_regular(case.folder.ledger)
    if file is None:
        case.find("LEDGER_UNREADABLE", "ledger", "not a file that can be read")
        return None
    chain = ChainState(case.trust)
    unreported, empty = 0, True
    with file:
        for line, whole in split_lines(file):
            empty = False
            if not whole and len(line) <= MAX_JWS_BYTES:
                case.find("TORN_TAIL", f"entry {chain.size}", f"{len(line)} bytes")
                break
            entry = _accept(case, chain, line)
            if entry is None:
                break
            take(entry)
            unreported += len(line) + 1
            if unreported >= _REPORTED_BYTES:
                case.progress(unreported)
                unreported = 0
    case.progress(unreported)
    if empty:
        case.find("LEDGER_UNREADABLE", "ledger", "empty")
        return None
    return chain


def _accept(case: Case, chain: ChainState, line: bytes) -> Entry | None:
    try:
        entry = chain.accept(line)
    except (FormatError, TrustError) as error:
        case.broken = True
        case.find(code_of(error), f"entry {chain.size}", str(error))
        return None
    assert case.tree is not None
    case.device = entry.device
    case.tree.add(line)
    case.size = chain.size
    return entry


class Epochs:
    """Were keys replaced when they had to be: after a recording, before one, and after so many lines."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._after_close = self._begun = False
        self._noticed: str | None = None
        self._key = ""
        self._signed = 0
        self._overrun = False

    def see(self, entry: Entry) -> None:
        """One entry. In an extract the lines that would tell are mostly not there."""
        if self._case.kind == "extract":
            return
        body, replaces = entry.body, isinstance(entry.body, Boot | Epoch)
        if self._after_close and not replaces:
            self._overdue(entry, "a recording ended before")
        if isinstance(body, Notice):
            if body.recording != self._noticed and not self._begun:
                self._overdue(entry, "a recording begins")
            self._noticed, self._begun = body.recording, False
        self._after_close = isinstance(body, Close)
        self._count(entry)
        if isinstance(body, Epoch) and body.reason == "recording_begin":
            self._begun = True
        elif isinstance(body, Boot):
            self._begun = False

    def end(self) -> None:
        """Nothing is left to be said."""

    def _replace(self, key: str) -> None:
        if key != self._key:  # a key that names itself goes on
            self._key, self._signed, self._overrun = key, 0, False

    def _count(self, entry: Entry) -> None:
        if isinstance(entry.body, Boot | Epoch):
            self._replace(entry.body.epoch_key if isinstance(entry.body, Boot) else entry.body.key)
            return
        self._signed += 1
        policy = self._case.policy
        if policy is not None and self._signed > policy.epoch_lines and not self._overrun:
            self._overrun = True
            self._overdue(entry, f"the policy allows {policy.epoch_lines} lines")

    def _overdue(self, entry: Entry, why: str) -> None:
        self._case.find("EPOCH_OVERDUE", at(entry), why)


class Counts:
    """How many entries there are, and how many are not understood; what is drawn of them."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def see(self, entry: Entry) -> None:
        """One entry."""
        self._case.first_us = self._case.first_us or entry.time.utc_us
        self._case.facts.entries += 1
        if isinstance(entry.body, Unknown):
            self._case.facts.unknown_entries += 1

    def end(self) -> None:
        """Nothing is left to be said."""

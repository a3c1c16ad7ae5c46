"""Step 1 for an extract: some lines of a ledger, each proved to stand in the tree that a witness has seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from agent.errors import FormatError, OutOfPlaceError, ProofError, TrustError
from agent.evidence import jws
from agent.evidence.checkpoint import MAX_NOTE_BYTES, Checkpoint, open_note, origin_of
from agent.evidence.encoding import load_object, sha256_hex
from agent.evidence.entries import Adopted, Boot, Close, Entry, Epoch, Genesis, Open, load_entry
from agent.evidence.extract import EXTRACT_FILE, LINES_FILE, MAX_ROW_BYTES, PROOFS_FILE, Extract, Proof, read_proof
from agent.evidence.folder import open_regular, read_regular
from agent.evidence.jws import MAX_JWS_BYTES
from agent.evidence.keys import Identity, KeyState
from agent.evidence.ledger import identity_of
from agent.evidence.merkle import check_inclusion, leaf_hash
from agent.evidence.shapes import load_shape
from agent.evidence.verification.case import Case
from agent.evidence.verification.lines import code_of

_CODE: Final = "EXTRACT_MALFORMED"


class Span:
    """Which lines an extract must have, as far as that can be seen: a preamble, then a span without holes."""

    def __init__(self, extract: Extract) -> None:
        self._extract = extract
        self.last: int | None = None
        """Index of the last line of the span; None in the preamble."""
        self.fault = ""
        self._preamble: Counter[str] = Counter()
        self._opened = self._closed = self._over = False

    def begins(self, entry: Entry) -> bool:
        """Whether the span begins with this line."""
        return self.last is None and not isinstance(entry.body, Boot | Adopted)

    def take(self, entry: Entry) -> None:
        """One line that holds."""
        if self.last is None and not self.begins(entry):
            self._preamble[entry.body.document if isinstance(entry.body, Adopted) else "boot"] += 1
            return
        if self.last is None:
            starts = isinstance(entry.body, Epoch) and entry.body.reason == "recording_begin"
            self._note(not starts, "the span must begin with an epoch of its recording")
            self._note(self._preamble["boot"] != 1, "the boot before the span is missing, or not the only one")
            self._note(max(self._preamble.values(), default=0) > 1, "more than the documents in force")
        else:
            self._note(entry.seq != self.last + 1, f"the span has a hole before entry {entry.seq}")
        self._note(self._over, "the span goes on after its end")
        self.last = entry.seq
        self._follow(entry)

    def end(self) -> str:
        """Why the extract is not whole; empty when it is."""
        self._note(not self._opened, "the recording is not opened in it")
        at_end = self.last is not None and self.last == self._extract.size - 1
        self._note(not self._over and not at_end, "the span ends before its recording")
        return self.fault

    def _follow(self, entry: Entry) -> None:
        self._over |= self._closed and isinstance(entry.body, Boot | Epoch)
        if isinstance(entry.body, Open | Close):
            own = entry.body.recording == self._extract.recording
            self._note(isinstance(entry.body, Open) and not own, f"entry {entry.seq} opens another recording")
            self._opened |= own and isinstance(entry.body, Open)
            self._closed |= own and isinstance(entry.body, Close)

    def _note(self, wrong: bool, fault: str) -> None:
        if wrong:
            self.fault = self.fault or fault


class ExtractChain:
    """Judges one line of an extract after the other; on any error nothing has changed."""

    def __init__(self, case: Case, extract: Extract, note: Checkpoint) -> None:
        self._trust, self._extract, self._note = case.trust, extract, note
        self._index = -1
        self._head: str | None = None
        self._keys: KeyState | None = None
        """In the span: the key in force; None before it."""
        self._identity: Identity | None = None
        self.span = Span(extract)

    def accept(self, line: bytes, proof: Proof) -> Entry:
        """Raises what ``ChainState.accept`` raises, and ProofError."""
        token = jws.parse(line, jws.LEDGER_TYPE)
        entry = load_entry(token.payload)
        self._check_place(entry, proof)
        identity = identity_of(entry, self._trust) if isinstance(entry.body, Boot) else self._identity
        self._check_proof(line, proof)
        self._check_signer(token, entry, identity)
        self._take(line, entry, identity)
        return entry

    def _check_place(self, entry: Entry, proof: Proof) -> None:
        if entry.seq != proof.index:
            raise OutOfPlaceError(f"entry {entry.seq} is proved as number {proof.index}")
        if entry.device != self._extract.device:
            raise OutOfPlaceError(f"entry {entry.seq} belongs to device {entry.device}")
        if self._head is not None and entry.seq == self._index + 1 and entry.prev != self._head:
            raise OutOfPlaceError(f"entry {entry.seq} does not follow the line before it")
        if entry.seq == 0 and not isinstance(entry.body, Boot):
            raise OutOfPlaceError("the ledger must begin with a boot line")
        if isinstance(entry.body, Genesis) and (entry.body.device, entry.body.agency) != (
            entry.device,
            self._extract.agency,
        ):
            raise OutOfPlaceError(f"genesis is of {entry.body.device} of {entry.body.agency}")

    def _check_proof(self, line: bytes, proof: Proof) -> None:
        try:
            check_inclusion(leaf_hash(line), proof.index, self._note.size, proof.path, self._note.root)
        except FormatError as error:
            raise ProofError(str(error)) from error

    def _check_signer(self, token: jws.Jws, entry: Entry, identity: Identity | None) -> None:
        """A boot by its certificate; a line of the span by the key in force. The others stand by their proof."""
        if isinstance(entry.body, Boot):
            assert identity is not None
            jws.check(token, identity.public_key)
        elif self._keys is not None and self._keys.epoch_key is not None:
            jws.check(token, self._keys.epoch_key)  # a span whose first line names no key is found incomplete

    def _take(self, line: bytes, entry: Entry, identity: Identity | None) -> None:
        in_span = self._keys is not None or self.span.begins(entry)
        keys = (self._keys or KeyState()).after(entry.body)  # also in the preamble: a next key must be one
        if in_span:
            self._keys = keys
        self.span.take(entry)
        self._head = sha256_hex(line) if in_span else None
        self._index, self._identity = entry.seq, identity


def read_extract(case: Case, take: Callable[[Entry], None]) -> bool:
    """Judges every line and gives each good one to ``take``; False when there is no extract to judge."""
    try:
        extract, note = _head(case)
    except FormatError as error:
        case.find(_CODE, "extract", str(error))
        return False
    case.size, case.facts.recording = extract.size, extract.recording
    chain = ExtractChain(case, extract, note)
    try:
        for line, proof in _rows(case, extract.size):
            entry = _accept(case, chain, line, proof)
            if entry is None:
                break
            take(entry)
    except FormatError as error:
        case.broken = True
        case.find(_CODE, "extract", str(error))
    fault = chain.span.fault if case.broken else chain.span.end()
    if fault:
        case.find("EXTRACT_INCOMPLETE", "extract", fault)
    return True


def _accept(case: Case, chain: ExtractChain, line: bytes, proof: Proof) -> Entry | None:
    try:
        return chain.accept(line, proof)
    except ProofError as error:
        case.find("PROOF_INVALID", f"entry {proof.index}", str(error))
    except (FormatError, TrustError) as error:
        case.find(code_of(error), f"entry {proof.index}", str(error))
    case.broken = True
    return None


def _head(case: Case) -> tuple[Extract, Checkpoint]:
    path = case.folder.path
    data = read_regular(path / EXTRACT_FILE, MAX_JWS_BYTES)
    extract = load_shape(Extract, load_object(data or b""))
    case.device = extract.device
    note = open_note(read_regular(case.folder.cosigned, MAX_NOTE_BYTES) or b"").checkpoint
    if extract.agency != case.trust.agency:
        raise FormatError(f"of agency {extract.agency}")
    if note.origin != origin_of(extract.agency, extract.device) or note.size != extract.size:
        raise FormatError(f"the note is over {note.size} lines of {note.origin[:100]}")
    return extract, note


def _rows(case: Case, size: int) -> Iterator[tuple[bytes, Proof]]:
    """Lines and their proofs, side by side. Raises FormatError where they do not fit each other."""
    lines = open_regular(case.folder.path / LINES_FILE)
    proofs = open_regular(case.folder.path / PROOFS_FILE)
    if lines is None or proofs is None:
        raise FormatError(f"{LINES_FILE} or {PROOFS_FILE} is missing")
    last = -1
    with lines, proofs:
        while row := proofs.readline(MAX_ROW_BYTES + 2):
            proof = read_proof(row)
            line = lines.readline(MAX_JWS_BYTES + 2)
            torn = not line.endswith(b"\n") and len(line) <= MAX_JWS_BYTES
            if not last < proof.index < size or torn:
                raise FormatError(f"lines and proofs do not fit each other at {proof.index}")
            last = proof.index
            case.progress(len(line))
            yield line.removesuffix(b"\n"), proof
        if lines.read(1):
            raise FormatError("a line without a proof")

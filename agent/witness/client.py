"""Asking a witness: the key lines that it lacks, the checkpoint with its proof, and what comes back, verified.

Nothing is believed but a cosignature under the witness's known key: a lying answer can only refuse.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from agent.errors import DisputedError, FormatError, WitnessError
from agent.evidence import jws
from agent.evidence.checkpoint import MAX_NOTE_BYTES, NoteSignature, find_cosignature, open_note, with_signatures
from agent.evidence.entries import Boot, Epoch, load_entry
from agent.evidence.folder import EvidenceFolder, open_regular, read_regular
from agent.evidence.merkle import LeafNodes, Nodes, consistency_proof, leaf_hash, root_at
from agent.witness.protocol import (
    ADD_CHECKPOINT,
    ADD_KEYS,
    MAX_ANSWER_BYTES,
    MAX_KEYS_BYTES,
    dump_checkpoint,
    parse_size,
)

STEP_SECONDS: Final = 10.0
"""For reaching the witness, and between two pieces of its answer."""
WHOLE_SECONDS: Final = 30.0
"""For one request as a whole; then the connection is cut."""


@dataclass(frozen=True, slots=True)
class Target:
    """A witness: the name and key that the trust file gives, and where it listens."""

    name: str
    key: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What is put before a witness."""

    note: bytes
    """Signed by the ledger's key; may bear cosignatures already."""
    nodes: Nodes
    """A tree that holds at least the note's lines. Read in the thread that asks."""
    keys: Iterable[tuple[int, bytes]]
    """Number and bytes of the last ``boot`` line and of every ``epoch`` line after it, in order; read when needed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and body of an answer."""

    status: int
    body: bytes

    @property
    def reason(self) -> str:
        """What the witness says, fit to be shown."""
        return "".join(one if one.isprintable() else " " for one in self.body.decode("utf-8", "replace"))[:200].strip()


Post = Callable[[str, bytes], Reply]
"""Posts a body to a path of the witness. Raises WitnessError."""


def ask(target: Target, offer: Offer, old: int = 0, post: Post | None = None) -> bytes:
    """The offered note with the witness's cosignature added. ``old``: the size that it is thought to have.

    Raises WitnessError; DisputedError when the witness has seen another or a longer ledger; FormatError when the offer
    is not sound in itself. Takes at most four requests and the key lines that are needed, each with its time limit.
    """
    return _Asking(target, offer, post or poster(target.url)).run(old)


class _Asking:
    def __init__(self, target: Target, offer: Offer, post: Post) -> None:
        self._target, self._offer, self._post = target, offer, post
        self._size = open_note(offer.note).checkpoint.size

    def run(self, old: int) -> bytes:
        told_keys = told_size = False
        old = old if old <= self._size else 0
        while True:
            reply = self._send(old)
            if reply.status in (403, 404) and not told_keys:
                told_keys = True
                self._send_keys()
            elif reply.status == 409 and not told_size:
                told_size = True
                old = self._told(reply)
            elif reply.status == 403 and told_keys:
                # It has taken the boot line, so the device is right, and yet the key is none that it can accept here.
                raise DisputedError(f"{self._target.name} knows later keys of this ledger: {reply.reason}")
            else:
                return self._take(reply)

    def _send(self, old: int) -> Reply:
        proof = consistency_proof(self._offer.nodes, old, self._size)
        return self._post(ADD_CHECKPOINT, dump_checkpoint(old, proof, self._offer.note))

    def _told(self, reply: Reply) -> int:
        try:
            size = parse_size(reply.body)
        except FormatError as error:
            raise WitnessError(f"{self._target.name} answered 409: {error}") from error
        if size > self._size:
            raise DisputedError(f"{self._target.name} has cosigned {size} lines, and here are {self._size}")
        return size

    def _send_keys(self) -> None:
        for body in _bodies(line for seq, line in self._offer.keys if seq < self._size):
            reply = self._post(ADD_KEYS, body)
            if reply.status != 200:
                raise self._error("does not take the ledger's keys", reply)

    def _take(self, reply: Reply) -> bytes:
        if reply.status == 422:
            raise DisputedError(f"{self._target.name} has cosigned another ledger than this one: {reply.reason}")
        if reply.status != 200:
            raise self._error("does not cosign", reply)
        # The ledger's lines and those of others are left away: with them the note could grow beyond what a note may be.
        text, gap, _ = self._offer.note.partition(b"\n\n")
        try:
            found = find_cosignature(open_note(text + gap + reply.body), self._target.name, self._target.key)
        except FormatError as error:
            raise WitnessError(f"the answer of {self._target.name} does not verify: {error}") from error
        if found is None:
            raise WitnessError(f"the answer of {self._target.name} holds no cosignature under its known key")
        return self._add(found)

    def _add(self, found: NoteSignature) -> bytes:
        cosigned = with_signatures(self._offer.note, [found])
        try:
            if find_cosignature(open_note(cosigned), self._target.name, self._target.key) is not None:
                return cosigned  # with this cosignature, or with an earlier one that it bore already
        except FormatError as error:
            raise WitnessError(f"the note bears a false line of {self._target.name}: {error}") from error
        raise WitnessError(f"{self._target.name} has cosigned, but the note has no room for one more line")

    def _error(self, what: str, reply: Reply) -> WitnessError:
        return WitnessError(f"{self._target.name} {what}: {reply.status} {reply.reason}")


def _bodies(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines in bodies that are not too large."""
    body = bytearray()
    for line in lines:
        if len(body) + len(line) + 1 > MAX_KEYS_BYTES:
            yield bytes(body)
            body.clear()
        body += line + b"\n"
    if body:
        yield bytes(body)


def poster(url: str, kind: str = "text/plain; charset=utf-8", most_bytes: int = MAX_ANSWER_BYTES) -> Post:
    """Posts over HTTP or HTTPS; follows no redirection and asks no proxy. Raises WitnessError for any other URL.

    ``kind``: the content type of what is posted. Of the answer no more than ``most_bytes`` are read.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WitnessError(f"{url[:200]!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise WitnessError(f"{url[:200]!r} is not an http or https URL without query")
    prefix = parts.path.rstrip("/")

    def post(path: str, body: bytes) -> Reply:
        if parts.scheme == "https":
            trusted = ssl.create_default_context()
            link: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=STEP_SECONDS, context=trusted
            )
        else:
            link = http.client.HTTPConnection(host, port, timeout=STEP_SECONDS)
        try:
            return _exchange(link, prefix + path or "/", body, kind, most_bytes)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise WitnessError(f"{url} does not answer: {str(error) or type(error).__name__}") from error
        finally:
            link.close()

    return post


def _exchange(link: http.client.HTTPConnection, path: str, body: bytes, kind: str, most_bytes: int) -> Reply:
    link.connect()
    # A witness that sends one byte now and then keeps within every single time limit; so there is one for the whole.
    late = threading.Event()
    watch = threading.Timer(WHOLE_SECONDS, _cut, [link.sock, late])
    watch.daemon = True
    watch.start()
    try:
        link.request("POST", path, body, {"Content-Type": kind})
        response = link.getresponse()
        reply = Reply(response.status, response.read(most_bytes))
    finally:
        watch.cancel()
    if late.is_set():  # what was cut can look like a short answer
        raise TimeoutError(f"not within {WHOLE_SECONDS:g} s")
    return reply


def _cut(connection: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):  # it is closed already
        connection.shutdown(socket.SHUT_RDWR)


def offer_of(folder: EvidenceFolder) -> Offer:
    """What a device's or archive's folder has to offer: its newest checkpoint over its ledger.

    Lines are not verified here (``recorder verify`` does that), but the checkpoint must be over this very ledger.
    Raises FormatError when it is not.
    """
    note = read_regular(folder.checkpoint, MAX_NOTE_BYTES)
    if note is None:
        raise FormatError(f"{folder.checkpoint} is no checkpoint")
    point = open_note(note).checkpoint
    leaves, keys = _read_ledger(folder, point.size)
    nodes = LeafNodes(leaves)
    if root_at(nodes, point.size) != point.root:
        raise FormatError(f"{folder.checkpoint} is not over the ledger beside it")
    return Offer(note, nodes, keys)


def _read_ledger(folder: EvidenceFolder, size: int) -> tuple[list[bytes], list[tuple[int, bytes]]]:
    leaves: list[bytes] = []
    keys: list[tuple[int, bytes]] = []
    file = open_regular(folder.ledger)
    if file is None:
        raise FormatError(f"{folder.ledger} is no ledger")
    with file:
        while len(leaves) < size and (line := file.readline(jws.MAX_JWS_BYTES + 2)).endswith(b"\n"):
            note_key(keys, len(leaves), line[:-1])
            leaves.append(leaf_hash(line[:-1]))
    return leaves, keys


def note_key(keys: list[tuple[int, bytes]], seq: int, line: bytes) -> None:
    """Adds a line to the key lines if it names a key; a ``boot`` begins them anew. Raises FormatError."""
    body = load_entry(jws.parse(line, jws.LEDGER_TYPE).payload).body
    if isinstance(body, Boot):
        keys.clear()
    if isinstance(body, Boot | Epoch):
        keys.append((seq, line))

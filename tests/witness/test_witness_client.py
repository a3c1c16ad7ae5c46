"""Asking: what is sent, what is believed, and what is said when nothing comes back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from witness_rig import KEY, NAME, Bench, Ledger

from agent.errors import DisputedError, FormatError, WitnessError
from agent.evidence.checkpoint import MAX_SIGNATURES, NoteSignature, cosign, cosigned_at, open_note, with_signatures
from agent.evidence.folder import EvidenceFolder
from agent.witness import client
from agent.witness.client import Reply, Target, ask, offer_of, poster
from agent.witness.protocol import MAX_KEYS_BYTES

TARGET = Target(NAME, bytes(KEY.verify_key), "http://witness.example")


class Wire:
    """Counts what is sent to a witness."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.sent: list[tuple[str, int]] = []

    def __call__(self, path: str, body: bytes) -> Reply:
        reply = self.bench.post(path, body)
        self.sent.append((path.removeprefix("/add-"), reply.status))
        return reply


def test_the_keys_are_sent_when_they_are_lacking_and_the_size_is_learned_when_it_is_wrong(
    bench: Bench, ledger: Ledger
) -> None:
    """First contact, growth with the size known, and growth with the size forgotten: each with the fewest requests."""
    wire = Wire(bench)
    note = ask(TARGET, ledger.offer(), 0, wire)
    assert cosigned_at(open_note(note), NAME, TARGET.key) == bench.now
    assert wire.sent == [("checkpoint", 404), ("keys", 200), ("checkpoint", 200)]
    size, wire.sent = ledger.size, []
    ask(TARGET, ledger.grow().offer(), size, wire)
    assert wire.sent == [("checkpoint", 200)]
    wire.sent = []
    ask(TARGET, ledger.epoch().grow().offer(), 0, wire)
    assert wire.sent == [("checkpoint", 403), ("keys", 200), ("checkpoint", 409), ("checkpoint", 200)]


def test_other_cosignatures_stay_and_an_earlier_one_of_the_same_witness_too(bench: Bench, ledger: Ledger) -> None:
    """What a note bears is added to, never replaced."""
    dock = SigningKey.generate()
    offer = replace(ledger.offer(), note=cosign(ledger.note(), "dock-1", dock, 5))
    first = ask(TARGET, offer, 0, bench.post)
    bench.now += 99
    again = ask(TARGET, replace(offer, note=first), 0, bench.post)
    assert again == first
    assert cosigned_at(open_note(again), "dock-1", bytes(dock.verify_key)) == 5


def test_a_witness_that_has_seen_more_or_something_else_is_a_dispute(bench: Bench, ledger: Ledger) -> None:
    """An old copy and a fork both say what the witness has and what is here."""
    old, other = ledger.copy(), ledger.copy().grow(2, "other")
    ask(TARGET, ledger.grow(2).offer(), 0, bench.post)
    with pytest.raises(DisputedError, match=f"cosigned {ledger.size} lines, and here are {old.size}"):
        ask(TARGET, old.offer(), 0, bench.post)
    with pytest.raises(DisputedError, match="another ledger"):
        ask(TARGET, other.offer(), 0, bench.post)


def always(status: int, body: bytes) -> Callable[[str, bytes], Reply]:
    return lambda _path, _body: Reply(status, body)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"", "does not verify"),
        (200, b"\xe2\x80\x94 x AAAAAAA=\n", "no cosignature under its known key"),
        (500, b"\x1b[31mbroken", "does not cosign: 500 [31mbroken"),
        (302, b"", "does not cosign: 302"),
        (409, b"many\n", "did not say its size"),
        (409, b"3\n", "does not cosign: 409"),
        (404, b"who?", "does not take the ledger's keys"),
    ],
)
def test_no_answer_but_a_true_cosignature_is_taken(ledger: Ledger, status: int, body: bytes, said: str) -> None:
    """Each false answer is an error that says what came, fit for a terminal."""
    with pytest.raises(WitnessError) as caught:
        ask(TARGET, ledger.offer(), 0, always(status, body))
    assert said in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_cosignature_by_another_key_or_over_another_note_is_refused(bench: Bench, ledger: Ledger) -> None:
    """A witness whose key changed, or a line taken from elsewhere, convinces nobody."""
    line = ask(TARGET, ledger.offer(), 0, bench.post).removeprefix(ledger.note())
    with pytest.raises(WitnessError):
        ask(replace(TARGET, key=bytes(SigningKey.generate().verify_key)), ledger.offer(), 0, always(200, line))
    with pytest.raises(WitnessError, match="does not verify"):
        ask(TARGET, ledger.grow().offer(), 0, always(200, line))


def test_a_note_that_is_full_or_bears_a_false_line_is_said_to_be_so(bench: Bench, ledger: Ledger) -> None:
    """There is room for sixteen lines; a false line under the witness's name is not covered up."""
    full = with_signatures(ledger.note(), [NoteSignature(f"n{one}", b"1234", b"x") for one in range(MAX_SIGNATURES)])
    with pytest.raises(WitnessError, match="no room"):
        ask(TARGET, replace(ledger.offer(), note=full), 0, bench.post)
    true = ask(TARGET, ledger.offer(), 0, bench.post)
    (line,) = [one for one in open_note(true).signatures if one.name == NAME]
    false = with_signatures(ledger.note(), [replace(line, blob=line.blob[:-1] + bytes([line.blob[-1] ^ 1]))])
    with pytest.raises(WitnessError, match="false line"):
        ask(TARGET, replace(ledger.offer(), note=false), 0, bench.post)


def test_many_keys_go_in_bodies_that_the_witness_reads(bench: Bench, ledger: Ledger) -> None:
    """Thousands of key changes since the last boot: in order, in several requests, and the newest counts."""
    for _ in range(2500):
        ledger.epoch()
    wire = Wire(bench)
    ask(TARGET, ledger.offer(), 0, wire)
    assert len(ledger.keys_body()) > MAX_KEYS_BYTES
    assert wire.sent.count(("keys", 200)) >= 2 and wire.sent[-1] == ("checkpoint", 200)


@pytest.mark.parametrize("url", ["ftp://w.example", "http://", "witness", "http://w:x", "https://w/?q=1", "http://[1"])
def test_what_is_no_address_of_a_witness_is_refused_before_anything_is_sent(url: str) -> None:
    """The error names it."""
    with pytest.raises(WitnessError, match="URL"):
        poster(url)


def test_nobody_there_is_an_error_that_says_where(ledger: Ledger) -> None:
    """A closed port, at once."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(WitnessError, match=f"127.0.0.1:{port}"):
        ask(replace(TARGET, url=f"http://127.0.0.1:{port}"), ledger.offer())


def test_a_witness_that_sends_a_byte_now_and_then_is_cut_off(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes in time, and the whole never ends: the limit for the whole counts."""
    monkeypatch.setattr(client, "WHOLE_SECONDS", 0.3)
    ended = threading.Event()

    def drip(door: socket.socket) -> None:
        visitor, _ = door.accept()
        with visitor:
            visitor.sendall(b"HTTP/1.1 200 OK\r\n")
            while not ended.wait(0.02):
                try:
                    visitor.sendall(b"X-A: b\r\n")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=drip, args=(door,), daemon=True)
        thread.start()
        with pytest.raises(WitnessError, match="does not answer"):
            ask(replace(TARGET, url=f"http://127.0.0.1:{door.getsockname()[1]}"), ledger.offer())
        ended.set()
        thread.join(5)


def written(ledger: Ledger, folder: EvidenceFolder) -> EvidenceFolder:
    folder.path.mkdir(exist_ok=True)
    folder.ledger.write_bytes(b"".join(line + b"\n" for line in ledger.lines))
    folder.checkpoint.write_bytes(ledger.note())
    return folder


def test_a_folder_offers_its_checkpoint_and_not_the_lines_after_it(
    bench: Bench, ledger: Ledger, tmp_path: Path
) -> None:
    """Lines that came later, key lines among them, and a torn end are left away."""
    folder = written(ledger, EvidenceFolder(tmp_path / "er-1"))
    note = ledger.note()
    later = ledger.copy().epoch().grow()
    folder.ledger.write_bytes(b"".join(line + b"\n" for line in later.lines) + b"torn")
    offer = offer_of(folder)
    assert (offer.note, offer.nodes.size, len(offer.keys)) == (note, ledger.size, 1)
    ask(TARGET, offer, 0, bench.post)


@pytest.mark.parametrize("damage", ["no ledger", "no checkpoint", "short", "other", "link"])
def test_a_folder_whose_parts_do_not_fit_offers_nothing(ledger: Ledger, tmp_path: Path, damage: str) -> None:
    """A checkpoint over another ledger, or over more than is there, is not put before anybody."""
    folder = written(ledger, EvidenceFolder(tmp_path / "er-1"))
    match damage:
        case "no ledger":
            folder.ledger.unlink()
        case "no checkpoint":
            folder.checkpoint.unlink()
        case "short":
            folder.ledger.write_bytes(ledger.lines[0] + b"\n")
        case "other":
            folder.checkpoint.write_bytes(ledger.copy().grow(1, "other").note())
            folder.ledger.write_bytes(b"".join(line + b"\n" for line in ledger.grow().lines))
        case _:
            folder.ledger.rename(folder.path / "elsewhere")
            folder.ledger.symlink_to(folder.path / "elsewhere")
    with pytest.raises(FormatError):
        offer_of(folder)

"""Targets that look at bytes alone: each reads one input with one parser, and what was read with whatever reads on."""

from __future__ import annotations

import json
from base64 import encodebytes
from dataclasses import asdict
from functools import cache
from typing import Any

import pyrage
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.custody import wire
from agent.dock.register import _superseded
from agent.errors import FormatError, ReceiptError, TrustError
from agent.evidence import checkpoint as notes
from agent.evidence import jws, keys, sealing
from agent.evidence.documents import Policy, Profile, TrustBundle, read_policy, read_profile
from agent.evidence.encoding import b64url, dump_json, from_b64url, load_json, load_object
from agent.evidence.entries import Entry, EntryTime, ObjectRef, Open, Photo, Segment, TelemetryEntry, load_entry
from agent.evidence.extract import Extract, read_proof, write_proof
from agent.evidence.fragments import FragmentReader
from agent.evidence.receipts import Receipt, read_receipt
from agent.evidence.shapes import dump_shape, load_shape
from agent.evidence.verification.objects import judge_content
from tests.samples import PERMITTED, RECORDING
from tests.vectors import der
from tests.vectors.agency import DEVICE, agency
from tests.vectors.primitives import header_of, public, signer, token


@cache
def trust() -> TrustBundle:
    return TrustBundle.from_json(json.dumps(agency().trust()).encode())


@cache
def root() -> x509.Certificate:
    return trust().root()


def strict_json(data: bytes) -> None:
    value = load_json(data)
    assert load_json(dump_json(value)) == value


def base64url(data: bytes) -> None:
    assert b64url(from_b64url(data)).encode() == data


def jws_line(data: bytes) -> None:
    load_entry(jws.parse(data, jws.LEDGER_TYPE).payload)


def jws_document(data: bytes) -> None:
    for read, refused in ((read_profile, TrustError), (read_policy, TrustError), (read_receipt, ReceiptError)):
        try:
            read(data, trust())
        except refused:
            continue


def signed_document(data: bytes) -> None:
    """The payload of a document, under a signature that is good."""
    for typ, key, read, refused in (
        (jws.PROFILE_TYPE, agency().documents, read_profile, TrustError),
        (jws.POLICY_TYPE, agency().documents, read_policy, TrustError),
        (jws.RECEIPT_TYPE, next(iter(agency().receipts.values())), read_receipt, ReceiptError),
    ):
        try:
            found: Profile | Policy | Receipt = read(token(header_of(public(key), typ), data, signer(key)), trust())
        except refused:
            continue
        dump_json(dump_shape(found))


def entry(data: bytes) -> None:
    found = load_entry(load_object(data))
    assert found.type
    dump_json(asdict(found.body))


def note(data: bytes) -> None:
    opened = notes.open_note(data)
    point = opened.checkpoint
    assert notes.open_note(notes.compose(point, opened.signatures)) == opened
    notes.origin_parts(point.origin)
    notes.newest_note(data, notes.cosign(data, "w", agency().documents, 1)[: notes.MAX_NOTE_BYTES])
    for name, key in trust().witness_keys():
        notes.cosigned_at(opened, name, key)
    notes.check_ledger_signature(opened, bytes(32))


def cosignature(data: bytes) -> None:
    """The bytes of a cosignature, in the name and under the key id of a witness that is trusted."""
    point = notes.Checkpoint(notes.origin_of(agency().name, DEVICE), 1, bytes(32))
    for name, key in trust().witness_keys():
        signed = notes.NoteSignature(name, notes.key_id(name, key, 4), data)
        notes.cosigned_at(notes.open_note(notes.compose(point, [signed])), name, key)


def age_header(data: bytes) -> None:
    kept = sealing.whole_bytes(data, len(data))
    assert kept <= len(data)
    assert sealing.header_bytes(data) <= len(data) + 16
    sealing.stanza_types(data)


@cache
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.from_str(agency().archive.identity)


def sealed(data: bytes) -> None:
    sealing.open_sealed(data, identity())


def recipient(data: bytes) -> None:
    assert len(sealing.recipient_key(data.decode("utf-8", "replace"))) == 32


def film(data: bytes) -> None:
    """As a whole, and in pieces of a few bytes: what is found must be the same."""
    reader, by_pieces = FragmentReader(), FragmentReader()
    found = reader.feed(data)
    step = max(7, len(data) // 50)
    pieces = [one for at in range(0, len(data), step) for one in by_pieces.feed(data[at : at + step])]
    assert pieces == found and by_pieces.init == reader.init and by_pieces.leftover == reader.leftover


@cache
def _content_entries() -> list[Entry]:
    ref, time = ObjectRef("a" * 64, 1, "age"), EntryTime(1, 1, "0" * 8, "ntp", 0)
    bodies: list[Any] = [
        Segment(RECORDING, 0, ref, 0, 1, None, 1, False),
        Photo(RECORDING, ref, 0, 0),
        TelemetryEntry(RECORDING, ref, 0, 10**9, 1),
        Open(RECORDING, "video", None, None, None, ref, [], PERMITTED, None, None),
    ]
    return [Entry(1, "0" * 64, DEVICE, time, body) for body in bodies]


def content(data: bytes) -> None:
    for one in _content_entries():
        try:
            judge_content(data, one)
        except FormatError:
            continue


def _resigned(data: bytes) -> bytes:
    """What is to be signed of a certificate or list, under the agency's signature."""
    return der.signed(data, agency().root_key)


def certificate(data: bytes) -> None:
    for encoded in (data, _resigned(data)):
        try:
            keys.read_identity(encoded, root())
        except TrustError:
            continue


def tbs_certificates() -> list[bytes]:
    """Identity certificates, without and with their signature."""
    one = agency().certificate(DEVICE, agency().documents)
    return [one.tbs_certificate_bytes, one.public_bytes(Encoding.DER)]


def revocation_list(data: bytes) -> None:
    head, tail = b"-----BEGIN X509 CRL-----\n", b"-----END X509 CRL-----\n"
    for pem in (data, head + encodebytes(_resigned(data)) + tail):
        try:
            listed = keys.read_crl(pem, root())
        except TrustError:
            continue
        for row in listed:
            row.revocation_date_utc.timestamp()
            _superseded(row)


def tbs_lists() -> list[bytes]:
    """Revocation lists, as PEM and without their signature."""
    pems = [agency().crl(), agency().crl([(1, 1_800_000_000_000_000), (2**100, 0)])]
    return [one for pem in pems for one in (pem.encode(), x509.load_pem_x509_crl(pem.encode()).tbs_certlist_bytes)]


def trust_file(data: bytes) -> None:
    found = TrustBundle.from_json(data)
    found.witness_keys()
    found.document_key("")
    found.receipt_key("", "")
    keys.read_crl(found.crl.encode(), found.root())


def private_key(data: bytes) -> None:
    keys.load_signing_key(data)


def root_certificate(data: bytes) -> None:
    """What is to be signed of a root certificate, in a trust file."""
    pem = "-----BEGIN CERTIFICATE-----\n" + encodebytes(_resigned(data)).decode() + "-----END CERTIFICATE-----\n"
    found = TrustBundle.from_json(json.dumps(agency().trust(root_certificate=pem)).encode())
    for read in (lambda: keys.read_crl(found.crl.encode(), found.root()), lambda: _read_own(found)):
        try:
            read()
        except TrustError:
            continue


def _read_own(found: TrustBundle) -> None:
    keys.read_identity(agency().certificate(DEVICE, agency().documents).public_bytes(Encoding.DER), found.root())


def extract_manifest(data: bytes) -> None:
    load_shape(Extract, load_object(data))


def proof_row(data: bytes) -> None:
    assert write_proof(read_proof(data)) == data


def topic(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    assert str(wire.parse_topic(text)) == text


def payload(data: bytes) -> None:
    """Every payload that is JSON, and what is computed from it."""
    for kind in (wire.DeviceState, wire.DockState, wire.ObjectOpen, wire.ObjectClose, wire.Have, wire.Credit):
        try:
            found = wire.load(kind, data)  # type: ignore[type-var]
            if isinstance(found, wire.Have):
                [wire.to_ranges(one.held_parts()) for one in found.objects]
            if isinstance(found, wire.ObjectOpen):
                wire.part_length(found.size, found.part_bytes, 0)
        except wire.WireError:
            continue


def wire_payloads() -> list[bytes]:
    held = wire.HeldObject("a" * 64, "partial", 1024, [[0, 3], [7, 7]])
    return [
        wire.dump(one)
        for one in (
            wire.DeviceState(1, 1, 1, True, 1, 1, 1, 1, {"phase": "ready"}),
            wire.DockState(1, "dock-1", 1, True),
            wire.ObjectOpen(1, 5000, "age", 1024),
            wire.ObjectClose(1, 5),
            wire.Have(1, "dock-1", 1, 1, False, 4, "open", [held]),
            wire.Credit(1, "dock-1", 1, 1, 100, 4),
        )
    ]

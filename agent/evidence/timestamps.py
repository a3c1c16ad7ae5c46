"""Timestamps (RFC 3161): one token over a day's checkpoints of many devices, and what each device needs of it.

    timestamps/NAME.day     what the token is over: the checkpoint of a tree whose leaves are that day's cosigned notes
    timestamps/NAME.note    this device's cosigned note, a leaf
    timestamps/NAME.proof   its number and audit path
    timestamps/NAME.tsr     the authority's response, DER

So one request serves any number of devices, and none learns more of the others than how many there were.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning
from rfc3161_client import (
    Accuracy,
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from agent.errors import FormatError, TimestampError, TrustError
from agent.evidence.checkpoint import MAX_NOTE_BYTES, Checkpoint, read_checkpoint
from agent.evidence.extract import MAX_ROW_BYTES, Proof, read_proof, write_proof
from agent.evidence.folder import EvidenceFolder, read_regular
from agent.evidence.merkle import LeafNodes, check_inclusion, inclusion_proof, leaf_hash, root_at
from agent.evidence.shapes import HashName

MAX_TOKEN_BYTES: Final = 65_536
MAX_DAY_BYTES: Final = 1_024
_NAME: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}(?:-[0-9]{1,4})?)\.tsr")
_BROKEN: Final = (
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    UnsupportedAlgorithm,
    VerificationError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for bytes that are no token, or for fields that a token lacks."""

_HASHES: Final[dict[HashName, HashAlgorithm]] = {"sha-256": HashAlgorithm.SHA256, "sha-512": HashAlgorithm.SHA512}
Roots = Sequence[x509.Certificate]
"""Certificates of timestamp authorities that the reader trusts."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The four files of a timestamp, not judged."""

    day: bytes
    note: bytes
    proof: bytes
    token: bytes


def read_roots(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file, at least one. Raises TrustError."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise TrustError(f"no certificates of timestamp authorities, in PEM: {error}") from error


# -- asking -----------------------------------------------------------------------------------------------------------


def day_of(origin: str, notes: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """What to have stamped for these notes, at least one, and a proof for each of them."""
    tree = LeafNodes([leaf_hash(note) for note in notes])
    size = len(notes)
    proofs = [write_proof(Proof(index, tuple(inclusion_proof(tree, index, size)))) for index in range(size)]
    return Checkpoint(origin, size, root_at(tree, size)).text().encode(), proofs


def make_request(day: bytes, hash_name: HashName) -> TimeStampRequest:
    """A request with a fresh nonce that asks for the authority's certificates too."""
    return TimestampRequestBuilder(day, _HASHES[hash_name], nonce=True, cert_req=True).build()


def check_response(token: bytes, request: TimeStampRequest, day: bytes, roots: Roots) -> datetime:
    """The time of an answer to this very request. Raises TimestampError."""
    return _check_token(token, day, VerifierBuilder(nonce=request.nonce, roots=list(roots)))


# -- judging ----------------------------------------------------------------------------------------------------------


def check_stamp(stamp: Stamp, roots: Roots) -> datetime:
    """No later than this the note existed. Raises TimestampError, FormatError unless everything leads from it there."""
    try:
        day, proof = read_checkpoint(stamp.day.decode("ascii")), read_proof(stamp.proof)
    except UnicodeDecodeError as error:
        raise FormatError(f"not a checkpoint: {error}") from error
    check_inclusion(leaf_hash(stamp.note), proof.index, day.size, proof.path, day.root)
    return _check_token(stamp.token, stamp.day, VerifierBuilder(roots=list(roots)))


def _check_token(token: bytes, day: bytes, builder: VerifierBuilder) -> datetime:
    if len(token) > MAX_TOKEN_BYTES:
        raise TimestampError(f"a timestamp over {MAX_TOKEN_BYTES} bytes")
    try:
        with warnings.catch_warnings():  # of odd certificates: whether they are good enough is judged here
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            response = decode_timestamp_response(token)
            builder.build().verify_message(response, day)
            return _latest(response)
    except _BROKEN as error:
        raise TimestampError(f"the timestamp does not verify: {error}") from error


def _latest(response: TimeStampResponse) -> datetime:
    """The time said, and the error that the authority admits on top of it."""
    info = response.tst_info
    said = info.gen_time.replace(tzinfo=UTC)  # GeneralizedTime, ending in Z
    error: Accuracy | None = info.accuracy  # optional, whatever the library's types say
    if error is None:
        return said
    milliseconds, microseconds = error.millis or 0, error.micros or 0
    return said + timedelta(seconds=error.seconds or 0, milliseconds=milliseconds, microseconds=microseconds)


# -- files ------------------------------------------------------------------------------------------------------------


def stamp_names(folder: EvidenceFolder) -> list[str]:
    """Names of the timestamps in a folder, oldest first. What is no regular folder holds none."""
    found: list[str] = []
    if not folder.timestamps.is_symlink():
        with suppress(OSError), os.scandir(folder.timestamps) as inside:
            found = [match[1] for one in inside if (match := _NAME.fullmatch(one.name))]
    return sorted(found, key=_order)


def _order(name: str) -> tuple[str, int]:
    return name[:10], int(name[11:] or 0)


def stamp_files(folder: EvidenceFolder, name: str) -> dict[str, Path]:
    """Where the pieces of a timestamp lie, by the fields of ``Stamp``; the token last."""
    place = folder.timestamps
    pieces = (("day", "day"), ("note", "note"), ("proof", "proof"), ("token", "tsr"))
    return {field: place / f"{name}.{ending}" for field, ending in pieces}


def read_stamp(folder: EvidenceFolder, name: str) -> Stamp:
    """The files of a timestamp. Raises TimestampError when one is not there, or is too long."""
    limits = {"day": MAX_DAY_BYTES, "note": MAX_NOTE_BYTES, "proof": MAX_ROW_BYTES, "token": MAX_TOKEN_BYTES}
    return Stamp(**dict(_read_pieces(stamp_files(folder, name), limits)))


def _read_pieces(files: dict[str, Path], limits: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    for piece, path in files.items():
        data = read_regular(path, limits[piece])
        if data is None:
            raise TimestampError(f"{path.name} is not there, or over {limits[piece]} bytes")
        yield piece, data

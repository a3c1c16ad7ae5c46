"""Receipts: what a dock signs after it has verified, written, synced and read back. Only a receipt frees space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nacl.signing import SigningKey
from pydantic import ConfigDict

from agent.errors import FormatError, ReceiptError
from agent.evidence import jws
from agent.evidence.documents import TrustBundle
from agent.evidence.entries import ObjectRef
from agent.evidence.shapes import STRICT, Count, Digest, FormatVersion, Micros, Name, dump_shape, load_shape

MAX_OBJECTS = 256
"""In one receipt; a dock that holds more signs several."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one dock holds of one device (JWS ``er-receipt+jws``)."""

    v: FormatVersion
    type: Literal["receipt"]
    dock: Name
    device: Name
    objects: list[ObjectRef]
    ledger_size: Count
    """The dock holds this many lines of the ledger ..."""
    ledger_root: Digest
    """... and this is the Merkle root over them, hex."""
    issued_us: Micros
    """The dock's wall clock, UTC."""
    __pydantic_config__: ClassVar[ConfigDict] = STRICT


def sign_receipt(receipt: Receipt, key: SigningKey) -> bytes:
    """The receipt as the dock hands it out."""
    if len(receipt.objects) > MAX_OBJECTS:
        raise FormatError(f"a receipt lists at most {MAX_OBJECTS} objects")
    return jws.sign(dump_shape(receipt), jws.RECEIPT_TYPE, key)


def read_receipt(token: bytes, trust: TrustBundle) -> Receipt:
    """Verifies and reads a receipt; raises ReceiptError unless the dock that it names signed it."""
    try:
        parsed = jws.parse(token, jws.RECEIPT_TYPE)
        receipt = load_shape(Receipt, parsed.payload)
        if len(receipt.objects) > MAX_OBJECTS:
            raise FormatError(f"a receipt lists at most {MAX_OBJECTS} objects")
        key = trust.receipt_key(parsed.kid, receipt.dock)
        if key is None:
            raise FormatError(f"its key is none of dock {receipt.dock} of this agency")
        jws.check(parsed, key)
    except FormatError as error:
        raise ReceiptError(f"the receipt is not acceptable: {error}") from error
    return receipt

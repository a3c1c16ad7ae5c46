"""A recorder that does what it is told: it writes good evidence, and every field of it can be told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from nacl.signing import SigningKey

from tests.vectors import age
from tests.vectors.agency import DEVICE, DOCK, SERIAL, START_US, WITNESS, Agency
from tests.vectors.pieces import Content, Ref, path_of
from tests.vectors.primitives import (
    RECEIPT,
    Dice,
    b64url,
    compact,
    cosignature,
    document,
    header_of,
    leaf,
    note_text,
    origin,
    own_signature,
    public,
    root_of,
    sha256,
    signer,
    token,
)


class Device:
    """One device folder in the making. ``offset_us``: how far its wall clock is ahead of the true time."""

    def __init__(self, agency: Agency, name: str = DEVICE, label: str = "", hardware: str = "picamera2") -> None:
        self.agency, self.name, self.label = agency, name, f"{agency.name} {name}{label}"
        self.files: dict[str, Content] = {}
        self.lines: list[bytes] = []
        self.hardware = {"camera": hardware, "microphone": "alsa"}
        self.identity = Dice(f"{agency.name} {name} identity").key()
        self.certificate = agency.certificate(name, self.identity)
        self.source, self.offset_us = "ntp", 0
        self.start_us, self.mono_us, self.boots, self.epochs = START_US, 0, 0, 0
        self.boot_id = ""
        self.key: SigningKey = self.identity
        self.old_keys: list[SigningKey] = []
        self.keys_after: list[SigningKey] = []
        """The key in force after each line."""
        self.at: dict[str, list[int]] = {}
        """Numbers of the entries by type."""
        self.named: list[tuple[int, Ref]] = []
        """Every object with the number of an entry that names it."""
        self.sealed: list[Ref] = []

    # Lines

    @property
    def true_us(self) -> int:
        return self.start_us + self.mono_us

    @property
    def size(self) -> int:
        return len(self.lines)

    @property
    def leaves(self) -> list[bytes]:
        return [leaf(line) for line in self.lines]

    def time(self) -> dict[str, Any]:
        return {
            "utc_us": self.true_us + self.offset_us,
            "mono_us": self.mono_us,
            "boot": self.boot_id,
            "source": self.source,
            "error_us": None if self.source == "none" else 1000,
        }

    def enter(
        self,
        kind: str,
        body: Any,
        *,
        key: SigningKey | None = None,
        header: dict[str, Any] | bytes | None = None,
        spell: Callable[[bytes], bytes] = bytes,
        sign: Callable[[bytes], bytes] | None = None,
        wait_us: int = 1_000_000,
        **envelope: Any,
    ) -> int:
        """One entry; returns its number. ``spell`` may change the payload before it is signed."""
        self.mono_us += wait_us
        payload = {
            "v": 1,
            "seq": self.size,
            "prev": sha256(self.lines[-1]).hex() if self.lines else "0" * 64,
            "device": self.name,
            "type": kind,
            "time": self.time(),
            "body": body,
        } | envelope
        by = key or self.key
        line = token(header or header_of(public(by)), spell(compact(payload)), sign or signer(by))
        self.at.setdefault(kind, []).append(self.size)
        for name in ("object", "particulars"):
            if isinstance(body, dict) and isinstance(body.get(name), dict):
                self.named.append((self.size, body[name]))
        return self.add(line)

    def add(self, line: bytes) -> int:
        self.lines.append(line)
        self.keys_after.append(self.key)
        return self.size - 1

    def next_key(self) -> SigningKey:
        """Replaces the epoch key; what is entered next is signed by the new one."""
        self.old_keys.append(self.key)
        self.key = Dice(f"{self.label} epoch {self.epochs}").key()
        self.epochs += 1
        return self.key

    def boot(self, wait_us: int = 5_000_000, key: SigningKey | None = None, **changes: Any) -> int:
        """The process starts: monotonic clock and epoch key are new."""
        how = {name: changes.pop(name) for name in ("header", "spell", "sign", "prev", "seq") if name in changes}
        self.start_us += self.mono_us + wait_us
        self.mono_us = 0
        self.boot_id = Dice(f"{self.label} boot {self.boots}").hex(32)
        fresh = self.next_key()
        body = {
            "counter": self.boots,
            "certificate": b64url(self.certificate.public_bytes(Encoding.DER)),
            "epoch_key": b64url(public(fresh)),
            "software": "sample",
            "hardware": self.hardware,
            "tail_cut_bytes": 0,
        }
        self.boots += 1
        return self.enter("boot", body | changes, key=key or self.identity, **how)

    def epoch(self, reason: str, key: str | None = None, **how: Any) -> int:
        """The next key; ``key`` is named in its stead."""
        old, fresh = self.key, self.next_key()
        return self.enter("epoch", {"key": key or b64url(public(fresh)), "reason": reason}, key=old, **how)

    def genesis(self, **changes: Any) -> int:
        body = {
            "format": "enforcement-recorder/1",
            "agency": self.agency.name,
            "device": self.name,
            "serial": SERIAL,
            "hash": "sha-256",
            "seal": "age-v1-x25519",
            "hardware": self.hardware,
        }
        return self.enter("genesis", body | changes)

    def begin(self, profile: bytes | None = None, policy: bytes | None = None) -> None:
        """boot, genesis, profile, policy, self-test: entries 0 to 4."""
        self.boot()
        self.genesis()
        self.adopt("profile", profile or self.agency.profile(self.name))
        self.adopt("policy", policy or self.agency.policy())
        self.self_test()

    def adopt(self, kind: str, data: bytes, version: int = 1) -> int:
        return self.enter("adopted", {"document": kind, "version": version, "object": self.put(data, "jws")})

    def self_test(self) -> int:
        return self.enter("self_test", {"results": {"camera": "ok", "microphone": "ok", "storage": "ok"}})

    def heartbeat(self, **how: Any) -> int:
        return self.enter("heartbeat", {"state": "idle"}, **how)

    # Objects

    def put(self, data: bytes, form: str) -> Ref:
        ref = {"digest": sha256(data).hex(), "size": len(data), "form": form}
        self.files[path_of(ref)] = data
        return ref

    def seal(self, label: str, plain: bytes, keys: list[age.AgeKey] | None = None, extra: bytes = b"") -> Ref:
        unique = f"{self.label} {label} {sha256(plain).hex()}"
        ref = self.put(age.seal(unique, plain, keys or [self.agency.archive, self.agency.escrow], extra), "age")
        self.sealed.append(ref)
        return ref

    # Docks and witnesses

    def receipt(
        self,
        objects: list[Ref] | None = None,
        key: SigningKey | None = None,
        *,
        dock: str = DOCK,
        said: dict[str, Any] | None = None,
        typ: str = RECEIPT,
        **changes: Any,
    ) -> tuple[int, Ref]:
        """A receipt over everything so far, entered: number of the entry, and the document.

        ``said``: changes to the entry; ``changes``: to the receipt.
        """
        shape = {
            "v": 1,
            "type": "receipt",
            "dock": dock,
            "device": self.name,
            "objects": self.sealed if objects is None else objects,
            "ledger_size": self.size,
            "ledger_root": root_of(self.leaves).hex(),
            "issued_us": self.true_us,
        } | changes
        signed_by = key or self.agency.receipts.get(dock, self.agency.receipts[DOCK])
        ref = self.put(document(shape, typ, signed_by), "jws")
        body = {"dock": dock, "object": ref, "ledger_size": shape["ledger_size"]}
        return self.enter("receipt", body | (said or {})), ref

    def release(self, receipt: Ref | str, objects: list[Ref], *, delete: bool = True) -> int:
        for ref in objects if delete else []:
            del self.files[path_of(ref)]
        body = {
            "receipt": receipt if isinstance(receipt, str) else receipt["digest"],
            "objects": [ref["digest"] for ref in objects],
            "bytes": sum(ref["size"] for ref in objects),
        }
        return self.enter("released", body)

    def text(self, size: int | None = None, root: bytes | None = None) -> str:
        """A note's text over the first ``size`` lines."""
        count = self.size if size is None else size
        return note_text(origin(self.agency.name, self.name), count, root or root_of(self.leaves[:count]))

    def note(
        self,
        size: int | None = None,
        *,
        own: bool = True,
        by: tuple[str, ...] = (DOCK, WITNESS),
        seconds: int | None = None,
    ) -> str:
        """A signed note, cosigned a second after now, or at ``seconds``."""
        count = self.size if size is None else size
        text, when = self.text(count), self.true_us // 1_000_000 + 1 if seconds is None else seconds
        signatures = own_signature(text, self.keys_after[count - 1]) if own else ""
        signatures += "".join(cosignature(text, name, self.agency.witnesses[name], when) for name in by)
        return f"{text}\n{signatures}"

    def witness(self, size: int | None = None, **how: Any) -> None:
        """The files ``checkpoint`` and ``cosigned``."""
        self.files["checkpoint"] = self.note(size, by=()).encode()
        self.files["cosigned"] = self.note(size, **how).encode()

    def witnessed(self, size: int | None = None, **how: Any) -> int:
        return self.enter("witnessed", {"note": self.note(size, **how)})

    def write(self) -> None:
        """The ledger, as it stands now."""
        self.files["ledger.jws"] = b"".join(line + b"\n" for line in self.lines)

"""Scenarios: each makes a folder of files, a question, and what must be found; and becomes one vector."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.vectors.agency import DEVICE, Agency, agency
from tests.vectors.expectation import BREAKING, Circumstances, verdicts
from tests.vectors.pieces import Content, Folder, Link, Ref, path_of
from tests.vectors.primitives import b64, compact
from tests.vectors.recorder import Recorder

VERSION = "evidence-format/1"
Change = Callable[[Recorder], None]


def nothing(d: Recorder) -> None:
    """No change."""


@dataclass
class Bundle:
    """One scenario in the making."""

    name: str
    about: str
    agency: Agency = field(default_factory=agency)
    path: str = DEVICE
    files: dict[str, Content] = field(default_factory=dict)
    """Besides those of the devices; ``trust.json`` is added when it is not here."""
    devices: dict[str, Recorder] = field(default_factory=dict)
    """By the folder that holds them."""
    trust: dict[str, Any] = field(default_factory=dict)
    """Changes to the trust file."""
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    identity: str | None = None
    notes: list[str] = field(default_factory=list)
    accept_simulated: bool = False
    witnessed: bool = True
    unvouched: bool = False
    recordings: bool | None = None
    """Whether a recording is seen; None: looked up."""
    extract: bool = False
    error: bool = False
    repeat: dict[str, int] | None = None

    def device(self, name: str = DEVICE, folder: str | None = None, **how: Any) -> Recorder:
        """One more device folder; in ``folder`` of the vector, or in one of its own name."""
        device = Recorder(self.agency, name, **how)
        self.devices[folder or name] = device
        return device

    def expect(self, code: str, where: str | int, device: str = DEVICE) -> None:
        """One finding; a number is that of an entry."""
        self.findings.append((code, device, f"entry {where}" if isinstance(where, int) else where))

    def with_identity(self) -> None:
        """The verifier gets the archive's key."""
        self.identity = self.agency.archive.identity

    def all_files(self) -> dict[str, Content]:
        """Every file of the vector's folder."""
        found = dict(self.files)
        found.setdefault("trust.json", compact(self.agency.trust(**self.trust)))
        for folder, device in self.devices.items():
            found |= {f"{folder}/{path}": content for path, content in device.files.items()}
        return found

    def _sees_recordings(self) -> bool:
        if self.recordings is not None:
            return self.recordings
        ends = {device.name: device.size for device in self.devices.values()}
        for code, device, where in self.findings:
            if code in BREAKING:
                ends[device] = int(where.split()[1]) if where.startswith("entry ") else 0
        return any(seq < ends[one.name] for one in self.devices.values() for seq in one.at.get("open", []))

    def expected(self) -> dict[str, Any]:
        if self.error:
            return {"error": True}
        opened = self.identity is not None
        lines = self.extract or self.repeat is not None or any(device.size for device in self.devices.values())
        how = Circumstances(self.witnessed, self.unvouched, self.extract, self._sees_recordings(), opened, lines)
        axes, rules = verdicts({code for code, _, _ in self.findings}, how)
        listed = [{"code": code, "device": device, "where": where} for code, device, where in sorted(self.findings)]
        return {"axes": axes, "rules": rules, "findings": listed}


Build = Callable[[Bundle], None]
SCENARIOS: dict[str, tuple[str, Build]] = {}


def scenario(name: str, about: str) -> Callable[[Build], Build]:
    """Registers a scenario; its name is the vector's."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) or name in SCENARIOS:
        raise ValueError(f"{name} cannot be a vector's name, or is one already")

    def register(build: Build) -> Build:
        SCENARIOS[name] = (about, build)
        return build

    return register


def build(name: str) -> Bundle:
    about, make = SCENARIOS[name]
    bundle = Bundle(name, about)
    make(bundle)
    return bundle


def encode_file(content: Content) -> dict[str, Any]:
    """As it stands in a vector."""
    if isinstance(content, Link):
        return {"link": content.target}
    if isinstance(content, Folder):
        return {"folder": True}
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": b64(content)}


def vector_of(bundle: Bundle, base: str | None, base_files: dict[str, Content]) -> dict[str, Any]:
    """The vector, as what differs from a base."""
    files = bundle.all_files()
    return {
        "vector": VERSION,
        "name": bundle.name,
        "about": bundle.about,
        "base": base,
        "files": {path: encode_file(files[path]) for path in sorted(files) if base_files.get(path) != files[path]},
        "removed": sorted(set(base_files) - set(files)),
        "path": bundle.path,
        "options": {"identity": bundle.identity, "notes": bundle.notes, "accept_simulated": bundle.accept_simulated},
        **({"repeat": bundle.repeat} if bundle.repeat else {}),
        "expected": bundle.expected(),
    }


def small(b: Bundle, change: Change = nothing, **how: Any) -> Recorder:
    """The base of most attacks: two recordings, a receipt over all objects, a heartbeat; all of it witnessed.

    ``change`` comes after the recordings.
    """
    d = b.device(**how)
    d.begin()
    d.record("first", rich=True)
    d.record("second")
    change(d)
    d.receipt()
    d.heartbeat()
    d.witness()
    d.write()
    return d


def brief(b: Bundle, change: Change, *, begun: Change | None = None, **how: Any) -> Recorder:
    """The base of what a device itself enters wrongly: ``change`` makes the recordings; witnessed at the end."""
    d = b.device(**how)
    if begun is None:
        d.begin()
    else:
        begun(d)
    change(d)
    d.witness()
    d.write()
    return d


def tiny(b: Bundle, change: Change, **how: Any) -> Recorder:
    """The base of lines that break the ledger: nothing recorded; witnessed at the end."""
    d = b.device(**how)
    d.begin()
    change(d)
    d.heartbeat()
    d.witness()
    d.write()
    return d


def cut(d: Recorder, size: int, *, objects: bool = False) -> None:
    """Somebody cuts the ledger to its first ``size`` lines; perhaps with the objects that only the rest names."""
    d.lines, d.keys_after = d.lines[:size], d.keys_after[:size]
    d.write()
    for path in orphaned(d, size) if objects else []:
        del d.files[path]


def orphaned(d: Recorder, size: int) -> list[str]:
    """Paths of objects that are there and that only entries from number ``size`` on name."""
    before = {path_of(ref) for seq, ref in d.named if seq < size}
    return sorted({path_of(ref) for seq, ref in d.named if seq >= size} & set(d.files) - before)


def flip(d: Recorder, path: str, where: int = -1, mask: int = 1) -> None:
    """One bit of a file."""
    data = d.files[path]
    assert isinstance(data, bytes)
    changed = bytearray(data)
    changed[where] ^= mask
    d.files[path] = bytes(changed)


def remove(d: Recorder, refs: list[Ref]) -> None:
    for ref in refs:
        del d.files[path_of(ref)]
